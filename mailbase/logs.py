"""Structured log lines: one event a line, key=value or JSON, to one stream.

Everything that reaches the log passes here once: values become printable ASCII, personal data becomes a
keyed hash when the operator asked for it. Message content is never logged; no field is meant for it.

Lines are collected and written together at the end of the reactor's turn, so that a decision costs no
system call of its own.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, Literal, Protocol, TextIO, TypeAlias

from mailbase.replies import printable

Value: TypeAlias = "str | int | float | bool | None"
Level: TypeAlias = Literal["debug", "info", "warning", "error"]

PERSONAL = frozenset(
    {"client", "client_name", "helo", "sender", "recipient", "user", "address", "network", "subject"}
)
"""Fields that name a person or a person's machine."""
MAX_VALUE = 500
"""Characters of one field."""
MAX_PENDING = 10_000
"""Lines held back until the end of the turn; more are written at once."""

_RANK: dict[str, int] = {"debug": 0, "info": 1, "warning": 2, "error": 3}
_PRIORITIES: dict[str, str] = {"debug": "<7>", "info": "<6>", "warning": "<4>", "error": "<3>"}
"""What systemd's journal takes for a line's priority, and off the line (sd-daemon(3))."""
_PLAIN = re.compile(r"[!#-<>-\[\]-~]+").fullmatch
"""What most values are: printable ASCII that needs no quotes."""
_PLAIN_OCTETS = bytes(octet for octet in range(33, 127) if octet not in b'="\\')
"""The same for a whole line: what is left of it must be its blanks and ``=``."""
_NEEDS_QUOTES = re.compile(r'[ "=\\]|^$')


_Unmade: TypeAlias = tuple[Callable[[float, tuple[Any, ...]], str], float, tuple[Any, ...]]
"""A line still to be made: how, of what time (seconds since the epoch), of which values."""


class Scheduler(Protocol):
    """The part of a reactor that the log needs."""

    def callLater(self, delay: float, function: Callable[[], object]) -> object: ...


