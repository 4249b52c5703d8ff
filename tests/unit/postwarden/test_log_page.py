"""docs/log.md has every event of the log, under its severity, and none that there is not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LEVELS = {
    "prepared": "For information",
    "debug": "For information",
    "info": "For information",
    "warning": "Warnings",
    "error": "Errors",
    "exception": "Errors",
}
"""The section of docs/log.md for each method of a log."""
ELSEWHERE = {
    "mail": "info",
    "limit-nearly-used-up": "warning",
    "limit-used-up": "warning",
    "outgoing-jump": "warning",
    "outgoing-suspended": "warning",
    "exception-set": "info",
    "exception-removed": "info",
    "quarantine-released": "info",
    "quarantine-deleted": "info",
    "lessons-forgotten": "info",
    "lessons-undone": "info",
    "worker-confinement": "warning",
}
"""Events whose names are put together, or handed on, with their severity."""


def pages() -> dict[str, list[set[str]]]:
    """Of each event the sections that it stands in: the first column of their tables."""
    found: dict[str, list[set[str]]] = {}
    for section in (ROOT / "docs" / "log.md").read_text().split("\n## ")[1:]:
        title = section.partition("\n")[0]
        for table in re.findall(r"^\| event \|.*\n\|---.*\n((?:\|.*\n?)+)", section, re.M):
            for cell in re.findall(r"^\| (`[^|]*) \|", table, re.M):
                for event in re.findall(r"`([a-z-]+)`", cell):
                    found.setdefault(event, []).append({title})
    return found


def logged() -> Iterator[tuple[str, str]]:
    """Each event that stands in the source, with its severity."""
    for package in ("mailbase", "policyd", "contentfilter"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.Call(ast.Attribute(log, level), [ast.Constant(str(name)), *_]) if (
                        level in LEVELS
                        and "log" in ast.unparse(log).lower()
                        and re.fullmatch("[a-z-]+", name)
                    ):
                        yield name, level
    yield from ELSEWHERE.items()


EVENTS: dict[str, set[str]] = {}
for _event, _level in logged():
    EVENTS.setdefault(_event, set()).add(_level)


def test_there_is_something_to_compare() -> None:
    assert len(EVENTS) > 100


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_each_event_stands_under_its_severity(event: str) -> None:
    assert event in pages(), f"add {event} to docs/log.md"
    (sections,) = pages()[event]
    (title,) = sections
    wanted = {LEVELS[level] for level in EVENTS[event]}
    mails = title.startswith("A mail") and wanted == {"For information"}
    assert mails or any(title.startswith(one) for one in wanted), f"{event} is at home in {wanted}"


def test_none_is_told_of_that_there_is_not() -> None:
    assert pages().keys() <= EVENTS.keys(), pages().keys() - EVENTS.keys()


@pytest.mark.parametrize("event", sorted(ELSEWHERE))
def test_what_is_put_together_is_there(event: str) -> None:
    source = "\n".join(
        path.read_text() for name in ("policyd", "contentfilter") for path in (ROOT / name).rglob("*.py")
    )
    stem, last = event.partition("-")[0], event.rpartition("-")[2]
    assert f'"{event}"' in source or (f'f"{stem}-{{' in source and f'"{last}"' in source)
