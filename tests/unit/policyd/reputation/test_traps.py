"""Spamtraps in policyd: accepted at once, noted in the ticket, held against the client's network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailbase.report import Report
from mailbase.store import StoreError
from mailbase.vocabulary import Action
from policyd.callout.result import Result
from policyd.checks import ReputationCheck
from policyd.evidence.facts import Evidence
from policyd.evidence.gathering import Gatherer
from policyd.evidence.inquiry import Collected, subject_of
from policyd.observability.recorder import Recorder
from policyd.reputation.networks import Past, Reputation
from policyd.reputation.traps import Traps

TRAPS = "spamtraps: {addresses: [trap@inst.example, '@quiet.example'], remember: 2d}"
HELD = TRAPS + "\nflows: {inbound: {reject_at: 2, checks: {reputation: true}}}"
TRAP = "trap@inst.example"
NETWORK = "198.18.7."


@pytest.fixture
def world(make_bench: Callable[..., Any]) -> Any:
    return make_bench(HELD)


def mail(bench: Any, *recipients: str, **who: str) -> Any:
    """RCPT and DATA of one mail; its ticket."""
    request = {"client_address": NETWORK + "1", "instance": f"m{bench.instances}", **who}
    for recipient in recipients:
        bench.decide(**request, recipient=recipient)
    reply = bench.reply(**request, recipient="", protocol_state="DATA")
    client, sender = request["client_address"], request.get("sender", "someone@sender.example")
    return bench.tickets.find(reply.rpartition(" ")[2], client, sender, bench.clock.seconds())


def test_a_trap_is_accepted_and_nothing_else_is_looked_at(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(TRAPS + "\nflows: {inbound: {reject_at: 1, checks: true}}")
    decision = bench.decide(recipient="Trap+x@inst.example", client_name="unknown", helo_name="x")
    assert (decision.reply, decision.reason, decision.weighed) == ("DUNNO", "spamtrap", None)
    assert bench.store.pending == 0
    assert bench.action(recipient="person@inst.example", client_name="unknown", helo_name="x") == "554"


def test_a_trap_of_a_domain_that_is_not_ours_opens_no_relay(make_bench: Callable[..., Any]) -> None:
    bench = make_bench("spamtraps: {addresses: ['@elsewhere.example']}")
    assert bench.action(recipient="x@elsewhere.example") == "554"
    assert bench.reply(recipient="x@elsewhere.example", sasl_username="anna") == "OK"


def test_traps_stand_in_the_ticket_and_the_log(world: Any) -> None:
    ticket = mail(world, TRAP, "x@quiet.example", "abuse@inst.example")
    assert ticket.spamtraps == (TRAP, "x@quiet.example")
    assert "event=spamtrap id=" + ticket.id in world.stream.getvalue()
    assert f"recipient={TRAP} spamtraps=2 recipients=3" in world.stream.getvalue()
    assert world.metrics.spamtraps["inbound"] == 1


def test_a_mail_to_a_trap_is_held_against_the_network_for_a_time(world: Any) -> None:
    other = {"recipient": "person@inst.example", "client_address": NETWORK + "200"}
    world.decide(recipient=TRAP, client_address=NETWORK + "1")
    assert world.action(**other) == "DEFER_IF_PERMIT"
    mail(world, TRAP)
    decision = world.decide(**other)
    assert decision.reply.startswith(
        "554 5.7.1 Refused: your network writes to addresses that nobody ever gave"
    )
    mail(world, TRAP)
    assert world.decide(**other).weighed.evidence == (Evidence("reputation", "spamtrap", "2 mails"),)
    assert world.action(**{**other, "client_address": "198.18.8.1"}) == "DEFER_IF_PERMIT"
    world.clock.advance(2 * 86400 - 1)
    assert world.action(**other) == "554"
    world.clock.advance(2)
    assert world.action(**other) == "DEFER_IF_PERMIT"
    assert world.metrics.facts["reputation", "spamtrap"] == 3


def test_a_clock_that_was_set_back_holds_it_against_nobody_for_longer(world: Any) -> None:
    other = {"recipient": "person@inst.example", "client_address": NETWORK + "200"}
    world.clock.advance(365 * 86400)
    mail(world, TRAP)
    Traps(world.reputation, lambda ticket: None).reported(mail(world, TRAP), _report("reject"), True)
    world.clock.advance(-3600)
    assert world.action(**other) == "554"
    assert world.reputation.of(bytes((198, 18, 7, 1))).refused
    world.clock.advance(-365 * 86400)
    assert world.action(**other) == "DEFER_IF_PERMIT"
    assert world.reputation.of(bytes((198, 18, 7, 1))) == Past()
    mail(world, TRAP)
    assert world.action(**other) == "554"


def test_an_ipv6_network(world: Any) -> None:
    mail(world, TRAP, client_address="2001:db8:9::1")
    assert world.action(recipient="p@inst.example", client_address="2001:db8:9::2:3") == "554"


def test_it_survives_a_restart(world: Any) -> None:
    mail(world, TRAP)
    world.restart()
    assert world.action(recipient="p@inst.example", client_address=NETWORK + "9") == "554"


@pytest.mark.parametrize(
    "who", [{"sasl_username": "anna"}, {"client_address": "203.0.113.5"}, {"client_address": "198.51.100.7"}]
)
def test_relays_and_users_are_not_held_to_account(world: Any, who: dict[str, str]) -> None:
    assert mail(world, TRAP, **who).spamtraps == (TRAP,)
    assert world.reputation.of(b"\xc0\x00\x02\x01") == Past()
    assert world.reputation.of(bytes((203, 0, 113, 5))) == Past()
    assert world.reputation.of(bytes((198, 51, 100, 7))) == Past()


def test_a_query_springs_no_trap(world: Any) -> None:
    world.engine.query(world.request(protocol_state="DATA", recipient=TRAP))
    assert world.metrics.spamtraps["inbound"] == 0


def test_refused_content_is_remembered(world: Any) -> None:
    ticket = mail(world, "abuse@inst.example")
    traps = Traps(world.reputation, lambda ticket: None)
    for action, first in (("accept", True), ("reject", False)):
        traps.reported(ticket, _report(action), first)
    assert world.reputation.of(bytes((198, 18, 7, 99))).refused == 0
    traps.reported(ticket, _report("reject"), True)
    assert world.reputation.of(bytes((198, 18, 7, 99))).refused > 0
    decision = world.decide(recipient="p@inst.example", client_address=NETWORK + "9")
    assert decision.weighed.text() == "reputation.refused-content:0"


def _report(action: str, origin: str = "") -> Any:
    return Report("0" * 13, NETWORK + "1", "someone@sender.example", Action(action), origin=origin)


@pytest.mark.parametrize(("origin", "held"), [(NETWORK + "1", True), ("", False), ("x", False)])
def test_who_wrote_to_a_trap_through_a_relay_is_held_to_account(world: Any, origin: str, held: bool) -> None:
    ticket = mail(world, TRAP, client_address="203.0.113.5")
    traps = Traps(world.reputation, lambda ticket: None)
    traps.reported(ticket, _report("discard", origin), True)
    traps.reported(ticket, _report("discard", origin), False)
    assert world.reputation.of(bytes((198, 18, 7, 99))).traps == held
    traps.reported(mail(world, "p@quiet.example"), _report("discard", "192.0.2.1"), True)
    assert world.reputation.of(bytes((192, 0, 2, 1))) == Past()


class Slow:
    """A shared table: answers later, or never."""

    def __init__(self) -> None:
        self.rows: dict[bytes, Any] = {}
        self.waiting: list[Any] = []

    def get(self, key: bytes, now: float) -> Any:
        self.waiting.append((Deferred(), key))
        return self.waiting[-1][0]

    def put(self, key: bytes, row: Any) -> Any:
        self.rows[key] = row
        return Deferred()

    def delete(self, key: bytes) -> Any:
        return None

    def answer(self) -> None:
        deferred, key = self.waiting.pop(0)
        deferred.callback(self.rows.get(key))


@pytest.mark.parametrize("fails", [False, True])
def test_a_shared_state_answers_later(world: Any, fails: bool) -> None:
    table = Slow()
    reputation = Reputation(table, Deferred.fromCoroutine, world.clock.seconds)
    address = bytes((198, 18, 7, 1))
    reputation.trapped(address)
    table.answer()
    request = world.request(client_address=NETWORK + "1")
    gatherer = Gatherer(
        world.resolver, world.clock.seconds, Recorder(world.log, world.metrics), world.clock.seconds
    )
    origin = world.engine.policy.origins.of(request)
    collecting = gatherer.gather(
        [ReputationCheck(reputation)], subject_of(request, address, origin), world.clock.seconds() + 8, True
    )
    assert not isinstance(collecting, Collected)
    found: list[Any] = []
    collecting.addCallback(found.append)
    assert not found
    if fails:
        table.waiting[0][0].errback(StoreError("gone"))
        assert found[0].evidence == (Evidence("reputation", "temporary"),)
    else:
        table.answer()
        assert found[0].evidence == (Evidence("reputation", "spamtrap", "1 mail"),)


def test_a_store_that_cannot_tell_holds_nothing_against_anybody(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise StoreError("gone")

    monkeypatch.setattr(world.reputation, "of", fail)
    decision = world.decide(recipient="p@inst.example")
    assert decision.weighed.text() == "reputation.temporary:0"
    monkeypatch.setattr(type(world.reputation._table), "get", fail)
    world.reputation.trapped(b"\xc0\x00\x02\x01")


class NobodyKnows:
    """Every server says that there is no such recipient."""

    def __init__(self) -> None:
        self.asked = 0

    def ask(self, *_arguments: object, **_more: object) -> Result:
        self.asked += 1
        return Result.UNKNOWN


def test_no_server_is_asked_for_a_trap(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(TRAPS + "\nflows: {inbound: {greylisting: false, callout: true}}")
    bench.callout = NobodyKnows()
    bench.restart()
    assert bench.reply(recipient=TRAP) == "DUNNO"
    assert bench.callout.asked == 0
    assert bench.reply(recipient="nobody@inst.example").startswith("550 5.1.1 ")
