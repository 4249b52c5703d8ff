"""Recording of a running daemon: requests and answers are kept until ``policyd record`` comes for them.

The daemon writes no file: the rows go over the control socket to whoever records, who writes them with his
own rights. While nothing records, nothing is kept; who records and does not come any more is given up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from mailbase.control import ControlError
from mailbase.control.server import Handler
from mailbase.ids import IdSource
from mailbase.logs import Log
from mailbase.report import Report
from mailbase.ticket import Ticket
from policyd.engine.decision import Decision
from policyd.observability.recorder import Recorder
from policyd.protocol.request import Request
from policyd.replay.recording import report_row, row_of

MAX_ROWS = 20_000
MAX_CHARACTERS = 32 * 1024 * 1024
"""What is held for the one who records, in requests and in characters of them; what comes then is counted."""
AT_ONCE = 5_000
"""Rows handed out in one answer."""
GIVEN_UP_AFTER = 30.0
"""Seconds without being asked for rows."""


class Tape:
    """Arguments:
    recorder: tells of decisions while a recording is under way.
    seconds: the clock, since the epoch.
    log: gets a line at start and end of each recording.
    pseudonymised: whether the operator wants no addresses on disk; then nothing is recorded.
    """

    def __init__(
        self, recorder: Recorder, seconds: Callable[[], float], log: Log, *, pseudonymised: bool
    ) -> None:
        self._recorder = recorder
        self._seconds = seconds
        self._log = log
        self._pseudonymised = pseudonymised
        self._ids = IdSource()
        self._rows: deque[tuple[float, Request, Decision] | dict[str, Any]] = deque()
        self._characters = 0
        self._id = ""
        self._asked = 0.0
        self._missing = 0
        """Dropped since rows were handed out."""
        self.recorded = 0
        """Requests handed out, in all recordings."""
        self.dropped = 0
        """Requests for which there was no room, likewise."""

    @property
    def running(self) -> bool:
        """Whether a recording is under way."""
        return bool(self._id)

    def table(self) -> dict[str, Handler]:
        """Verb → handler."""
        return {"record.start": self.start, "record.take": self.take, "record.stop": self.stop}

    def start(self, request: dict[str, Any]) -> dict[str, Any]:
        """Begin a recording; gives its id and the time."""
        if self._pseudonymised:
            raise ControlError(
                "privacy.pseudonymise is on, and a recording holds addresses as they are: hashed ones could "
                "not be decided again. Turn it off and restart policyd for the time of the recording"
            )
        now = self._seconds()
        if self._id and now - self._asked < GIVEN_UP_AFTER:
            raise ControlError("a recording is under way already")
        self._end("given-up")
        self._id, self._asked = self._ids.next(), now
        self._recorder.tape = self.note
        self._log.info("recording-began", recording=self._id)
        return {"recording": self._id, "time": now}

    def take(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """``recording``: the rows since the last time, see :mod:`policyd.replay.recording`."""
        self._mine(request)
        return self._taken(self._id, min(len(self._rows), AT_ONCE))

    def stop(self, request: dict[str, Any]) -> dict[str, Any]:
        """``recording``: end it; what was not taken yet is lost."""
        self._mine(request)
        self._end("stopped")
        return {}

    def note(self, request: Request, decision: Decision, seconds: float) -> None:
        """A request was answered.

        Arguments:
            seconds: from the request to the answer.
        """
        if self._has_room(request.characters):
            self._rows.append((self._seconds() - seconds, request, decision))

    def report(self, ticket: Ticket, report: Report, final: bool) -> None:
        """contentfilter told what became of a mail: see :data:`policyd.end_of_data.reports.Hook`."""
        if final and self._id and self._has_room(_row_size(row := report_row(ticket, report))):
            self._rows.append(row)

    def _has_room(self, size: int) -> bool:
        """Whether so many characters more can be kept; they are then counted, else their lack is."""
        if self._seconds() - self._asked >= GIVEN_UP_AFTER:
            self._end("given-up")
            return False
        if len(self._rows) >= MAX_ROWS or self._characters + size > MAX_CHARACTERS:
            self._missing += 1
            self.dropped += 1
            return False
        self._characters += size
        return True

    def _mine(self, request: dict[str, Any]) -> None:
        if not self._id or request.get("recording") != self._id:
            raise ControlError("that recording is over: nobody came for its rows, or it was stopped")
        self._asked = self._seconds()

    def _taken(self, recording: str, count: int) -> Iterator[dict[str, Any]]:
        while count and self._rows and self._id == recording:
            count -= 1
            kept = self._rows.popleft()
            if isinstance(kept, dict):
                self._characters -= _row_size(kept)
                yield kept
                continue
            time, request, decision = kept
            self._characters -= request.characters
            self.recorded += 1
            yield row_of(time, request, decision)
        if self._missing and not self._rows:
            # Here, and not among the rows before, they are missing.
            missing, self._missing = self._missing, 0
            yield {"dropped": missing}

    def _end(self, how: str) -> None:
        if self._id:
            self._log.info("recording-ended", recording=self._id, how=how)
        self._id = ""
        self._recorder.tape = None
        self._rows.clear()
        self._characters = self._missing = 0


def _row_size(row: dict[str, Any]) -> int:
    """Characters of a report."""
    return len(row["sender"]) + sum(map(len, row["recipients"])) + 100
