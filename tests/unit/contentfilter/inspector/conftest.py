"""An inspector among doubles."""

from __future__ import annotations

import pytest

from ..inspecting import (
    Scene,
)


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)
