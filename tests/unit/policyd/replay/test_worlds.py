"""What a simulated policyd takes from the recording instead of asking for it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailbase.dns import TableResolver
from mailbase.vocabulary import Action
from policyd.callout.result import Result
from policyd.evidence.gathering import Gatherer
from policyd.replay.app import together
from policyd.replay.comparison import Comparison
from policyd.replay.past import Line, Outcome, Recorded
from policyd.replay.recording import line_of, past_row
from policyd.replay.simulation import Simulation
from policyd.replay.world import _wait, at_once

CALLOUT = "flows: {inbound: {greylisting: false, callout: true}}"
LIMITED = (
    "flows: {inbound: {greylisting: false, limits: {few: {per: client, of: messages, limit: 1, within: 1h}}}}"
)


class Servers:
    result = Result.KNOWN

    def ask(self, *arguments: Any, **how: Any) -> Result:
        return self.result


def changes(lines: Any, world: Any) -> dict[tuple[str, str], int]:
    comparison = Comparison(reasons=True)
    Simulation(None, world, comparison).run(lines)
    return {(change.before[1], change.after[1]): count for change, count in comparison.changes.items()}


@pytest.fixture
def asking(make_gateway: Any) -> Any:
    """A gateway that asks servers for recipients."""
    gateway = make_gateway(CALLOUT)
    gateway.bench.callout = Servers()
    gateway.bench.restart()
    return gateway


def test_what_servers_said_of_recipients_is_recorded(asking: Any, make_world: Any) -> None:
    for result in Result:
        asking.bench.callout.result = result
        asking.request(recipient=f"{result}@inst.example")
    assert [row.get("callout") for row in asking.rows] == [result.value for result in Result]
    assert not changes(asking.lines(), make_world(asking))
    unmoved = make_world(asking, "flows.inbound.callout=false")
    assert ("recipient-unknown", "relay-registered-domain") in changes(asking.lines(), unmoved)


def test_what_a_server_said_once_goes_on_being_its_answer(asking: Any, make_world: Any) -> None:
    asking.bench.callout.result = Result.UNKNOWN
    asking.request()
    asking.request()
    asking.rows[1].pop("callout")
    assert not changes(asking.lines(), make_world(asking))
    asking.rows[0].pop("callout")
    assert changes(asking.lines(), make_world(asking))


def mail(gateway: Any, number: int) -> list[str]:
    """One mail; the actions at its stages."""
    return [
        gateway.decide(instance=f"m{number}", protocol_state=stage, size="100", recipient_count="1").action
        for stage in ("RCPT", "DATA", "END-OF-MESSAGE")
    ]


def test_limits_are_counted_again(make_gateway: Any, make_world: Any) -> None:
    gateway = make_gateway(LIMITED)
    assert mail(gateway, 1) == ["accept"] * 3
    assert mail(gateway, 2)[0] == "defer"
    assert not changes(gateway.lines(), make_world(gateway))
    more = make_world(
        gateway, "flows.inbound.limits={few: {per: client, of: messages, limit: 5, within: 1h}}"
    )
    assert changes(gateway.lines(), more)


def test_mail_that_contentfilter_refused_does_not_count_against_limits(
    make_gateway: Any, make_world: Any
) -> None:
    gateway = make_gateway(LIMITED)
    mail(gateway, 1)
    ticket = gateway.rows[1]["id"]
    gateway.bench.store.start  # noqa: B018 - the store is there
    Deferred.fromCoroutine(gateway.bench.charges.close(ticket, True, gateway.bench.clock.seconds()))
    outcome = Outcome(ticket, "192.0.2.1", "someone@sender.example", ("person@inst.example",), Action.REJECT)
    gateway.rows.append(past_row(outcome))
    assert mail(gateway, 2)[0] == "accept"
    assert not changes(gateway.lines(), make_world(gateway))
    without = [line for line in gateway.lines() if not isinstance(line, Outcome)]
    assert changes(without, make_world(gateway))


def test_every_kind_of_line_is_written_as_it_is_read(asking: Any) -> None:
    asking.request(helo_name="x")
    rule = {"effect": "allow", "as": "client", "what": "192.0.2.0/24", "expires": 1_900_000_000}
    report = {
        "report": "0000000000000",
        "client": "192.0.2.1",
        "sender": "a@x.example",
        "recipients": ["b@inst.example"],
        "action": "quarantine",
    }
    rows = [
        asking.rows[0],
        {"time": 5.0, "request": {}, "action": "accept", "reason": "x", "repeated": True},
        {"time": 5.0, "request": {}, "evidence": [["helo", "x", "y"]], "asked": ["helo"], "fate": "refused"},
        {"allowed": "192.0.2.0/24", "until": None},
        {"rule": rule},
        {"dropped": 7},
        report,
    ]
    for row in rows:
        line: Line = line_of(row)
        again = line_of(json.loads(json.dumps(past_row(line))))
        if isinstance(line, Recorded):
            assert isinstance(again, Recorded)
            assert again.request.attributes == line.request.attributes
            assert (again.time, again.answer, again.evidence) == (line.time, line.answer, line.evidence)
            assert (again.fate, again.callout, again.asked) == (line.fate, line.callout, line.asked)
        else:
            assert again == line


def test_a_check_that_would_have_to_wait_has_no_opinion() -> None:
    async def answered() -> str:
        return "known"

    async def waits() -> str:
        await Deferred()
        return "never"

    assert at_once(_wait(answered(), 0.0)) == "known"  # type: ignore[arg-type, comparison-overlap]
    assert at_once(_wait(waits(), 0.0)) is None  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="waits"):
        at_once(waits())


def test_what_a_world_remembers_is_bounded_by_time(make_gateway: Any, make_world: Any) -> None:
    gateway = make_gateway()
    gateway.request()
    gateway.request(sender="b@x.example")
    world = make_world(gateway)
    for line in gateway.lines():
        world.decide(line)
    assert world.entries() == 2
    world.clock.advance(world.clock.seconds() + 3 * 86400)
    assert world.entries() == 0


TRAPS = (
    "spamtraps: {addresses: [trap@inst.example]}\n"
    "flows: {inbound: {greylisting: false, reject_at: 1,"
    " checks: {reputation: {points: {refused-content: 2}}}}}"
)


def test_what_networks_did_is_held_against_them_again(make_gateway: Any, make_world: Any) -> None:
    gateway = make_gateway(TRAPS)
    gateway.request(recipient="trap@inst.example", instance="1")
    gateway.request(recipient="trap@inst.example", instance="1", protocol_state="DATA")
    gateway.request(client_address="198.18.0.1", instance="2")
    gateway.request(client_address="198.18.0.1", instance="2", protocol_state="DATA")
    other = Outcome(gateway.rows[-1]["id"], "198.18.0.1", "someone@sender.example", ("p@x",), Action.REJECT)
    gateway.rows.append(past_row(other))
    gateway.request()
    gateway.request(client_address="198.18.0.1")
    for row in gateway.rows:
        # As if the check had been off then.
        row.pop("evidence", None)
        row.pop("asked", None)
    world = make_world(gateway)
    answers = [
        world.decide(line) if isinstance(line, Recorded) else world.take(line) for line in gateway.lines()
    ]
    assert [answers[-2].reason, answers[-1].reason] == ["reputation-spamtrap", "reputation-refused-content"]


class TableDns:
    """A table in place of DNS, with answers that take a second of another clock than the simulation's."""

    def __init__(self, watch: Any, **slow: float) -> None:
        self.clock = Clock()
        self.clock.advance(50.0)
        table = {
            ("sender.example", "MX"): [(10, "mx.sender.example")],
            ("mx.sender.example", "A"): "192.0.2.9",
        }
        names = {name.replace("_", "."): seconds for name, seconds in slow.items()}
        self.resolver = TableResolver(table, clock=self.clock, slow=names)  # type: ignore[arg-type]
        self.gather = Gatherer(self.resolver, self.seconds, watch, self.seconds).gather

    def seconds(self) -> float:
        return float(self.clock.seconds())


