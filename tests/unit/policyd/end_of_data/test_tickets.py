"""Tickets: what stands in one, who gets it, and how long it is kept."""

from __future__ import annotations

from typing import Any

import pytest

from mailbase.ticket import HEADER, LIFETIME, Ticket
from mailbase.vocabulary import Flow


def ticket_id(bench: Any, **attributes: str) -> str:
    word, _, rest = bench.reply(protocol_state="DATA", **attributes).partition(" ")
    assert word == "PREPEND"
    name, _, value = rest.partition(": ")
    assert name == HEADER
    return str(value)


def find(bench: Any, found: str, client: str = "192.0.2.1", sender: str = "someone@sender.example") -> Any:
    return bench.tickets.find(found, client, sender, bench.clock.seconds())


def test_data_gives_one_line_that_names_a_ticket(bench: Any) -> None:
    for recipient in ("a@quiet.example", "b@quiet.example"):
        bench.decide(instance="i", recipient=recipient)
    found = ticket_id(bench, instance="i", recipient="", sender="Someone@Sender.example")
    assert find(bench, found) == Ticket(
        found, Flow.INBOUND, "192.0.2.1", "someone@sender.example", "", ("a@quiet.example", "b@quiet.example")
    )


def test_the_line_is_prepended_once_and_a_resend_gets_the_same(bench: Any) -> None:
    first = ticket_id(bench, instance="i")
    assert ticket_id(bench, instance="i") == first
    assert bench.reply(protocol_state="DATA", instance="i", policy_context="other") == "DUNNO"
    assert ticket_id(bench, instance="j") != first


def test_without_instance_every_question_gets_a_line(bench: Any) -> None:
    assert ticket_id(bench, instance="") != ticket_id(bench, instance="")


def test_recipients_that_were_kept_out_are_not_in_it(bench: Any) -> None:
    bench.decide(instance="i", recipient="a@quiet.example")
    bench.decide(instance="i", recipient="greylisted@inst.example")
    bench.decide(instance="i", recipient="a@elsewhere.example")
    found = find(bench, ticket_id(bench, instance="i", recipient=""))
    assert found.recipients == ("a@quiet.example",)


def test_a_recipient_is_in_it_only_if_both_questions_let_it_pass(bench: Any) -> None:
    for context in ("relay", "recipient"):
        for recipient in ("greylisted@inst.example", "a@quiet.example"):
            bench.decide(instance="i", recipient=recipient, policy_context=context)
    found = find(bench, ticket_id(bench, instance="i", recipient=""))
    assert found.recipients == ("a@quiet.example",)


def test_the_recipient_at_data_serves_where_rcpt_was_not_seen(bench: Any) -> None:
    assert find(bench, ticket_id(bench, recipient="only@inst.example")).recipients == ("only@inst.example",)
    assert find(bench, ticket_id(bench, recipient="")).recipients == ()


@pytest.mark.parametrize(
    ("client", "name", "user", "system"),
    [
        ("198.51.100.9", "unknown", "", "198.51.100.0/24"),
        ("192.0.2.99", "printer.inst.example", "", "printer.inst.example"),
        ("198.51.100.9", "unknown", "anna", "198.51.100.0/24"),
        ("192.0.2.1", "unknown", "anna", ""),
    ],
)
def test_the_registered_system_is_in_it(bench: Any, client: str, name: str, user: str, system: str) -> None:
    who = {"client_address": client, "client_name": name, "sasl_username": user}
    assert find(bench, ticket_id(bench, **who), client).system == system


def test_flow_and_user_are_in_it(bench: Any) -> None:
    found = find(
        bench, ticket_id(bench, sasl_username="user7", client_address="2001:db8:9::1"), "2001:db8:9:0::1"
    )
    assert (found.flow, found.user) == (Flow.SUBMISSION, "user7")


@pytest.mark.parametrize(
    ("client", "sender", "given"),
    [
        ("192.0.2.1", "someone@sender.example", True),
        ("::ffff:192.0.2.1", "<Someone@SENDER.example>", True),
        ("192.0.2.1", '"someone"@sender.example', True),
        ("192.0.2.2", "someone@sender.example", False),
        ("192.0.2.1", "other@sender.example", False),
        ("192.0.2.1", "", False),
        ("", "someone@sender.example", False),
        ("unknown", "someone@sender.example", False),
    ],
)
def test_only_the_right_client_and_sender_get_it(bench: Any, client: str, sender: str, given: bool) -> None:
    assert (find(bench, ticket_id(bench), client, sender) is not None) is given


@pytest.mark.parametrize("forged", ["", "x", "0" * 13, "0" * 12 + "é", "0" * 14, "\ud800" * 13])
def test_a_forged_id_resolves_to_nothing(bench: Any, forged: str) -> None:
    ticket_id(bench)
    assert find(bench, forged) is None


def test_a_ticket_survives_a_restart_and_ends_with_the_queue(bench: Any) -> None:
    found = ticket_id(bench)
    bench.restart()
    assert find(bench, found) is not None
    bench.clock.advance(LIFETIME - 1)
    assert find(bench, found) is not None
    bench.clock.advance(2)
    assert find(bench, found) is None


def test_a_thousand_recipients_fit(bench: Any) -> None:
    for number in range(1000):
        bench.decide(instance="i", recipient=f"{number:0200}@quiet.example", policy_context="relay")
    found = find(bench, ticket_id(bench, instance="i", recipient=""))
    assert len(found.recipients) == 1000


def test_more_than_fits_is_kept_without_the_recipients(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policyd.end_of_data.tickets.MAX_CONTENT", 200)
    bench.decide(instance="i", recipient="x" * 300 + "@quiet.example", policy_context="relay")
    assert find(bench, ticket_id(bench, instance="i", recipient="x" * 300)).recipients == ()


def test_a_store_that_takes_none_loses_the_ticket_not_the_mail(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailbase.store.table.MAX_PENDING", 0)
    found = ticket_id(bench)
    assert bench.tickets.lost == 1
    assert find(bench, found) is None
