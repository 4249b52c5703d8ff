"""Points, and the thresholds that they reach: the two kinds of number in configuration and registry."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator

from mailbase.documents.problems import shown

MAX_POINTS = 1000.0


def _points(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and -MAX_POINTS <= value <= MAX_POINTS:
        return float(value)
    raise ValueError(f"expected points: a number, -{MAX_POINTS:g} to {MAX_POINTS:g}, got {shown(value)}")


def _threshold(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= MAX_POINTS:
        return float(value)
    raise ValueError(f"expected points: a number above 0, up to {MAX_POINTS:g}, or null, got {shown(value)}")


Points = Annotated[float, BeforeValidator(_points)]
Threshold = Annotated[float | None, BeforeValidator(_threshold)]