BAD = {"client_name": "unknown", "reverse_client_name": "unknown", "helo_name": "friend"}


@pytest.mark.parametrize("slow", [{}, {"gone_example": 1.0, "1_2_0_192_in-addr_arpa": 1.0}])
def test_dns_is_asked_anew_when_told_to(make_gateway: Any, make_world: Any, slow: dict[str, float]) -> None:
    gateway = make_gateway()
    gateway.request(**BAD, sender="a@gone.example", recipient="person@quiet.example")
    gateway.request(**BAD, recipient="person@quiet.example")
    dns = TableDns(gateway.bench, **slow)
    overrides = ("flows.inbound.checks=true", "flows.inbound.reject_at=7", "policyd.deadline=5s")
    world = make_world(gateway, *overrides, dns=dns)
    comparison = Comparison(reasons=True)
    done: list[object] = []
    running = Simulation(None, world, comparison).run_asking(gateway.lines(), together)
    Deferred.fromCoroutine(running).addBoth(done.append)
    if slow:
        assert not done
        dns.clock.advance(1.0)
    assert done == [None]
    # PTR and mail host are not there; known before was only that "friend" is no host name.
    ((change, count),) = comparison.changes.items()
    assert (change.after, count) == (("reject", "sender_domain-no-mail-host"), 1)


