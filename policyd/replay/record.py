"""``policyd record FILE``: fetches rows from the daemon until told to end, and writes them to a file."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from mailbase.control import ControlError
from mailbase.control.client import Answer
from policyd.replay.recording import header

PAUSE = 0.2
"""Seconds between two questions after rows."""
MANY = 1000
"""Rows in one answer that let us think there are more."""

Ask = Callable[..., Answer]
"""Verb and arguments to the daemon's answer."""


class RecordingFile:
    """A new recording; readable by its owner alone.

    Arguments:
        path: where none may be yet; with the ending ``.gz`` it is compressed.

    Raises:
        OSError: it cannot be made, or written.
    """

    def __init__(self, path: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        raw = os.fdopen(os.open(path, flags, 0o600), "wb")
        self._raw = raw
        self._file = cast("IO[bytes]", gzip.GzipFile(fileobj=raw, mode="wb") if path.suffix == ".gz" else raw)

    def write(self, rows: Iterable[dict[str, Any]]) -> None:
        """Append ``rows``; whole lines are in the file when this returns, also of a compressed one."""
        for row in rows:
            self._file.write(json.dumps(row, separators=(",", ":")).encode("ascii") + b"\n")
        self._file.flush()
        self._raw.flush()

    def close(self) -> None:
        """Write the end, and see it on disk."""
        if self._file is not self._raw:
            self._file.close()
        self._raw.flush()
        os.fsync(self._raw.fileno())
        self._raw.close()


@dataclass(slots=True)
class Recording:
    """Fetches one recording.

    Arguments:
        ask: puts a question to the daemon.
        file: gets the rows.
        host: the gateway's name.
        seconds: of a clock that is never set back.
        sleep: waits so many seconds.
        limit: requests after which it ends; None: no limit.
        duration: seconds after which it ends; None likewise.
    """

    ask: Ask
    file: RecordingFile
    host: str
    seconds: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    limit: int | None = None
    duration: float | None = None
    recorded: int = 0
    dropped: int = 0
    _ended: bool = False

    def end(self) -> None:
        """Let :meth:`run` come to its end; may be called by a signal."""
        self._ended = True

    def run(self) -> None:
        """Record until the limit, the duration, or :meth:`end`; what came until then is in the file.

        Raises:
            ControlError: the daemon refused, or is gone.
            OSError: the file cannot be written.
        """
        began = self.ask("record.start").wait()
        recording = str(began["recording"])
        ends = float("inf") if self.duration is None else self.seconds() + self.duration
        try:
            self.file.write([header(float(began["time"]), self.host)])
            self.file.write(self._rules())
            while not self._ended and not self._full and self.seconds() < ends:
                if not self._take(recording):
                    self.sleep(max(0.0, min(PAUSE, ends - self.seconds())))
            while not self._full and self._take(recording) >= MANY:
                # What had piled up by the end belongs to it; what goes on coming does not.
                continue
        finally:
            with contextlib.suppress(ControlError):
                self.ask("record.stop", recording=recording).wait()

    @property
    def _full(self) -> bool:
        return self.limit is not None and self.recorded >= self.limit

    def _take(self, recording: str) -> int:
        """Fetch and write what is there; returns how many rows that were."""
        before = self.recorded
        self.file.write(self._counted(self.ask("record.take", recording=recording)))
        return self.recorded - before

    def _counted(self, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for row in rows:
            if "dropped" in row:
                self.dropped += int(row["dropped"])
            elif self._full:
                continue
            else:
                self.recorded += 1
            yield row

    def _rules(self) -> Iterator[dict[str, Any]]:
        """What was set by command, without which the mail that it is about could not be decided again."""
        for row in self.ask("greylist.list", kind="allowed"):
            yield {"allowed": row["network"], "until": row.get("expires")}
        for row in self.ask("exceptions.list"):
            yield {"rule": {name: row.get(name) for name in ("effect", "as", "what", "expires")}}
