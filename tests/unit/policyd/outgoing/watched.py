"""Users and systems that are watched, in simulated time."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailbase.config import loads
from mailbase.logs import Log
from mailbase.registry.model import System
from mailbase.report import Report
from mailbase.store import Row, StoreError
from mailbase.ticket import Ticket
from mailbase.vocabulary import Action, Flow
from policyd.engine.decision import Decision
from policyd.evidence.flow import Origin
from policyd.exceptions.book import Book
from policyd.exceptions.rule import Rule
from policyd.outgoing.books import Books
from policyd.outgoing.judging import terms_of
from policyd.outgoing.measures import Kind, Whose
from policyd.outgoing.notice import Notice
from policyd.outgoing.verbs import OutgoingVerbs
from policyd.outgoing.watch import Watch
from policyd.protocol.request import Request, request_of

START = 1_800_000_000.0
ADA = Whose(Kind.USER, "ada")


class Table:
    """A table, at once or later; several nodes may have the same rows."""

    def __init__(self, rows: dict[bytes, Row] | None = None, *, later: bool = False) -> None:
        self.rows = {} if rows is None else rows
        self.later = later
        self.waiting: list[Deferred[Any]] = []
        self.broken = False
        self.puts = 0

    def get(self, key: bytes, now: float) -> Any:
        return self._answer(self.rows.get(key))

    def put(self, key: bytes, row: Row) -> Any:
        self.puts += 1
        if not self.broken:
            self.rows[key] = row
        return self._answer(None)

    def delete(self, key: bytes) -> Any:
        raise AssertionError("nothing is deleted")

    def _answer(self, row: Any) -> Any:
        if self.broken:
            raise StoreError("away")
        if not self.later:
            return row
        waiting: Deferred[Any] = Deferred()
        waiting.addCallback(lambda _: row)
        self.waiting.append(waiting)
        return waiting

    def arrive(self) -> None:
        while self.waiting:
            self.waiting.pop(0).callback(None)

    async def pages(self, now: float) -> AsyncIterator[list[tuple[bytes, Row]]]:
        yield list(self.rows.items())


class Shelf:
    broken = False

    def load(self, now: float) -> Iterable[Rule]:
        return ()

    def put(self, rule: Rule) -> None:
        if self.broken:
            raise StoreError("away")

    def delete(self, key: str) -> None: ...

    def watch(self, changed: Any) -> None: ...


class World:
    """A watch, and all that is around it."""

    def __init__(self, outgoing: str = "", table: Table | None = None, *, shared: bool = False) -> None:
        self.clock = Clock()
        self.clock.advance(START)
        self.table = Table() if table is None else table
        self.stream = io.StringIO()
        log = Log("policyd", stream=self.stream)
        self.shelf = Shelf()
        self.rules = Book(self.shelf, self.clock, log)
        self.told: list[Notice] = []
        self.journal: list[tuple[Request, Decision]] = []
        books = Books(self.table, self.table.pages, Deferred.fromCoroutine, self.clock.seconds, shared=shared)
        self.watch = Watch(self.clock, books, self.rules, None, log, self.told.append, Deferred.fromCoroutine)
        self.configure(outgoing)
        self.watch.journal = lambda request, decision, seconds: self.journal.append((request, decision))
        self.verbs = OutgoingVerbs(self.watch, self.rules, self.clock)  # type: ignore[arg-type]
        self.recipients = 0

    def configure(self, outgoing: str) -> None:
        settings = loads(f"policyd: {{outgoing: {{{outgoing}}}}}").policyd.outgoing
        self.watch.terms = terms_of(settings) if settings.enabled else None

    def mail(
        self, mails: int = 1, user: str = "ada", system: str = "", many: int = 1, apart: float = 1
    ) -> None:
        for _ in range(mails):
            self.recipients += many
            to = tuple(f"r{self.recipients + number}@x.example" for number in range(many))
            self.watch.mailed(origin(system), request(user), to)
            self.clock.advance(apart)

    def report(self, action: str, user: str = "ada", system: str = "", points: float = 0.0) -> None:
        flow = Flow.SUBMISSION if user else Flow.OUTBOUND
        ticket = Ticket("0" * 13, flow, "192.0.2.7", "a@x.example", user, points=points, system=system)
        self.watch.reported(ticket, Report(ticket.id, ticket.client, ticket.sender, Action(action)), True)
        self.clock.advance(0)

    def verb(self, verb: str, **arguments: Any) -> Any:
        answer: Any = self.verbs.table()[verb](arguments)
        told: list[Any] = []

        async def ask() -> None:
            if hasattr(answer, "__aiter__"):
                told.append([row async for row in answer])
            else:
                told.append(await answer)

        Deferred.fromCoroutine(ask()).addErrback(told.append)
        self.clock.advance(1)
        return told[0]

    def record(self, about: Whose = ADA) -> Any:
        return self.watch.books._held[about].record


def origin(system: str = "") -> Origin:
    flow = Flow.OUTBOUND if system else Flow.SUBMISSION
    return Origin(flow, b"\xc0\0\2\7", "unknown", False, System(system, "m.example") if system else None)


def request(user: str, **more: str) -> Request:
    return request_of({"client_address": "192.0.2.7", "sasl_username": user, **more})
