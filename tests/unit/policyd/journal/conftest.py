"""A journal whose thread works when told to."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from mailbase.logs import Log
from mailbase.store.database import Database
from mailbase.vocabulary import Action, Flow
from policyd.engine.decision import Decision
from policyd.evidence.facts import Grey, GreylistFact, RelayFact, Relaying
from policyd.journal.file import JournalFile
from policyd.journal.journal import Journal, Terms
from policyd.journal.masks import Masks
from policyd.protocol.request import Request, request_of
from tests.unit.awaited import result_of
from tests.unit.workers import ManualWorker

START = 1_800_000_000.0
DAY = 86400.0
FACTS = (RelayFact(Relaying.SERVED, "registered-domain"), GreylistFact(Grey.NEW, 300))
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class Desk:
    """A journal with its clock, its log and its thread."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.path = path
        self.clock = Clock()
        self.clock.advance(START)
        self.stream = io.StringIO()
        self.number = 0
        self.options = {
            "rate": 1000,
            "retention": 7 * DAY,
            "max_octets": 1 << 30,
            "pseudonym": None,
            **options,
        }
        self.open()

    def open(self, database: Database | None = None) -> None:
        """As at the start of the daemon."""
        self.worker = ManualWorker()
        self.file = JournalFile(database or Database(self.path, ()), Masks(self.options["pseudonym"]))
        self.journal = Journal(
            self.file,
            self.clock,
            Log("policyd", stream=self.stream),
            Terms(self.options["rate"], self.options["retention"], self.options["max_octets"]),
            worker=self.worker,
            now=self.clock.seconds,
        )
        self.journal.start()
        self.worker.run()

    def id(self) -> str:
        self.number += 1
        return "0" + "".join(_ALPHABET[self.number >> 5 * place & 31] for place in reversed(range(12)))

    def note(self, action: Action = Action.DEFER, **attributes: str) -> Decision:
        """A decision on a request with these attributes."""
        decision_id = self.id()
        decision = Decision(
            decision_id,
            Flow.INBOUND,
            action,
            f"DEFER_IF_PERMIT 4.2.0 Greylisted, try again in 300 s [{decision_id}]",
            "greylist-new",
            FACTS,
        )
        self.journal.note(self.request(**attributes), decision, 0.001)
        return decision

    def request(self, **attributes: str) -> Request:
        return request_of(
            {
                "protocol_state": "RCPT",
                "client_address": "192.0.2.1",
                "client_name": "mail.sender.example",
                "helo_name": "helo.sender.example",
                "sender": "someone@sender.example",
                "recipient": "person@inst.example",
                "instance": f"1a.{self.number}.0",
                **attributes,
            }
        )

    def pass_time(self, seconds: float = 0.0, step: float = 0.2) -> None:
        """Let the journal work."""
        self.worker.run()
        while seconds > 0:
            self.clock.advance(min(step, seconds))
            seconds -= step
            self.worker.run()

    def explain(self, term: str, limit: int = 100) -> list[dict[str, Any]]:
        return list(result_of(self.journal.explain(term, limit), self.worker.run))

    def ids(self, term: str, limit: int = 100) -> list[str]:
        return [told["id"] for told in self.explain(term, limit) if told["kind"] == "decision"]

    def lines(self, event: str) -> list[str]:
        return [line for line in self.stream.getvalue().splitlines() if f"event={event} " in line]


@pytest.fixture
def make_desk(tmp_path: Path) -> Callable[..., Desk]:
    return lambda **options: Desk(tmp_path / "journal.sqlite", **options)


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    return make_desk()
