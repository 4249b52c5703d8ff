"""A store whose table lies in the file in either way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from .bed import SPEC, Bed


@pytest.fixture(params=[False, True], ids=["appended", "clustered"])
def bed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bed]:
    bed = Bed(tmp_path, replace(SPEC, clustered=request.param))
    yield bed
    bed.disk.error = bed.disk.read_error = None
    bed.store.close()
