"""The control socket's verbs of the journal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from mailbase.control import ControlError
from mailbase.control.server import Handler
from mailbase.ids import is_id
from mailbase.report import QUEUED, TAKEN_OUT, UNQUARANTINED
from mailbase.store import StoreError
from policyd.engine.account import clean
from policyd.journal.journal import Journal

_QUEUE_ID = re.compile(r"[0-9A-Za-z]{1,40}")
MAX_FOUND = 1_000
"""Entries that one search gives."""


class JournalVerbs:
    """Arguments:
    journal: None where the configuration wants none.
    """

    def __init__(self, journal: Journal | None) -> None:
        self._journal = journal

    def table(self) -> dict[str, Handler]:
        """Verb → handler."""
        return {"explain": self.explain, QUEUED: self.queued, UNQUARANTINED: self.unquarantined}

    def queued(self, request: dict[str, Any]) -> dict[str, Any]:
        """``id`` and ``queue_id``: the mail of this ticket is in the queue behind contentfilter."""
        decision_id, queue_id = request.get("id"), request.get("queue_id")
        if not (isinstance(decision_id, str) and is_id(decision_id)):
            raise ControlError("expected id: that of a ticket")
        if not (isinstance(queue_id, str) and _QUEUE_ID.fullmatch(queue_id)):
            raise ControlError("expected queue_id: letters and digits")
        if self._journal is not None:
            self._journal.outcome(decision_id, QUEUED, queue_id=queue_id)
        return {"known": self._journal is not None}

    def unquarantined(self, request: dict[str, Any]) -> dict[str, Any]:
        """``id``, ``event`` and ``queue_id``: what a command did with a mail that was in the quarantine."""
        decision_id, event = request.get("id"), request.get("event")
        queue_id = request.get("queue_id", "")
        if not (isinstance(decision_id, str) and is_id(decision_id)):
            raise ControlError("expected id: that of a decision")
        if event not in TAKEN_OUT:
            raise ControlError(f"expected event: {' or '.join(TAKEN_OUT)}")
        if not (isinstance(queue_id, str) and (not queue_id or _QUEUE_ID.fullmatch(queue_id))):
            raise ControlError("expected queue_id: letters and digits")
        if self._journal is not None:
            self._journal.outcome(decision_id, event, queue_id=queue_id)
        return {"known": self._journal is not None}

    async def explain(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """``term`` (id, queue id, address, network, mail address, domain, user), optionally ``limit``.

        Decisions and outcomes in the order of time; a row of the kind ``notice`` says what may be missing.
        """
        journal = self._journal
        if journal is None:
            raise ControlError("there is no journal: policyd.journal.enabled is false")
        term, limit = request.get("term"), request.get("limit", MAX_FOUND)
        if not isinstance(term, str):
            raise ControlError("expected term: text")
        if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MAX_FOUND:
            raise ControlError(f"expected limit: a number from 1 to {MAX_FOUND}")
        try:
            found = await journal.explain(clean(term), limit)
        except (ValueError, StoreError) as error:
            raise ControlError(str(error)) from error
        if journal.status.broken:
            text = f"the journal cannot be written: {journal.pending} entries are missing here"
            found = [{"kind": "notice", "text": text}, *found]
        return iter(found)
