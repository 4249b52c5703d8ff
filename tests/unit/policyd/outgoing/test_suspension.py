"""What a suspension does to mail: its user's or system's and nobody else's, at RCPT and at DATA."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from policyd.evidence.facts import Effect, Named
from policyd.exceptions.rule import SUSPENDED_BY, rule_of
from policyd.journal.advice import advice
from policyd.journal.entry import decision_row, describe_decision
from policyd.journal.masks import Masks

FOREIGN = "x@elsewhere.example"
SYSTEM, WIDE = "198.51.100.7", "198.51.100.0/24"
ADA = {"sasl_username": "Ada", "recipient": FOREIGN}
TEXT = "your account is suspended, for it sent unusually much; ask your postmaster"


def suspend(bench: Any, what: str, named: Named) -> None:
    rule = rule_of(what, Effect.DENY, named, by=SUSPENDED_BY, why="messages: 60 in an hour")
    Deferred.fromCoroutine(bench.book.put(rule))


def test_a_suspended_user_is_told_so_and_his_mail_waits(bench: Any) -> None:
    suspend(bench, "ada", Named.USER)
    decision = bench.decide(**ADA)
    assert decision.reply.startswith(f"450 4.7.1 Not now: {TEXT} [")
    assert decision.reason == "exceptions-suspended-user"
    assert bench.action(sasl_username="bob", recipient=FOREIGN) != "450"
    row = describe_decision(decision_row((1.0, bench.request(**ADA), decision, 0.0), Masks()))
    (fact,) = row["facts"]
    assert (fact["what"], fact["suspended"]) == ("ada", "defer")
    assert list(advice(row)) == [("policyd outgoing lift ada", "end the suspension")]


def test_or_is_refused_if_the_operator_wants_it_so(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(
        "policyd: {outgoing: {suspend_reply: reject}, replies: {exceptions-suspended-user: 'Call 4711'}}"
    )
    suspend(bench, "ada", Named.USER)
    assert bench.reply(**ADA).startswith("554 5.7.1 Call 4711")


def test_at_data_too_since_it_may_come_between(bench: Any) -> None:
    assert bench.action(**ADA, instance="1") != "450"
    suspend(bench, "ada", Named.USER)
    assert bench.action(**{**ADA, "recipient": ""}, instance="1", protocol_state="DATA") == "450"
    assert bench.action(sasl_username="bob", recipient="", instance="2", protocol_state="DATA") == "PREPEND"


def test_a_denial_by_command_does_not_take_back_what_was_accepted(bench: Any) -> None:
    Deferred.fromCoroutine(bench.book.put(rule_of("ada", Effect.DENY, Named.USER, by="root")))
    assert bench.action(**ADA) == "554"
    assert bench.action(**{**ADA, "recipient": ""}, protocol_state="DATA") == "PREPEND"


@pytest.mark.parametrize(
    ("who", "suspended"),
    [
        ({"client_address": SYSTEM}, True),
        ({"client_address": "198.51.100.99"}, True),
        # A user behind that system, another system, a stranger's name.
        ({"client_address": SYSTEM, "sasl_username": "bob"}, False),
        ({"client_address": "203.0.113.77"}, False),
        ({"client_address": "2001:db8:1::7"}, False),
    ],
)
def test_a_suspended_system_and_nobody_else(bench: Any, who: dict[str, str], suspended: bool) -> None:
    suspend(bench, WIDE, Named.CLIENT)
    assert (bench.action(**who, recipient=FOREIGN) == "450") is suspended
    data = bench.action(**who, recipient="", protocol_state="DATA")
    assert (data == "450") is suspended


def test_a_system_within_a_suspended_one_is_its_own(make_bench: Callable[..., Any]) -> None:
    registry = (
        "servers: {mail.inst.example: {addresses: [192.0.2.25], systems: [198.51.100.0/24, 198.51.100.7]}}"
    )
    bench = make_bench(registry=registry)
    suspend(bench, WIDE, Named.CLIENT)
    assert bench.action(client_address="198.51.100.8", recipient=FOREIGN) == "450"
    assert bench.action(client_address=SYSTEM, recipient=FOREIGN) == "OK"


def test_a_system_by_its_name(bench: Any) -> None:
    suspend(bench, "printer.inst.example", Named.CLIENT)
    who = {"client_address": "192.0.2.99", "recipient": FOREIGN}
    assert bench.action(**who, client_name="printer.inst.example") == "450"
    assert bench.action(**who, client_name="x.printer.inst.example") == "554"


def test_a_suspended_system_may_ask_why(bench: Any) -> None:
    suspend(bench, WIDE, Named.CLIENT)
    to = {"client_address": SYSTEM, "recipient": "postmaster@inst.example"}
    assert bench.action(**to) == "OK"
    assert bench.action(**to, protocol_state="DATA") == "PREPEND"


def test_an_operators_word_for_one_address_outweighs_it(bench: Any) -> None:
    suspend(bench, WIDE, Named.CLIENT)
    Deferred.fromCoroutine(bench.book.put(rule_of(SYSTEM, Effect.ALLOW)))
    assert bench.action(client_address=SYSTEM, recipient=FOREIGN) == "OK"


def test_it_ends_by_itself(bench: Any) -> None:
    until = bench.clock.seconds() + 60
    rule = rule_of("ada", Effect.DENY, Named.USER, until=until, by=SUSPENDED_BY)
    Deferred.fromCoroutine(bench.book.put(rule))
    assert bench.action(**ADA) == "450"
    bench.clock.advance(61)
    assert bench.action(**ADA) == "OK"


@pytest.mark.parametrize(("what", "named"), [("198.51.0.0/16", None), ("sender.example", Named.CLIENT)])
def test_it_does_not_hide_what_else_is_said_of_its_address(
    bench: Any, what: str, named: Named | None
) -> None:
    suspend(bench, WIDE, Named.CLIENT)
    bob = {"client_address": SYSTEM, "sasl_username": "bob", "recipient": FOREIGN}
    assert bench.action(**bob) == "OK"
    Deferred.fromCoroutine(bench.book.put(rule_of(what, Effect.DENY, named, by="root")))
    assert bench.action(**bob) == "554"
    assert bench.action(client_address=SYSTEM, recipient=FOREIGN) == "450"
    Deferred.fromCoroutine(bench.book.put(rule_of(what, Effect.ALLOW, named, by="root")))
    decision = bench.decide(**bob)
    assert (decision.action, decision.facts[0].effect) == ("accept", Effect.ALLOW)
    assert bench.action(client_address=SYSTEM, recipient=FOREIGN) == "450"
