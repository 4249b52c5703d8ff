"""Durations and sizes with units, and bounds on them that speak in the same units."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from mailbase.documents.problems import shown

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_OCTETS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_DURATION = re.compile(r"(?:[0-9]{1,12}(?:\.[0-9]{1,6})? ?(?:ms|s|m|h|d|w) ?)+", re.ASCII)
_PIECE = re.compile(r"([0-9.]+) ?(ms|s|m|h|d|w)", re.ASCII)
_SIZE = re.compile(r"([0-9]{1,15}) ?(|KiB|MiB|GiB|TiB)", re.ASCII)


def parse_duration(value: object) -> float:
    """Seconds of a duration such as ``200ms``, ``5m``, ``1h30m``, ``35d``; a plain number is seconds.

    Raises:
        ValueError: with the message for the operator.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e12:
        return float(value)
    if isinstance(value, str) and _DURATION.fullmatch(value.strip()):
        total = sum(float(number) * _SECONDS[unit] for number, unit in _PIECE.findall(value))
        return round(total, 6)
    raise ValueError(f"expected a duration such as 5m (units: ms, s, m, h, d, w), got {shown(value)}")


def parse_size(value: object) -> int:
    """Octets of a size such as ``51MiB``, ``1 GiB`` or a plain number.

    Raises:
        ValueError: with the message for the operator.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 60:
        return value
    if isinstance(value, str) and (found := _SIZE.fullmatch(value.strip())):
        return int(found[1]) * _OCTETS[found[2]]
    raise ValueError(f"expected a size such as 51MiB (units: KiB, MiB, GiB, TiB), got {shown(value)}")


def format_duration(seconds: float) -> str:
    """``seconds`` in the largest unit that takes a whole number."""
    for unit in ("d", "h", "m", "s", "ms"):
        number = seconds / _SECONDS[unit]
        if number >= 1 and abs(number - round(number)) < 1e-6:
            return f"{round(number)}{unit}"
    return f"{seconds:g}s"


def format_size(octets: int) -> str:
    """``octets`` in the largest unit that takes a whole number."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if octets >= _OCTETS[unit] and octets % _OCTETS[unit] == 0:
            return f"{octets // _OCTETS[unit]}{unit}"
    return str(octets)


Duration = Annotated[float, BeforeValidator(parse_duration)]
"""Seconds."""
Size = Annotated[int, BeforeValidator(parse_size)]
"""Octets."""


def between(minimum: str | int, maximum: str | int) -> Any:
    """Bounds for a :data:`Duration` (``between("1s", "1d")``), a :data:`Size` or a count, both inclusive."""
    parse: Any
    show: Any
    if isinstance(minimum, int):
        parse, show = int, str
    elif _DURATION.fullmatch(minimum):
        parse, show = parse_duration, format_duration
    else:
        parse, show = parse_size, format_size
    low, high = parse(minimum), parse(maximum)

    def check(value: float) -> float:
        if low <= value <= high:
            return value
        raise ValueError(f"expected {minimum} to {maximum}, got {show(value)}")

    return AfterValidator(check)