def test_asking_ahead_does_not_set_the_clock_ahead(make_gateway: Any, make_world: Any) -> None:
    gateway = make_gateway()
    gateway.request()
    gateway.wait(200)
    assert gateway.request() == "greylist-early"
    gateway.wait(200)
    gateway.request()
    comparison = Comparison(reasons=True)
    world = make_world(gateway, dns=TableDns(gateway.bench))
    Deferred.fromCoroutine(Simulation(None, world, comparison).run_asking(gateway.lines(), together))
    assert comparison.compared == 3
    assert not comparison.changes


def test_lists_are_not_asked_anew(make_gateway: Any, make_world: Any) -> None:
    lists = "{zen: {zone: zen.example, kind: dnsbl}}"
    gateway = make_gateway()
    gateway.request(recipient="person@quiet.example")
    gateway.rows[0]["evidence"] = [["dnsbl", "zen", "127.0.0.2"]]
    checks = "flows.inbound.checks={dnsbl: {points: {zen: 9}}}"
    overrides = (f"policyd.lists={lists}", checks, "flows.inbound.reject_at=7")
    dns = TableDns(gateway.bench)
    comparison = Comparison()
    running = Simulation(None, make_world(gateway, *overrides, dns=dns), comparison)
    Deferred.fromCoroutine(running.run_asking(gateway.lines(), together))
    ((change, _),) = comparison.changes.items()
    assert change.after == ("reject", "dnsbl-zen")
    assert not [name for name, *_ in dns.resolver.asked if name.endswith("zen.example")]


def test_a_caller_is_known_again_by_what_spf_said_then(make_gateway: Any, make_world: Any) -> None:
    gateway = make_gateway("flows: {inbound: {checks: {spf: true}}}")
    table = {("sender.example", "TXT"): "v=spf1 ip4:192.0.2.1 ip4:198.18.7.7 -all"}
    gateway.bench.resolver = TableResolver(table, clock=gateway.bench.clock)  # type: ignore[arg-type]
    gateway.bench.restart()
    assert gateway.request() == "greylist-new"
    gateway.wait(400)
    # Another network, another name; only SPF says that it is the same sender.
    who = {"client_name": "other.example.net", "reverse_client_name": "other.example.net"}
    assert gateway.request(client_address="198.18.7.7", **who) == "greylist-passed"
    assert not changes(gateway.lines(), make_world(gateway))
    by_network = make_world(gateway, "policyd.greylist.identities=[network]")
    assert changes(gateway.lines(), by_network) == {("greylist-passed", "greylist-new"): 1}


def test_state_that_is_in_redis_is_not_touched(make_gateway: Any, make_world: Any) -> None:
    gateway = make_gateway()
    gateway.request()
    gateway.configuration += "\nstore: {url: 'redis://127.0.0.1:1/0'}\n"
    assert not changes(gateway.lines(), make_world(gateway))
