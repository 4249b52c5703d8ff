"""docs/architecture.md names every room, nothing that is not there, and tests lie where it says they do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = ("contentfilter", "mailbase", "policyd", "postwarden")
FILES = [
    path.relative_to(ROOT)
    for package in (*PACKAGES, "tests")
    for path in (ROOT / package).rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
]
THERE = {f"/{path.as_posix()}" for file in FILES for path in (file, *file.parents)}
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([\w/]+(?:\.py|/))`", PAGE)))
ROOMS = [
    path.parent.relative_to(ROOT) for package in PACKAGES for path in ROOT.glob(f"{package}/*/__init__.py")
]


def test_there_are_enough_of_them():
    assert len(NAMED) > 150


@pytest.mark.parametrize("name", NAMED)
def test_what_is_named_is_there(name: str):
    """Inside its package a name may begin at any folder: the text around it says at which."""
    assert any(path.endswith("/" + name.rstrip("/")) for path in THERE)


@pytest.mark.parametrize("room", ROOMS, ids=str)
def test_every_room_is_named(room: Path):
    """With its package, or alone where the text says of which."""
    package, name = room.parts
    assert re.search(f"`({package}/)?{name}/", PAGE)


@pytest.mark.parametrize("package", PACKAGES)
def test_each_folder_of_tests_is_called_as_what_it_tests(package: str):
    tests = ROOT / "tests" / "unit" / package
    rooms = {path.parent.relative_to(tests) for path in tests.rglob("test_*.py")} - {Path()}
    tested = [ROOT / package / room for room in rooms]
    assert [path for path in tested if not (path.is_dir() or path.with_suffix(".py").is_file())] == []
