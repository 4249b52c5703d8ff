"""The beginning of a syslog line: when, and which program.

Three forms: ``Nov 26 20:53:17 mx postfix/smtpd[17987]: text`` (RFC 3164; no year, local time),
``2026-11-26T20:53:17.123456+01:00 mx postfix/smtpd[17987]: text`` (RFC 5424's time stamp, as rsyslog, Postfix
and journalctl write it) and all of RFC 5424, ``<22>1 2026-11-26T20:53:17Z mx postfix/smtpd 17987 - - text``;
the first two also behind a priority. In place of the time journalctl also writes
``Thu 2026-11-26 21:53:17 CET`` (``-o short-full``; a zone by name is UTC or this machine's) and
``1795726397.123456`` (``-o short-unix``).
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}
_LINE = re.compile(
    r"(?:<[0-9]{1,3}>(?:1 )?)?"
    r"(?:([A-Z][a-z]{2}) ([ 0-9]?[0-9]) ([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]{1,9})?"
    r"|([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}):([0-9]{2})(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:?[0-9]{2})?"
    r"|[A-Z][a-z]{2} ([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}):([0-9]{2})(\.[0-9]{1,9})?"
    r" ([A-Z]{2,6}|[+-][0-9]{2}(?::?[0-9]{2})?)"
    r"|([0-9]{8,11}\.[0-9]{6}))"
    r" (?:<\S{1,30}> )?(\S{1,255}) ([^\s\[:]{1,100})"
    r"(?:(?:\[([0-9]{1,10})\])?: (?:\[ID [0-9]+ \S+\] )?"
    # Process, message id, structured data.
    r'| ([0-9]{1,10}|-) \S{1,32} (?:-|(?>\[(?>[^]"]|"(?>[^"\\]|\\.)*")*\])+) \ufeff?)',
    re.ASCII,
)
OUT_OF_ORDER = 60.0
"""Seconds by which a line may be older than one before it; more, and the clock has been put back."""
HALF_A_YEAR = 182 * 86400.0
A_DAY = 86400.0


_AGAIN = "again"


class Stamp(NamedTuple):
    """Arguments:
    time: seconds since the epoch.
    program: such as ``postfix/smtpd``.
    pid: its process; empty where the line does not say.
    text: where the message itself begins in the line.
    host: that wrote it.
    """

    time: float
    program: str
    pid: str
    text: int
    host: str = ""


class Stamps:
    """Reads the time stamps of one file.

    A line without year has the latest one in which it is not later than the file. From there on the year
    changes where the months begin anew; lines that are a little out of order do not change it. Of the hour
    that comes twice when summer ends, the second begins where the minutes begin anew.

    Arguments:
        written: when the file was last written, seconds since the epoch.
        year: of the first line, where that is wrong; None to find it out.
    """

    def __init__(self, written: float, year: int | None = None) -> None:
        self._written = written
        self._year = year
        self._last: float | None = None

    def read(self, line: str) -> Stamp | None:
        """The stamp of ``line``; None if it has none."""
        found = _LINE.match(line)
        if found is None:
            return None
        month, day, hour, minute, second, fraction, *modern, unix, host, program, pid, process = (
            found.groups()
        )
        seconds: float | None
        if unix is not None:
            seconds = float(unix)
        elif month is None:
            iso, iso_second, iso_fraction, zone = modern[:4] if modern[0] is not None else modern[4:]
            seconds = minute_of(iso, _zone(zone or ""))
            if seconds is None:
                return None
            seconds += int(iso_second) + float(iso_fraction or 0)
        else:
            number = _MONTHS.get(month)
            if number is None:
                return None
            seconds = self._local(number, int(day), int(hour), int(minute))
            seconds += int(second) + float(fraction or 0)
        return Stamp(seconds, program, pid or (process or "").strip("-"), found.end(), host)

    def _local(self, month: int, day: int, hour: int, minute: int) -> float:
        """The minute in local time, with the year that it must have."""
        if self._year is None:
            self._year = time.localtime(self._written).tm_year
            if local_minute(self._year, month, day, hour, minute) > self._written + A_DAY:
                self._year -= 1
        seconds = local_minute(self._year, month, day, hour, minute)
        last = self._last
        if last is not None:
            if seconds < last - HALF_A_YEAR:
                self._year += 1
                seconds = local_minute(self._year, month, day, hour, minute)
            elif seconds > last + HALF_A_YEAR:
                # A line of December among those of January.
                return local_minute(self._year - 1, month, day, hour, minute)
            elif seconds < last - OUT_OF_ORDER:
                seconds = local_minute(self._year, month, day, hour, minute, again=True)
        self._last = seconds
        return seconds


def _zone(text: str) -> str:
    """A zone as :func:`minute_of` takes it: of those with names only UTC is the same everywhere."""
    if text in ("UTC", "GMT"):
        return "Z"
    if text.isalpha() and text != "Z":
        # Winter's name, where there is one of summer: of the hour that comes twice, the second.
        return _AGAIN if time.daylight and text == time.tzname[0] else ""
    return text


@lru_cache(maxsize=64)
def local_minute(year: int, month: int, day: int, hour: int, minute: int, *, again: bool = False) -> float:
    """Seconds since the epoch of a minute in local time; the 29th of February may be the 1st of March.

    Arguments:
        again: the second of a minute that comes twice, when summer ends; nothing else is changed by it.
    """
    fields = (year, month, day, hour, minute, 0, 0, 0)
    seconds = time.mktime((*fields, -1))
    if again:
        winter = time.mktime((*fields, 0))
        if time.localtime(winter)[:5] == time.localtime(seconds)[:5]:
            return max(seconds, winter)
    return seconds


@lru_cache(maxsize=64)
def minute_of(text: str, zone: str) -> float | None:
    """Seconds since the epoch of ``2026-11-26T20:53``; None for what is no time.

    Arguments:
        zone: ``Z``, ``+01:00``, ``+0100``; empty for local time; ``again`` for the second of a minute that
            comes twice in it.
    """
    again = zone == _AGAIN
    try:
        moment = datetime.fromisoformat(text if again else text + zone)
        if again or not zone:
            moment = moment.replace(fold=int(again)).astimezone()
        return moment.astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        return None
