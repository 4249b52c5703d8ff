"""Dates in header fields (RFC 5322 3.3), and what is wrong with them."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_DATE = re.compile(
    r"\s*(?:([A-Za-z]{3,9})\s*,?\s{1,5})?(\d{1,2})[\s-]{1,5}([A-Za-z]{3,9})[\s-]{1,5}(\d{2,4})\s{1,5}(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?"
    r"(?:\s{0,5}([+-]\d{1,4}|[A-Za-z]{1,5}))?"
)
_STRICT = re.compile(
    r"\s*(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),\s{0,5})?\d{1,2}\s{1,5}(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
    r"\s{1,5}\d{2,4}\s{1,5}\d{2}:\d{2}(?::\d{2})?\s{0,5}(?:[+-]\d{4}|[B-Z]|[A-Z]{2}[A-Z]{1,3}|UT)\s*(?:\([^()]{0,80}\)\s*)?"
)
_ZONES = {
    "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7, "bst": 1,
    "cet": 1, "cest": 2, "mez": 1, "mesz": 2, "eet": 2, "msk": 3, "jst": 9, "ist": 1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Moment:
    """Arguments:
    seconds: since the epoch, as far as the zone can be believed.
    zone: minutes east of Greenwich; None for none, or for letters that mean nothing.
    zone_sound: whether there is such a zone.
    strict: whether it is written as RFC 5322 (or its obsolete syntax) has it.
    weekday_wrong: whether it names another day of the week.
    """

    seconds: float
    zone: int | None
    zone_sound: bool
    strict: bool
    weekday_wrong: bool


def moment_of(text: str) -> Moment | None:
    """What ``text`` says; None if nobody can read it."""
    text = text[:200]
    found = _DATE.match(text)
    if found is None:
        return None
    weekday, day, name, year, hour, minute, second, zone = found.groups()
    month = _MONTHS.get(name[:3].lower(), 0)
    years = int(year)
    if len(year) < 4:
        years += 1900 if years >= 50 else 2000
    if not (month and 1 <= int(day) <= 31 and int(hour) < 24 and int(minute) < 60 and int(second or 0) <= 60):
        return None
    if not 1 <= years <= 9999:
        return None
    offset, sound = _zone(zone)
    try:
        days = calendar.timegm((years, month, int(day), 0, 0, 0))
    except ValueError:
        return None
    seconds = days + int(hour) * 3600 + int(minute) * 60 + int(second or 0) - (offset or 0) * 60
    wrong = bool(weekday) and weekday[:3].lower() != _DAYS[(days // 86400 + 3) % 7]
    return Moment(float(seconds), offset, sound, _STRICT.fullmatch(text) is not None, wrong)


def _zone(zone: str | None) -> tuple[int | None, bool]:
    if not zone:
        return None, True
    if zone[0] in "+-":
        digits = zone[1:].zfill(4)
        minutes = int(digits[:2]) * 60 + int(digits[2:])
        offset = -minutes if zone[0] == "-" else minutes
        # From Baker Island to Kiribati; all zones are at quarters of an hour.
        return offset, len(zone) == 5 and -720 <= offset <= 840 and int(digits[2:]) in (0, 15, 30, 45)
    name = zone.lower()
    if name in ("ut", "utc", "gmt", "z"):
        return 0, True
    return (_ZONES[name] * 60, True) if name in _ZONES else (None, True)
