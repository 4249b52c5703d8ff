"""What became of strangers' mail, by network and domain: counted, faded, stated, and worth something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailbase.report import Content, Report
from mailbase.store import StoreError
from mailbase.ticket import Ticket
from mailbase.vocabulary import Action, Finding, Flow
from policyd.checks import ReputationCheck
from policyd.evidence.facts import Grey, GreylistFact
from policyd.evidence.inquiry import subject_of
from policyd.reputation.outcomes import EXPIRES, HALF_LIFE, LONG, History, spam_in

DAY = 86400.0
CLIENT = "198.18.7.1"
NETWORK = bytes((198, 18, 7, 200))
CHECKS = "flows: {inbound: {checks: {reputation: true, spf: false}}}"


class World:
    def __init__(self, bench: Any) -> None:
        self.bench = bench
        self.outcomes = bench.outcomes
        self.check = ReputationCheck(bench.reputation, self.outcomes)

    def mail(
        self,
        score: float | None,
        action: str = "accept",
        *,
        mails: int = 1,
        flow: Flow = Flow.INBOUND,
        findings: tuple[str, ...] = (),
        first: bool = True,
        origin: str = "",
    ) -> None:
        ticket = Ticket(
            "0" * 13, flow, CLIENT, "a@sender.example", findings=tuple(Finding(name) for name in findings)
        )
        for _ in range(mails):
            self.outcomes.reported(ticket, report(score, action, origin), first)

    def facts(self, sender: str = "b@sender.example") -> list[str]:
        request = self.bench.request(client_address=CLIENT, sender=sender)
        subject = subject_of(request, NETWORK, self.bench.engine.policy.origins.of(request))
        inquiry = self.check.inquire(subject)
        with pytest.raises(StopIteration) as stop:
            next(inquiry)
        return [one.name for one in stop.value.value]


def report(score: float | None, action: str = "accept", origin: str = "") -> Report:
    content: Any = Content(flow="inbound", cause="", actions=[], facts=[], parts=1, seconds={})
    if score is not None:
        content["score"] = score
    return Report("0" * 13, CLIENT, "a@sender.example", Action(action), content=content, origin=origin)


@pytest.fixture
def world(make_bench: Callable[..., Any]) -> World:
    return World(make_bench(CHECKS))


@pytest.mark.parametrize(
    ("score", "action", "spam"),
    [
        (15.0, "reject", 1.0),
        (5.0, "tag", 1.0),
        (5.0, "accept", 1.0),
        (4.9, "accept", None),
        (2.5, "accept", None),
        (2.4, "accept", 0.0),
        (-3.0, "tag", 0.0),
        (0.0, "reject", 0.5),
        (None, "reject", 0.5),
        (9.0, "quarantine", 1.0),
        (None, "accept", None),
        (9.0, "discard", None),
        (9.0, "defer", None),
    ],
)
def test_what_is_spam(score: float | None, action: str, spam: float | None) -> None:
    assert spam_in(report(score, action)) == spam


def test_without_content_only_a_refusal_says_anything() -> None:
    bare = Report("0" * 13, CLIENT, "", Action.ACCEPT)
    assert spam_in(bare) is None


def test_a_network_that_sends_spam_is_known_for_it_and_fades(world: World) -> None:
    world.mail(9.0, "tag", mails=4)
    assert world.facts() == []
    world.bench.clock.advance(3600)
    world.mail(9.0, "tag")
    assert world.facts() == ["spam-network"]
    world.mail(0.0)
    assert world.facts() == ["spam-network"]
    world.mail(0.0)
    # 5 of 7 are less than 80 %.
    assert world.facts() == []
    world.mail(9.0, "tag", mails=20)
    assert world.facts() == ["spam-network"]
    world.bench.clock.advance(3 * HALF_LIFE)
    assert world.facts() == []


def test_a_long_good_time_makes_a_good_name_and_one_bad_day_ends_it(world: World) -> None:
    for _ in range(30):
        world.mail(0.5, mails=3)
        world.bench.clock.advance(DAY / 2)
    assert world.facts() == ["good-network"]
    world.mail(9.0, "tag", mails=2)
    assert world.facts() == []
    world.mail(9.0, "tag", mails=400)
    assert world.facts() == ["spam-network"]
    for _ in range(60):
        world.mail(0.5, mails=400)
        world.bench.clock.advance(3600)
    assert world.facts() == [], "the share is good, the time is not"


def test_much_mail_in_a_short_time_makes_no_good_name(world: World) -> None:
    world.mail(0.0, mails=1000)
    world.bench.clock.advance(LONG - 10)
    assert world.facts() == []
    world.bench.clock.advance(20)
    assert world.facts() == ["good-network"]
    world.bench.clock.advance(EXPIRES)
    assert world.facts() == []


def test_a_clock_that_was_set_back_makes_no_name_last_longer(world: World) -> None:
    world.bench.clock.advance(365 * DAY)
    world.mail(9.0, "tag", mails=10)
    world.bench.clock.advance(-DAY)
    assert world.facts() == ["spam-network"]
    world.bench.clock.advance(-364 * DAY)
    assert world.facts() == []
    world.mail(0.0, mails=100)
    world.bench.clock.advance(LONG + 10)
    assert world.facts() == ["good-network"]


def test_who_writes_to_a_spamtrap_has_no_good_name(world: World) -> None:
    world.mail(0.0, mails=100)
    world.bench.clock.advance(LONG)
    world.bench.reputation.trapped(NETWORK)
    assert world.facts() == ["spamtrap"]


def test_a_domain_is_known_only_by_what_spf_passed(world: World) -> None:
    world.mail(9.0, "tag", mails=10, findings=("spf.fail",))
    assert world.facts() == ["spam-network"]
    world.mail(9.0, "tag", mails=10, findings=("spf.pass",))
    assert world.facts() == ["spam-network", "spam-domain"]
    assert world.facts("x@other.example") == ["spam-network"]
    assert world.facts("") == ["spam-network"]


@pytest.mark.parametrize("flow", [Flow.SUBMISSION, Flow.OUTBOUND, Flow.UPSTREAM])
def test_only_strangers_have_a_history(world: World, flow: Flow) -> None:
    world.mail(9.0, "reject", mails=10, flow=flow)
    assert world.facts() == []


def test_behind_a_relay_it_is_who_the_relay_had_it_from(world: World) -> None:
    world.mail(9.0, "tag", mails=10, flow=Flow.UPSTREAM, origin="198.18.7.9")
    assert world.facts() == ["spam-network"]


def test_a_mail_counts_once(world: World) -> None:
    world.mail(9.0, "reject", mails=10, first=False)
    assert world.facts() == []


@pytest.mark.parametrize(("points", "grey"), [(-1.0, Grey.CLIENT_REPUTED), (0.0, Grey.NEW)])
def test_it_spares_greylisting_while_its_points_are_negative(
    make_bench: Callable[..., Any], points: float, grey: Grey
) -> None:
    checks = f"{{reputation: {{points: {{good-network: {points}}}}}}}"
    bench = make_bench(f"flows: {{inbound: {{checks: {checks}}}}}")
    World(bench).mail(0.0, mails=100)
    bench.clock.advance(LONG)
    decision = bench.decide(client_address=CLIENT, recipient="p@inst.example")
    assert decision.weighed.total == points
    assert [fact.grey for fact in decision.facts if isinstance(fact, GreylistFact)] == [grey]


def test_it_is_a_reason_that_people_understand(make_bench: Callable[..., Any]) -> None:
    bench = make_bench("flows: {inbound: {reject_at: 1, checks: {reputation: true}}}")
    World(bench).mail(9.0, "tag", mails=10)
    reply = bench.reply(client_address=CLIENT, recipient="p@inst.example")
    assert reply.startswith("554 5.7.1 Refused: nearly all mail of your network was spam lately [")


def test_a_store_that_cannot_say_is_no_opinion(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> Any:
        raise StoreError("away")

    monkeypatch.setattr(world.outcomes, "_table", type("Away", (), {"get": away, "put": away})())
    world.mail(9.0, "reject", mails=10)
    assert world.facts() == ["temporary"]


def test_a_shared_state_answers_later(world: World) -> None:
    waiting: list[Deferred[Any]] = []

    class Later:
        row: Any = None

        def get(self, key: bytes, now: float) -> Deferred[Any]:
            waiting.append(Deferred())
            return waiting[-1]

        def put(self, key: bytes, row: Any) -> Deferred[Any]:
            self.row = row
            return Deferred()

    table = Later()
    world.outcomes._table = table  # type: ignore[assignment]
    world.mail(9.0, "tag")
    waiting.pop().callback((7.0, 0.0, int(world.bench.clock.seconds()), 0, 1 << 40))
    assert table.row[0] == 8.0
    request = world.bench.request(client_address=CLIENT)
    inquiry = world.check.inquire(subject_of(request, NETWORK, world.bench.engine.policy.origins.of(request)))
    asked = next(inquiry)
    assert len(asked) == 2
    for one in asked:
        one.close()  # type: ignore[union-attr]
    bad = History(9.0, 0.0, int(world.bench.clock.seconds()))
    with pytest.raises(StopIteration) as stop:
        inquiry.send((bad, StoreError("away")))
    assert [one.name for one in stop.value.value] == ["temporary", "spam-network"]
