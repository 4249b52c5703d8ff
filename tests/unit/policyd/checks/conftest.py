"""Postfix, before a policyd with limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .limited import Postfix


@pytest.fixture
def postfix(make_bench: Callable[..., Any]) -> Callable[..., Postfix]:
    return lambda configuration: Postfix(make_bench(configuration))
