"""From what a server says to the answer: who is asked for, when, and what the sender reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailbase.config import ConfigError, loads
from mailbase.vocabulary import Action
from policyd.callout.result import Result, Target
from policyd.engine.decision import Decision
from policyd.engine.texts import Texts
from policyd.evidence.context import MARGIN
from policyd.evidence.facts import Effect, Named
from policyd.exceptions.rule import rule_of
from policyd.observability.recorder import Recorder

ON = "flows: {inbound: {greylisting: false, callout: true}}"
REGISTRY = """
upstreams: [203.0.113.0/24]
servers:
  mail.inst.example:
    domains: {inst.example: , off.example: {callout: false}, on.example: {callout: true}}
    systems: [198.51.100.0/24, printer.inst.example]
"""


class Servers:
    """Say the same of every recipient."""

    def __init__(self, result: Result = Result.KNOWN) -> None:
        self.result = result
        self.later: Deferred[Result] | None = None
        self.asked: list[tuple[Target, bytes | None, float, bool]] = []

    def ask(self, target: Target, client: bytes | None, deadline: float, *, trace: bool = True) -> Any:
        self.asked.append((target, client, deadline, trace))
        return self.result if self.later is None else self.later


@pytest.fixture
def make(make_bench: Callable[..., Any]) -> Callable[..., Any]:
    def make(configuration: str = ON, result: Result = Result.KNOWN, registry: str = REGISTRY) -> Any:
        bench = make_bench(configuration, registry)
        bench.callout = Servers(result)
        bench.restart()
        return bench

    return make


def test_an_unknown_recipient_is_refused_with_the_id_and_the_contact(make: Callable[..., Any]) -> None:
    bench = make(result=Result.UNKNOWN)
    bench.engine.policy = replace(bench.engine.policy, texts=Texts("https://x.example/mail"))
    decision = bench.decide(recipient="Eve@Inst.example")
    assert decision.reply == (
        "550 5.1.1 The recipient's server takes no mail for this address "
        f"[{decision.id}] https://x.example/mail"
    )
    assert (decision.action, decision.reason) == (Action.REJECT, "recipient-unknown")
    ((target, client, deadline, trace),) = bench.callout.asked
    assert target == Target("Eve", "inst.example", "mail.inst.example")
    assert client == bytes((192, 0, 2, 1))
    assert deadline == bench.clock.seconds() + 8 - MARGIN
    assert trace


@pytest.mark.parametrize("result", [Result.KNOWN, Result.CATCH_ALL, Result.UNASKABLE])
def test_others_pass(make: Callable[..., Any], result: Result) -> None:
    decision = make(result=result).decide()
    assert (decision.reply, decision.reason) == ("DUNNO", "relay-registered-domain")


def test_what_the_server_cannot_take_is_not_left_to_be_bounced(make: Callable[..., Any]) -> None:
    decision = make(result=Result.UNFIT).decide()
    assert decision.reply.startswith("550 5.1.3 The recipient's server takes no mail for such an address [")
    assert (decision.action, decision.reason) == (Action.REJECT, "recipient-unfit")


@pytest.mark.parametrize("result", [Result.TEMPORARY, Result.BUSY])
def test_a_server_that_cannot_say(make: Callable[..., Any], result: Result) -> None:
    decision = make(result=result).decide()
    assert decision.reply.startswith(
        "DEFER_IF_PERMIT 4.1.1 The recipient cannot be verified now, try again later ["
    )
    assert decision.reason == f"recipient-{result}"
    accepting = "flows: {inbound: {greylisting: false, callout: {unavailable: accept}}}"
    assert make(accepting, result).reply() == "DUNNO"


@pytest.mark.parametrize("unavailable", ["defer", "accept"])
def test_over_budget_is_always_later(make: Callable[..., Any], unavailable: str) -> None:
    bench = make(
        f"flows: {{inbound: {{greylisting: false, callout: {{unavailable: {unavailable}}}}}}}",
        Result.OVER_BUDGET,
    )
    assert bench.reply().startswith(
        "DEFER_IF_PERMIT 4.7.1 Too many recipients to be verified, try again later ["
    )


def test_a_shadow_is_counted_and_not_acted_on(make: Callable[..., Any]) -> None:
    bench = make("flows: {inbound: {greylisting: false, callout: {shadow: true}}}", Result.UNKNOWN)
    recorder = Recorder(bench.log, bench.metrics)
    request = bench.request()
    decision = bench.engine.decide(request)
    assert (decision.reply, decision.reason) == ("DUNNO", "(recipient-unknown)")
    recorder.decision(request, decision, 0.001)
    assert bench.metrics.shadows["inbound", Action.REJECT] == 1
    assert bench.metrics.recipients[Result.UNKNOWN] == 1
    assert " reason=(recipient-unknown) " in bench.stream.getvalue()


def test_a_shadow_does_not_count_where_something_else_kept_the_mail_out(make: Callable[..., Any]) -> None:
    bench = make("flows: {inbound: {greylisting: false, callout: {shadow: true}}}", Result.UNKNOWN)
    request = bench.request()
    decision = bench.engine.decide(request)
    decision.action = Action.REJECT
    Recorder(bench.log, bench.metrics).decision(request, decision, 0.001)
    assert bench.metrics.shadows["inbound", Action.REJECT] == 0


def test_a_shadow_of_greylisting_does_not_keep_it_from_asking(make: Callable[..., Any]) -> None:
    bench = make(
        "policyd: {greylist: {shadow: true}}\nflows: {inbound: {callout: true, checks: false}}",
        Result.UNKNOWN,
    )
    assert bench.reply().startswith("550 5.1.1 ")


def test_what_is_greylisted_is_not_called_out_until_it_passes(make: Callable[..., Any]) -> None:
    bench = make("flows: {inbound: {callout: true}}", Result.UNKNOWN)
    for _ in range(2):
        assert bench.decide().reason in ("greylist-new", "greylist-early")
        bench.clock.advance(10)
    assert bench.callout.asked == []
    bench.clock.advance(300)
    assert bench.decide().reason == "recipient-unknown"
    assert bench.decide(recipient="abuse@inst.example").reason == "recipient-unknown"


def test_what_is_refused_or_deferred_for_its_points_is_not_called_out(make: Callable[..., Any]) -> None:
    for thresholds in ("reject_at: 1", "defer_at: 1"):
        bench = make(f"flows: {{inbound: {{greylisting: false, callout: true, checks: true, {thresholds}}}}}")
        bench.decide(client_name="unknown", reverse_client_name="unknown", helo_name="x")
        assert bench.callout.asked == []
        bench.decide(recipient="abuse@inst.example")
        assert len(bench.callout.asked) == 1


def test_once_it_has_waited_for_its_points_the_recipient_is_asked_for(make: Callable[..., Any]) -> None:
    bench = make(
        "flows: {inbound: {greylisting: false, callout: true, checks: true, defer_at: 1}}", Result.UNKNOWN
    )
    suspicious = {"client_name": "unknown", "reverse_client_name": "unknown", "helo_name": "x"}
    assert bench.action(**suspicious) == "450"
    assert bench.callout.asked == []
    bench.clock.advance(300)
    assert bench.decide(**suspicious).reason == "recipient-unknown"


@pytest.mark.parametrize(
    "recipient",
    [
        "postmaster@inst.example",
        "PostMaster@inst.example",
        "postmaster",
        "a@elsewhere.example",
        "a@mx.gate.example",
        "a@sub.inst.example",
        "a%elsewhere.example@inst.example",
        "elsewhere.example!a@inst.example",
        "a@[192.0.2.25]",
        "@inst.example",
        "",
        "a@off.example",
    ],
)
@pytest.mark.parametrize("who", [{}, {"sasl_username": "ada"}, {"client_address": "198.51.100.7"}])
def test_nobody_is_asked_for(make: Callable[..., Any], recipient: str, who: dict[str, str]) -> None:
    everywhere = ", ".join(f"{flow}: {{callout: true}}" for flow in ("outbound", "submission", "upstream"))
    bench = make(f"flows: {{inbound: {{greylisting: false, callout: true}}, {everywhere}}}", Result.UNKNOWN)
    bench.decide(recipient=recipient, **who)
    assert bench.callout.asked == []


@pytest.mark.parametrize(
    "recipient",
    [
        "abuse@inst.example",
        "a b@inst.example",
        "jörg@inst.example",
        "x@PRINTER.inst.example",
        "x" * 400 + "@inst.example",
    ],
)
def test_these_are_asked_for(make: Callable[..., Any], recipient: str) -> None:
    bench = make(result=Result.UNKNOWN)
    assert bench.action(recipient=recipient) == "550"
    assert bench.callout.asked[0][0].local == recipient.rpartition("@")[0]


@pytest.mark.parametrize(
    ("flow", "who", "charged"),
    [
        ("upstream", {"client_address": "203.0.113.5"}, False),
        ("submission", {"sasl_username": "ada"}, False),
        ("outbound", {"client_address": "198.51.100.7"}, True),
    ],
)
def test_other_flows_are_asked_about_where_that_is_on(
    make: Callable[..., Any], flow: str, who: dict[str, str], charged: bool
) -> None:
    bench = make(ON, Result.UNKNOWN)
    bench.decide(**who)
    assert bench.callout.asked == []
    bench = make(f"flows: {{{flow}: {{callout: true}}}}", Result.UNKNOWN)
    assert bench.action(**who) == "550"
    assert (bench.callout.asked[0][1] is not None) is charged


def test_a_domains_own_choice_counts(make: Callable[..., Any]) -> None:
    bench = make("flows: {inbound: {greylisting: false}}", Result.UNKNOWN)
    assert bench.action(recipient="a@on.example") == "550"
    assert bench.action(recipient="a@inst.example") == "DUNNO"


def test_where_nobody_wants_it_the_check_is_not_there(make: Callable[..., Any]) -> None:
    bench = make("", registry="servers: {m.inst.example: {domains: {inst.example: }}}")
    assert all(
        check.name != "recipient" for course in bench.engine.policy.plan.values() for check in course.checks
    )


def test_the_relay_question_alone_asks_nobody(make: Callable[..., Any]) -> None:
    bench = make(result=Result.UNKNOWN)
    assert bench.action(policy_context="relay") == "DUNNO"
    assert bench.action(policy_context="recipient") == "550"


def test_a_server_that_answers_later(make: Callable[..., Any]) -> None:
    bench = make()
    bench.callout.later = Deferred()
    waiting = bench.engine.decide(bench.request())
    assert not isinstance(waiting, Decision)
    done: list[Decision] = []
    Deferred.fromCoroutine(waiting).addCallback(done.append)
    assert done == []
    bench.callout.later.callback(Result.UNKNOWN)
    assert done[0].reason == "recipient-unknown"


def test_a_query_leaves_no_trace(make: Callable[..., Any]) -> None:
    bench = make(result=Result.UNKNOWN)
    decision = bench.engine.query(bench.request())
    assert decision.reply.startswith("550 5.1.1 ")
    assert bench.callout.asked[0][3] is False


@pytest.mark.parametrize("contexts", [("",), ("relay", "recipient"), ("recipient", "relay")])
def test_an_unknown_recipient_is_not_in_the_ticket(
    make: Callable[..., Any], contexts: tuple[str, ...]
) -> None:
    bench = make()
    for recipient, result in (("a@inst.example", Result.KNOWN), ("b@inst.example", Result.UNKNOWN)):
        bench.callout.result = result
        for context in contexts:
            bench.decide(instance="i", recipient=recipient, policy_context=context)
    request = bench.request(instance="i", protocol_state="DATA", recipient="")
    assert bench.engine.transactions.accepted(request) == ("a@inst.example",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("policyd: {callout: {positive: 16m}}", "expected at most 15m, so that an account"),
        ("policyd: {callout: {test_targets: {m.example: localhost:25}}}", "expected an IP address and port"),
        ("policyd: {callout: {test_targets: {m.example: 127.0.0.1:0}}}", "expected an IP address and port"),
        ("flows: {inbound: {callout: {unavailable: reject}}}", "expected one of defer, accept"),
        ("flows: {inbound: {callout: yes please}}", "expected a mapping"),
    ],
)
def test_mistakes_in_the_configuration(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        loads(text)


def test_the_operator_may_let_a_recipient_pass_and_say_it_in_own_words(make: Callable[..., Any]) -> None:
    bench = make(
        ON + "\npolicyd: {replies: {recipient-unknown: 'Nobody here is called {recipient} [{id}]'}}",
        Result.UNKNOWN,
    )
    decision = bench.decide()
    assert decision.reply == f"550 5.1.1 Nobody here is called person@inst.example [{decision.id}]"
    Deferred.fromCoroutine(bench.book.put(rule_of("person@inst.example", Effect.ALLOW, Named.RECIPIENT)))
    assert bench.action() == "DUNNO"