class Log:
    """Writes events to a stream.

    Arguments:
        component: name of the daemon, first field of each line.
        style: ``kv`` or ``json``.
        level: the least severe level that is written.
        stream: where to; standard error by default.
        pseudonym_key: secret for hashing personal fields; None leaves them readable.
        scheduler: lines are then flushed at the end of the reactor's turn, else at once.
        now: seconds since the epoch.
        priorities: begin each line with its priority, for systemd's journal.
    """

    def __init__(
        self,
        component: str,
        *,
        style: Literal["kv", "json"] = "kv",
        level: Level = "info",
        stream: TextIO | None = None,
        pseudonym_key: bytes | None = None,
        scheduler: Scheduler | None = None,
        now: Callable[[], float] = time.time,
        priorities: bool = False,
    ) -> None:
        self._component = component
        self._marks = _PRIORITIES if priorities else dict.fromkeys(_RANK, "")
        self._format = _json_line if style == "json" else _kv_line
        self._threshold = _RANK[level]
        self._stream = stream if stream is not None else sys.stderr
        self._key = pseudonym_key
        self._scheduler = scheduler
        self._now = now
        self._pending: list[str | _Unmade] = []

    def debug(self, event: str, **fields: Value) -> None:
        """An event that only helps to find a fault."""
        if self._threshold <= 0:
            self._write("debug", event, fields)

    def info(self, event: str, **fields: Value) -> None:
        """An event of normal work."""
        if self._threshold <= 1:
            self._write("info", event, fields)

    def warning(self, event: str, **fields: Value) -> None:
        """Something the operator should look at; the service goes on."""
        if self._threshold <= 2:
            self._write("warning", event, fields)

    def error(self, event: str, **fields: Value) -> None:
        """Our own fault, or a dependency that is gone."""
        self._write("error", event, fields)

    def exception(self, event: str, error: BaseException, **fields: Value) -> None:
        """An error with its traceback, in one line."""
        text = "".join(traceback.format_exception(error)).strip().replace("\n", " | ")
        self._write("error", event, {**fields, "error": repr(error), "traceback": text}, limit=4000)

    def prepared(self, event: str, *names: str) -> Callable[..., None]:
        """A function that writes the same line as :meth:`info`, several times faster.

        For what is logged with every request. The function takes the values in the order of ``names``: text,
        and at last seconds or another float.
        """
        if self._threshold > 1:
            return lambda *values: None
        mark, start = self._marks["info"], f" {self._component} info event={event} "
        fast = self._format is _kv_line and self._key is None
        # Names, with room for a value behind each. Joining them is four times quicker than "%s".
        form = [part for name in names for part in (f" {name}=", "")]
        form[0] = form[0][1:]
        skeleton = "".join(form).encode().translate(None, _PLAIN_OCTETS)

        def line_of(now: float, values: tuple[Any, ...]) -> str:
            parts = form.copy()
            parts[1::2] = values
            parts[-1] = f"{values[-1]:.6g}"
            line = "".join(parts)
            # As it should be if no value needs quotes: none is empty or too long, none holds a blank, "=", a
            # quote or what is not printable. One look at each octet tells nearly all of that.
            if (
                fast
                and len(line) <= MAX_VALUE
                and line.isascii()
                and line.encode().translate(None, _PLAIN_OCTETS) == skeleton
                and "= " not in line
            ):
                return f"{mark}{_timestamp(now)}{start}{line}\n"
            return self._line(now, "info", event, dict(zip(names, values, strict=True)), MAX_VALUE)

        def write(*values: Any) -> None:
            # The line is made when it is written: one after the other they take half the time.
            self._append((line_of, self._now(), values))

        return write

    @property
    def hides(self) -> bool:
        """Whether names of people, and of what they send, are to be kept out."""
        return self._key is not None

    def pseudonym(self, text: str) -> str:
        """``text`` as a keyed hash of 16 hexadecimal digits, or as it is without a key."""
        if self._key is None or not text:
            return text
        return hashlib.blake2b(text.encode("utf-8", "replace"), key=self._key[:64], digest_size=8).hexdigest()

    def write_at_once(self) -> None:
        """Hold nothing back from now on: the reactor ends."""
        self._scheduler = None
        self.flush()

    def flush(self) -> None:
        """Write what is held back. A stream that is gone (EPIPE, full disk) is no reason to stop."""
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        lines = [line if isinstance(line, str) else line[0](line[1], line[2]) for line in pending]
        try:
            self._stream.write("".join(lines))
            self._stream.flush()
        except (OSError, ValueError):
            # There is nowhere left to report it to; the metrics still count every decision.
            return

    def _write(self, level: str, event: str, fields: dict[str, Value], limit: int = MAX_VALUE) -> None:
        self._append(self._line(self._now(), level, event, fields, limit))

    def _line(self, now: float, level: str, event: str, fields: dict[str, Value], limit: int) -> str:
        if self._key is not None:
            for name in PERSONAL.intersection(fields):
                value = fields[name]
                if isinstance(value, str):
                    fields[name] = self.pseudonym(value)
        return self._marks[level] + self._format(now, self._component, level, event, fields, limit)

    def _append(self, line: str | _Unmade) -> None:
        pending = self._pending
        pending.append(line)
        waiting, scheduler = len(pending), self._scheduler
        if scheduler is None or waiting >= MAX_PENDING:
            self.flush()
        elif waiting == 1:
            scheduler.callLater(0, self.flush)


def _kv_line(now: float, component: str, level: str, event: str, fields: dict[str, Value], limit: int) -> str:
    parts = [f"{_timestamp(now)} {component} {level} event={event}"]
    plain = _PLAIN
    for name, value in fields.items():
        if isinstance(value, str):
            if not value:
                parts.append(f'{name}=""')
                continue
            if len(value) > limit or not plain(value):
                value = _quoted(printable(value, limit))
            parts.append(f"{name}={value}")
        elif type(value) is float:
            parts.append(f"{name}={value:.6g}")
        elif value is None:
            parts.append(f"{name}=-")
        else:
            parts.append(f"{name}={value}" if type(value) is int else f"{name}={str(value).lower()}")
    return " ".join(parts) + "\n"


def _quoted(text: str) -> str:
    """``text``, already printable, in quotes if it would read as something else without them."""
    if _NEEDS_QUOTES.search(text):
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return text


def _json_line(
    now: float, component: str, level: str, event: str, fields: dict[str, Value], limit: int
) -> str:
    record: dict[str, Value] = {
        "time": _timestamp(now),
        "component": component,
        "level": level,
        "event": event,
    }
    for name, value in fields.items():
        record[name] = printable(value, limit) if isinstance(value, str) else value
    return json.dumps(record, separators=(",", ":")) + "\n"


_millisecond = (0, "")
"""The last formatted time: a busy daemon writes many lines in one millisecond."""
_second = (0, "")
"""Its part down to the second."""


def _timestamp(now: float) -> str:
    """RFC 3339 in UTC with milliseconds."""
    global _millisecond, _second
    stamp = int(now * 1000)
    if _millisecond[0] != stamp:
        whole = stamp // 1000
        if _second[0] != whole:
            _second = (whole, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)))
        _millisecond = (stamp, f"{_second[1]}.{stamp % 1000:03d}Z")
    return _millisecond[1]
