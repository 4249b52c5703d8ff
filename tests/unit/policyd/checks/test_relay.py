"""Who may mail whom: the table of the relay decision, through the engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from policyd.engine.texts import Texts

REGISTERED, REGISTERED6 = "198.51.100.7", "2001:db8:1::7"
UPSTREAM, UPSTREAM6 = "203.0.113.5", "2001:db8:aaaa::5"
STRANGER = "192.0.2.99"


def relay(bench: Any, **attributes: str) -> str:
    return bench.action(policy_context="relay", **attributes)


@pytest.mark.parametrize("address", [REGISTERED, REGISTERED6, "192.0.2.25", "::ffff:198.51.100.7"])
@pytest.mark.parametrize("recipient", ["a@elsewhere.example", "a@inst.example", "a%b@elsewhere.example", "a"])
def test_a_registered_system_may_mail_anybody(bench: Any, address: str, recipient: str) -> None:
    assert relay(bench, client_address=address, recipient=recipient) == "OK"


def test_a_system_registered_by_name_needs_the_verified_name(bench: Any) -> None:
    assert relay(bench, client_name="printer.inst.example", recipient="a@elsewhere.example") == "OK"
    assert relay(bench, client_name="Printer.Inst.Example", recipient="a@elsewhere.example") == "OK"
    assert (
        relay(
            bench,
            client_name="unknown",
            reverse_client_name="elsewhere.example",
            helo_name="printer.inst.example",
            recipient="a@elsewhere.example",
        )
        == "554"
    )


@pytest.mark.parametrize("name", ["printer.inst.example", "Printer.INST.example"])
def test_while_its_name_cannot_be_confirmed_its_mail_waits(bench: Any, name: str) -> None:
    unconfirmed = {"client_name": "unknown", "reverse_client_name": name}
    assert relay(bench, **unconfirmed, recipient="a@elsewhere.example") == "450"
    # It is nobody else for that: it may mail whom everybody may, and no way around.
    assert relay(bench, **unconfirmed, recipient="a@inst.example") == "DUNNO"
    assert relay(bench, **unconfirmed, recipient="a%b@elsewhere.example") == "554"
    # A name of its own that is confirmed is another one.
    other = {"client_name": "pc.example", "reverse_client_name": name}
    assert relay(bench, **other, recipient="a@elsewhere.example") == "554"


def test_an_authenticated_user_may_mail_anybody(bench: Any) -> None:
    assert relay(bench, sasl_username="user", recipient="a@elsewhere.example") == "OK"
    assert (
        relay(bench, sasl_username="user", client_address=UPSTREAM, recipient="a@elsewhere.example") == "OK"
    )


@pytest.mark.parametrize("address", [STRANGER, "2001:db8:9::1", UPSTREAM, UPSTREAM6, "unknown", ""])
def test_anybody_may_mail_a_registered_domain_or_host(bench: Any, address: str) -> None:
    for recipient in (
        "a@inst.example",
        "a@INST.example",
        "a@inst.example.",
        "a@printer.inst.example",
        "a@mail.inst.example",
        "postmaster@mx.gate.example",
        "postmaster",
    ):
        assert relay(bench, client_address=address, recipient=recipient) == "DUNNO"


@pytest.mark.parametrize("address", [STRANGER, "2001:db8:9::1", UPSTREAM, UPSTREAM6, "unknown", ""])
@pytest.mark.parametrize(
    "recipient",
    [
        "a@elsewhere.example",
        "a@sub.inst.example",
        "a@badinst.example",
        "a@inst.example.evil.example",
        "a%evil.example@inst.example",
        "a%evil.example",
        "evil.example!a@inst.example",
        "evil.example!a",
        "a@evil.example@inst.example",
        '"a@evil.example"@inst.example',
        '"a%evil.example"@inst.example',
        "@inst.example:a@evil.example",
        "@evil.example:a@inst.example",
        "a@[192.0.2.25]",
        "a@192.0.2.25",
        "a@",
        "@inst.example",
        "",
        "a@inst.example\r",
        "a\x01@inst.example",
        "a@inst.exam�ple",
        "a@inst.example,b@evil.example",
        "a@inst.example b",
    ],
)
def test_everything_else_is_refused_and_no_way_around_works(bench: Any, address: str, recipient: str) -> None:
    for context in ("relay", "recipient", ""):
        reply = bench.reply(client_address=address, recipient=recipient, policy_context=context)
        assert reply.startswith("554 5.7.1 Relay access denied [")


def test_a_client_that_is_upstream_and_registered_may_relay_and_is_upstream(bench: Any) -> None:
    decision = bench.decide(client_address="203.0.113.77", recipient="a@elsewhere.example")
    assert (decision.reply, decision.flow) == ("OK", "upstream")


@pytest.mark.parametrize(
    ("attributes", "flow"),
    [
        ({"sasl_username": "u", "client_address": UPSTREAM}, "submission"),
        ({"sasl_username": "u", "client_address": REGISTERED}, "submission"),
        ({"client_address": UPSTREAM}, "upstream"),
        ({"client_address": UPSTREAM6}, "upstream"),
        ({"client_address": REGISTERED}, "outbound"),
        ({"client_address": STRANGER}, "inbound"),
        ({"client_address": ""}, "inbound"),
    ],
)
def test_the_first_flow_that_fits(bench: Any, attributes: dict[str, str], flow: str) -> None:
    assert bench.decide(**attributes).flow == flow


@pytest.mark.parametrize(
    ("context", "authorised", "stranger", "foreign"),
    [
        ("relay", "OK", "DUNNO", "554"),
        ("recipient", "DUNNO", "DEFER_IF_PERMIT", "554"),
        ("", "OK", "DEFER_IF_PERMIT", "554"),
        ("port25-relay", "OK", "DUNNO", "554"),
        ("RECIPIENT 587", "DUNNO", "DEFER_IF_PERMIT", "554"),
        ("relay recipient", "OK", "DEFER_IF_PERMIT", "554"),
        ("relaying", "OK", "DEFER_IF_PERMIT", "554"),
    ],
)
def test_the_words_in_policy_context(
    bench: Any, context: str, authorised: str, stranger: str, foreign: str
) -> None:
    assert (
        bench.action(client_address=REGISTERED, recipient="a@x.example", policy_context=context) == authorised
    )
    assert bench.action(sasl_username="u", recipient="a@x.example", policy_context=context) == authorised
    assert bench.action(client_address=STRANGER, policy_context=context) == stranger
    assert bench.action(client_address=STRANGER, recipient="a@x.example", policy_context=context) == foreign


@pytest.mark.parametrize("context", ["relay", "recipient", ""])
def test_without_a_registry_relaying_is_left_to_postfix(make_bench: Any, context: str) -> None:
    bench = make_bench(registry=None)
    greylisted = "DUNNO" if context == "relay" else "DEFER_IF_PERMIT"
    assert bench.action(recipient="a@anywhere.example", policy_context=context) == greylisted
    assert bench.action(recipient="a%b@anywhere.example", policy_context=context) == greylisted
    assert bench.action(sasl_username="u", recipient="a@x.example", policy_context=context) == "DUNNO"


def test_an_empty_registry_serves_nobody(make_bench: Any) -> None:
    bench = make_bench(registry="{}")
    assert bench.action() == "554"
    assert bench.action(sasl_username="u") == "OK"


@pytest.mark.parametrize(
    "stage", ["CONNECT", "EHLO", "HELO", "MAIL", "END-OF-MESSAGE", "VRFY", "ETRN", "FUTURE", ""]
)
@pytest.mark.parametrize("context", ["relay", "recipient", ""])
def test_elsewhere_than_at_rcpt_and_data_there_is_no_opinion(bench: Any, stage: str, context: str) -> None:
    for address in (STRANGER, REGISTERED):
        for recipient in ("", "a@elsewhere.example"):
            reply = bench.reply(
                protocol_state=stage, client_address=address, recipient=recipient, policy_context=context
            )
            assert reply == "DUNNO"


def test_a_refusal_names_whom_to_turn_to(make_bench: Any) -> None:
    bench = make_bench()
    bench.engine.policy = replace(bench.engine.policy, texts=Texts("see https://gate.example/mail"))
    decision = bench.decide(recipient="a@elsewhere.example")
    assert decision.reply == f"554 5.7.1 Relay access denied [{decision.id}] see https://gate.example/mail"
