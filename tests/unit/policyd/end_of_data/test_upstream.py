"""Evidence on the clients of upstream relays: asked over the control socket, never at RCPT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailbase.config import ConfigError, loads
from mailbase.control import ControlError
from mailbase.dns import TableResolver
from mailbase.evidence import Evidence
from policyd.end_of_data.upstream import UpstreamVerbs
from policyd.evidence.gathering import Gatherer
from policyd.observability.recorder import Recorder

ON = (
    "flows: {upstream: {checks: {fcrdns: true, helo: true, sender_domain: {shadow: true}, reputation: true}}}"
)
QUESTION = {"id": "1", "client": "198.18.0.9", "helo": "friend", "name": "", "sender": "a@gone.example"}


class Socket:
    def __init__(self, bench: Any, **slow: float) -> None:
        self.bench = bench
        names = {name.replace("_", "."): time for name, time in slow.items()}
        resolver = TableResolver({}, clock=bench.clock, slow=names)
        gatherer = Gatherer(
            resolver, bench.clock.seconds, Recorder(bench.log, bench.metrics), bench.clock.seconds
        )
        self.verbs = UpstreamVerbs(
            lambda: bench.engine.policy.upstream, gatherer.gather, bench.clock.seconds, lambda: 8.0
        )

    def ask(self, **question: Any) -> Any:
        found: list[Any] = []
        coroutine: Any = self.verbs.table()["evidence"]({**QUESTION, **question})
        Deferred.fromCoroutine(coroutine).addBoth(found.append)
        for _ in range(100):
            if found:
                break
            self.bench.clock.advance(0.1)
        if hasattr(found[0], "raiseException"):
            found[0].raiseException()
        return Evidence.from_dict(found[0])


def test_the_client_is_judged_as_if_it_had_come_to_us(make_bench: Callable[..., Any]) -> None:
    socket = Socket(make_bench(ON))
    assert socket.ask() == Evidence(
        3.5, ("fcrdns.no-ptr:2", "helo.not-fqdn:1.5", "(sender_domain.no-mail-host:4)")
    )
    assert socket.bench.metrics.facts["fcrdns", "no-ptr"] == 1
    assert socket.verbs.asked == 1


def test_a_name_that_the_relay_has_verified_is_taken_as_such(make_bench: Callable[..., Any]) -> None:
    socket = Socket(make_bench(ON))
    evidence = socket.ask(name="Mail.good.example", helo="mail.good.example", sender="")
    assert evidence == Evidence(-0.5, ("fcrdns.confirmed:0", "helo.equals-ptr:-0.5"))


def test_dns_that_does_not_answer_ends_at_the_deadline(make_bench: Callable[..., Any]) -> None:
    socket = Socket(make_bench(ON), gone_example=60.0)
    before = socket.bench.clock.seconds()
    evidence = socket.ask()
    assert evidence.late
    assert evidence.points == 3.5
    assert socket.bench.clock.seconds() - before < 8.2


def test_at_rcpt_the_relays_own_address_is_still_no_evidence(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(ON)
    decision = bench.decide(client_address="203.0.113.5", client_name="unknown", helo_name="friend")
    assert (decision.reply, decision.weighed) == ("DUNNO", None)
    assert bench.resolver.asked == []


def test_what_a_network_did_counts_here_too(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(ON)
    bench.reputation.trapped(bytes((198, 18, 0, 7)))
    assert "reputation.spamtrap:2" in Socket(bench).ask().facts


def test_with_every_check_off_there_is_no_evidence(bench: Any) -> None:
    assert Socket(bench).ask() == Evidence()


@pytest.mark.parametrize("broken", [{"client": "x"}, {"client": None}, {"helo": 5}, {"sender": "x" * 2000}])
def test_what_is_no_question_is_refused(make_bench: Callable[..., Any], broken: dict[str, Any]) -> None:
    with pytest.raises(ControlError):
        Socket(make_bench(ON)).ask(**broken)


def test_foreign_text_stays_on_its_line(make_bench: Callable[..., Any]) -> None:
    evidence = Socket(make_bench(ON)).ask(helo="a\nb\0c\ud800", sender="x\n@y")
    assert "helo.not-fqdn:1.5" in evidence.facts


@pytest.mark.parametrize(
    ("flow", "text", "message"),
    [
        ("upstream", "defer_at: 4, checks: true", "defer_at: expected null: an upstream relay would have"),
        ("upstream", "reject_at: 4, checks: true", "reject_at: expected null: an upstream relay would have"),
        ("upstream", "tag_at: 8, quarantine_at: 8, checks: true", "tag_at: expected less than quarantine_at"),
        (
            "upstream",
            "checks: {helo: {actions: {not-fqdn: reject}}}",
            "checks.helo.actions: expected none: an upstream relay would have",
        ),
        (
            "inbound",
            "quarantine_at: 4, checks: true",
            "quarantine_at: expected null: mail of others is refused",
        ),
        ("inbound", "tag_at: 5, defer_at: 4, checks: true", "tag_at: expected less than defer_at"),
        ("inbound", "tag_at: 9, reject_at: 8, checks: true", "tag_at: expected less than reject_at"),
        ("inbound", "defer_at: 8, reject_at: 8", "defer_at: expected less than reject_at"),
    ],
)
def test_what_makes_no_sense_is_a_mistake(flow: str, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        loads(f"flows: {{{flow}: {{{text}}}}}")


def test_thresholds_of_an_upstream() -> None:
    upstream = loads("flows: {upstream: {tag_at: 4, quarantine_at: 8, checks: true}}").flows.upstream
    assert (upstream.tag_at, upstream.quarantine_at) == (4.0, 8.0)
