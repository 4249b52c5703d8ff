"""docs/checks.md names the points that are built in, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mailbase.config.evidence import DEFAULT_POINTS

PAGE = (Path(__file__).parents[4] / "docs" / "checks.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([a-z-]+)` \| (-?[0-9.]+) \|", re.M)
HELO = re.compile(r"^\| `helo-pass` … `helo-plus-all` \| (.+?) \|", re.M)


def section(check: str) -> str:
    """What stands below the heading of a check."""
    found = re.search(rf"^## {check}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    assert found is not None, f"docs/checks.md has no section {check}"
    return found[1]


@pytest.mark.parametrize("check", sorted(check for check, points in DEFAULT_POINTS.items() if points))
def test_each_fact_stands_there_with_its_points(check: str) -> None:
    told = {fact: float(points) for fact, points in ROW.findall(section(check))}
    if check == "spf":
        # Those of the HELO name share a row: what most have, and the others by name.
        (row,) = HELO.findall(section(check))
        most, *others = re.split(r", | and (?=`)", row)
        told |= {fact: float(most) for fact in DEFAULT_POINTS[check] if fact.startswith("helo-")}
        names: list[str] = []
        for other in others:
            fact, _, points = other.replace("`", "").partition(" ")
            names.append(fact)
            if points:
                told |= dict.fromkeys(names, float(points))
                names = []
    assert told == dict(DEFAULT_POINTS[check])
