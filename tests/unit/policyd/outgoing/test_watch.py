"""The watch, told mail by mail: who is noticed, suspended, lifted; nothing waits, nothing is lost unseen."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Any

import pytest
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
from policyd.evidence.facts import Effect, Named
from policyd.evidence.flow import Origin
from policyd.exceptions.book import Book
from policyd.exceptions.rule import Rule, rule_of
from policyd.outgoing import books as books_module
from policyd.outgoing.books import Books
from policyd.outgoing.judging import Against, terms_of
from policyd.outgoing.measures import Kind, Measure, Whose
from policyd.outgoing.notice import Notice
from policyd.outgoing.verbs import OutgoingVerbs
from policyd.outgoing.watch import SAVING, Watch, points_of
from policyd.protocol.request import Request, request_of

START = 1_800_000_000.0
ADA = Whose(Kind.USER, "ada")
NETWORK = Whose(Kind.SYSTEM, "192.0.2.0/24")


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


def finish(world: World) -> None:
    Deferred.fromCoroutine(world.watch.finish())


def origin(system: str = "") -> Origin:
    flow = Flow.OUTBOUND if system else Flow.SUBMISSION
    return Origin(flow, b"\xc0\0\2\7", "unknown", False, System(system, "m.example") if system else None)


def request(user: str, **more: str) -> Request:
    return request_of({"client_address": "192.0.2.7", "sasl_username": user, **more})


def test_a_jump_is_counted_logged_journaled_and_told_once() -> None:
    world = World()
    world.mail(44)
    assert world.told == []
    world.mail(30)
    (notice,) = world.told
    assert (notice.event, notice.whose) == ("outgoing-jump", ADA)
    assert "45 in an hour, nothing usual known" in notice.lines[0]
    assert "Last seen from 192.0.2.7." in notice.lines
    assert world.watch.counts.jumps[Kind.USER, Measure.MESSAGES, Against.USUAL] == 1
    assert world.stream.getvalue().count("event=outgoing-jump") == 1
    assert "user=ada client=192.0.2.7 measure=messages window=hour against=usual seen=45" in (
        world.stream.getvalue()
    )
    ((asked, decision),) = world.journal
    assert (asked.sasl_username, decision.reason, decision.id) == ("ada", "outgoing-jump", notice.id)
    world.clock.advance(2 * 3600)
    world.mail(50)
    assert world.watch.counts.jumps[Kind.USER, Measure.MESSAGES, Against.USUAL] == 2
    assert (len(world.told), world.watch.counts.held_back) == (1, 1)
    world.clock.advance(86400)
    world.mail(50)
    assert len(world.told) == 2


def test_capitals_are_no_other_account() -> None:
    world = World()
    for number in range(45):
        world.mail(user="Ada" if number % 2 else "ADA")
    assert len(world.told) == 1


@pytest.mark.parametrize(
    ("action", "times", "noticed"),
    [("reject", 5, True), ("quarantine", 5, True), ("reject", 4, False), ("tag", 9, False)],
)
def test_refused_content(action: str, times: int, noticed: bool) -> None:
    world = World()
    for _ in range(times):
        world.report(action)
    assert [one.data["measure"] for one in world.told] == ["refused"] * noticed


def test_points_and_recipients_that_do_not_exist() -> None:
    world = World()
    world.report("tag", points=59.0)
    world.report("accept", points=-20.0)
    for _ in range(100):
        world.report("accept", points=2.4)
    assert world.told == []
    world.report("accept", points=2.5)
    assert world.told[0].data["measure"] == "points"
    for _ in range(20):
        world.watch.unknown(origin(), request("bob"))
        world.clock.advance(1)
    assert world.told[1].data["measure"] == "failed"


def test_spamtraps_are_recipients_that_do_not_exist() -> None:
    world = World()
    traps = tuple(f"trap{number}@x.example" for number in range(20))
    ticket = Ticket("0" * 13, Flow.SUBMISSION, "192.0.2.7", "a@x.example", "ada", traps, spamtraps=traps)
    world.watch.reported(ticket, Report(ticket.id, ticket.client, ticket.sender, Action.DISCARD), True)
    world.clock.advance(1)
    assert world.told[0].data["measure"] == "failed"


def test_the_total_that_contentfilter_tells_outweighs_policyds_own_points() -> None:
    ticket = Ticket("0" * 13, Flow.SUBMISSION, "192.0.2.7", "a@x.example", "ada", points=500.0)
    content: Any = {
        "flow": "",
        "cause": "",
        "actions": [],
        "facts": [],
        "parts": 1,
        "seconds": {},
        "score": 4.0,
    }
    report = Report(ticket.id, ticket.client, ticket.sender, Action.ACCEPT, content=content)
    assert points_of(ticket, report) == 4.0
    assert points_of(ticket, replace(report, content=None)) == 500.0


def test_what_is_said_again_or_of_others_does_not_count() -> None:
    world = World()
    ticket = Ticket("0" * 13, Flow.INBOUND, "192.0.2.7", "a@x.example", points=500.0)
    report = Report(ticket.id, ticket.client, ticket.sender, Action.REJECT)
    world.watch.reported(ticket, report, True)
    mine = Ticket("0" * 13, Flow.SUBMISSION, "192.0.2.7", "a@x.example", "ada", points=500.0)
    world.watch.reported(mine, report, False)
    world.clock.advance(1)
    assert (world.told, len(world.watch.books)) == ([], 0)


def test_a_system_is_told_apart_by_what_is_registered_and_learned_first() -> None:
    world = World()
    world.mail(600, user="", system=NETWORK.name)
    assert world.told == []
    for _ in range(20):
        world.report("reject", user="", system=NETWORK.name)
    (notice,) = world.told
    assert (notice.whose, notice.data["measure"]) == (NETWORK, "refused")
    assert f"policyd deny {NETWORK.name} --as client --for 1d" in "\n".join(notice.lines)


def test_many_recipients_of_few_mails() -> None:
    world = World()
    world.mail(3, many=50)
    assert world.told == []
    world.mail(1, many=50)
    assert world.told[0].data["measure"] == "recipients"
    # More than Postfix names, as where policyd was restarted in the middle.
    world.watch.mailed(origin(), request("bob", recipient_count="200"), ())
    world.clock.advance(1)
    assert len(world.told) == 2


def test_a_quota_holds_whatever_is_usual() -> None:
    world = World("users: {quota: {messages: 30}}")
    world.mail(29)
    assert world.told == []
    world.mail()
    assert world.told[0].data["against"] == "quota"


def test_suspended_at_the_limit_and_told_of_it() -> None:
    world = World("users: {suspend: {messages: 50}}, suspend_for: 2h")
    world.mail(49)
    assert not world.rules.rules.all
    world.mail()
    rule = world.rules.rules.all["user:ada"]
    assert (rule.effect, rule.suspends, rule.until) == (Effect.DENY, True, int(START + 50 + 7200))
    assert rule.why == "messages: 50 in an hour, nothing usual known, limit 50"
    assert [one.event for one in world.told] == ["outgoing-jump", "outgoing-suspended"]
    assert "It is suspended for 2 hours: its mail gets 450, and waits where it is." in (world.told[1].lines)
    assert world.watch.counts.suspended[Kind.USER] == world.watch.suspended()[Kind.USER] == 1
    # What was under way meanwhile.
    world.mail(5)
    assert len(world.told) == 2
    assert world.stream.getvalue().count("event=outgoing-jump") == 1
    assert world.watch.counts.jumps[Kind.USER, Measure.MESSAGES, Against.LIMIT] == 1
    world.clock.advance(7300)
    assert world.watch.suspended()[Kind.USER] == 0
    world.mail(50)
    assert world.watch.counts.suspended[Kind.USER] == 2


def test_a_system_that_no_rule_can_name_is_not_suspended() -> None:
    world = World("systems: {suspend: {refused: 1}}")
    world.report("reject", user="", system="not a client!")
    assert not world.rules.rules.all


def test_whom_an_operator_allows_is_not_suspended() -> None:
    world = World("users: {suspend: {messages: 50}}")
    world.rules.rules.put(rule_of("ada", Effect.ALLOW, Named.USER))
    world.mail(60)
    assert world.rules.rules.all["user:ada"].effect is Effect.ALLOW
    assert 'event=outgoing-not-suspended kind=user user=ada reason="allowed by policyd allow"' in (
        world.stream.getvalue()
    )
    assert world.stream.getvalue().count("not-suspended") == 1


def test_a_suspension_that_cannot_be_kept_is_tried_again() -> None:
    world = World("users: {suspend: {messages: 50}}")
    world.shelf.broken = True
    world.mail(51)
    assert "event=outgoing-not-suspended kind=user user=ada reason=away" in world.stream.getvalue()
    world.shelf.broken = False
    world.mail()
    assert world.rules.rules.all["user:ada"].suspends


@pytest.mark.parametrize("verb", ["outgoing.lift", "outgoing.accept"])
def test_lifted_by_command_it_is_judged_anew(verb: str) -> None:
    world = World("users: {suspend: {messages: 50}}")
    world.mail(50)
    assert world.verb(verb, name="Ada", by="root") == {"known": True, "suspended": True}
    assert not world.rules.rules.all
    asked, decision = world.journal[-1]
    assert f"event=outgoing-lifted id={decision.id} kind=user user=ada" in world.stream.getvalue()
    assert (asked.sasl_username, decision.reason) == ("ada", "outgoing-lifted")
    world.mail(44)
    assert not world.rules.rules.all
    assert world.verb(verb, name="ada") == {"known": True, "suspended": False}
    assert world.verb(verb, name="bob") == {"known": False, "suspended": False}
    usual = world.record().usual(world.clock.seconds())[0][0]
    assert usual == pytest.approx(50 if verb == "outgoing.accept" else 0, rel=0.05)


def test_accepted_the_rest_of_it_may_come_but_no_more_than_the_limit() -> None:
    world = World("users: {suspend: {messages: 200}}")
    world.mail(50)
    world.verb("outgoing.accept", name="ada")
    world.mail(150)
    assert len(world.told) == 1
    assert not world.rules.rules.all
    world.mail(50)
    assert world.rules.rules.all["user:ada"].suspends
    world.verb("outgoing.accept", name="ada")
    world.clock.advance(27 * 3600)
    world.mail(100)
    # 200 were in the hour that nobody found odd.
    assert [one.event for one in world.told] == ["outgoing-jump", "outgoing-suspended"]
    world.mail(101, user="bob")
    assert world.told[-1].whose == Whose(Kind.USER, "bob")


def test_lifted_by_another_command_it_is_not_suspended_at_once() -> None:
    world = World("users: {suspend: {messages: 50}}")
    world.mail(50)
    world.rules.rules.remove(world.rules.rules.all["user:ada"])
    world.mail(40)
    assert not world.rules.rules.all
    world.mail(20)
    assert world.rules.rules.all["user:ada"].suspends


def test_the_exempt_are_counted_and_not_judged() -> None:
    world = World("exempt: [ADA]")
    world.mail(100)
    assert (world.told, world.record().day(world.clock.seconds())[0]) == ([], 100)


def test_switched_off_nothing_is_counted() -> None:
    world = World("enabled: false")
    world.mail(100)
    world.report("reject")
    world.watch.unknown(origin(), request("ada"))
    assert (len(world.watch.books), world.table.puts) == (0, 0)


def test_a_reload_judges_by_the_new_figures() -> None:
    world = World()
    world.mail(10)
    world.configure("users: {floor: {messages: 5}}")
    world.mail()
    assert len(world.told) == 1


def test_what_was_counted_survives_a_restart() -> None:
    world = World()
    world.mail(30)
    world.clock.advance(SAVING)
    assert world.table.puts >= 1
    world.mail(10)
    finish(world)
    again = World(table=Table(world.table.rows))
    again.mail(4)
    assert again.told == []
    again.mail()
    assert len(again.told) == 1


def test_saving_is_not_done_for_each_mail() -> None:
    world = World()
    world.mail(100, apart=0.01)
    assert world.table.puts == 0
    world.clock.advance(SAVING)
    assert world.table.puts == 1
    world.clock.advance(100)
    assert (world.table.puts, world.clock.getDelayedCalls()) == (1, [])


def test_two_nodes_count_together() -> None:
    rows: dict[bytes, Row] = {}
    one, other = (World(table=Table(rows, later=True), shared=True) for _ in range(2))
    for _ in range(23):
        for world in (one, other):
            world.mail()
            world.table.arrive()
            world.clock.advance(SAVING)
            world.table.arrive()
            world.table.arrive()
    assert len(one.told) + len(other.told) >= 1
    one.clock.advance(SAVING)
    assert one.record().day(one.clock.seconds())[0] in (45, 46)


def test_what_another_node_suspended_and_lifted_is_not_suspended_here_at_once() -> None:
    rows: dict[bytes, Row] = {}
    one, other = (World("users: {suspend: {messages: 50}}", Table(rows), shared=True) for _ in range(2))
    one.mail(50)
    rule = one.rules.rules.all["user:ada"]
    other.rules.rules.put(rule)
    other.mail(10)
    other.clock.advance(SAVING)
    one.verb("outgoing.lift", name="ada")
    other.rules.rules.remove(rule)
    other.mail(5)
    assert not other.rules.rules.all
    other.clock.advance(SAVING)
    # The first of the five told the other node of it.
    assert [row["day"] for row in one.verb("outgoing.list")] == [4]


def test_mail_waits_for_no_record_and_is_counted_when_it_is_there() -> None:
    world = World(table=Table(later=True), shared=True)
    world.mail(46)
    assert world.told == []
    world.table.arrive()
    assert len(world.told) == 1


def test_more_than_can_wait_is_counted_as_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books_module, "MAX_WAITING", 5)
    world = World(table=Table(later=True), shared=True)
    world.mail(8)
    assert world.watch.books.lost == 3


@pytest.mark.parametrize("shared", [False, True])
def test_without_store_it_goes_on_from_memory_and_takes_in_what_was_there_later(shared: bool) -> None:
    before = World()
    before.mail(10)
    finish(before)
    world = World(table=Table(before.table.rows), shared=shared)
    world.table.broken = True
    world.mail(20)
    world.clock.advance(SAVING)
    assert world.record().day(world.clock.seconds())[0] == 20
    world.table.broken = False
    world.clock.advance(SAVING)
    assert world.record().day(world.clock.seconds())[0] == 30
    assert world.watch.books.lost == 0
    world.clock.advance(SAVING)
    assert world.clock.getDelayedCalls() == []
    # What cannot be kept at the end is lost, and counted as that.
    world.mail()
    world.table.broken = True
    finish(world)
    assert world.watch.books.lost == 1


def test_a_full_store_is_tried_again() -> None:
    world = World()
    world.mail(3)
    world.table.broken = True
    world.clock.advance(SAVING)
    world.table.broken = False
    world.clock.advance(SAVING)
    assert len(world.table.rows) == 1
    assert world.watch.books.lost == 0


def test_memory_is_bounded_and_what_leaves_it_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books_module, "MAX_HELD", 10)
    world = World()
    for number in range(25):
        world.mail(user=f"user{number}", apart=0.01)
    assert len(world.watch.books) == 10
    finish(world)
    assert len(world.table.rows) == 25


def test_a_fault_in_one_event_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    monkeypatch.setattr("policyd.outgoing.watch.whose", lambda *_: 1 / 0)
    world.mail()
    monkeypatch.undo()
    world.mail()
    assert "event=outgoing-failed" in world.stream.getvalue()
    assert world.record().day(world.clock.seconds())[0] == 1


def test_a_damaged_row_is_begun_anew() -> None:
    world = World(table=Table({ADA.key: (b"nonsense", 1 << 40), b"x:y": (b"", 1 << 40)}))
    world.mail()
    finish(world)
    assert [row["name"] for row in world.verb("outgoing.list")] == ["ada"]


def test_the_operator_sees_everybody_and_all_of_one() -> None:
    world = World("users: {suspend: {messages: 50}}")
    world.mail(50)
    world.mail(3, user="bob")
    world.mail(2, user="", system=NETWORK.name)
    rows = {row["name"]: row for row in world.verb("outgoing.list")}
    assert {name: row["state"] for name, row in rows.items()} == {
        "ada": "suspended",
        "bob": "quiet",
        NETWORK.name: "quiet",
    }
    assert rows["ada"]["until"] == world.rules.rules.all["user:ada"].until
    assert [row["name"] for row in world.verb("outgoing.list", odd=True)] == ["ada"]
    (row,) = world.verb("outgoing.show", name="ADA")
    assert row["last_hour"]["messages"] == 50
    assert row["known_recipients"] == 45
    assert row["why"].startswith("messages: 50")
    assert world.verb("outgoing.show", name="nobody") == []
    assert "expected name" in str(world.verb("outgoing.lift", name=" ").value)
