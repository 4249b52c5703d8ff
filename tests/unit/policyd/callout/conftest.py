"""Callouts to servers that are a table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.workers import ManualWorker

from ..callouts import World


@pytest.fixture
def make(bench: Any, tmp_path: Path) -> Callable[..., World]:
    def make(configuration: str = "") -> World:
        folder = tmp_path / f"world{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return World(bench.clock, bench.log, folder, ManualWorker(), configuration)

    return make


@pytest.fixture
def world(make: Callable[..., World]) -> World:
    return make()
