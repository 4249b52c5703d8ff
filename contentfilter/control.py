"""The verbs of contentfilter's control socket."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from contentfilter.disposition.account import Told, outcome
from contentfilter.disposition.explaining import VERB as EXPLAIN
from contentfilter.pool.pool import Pool
from contentfilter.quarantine.commands import VERB as QUARANTINE
from mailbase import __version__
from mailbase.control import ControlError
from mailbase.control.server import Handler
from mailbase.counting import Counter
from mailbase.ids import is_id
from mailbase.logs import Log
from mailbase.report import TAKEN_OUT
from mailbase.store.recent import Recent


class Verbs:
    """Arguments:
    pool: of scan workers.
    problem: why no mail can be taken now; empty if it can.
    recent: the latest decisions, by id.
    log: told what commands took out of the quarantine.
    removed: counts that, by event.
    measure: finds out what is in the quarantine.
    tell: told likewise: decision id, event, and what Postfix said to it.
    """

    def __init__(
        self,
        pool: Pool[Any],
        problem: Callable[[], str],
        recent: Recent[str, Told | None],
        log: Log,
        removed: Counter,
        measure: Callable[[], None],
        tell: Callable[[str, str, str], None],
    ) -> None:
        self._pool = pool
        self._problem = problem
        self._recent = recent
        self._log = log
        self._removed = removed
        self._measure = measure
        self._tell = tell

    def table(self) -> dict[str, Handler]:
        """Each verb with what answers it."""
        return {"status": self._status, EXPLAIN: self._explain, QUARANTINE: self._taken_out}

    def _status(self, _request: dict[str, Any]) -> dict[str, Any]:
        pool = self._pool
        return {
            "version": __version__,
            "pid": os.getpid(),
            "problem": self._problem(),
            "workers": {"busy": pool.busy, "idle": pool.idle, "waiting": pool.waiting},
        }

    def _explain(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """``term``: a decision id. What is remembered of that mail, as policyd's journal would tell it."""
        decision_id = request.get("term")
        if not isinstance(decision_id, str):
            raise ControlError("expected term: a decision id")
        told = self._recent.get(decision_id, None)
        return iter([] if told is None else [dict(outcome(decision_id, told))])

    def _taken_out(self, request: dict[str, Any]) -> dict[str, Any]:
        """A command has released or deleted a message of the quarantine."""
        event = request.get("event")
        if event not in TAKEN_OUT:
            raise ControlError(f"expected an event: {' or '.join(TAKEN_OUT)}")
        about = {key: str(request.get(key, ""))[:200] for key in ("id", "file", "recipients", "by", "reply")}
        self._log.info(f"quarantine-{event}", peer=str(request.get("peer", "")), **about)
        self._removed.labels(event).inc()
        self._measure()
        if is_id(about["id"]):
            self._tell(about["id"], event, about["reply"])
        return {}
