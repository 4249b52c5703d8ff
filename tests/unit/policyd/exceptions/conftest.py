"""Exceptions, set as commands set them."""

from __future__ import annotations

from typing import Any

import pytest

from .asked import Asked


@pytest.fixture
def asked(bench: Any) -> Asked:
    return Asked(bench)
