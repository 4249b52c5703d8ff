"""allow and deny, through the engine: what is refused, what is spared, and how long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from policyd.observability.recorder import Recorder

from .asked import ALLOW, DENY, Asked

RELAY_ONLY = "relay"


def test_a_denied_client_is_refused_at_once_in_both_families(bench: Any, asked: Asked) -> None:
    for client in ("192.0.2.1", "2001:db8:9::1"):
        assert bench.action(client_address=client) == "DEFER_IF_PERMIT"
        asked.deny(client)
        decision = bench.decide(client_address=client)
        assert decision.reply == f"554 5.7.1 Refused by local policy [{decision.id}]"
        assert decision.reason == "exceptions-deny-client"


@pytest.mark.parametrize(
    ("what", "named", "who"),
    [
        ("mail.sender.example", "client", {}),
        ("sender.example", "sender", {}),
        ("person@inst.example", "recipient", {}),
        ("inst.example", "recipient", {}),
        ("ada", "user", {"sasl_username": "ada"}),
    ],
)
def test_each_kind_can_be_denied_and_allowed(
    bench: Any, asked: Asked, what: str, named: str, who: dict[str, str]
) -> None:
    asked.deny(what, named)
    assert bench.action(**who) == "554"
    assert bench.action(**who, policy_context=RELAY_ONLY) == "554"
    asked.allow(what, named)
    assert bench.decide(**who).action == "accept"


def test_an_allowed_client_is_neither_greylisted_nor_weighed(make_bench: Callable[..., Any]) -> None:
    bench = make_bench("flows: {inbound: {checks: true, reject_at: 1}}")
    asked = Asked(bench)
    who = {"client_name": "unknown", "reverse_client_name": "unknown", "helo_name": "friend"}
    assert bench.action(**who) == "554"
    asked.allow("192.0.2.1")
    asked_before = len(bench.resolver.asked)
    decision = bench.decide(**who)
    assert (decision.reply, decision.reason) == ("DUNNO", "greylist-excepted")
    assert decision.weighed is None
    assert len(bench.resolver.asked) == asked_before
    assert bench.store.pending == 1  # the rule


def test_allowing_never_grants_relaying(bench: Any, asked: Asked) -> None:
    for what, named in (
        ("192.0.2.1", None),
        ("sender.example", "sender"),
        ("elsewhere.example", "recipient"),
    ):
        asked.allow(what, named)
        for context in ("", RELAY_ONLY):
            decision = bench.decide(recipient="a@elsewhere.example", policy_context=context)
            assert decision.reply.startswith("554 5.7.1 Relay access denied")


def test_a_denied_client_may_still_complain_unless_that_address_is_denied(bench: Any, asked: Asked) -> None:
    asked.deny("192.0.2.1")
    assert bench.action(recipient="abuse@inst.example") == "DUNNO"
    assert bench.action(recipient="person@inst.example") == "554"
    asked.deny("abuse@inst.example", "recipient")
    assert bench.action(recipient="abuse@inst.example") == "554"


def test_a_hijacked_account_reaches_nobody(bench: Any, asked: Asked) -> None:
    asked.deny("ada", "user")
    assert bench.action(sasl_username="Ada", recipient="abuse@inst.example") == "554"
    assert bench.action(sasl_username="bob") == "OK"


def test_upstream_relays_are_refused_for_themselves_and_not_for_a_sender(bench: Any, asked: Asked) -> None:
    asked.deny("sender.example", "sender")
    assert bench.action(client_address="203.0.113.5") == "DUNNO"
    asked.deny("203.0.113.0/24")
    assert bench.action(client_address="203.0.113.5") == "554"


def test_a_rule_ends_by_itself(bench: Any, asked: Asked) -> None:
    asked.deny("192.0.2.1", seconds=60)
    bench.clock.advance(59)
    assert bench.action() == "554"
    bench.clock.advance(1)
    assert bench.action() == "DEFER_IF_PERMIT"
    assert list(asked.ask("exceptions.list")) == []


def test_the_ticket_names_the_exception(bench: Any, asked: Asked) -> None:
    asked.allow("sender.example", "sender")
    bench.decide(instance="i")
    decision = bench.decide(instance="i", protocol_state="DATA", recipient="")
    ticket = bench.tickets.find(decision.id, "192.0.2.1", "someone@sender.example", bench.clock.seconds())
    assert [(one.name, one.detail) for one in ticket.findings] == [
        ("exceptions.allow", "sender:sender.example")
    ]


def test_what_was_accepted_is_not_denied_at_data(bench: Any, asked: Asked) -> None:
    bench.decide(instance="i", recipient="abuse@inst.example")
    asked.deny("192.0.2.1")
    decision = bench.decide(instance="i", protocol_state="DATA", recipient="")
    assert decision.reply.startswith("PREPEND ")


def test_exceptions_are_counted(bench: Any, asked: Asked) -> None:
    recorder = Recorder(bench.log, bench.metrics)
    recorder.decision(bench.request(), bench.decide(), 0.0)
    assert bench.metrics.exceptions == {ALLOW: 0, DENY: 0}
    asked.deny("192.0.2.1")
    recorder.decision(bench.request(), bench.decide(), 0.0)
    asked.allow("192.0.2.1")
    recorder.decision(bench.request(), bench.decide(), 0.0)
    assert bench.metrics.exceptions == {ALLOW: 1, DENY: 1}
