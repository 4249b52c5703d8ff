"""What ``journalctl -o export`` and ``-o json`` write, as lines of syslog.

A machine may have no other log than systemd's. Of its form ``short``, the default, nothing need be said.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import chain

LONGEST = 1024 * 1024
"""Octets of a field; what is longer spoils its entry."""

_STAMP, _HOST, _PROGRAM, _MESSAGE = "__REALTIME_TIMESTAMP", "_HOSTNAME", "SYSLOG_IDENTIFIER", "MESSAGE"
_PIDS = ("SYSLOG_PID", "_PID")
_WANTED = frozenset({_STAMP, _HOST, _PROGRAM, _MESSAGE, *_PIDS})
_UNREADABLE = b""
_NOTHING = b"\n"


def syslog_lines(lines: Iterator[bytes]) -> Iterator[bytes]:
    """The lines of a file as they are, or of a journal a line for each entry.

    Arguments:
        lines: with their ends; empty for one that could not be read. So are those that are returned.
    """
    first = next(lines, None)
    if first is None:
        return iter(())
    lines = chain((first,), lines)
    if first.startswith(b"__CURSOR="):
        return _exported(lines)
    if first.startswith(b"{") and b'"__REALTIME_TIMESTAMP"' in first:
        return map(_of_json, lines)
    return lines


def _of_json(line: bytes) -> bytes:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return _UNREADABLE
    return _line(entry) if isinstance(entry, dict) else _UNREADABLE


def _exported(lines: Iterator[bytes]) -> Iterator[bytes]:
    """The Journal Export Format of systemd: fields, a line each, and an empty line behind each entry."""
    entry: dict[str, str] = {}
    spoilt = False
    for line in lines:
        if line == b"\n":
            if entry or spoilt:
                yield _UNREADABLE if spoilt else _line(entry)
            entry, spoilt = {}, False
            continue
        name, text, value = line.partition(b"=")
        if not text:
            # With its size in front of it: it may have line ends.
            binary = _binary(lines) if line else None
            spoilt = spoilt or binary is None
            name, value = line[:-1], binary or b""
        field = name.decode("ascii", "replace")
        if field in _WANTED:
            entry[field] = value.removesuffix(b"\n").decode("utf-8", "replace")
    if entry or spoilt:
        # The last one may have been cut off.
        yield _UNREADABLE if spoilt else _line(entry)


def _binary(lines: Iterator[bytes]) -> bytes | None:
    data, size = b"", 8
    while len(data) < size:
        line = next(lines, None)
        if not line:
            # The end, or a line too long: what is behind it is the next entries'.
            return None
        data += line
        if len(data) >= 8:
            size = 8 + int.from_bytes(data[:8], "little") + 1
            if size > LONGEST:
                return None
    return data[8 : size - 1]


def _line(entry: Mapping[str, object]) -> bytes:
    stamp, message = entry.get(_STAMP), entry.get(_MESSAGE)
    if isinstance(message, list):
        # What is not UTF-8 stands in JSON as the numbers of its octets.
        message = "".join(chr(octet) for octet in message if isinstance(octet, int) and 32 <= octet < 127)
    if not (isinstance(message, str) and message):
        return _NOTHING
    if not (isinstance(stamp, str) and len(stamp) < 18 and stamp.isascii() and stamp.isdigit()):
        return _UNREADABLE
    seconds, micros = divmod(int(stamp), 1_000_000)
    pid = next((str(entry[name]) for name in _PIDS if entry.get(name)), "")
    program = f"{entry.get(_PROGRAM, '-')}[{pid}]" if pid else f"{entry.get(_PROGRAM, '-')}"
    text = f"{_second(seconds)}.{micros:06d}+00:00 {entry.get(_HOST, '-')} {program}: {message}"
    return text.replace("\n", " ").encode("utf-8", "replace") + b"\n"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
