"""Limits, asked as Postfix asks: whose use is counted, where, and how much of it."""

from __future__ import annotations

from typing import Any

import pytest

from .limited import FREE, USER, limits


def test_messages_of_a_user(postfix: Any) -> None:
    world = postfix(limits(few="per: user, of: messages, limit: 2, within: 1h"))
    world.pass_(2)
    reply = world.mail()
    assert reply.startswith(
        "450 4.7.1 Not now: too many messages from your account (limit few); free again in 30 min ["
    )
    world.pass_(1, sasl_username="bert")
    world.bench.clock.advance(1800)
    world.pass_(1)
    assert world.mail() != ""
    assert world.counted("few") == {"passed": 4, "warned": 2, "refused": 2}


def test_a_user_is_one_however_the_name_is_written(postfix: Any) -> None:
    world = postfix(limits(few="per: user, of: messages, limit: 2, within: 1h"))
    world.pass_(1)
    world.pass_(1, sasl_username="ANNA")
    assert world.mail(sasl_username="Anna")


def test_recipients_beyond_the_limit_are_deferred_and_the_others_get_their_mail(postfix: Any) -> None:
    world = postfix(limits(few="per: user, of: recipients, limit: 3, within: 1h"))
    replies = [
        world.bench.reply(**{**USER, "recipient": f"{name}@elsewhere.example"}, instance="m")
        for name in "abcde"
    ]
    assert [reply[:3] for reply in replies] == ["OK", "OK", "OK", "450", "450"]
    assert "free again in 20 min [" in replies[3]
    data = {**USER, "recipient": "", "recipient_count": "3", "protocol_state": "DATA"}
    assert world.bench.action(**data, instance="m") == "PREPEND"
    assert world.used() == {"submission.few anna": 3}
    assert world.counted("few")["refused"] == 2


@pytest.mark.parametrize("per", ["user", "recipient_domain"])
def test_a_recipient_counts_once_where_postfix_asks_at_two_places(postfix: Any, per: str) -> None:
    world = postfix(limits(few=f"per: {per}, of: recipients, limit: 3, within: 1h"))

    def ask(name: str, place: str) -> str:
        recipient = f"{name}@elsewhere.example"
        return str(world.bench.reply(**{**USER, "recipient": recipient}, instance="m", policy_context=place))

    replies = [(ask(name, "relay"), ask(name, "recipient")) for name in "abcd"]
    assert [(first[:5], second[:5]) for first, second in replies] == [("OK", "DUNNO")] * 3 + [("OK", "450 4")]


def test_recipients_are_counted_at_data_even_if_rcpt_was_not_seen(postfix: Any) -> None:
    world = postfix(limits(few="per: user, of: recipients, limit: 3, within: 1h"))
    data = {**USER, "recipient": "", "protocol_state": "DATA"}
    assert world.bench.action(**data, recipient_count="3") == "PREPEND"
    assert world.bench.action(**data, recipient_count="1") == "450"


def test_what_can_never_pass_is_refused_for_good(postfix: Any) -> None:
    world = postfix(limits(big="per: user, of: bytes, limit: 1KiB, within: 1h"))
    reply = world.mail(size=2000)
    assert reply.startswith("554 5.7.1 Refused: too much mail from your account (limit big), with this one")
    assert world.used() == {}


def test_bytes_are_counted_at_their_real_size(postfix: Any) -> None:
    world = postfix(limits(big="per: user, of: bytes, limit: 10000, within: 1h"))
    world.pass_(1, size=9000)
    assert world.used() == {"submission.big anna": 9000}
    reply = world.mail(size=2000)
    assert reply.startswith(
        "450 4.7.1 Not now: too much mail from your account (limit big); free again in 6 min"
    )
    world.pass_(1, size=1000)
    # Nothing is left, so nothing gets as far as DATA.
    world.bench.decide(**USER, instance="x")
    assert world.bench.action(**USER, instance="y") == "450"


def test_a_size_that_the_client_announces_is_refused_early(postfix: Any) -> None:
    world = postfix(limits(big="per: user, of: bytes, limit: 10000, within: 1h"))
    assert world.bench.action(**USER, size="10001") == "554"
    assert world.bench.action(**USER, size="10000") == "OK"
    assert world.used() == {}


def test_a_mail_that_ends_at_its_size_gets_back_what_it_took_before(postfix: Any) -> None:
    world = postfix(
        limits(
            big="per: user, of: bytes, limit: 10000, within: 1h",
            few="per: user, of: messages, limit: 5, within: 1h",
        )
    )
    assert world.mail(size=20000).startswith("554 ")
    assert world.used() == {}
    assert world.counted("few") == {"passed": 1, "refunded": 1}


def test_connections_are_counted_by_address_and_port(postfix: Any) -> None:
    world = postfix(limits("inbound", conn="per: client, of: connections, limit: 2, within: 1h"))
    who = {"recipient": FREE, "client_address": "192.0.2.1"}
    for port in ("1001", "1001", "1002", "1001"):
        assert world.bench.reply(**who, client_port=port) == "DUNNO"
    reply = world.bench.reply(**who, client_port="1003")
    assert reply.startswith("421 4.7.0 Not now: too many connections from your address (limit conn)")
    assert world.bench.reply(**who, client_port="1002") == "DUNNO"
    assert world.bench.reply(**{**who, "client_address": "192.0.2.2"}, client_port="1003") == "DUNNO"
    assert world.counted("conn", "inbound") == {"passed": 3, "warned": 1, "refused": 1}


def test_a_connection_counts_at_whatever_it_asks_first(postfix: Any) -> None:
    world = postfix(limits("inbound", conn="per: client, of: connections, limit: 1, within: 1h"))
    assert world.bench.reply(protocol_state="CONNECT", client_port="1", recipient="", instance="") == "DUNNO"
    assert world.bench.reply(client_port="1", recipient=FREE) == "DUNNO"
    refused = world.bench.reply(protocol_state="CONNECT", client_port="2", recipient="", instance="")
    assert refused.startswith("421 ")
    # Postfix before 3.0 does not tell the port.
    assert world.bench.reply(recipient=FREE) == "DUNNO"


def test_a_port_that_a_client_uses_again_is_another_connection(postfix: Any) -> None:
    world = postfix(limits("inbound", conn="per: client, of: connections, limit: 5, within: 1h"))
    who = {"recipient": FREE, "client_port": "1001"}
    count = 0
    for instance, new in (
        ("", True),
        ("5a.65f.1.0", False),
        ("5a.65f.1.0", False),
        ("5a.660.1.9", False),
        ("", False),
        ("5a.661.1.a", False),
        # The same smtpd with its next connection, in which the client began other mails before, or none.
        ("5a.662.1.3", True),
        ("5a.663.1.3", True),
        ("5b.664.1.4", True),
        ("not Postfix's", False),
        ("5a.665.1.0", False),
    ):
        world.bench.engine.query(world.bench.request(**who, instance="5f.1.1.0"))
        assert world.bench.reply(**who, instance=instance) == "DUNNO"
        count += new
        assert world.counted("conn", "inbound")["passed"] == count
    assert world.bench.action(**who, instance="5a.665.1.0") == "DUNNO"


@pytest.mark.parametrize(
    ("flow", "per", "mails", "subjects"),
    [
        (
            "inbound",
            "client",
            [{"client_address": "192.0.2.1"}, {"client_address": "2001:db8:9::1"}],
            ["192.0.2.1", "2001:db8:9::1"],
        ),
        (
            "inbound",
            "network",
            [{"client_address": "192.0.2.1"}, {"client_address": "2001:db8:9::1"}],
            ["192.0.2.0/24", "2001:db8:9::/64"],
        ),
        (
            "inbound",
            "sender_domain",
            [{"sender": "x@A.example"}, {"sender": ""}, {"sender": "nobody"}],
            ["a.example", "(no domain)"],
        ),
        (
            "outbound",
            "system",
            [{"client_address": "198.51.100.7"}, {"client_address": "203.0.114.9", "client_name": "x"}],
            ["198.51.100.0/24"],
        ),
        ("submission", "user", [{}], ["anna"]),
        ("submission", "recipient_domain", [{}], ["elsewhere.example"]),
    ],
)
def test_whose_use_is_counted(
    postfix: Any, flow: str, per: str, mails: list[dict[str, str]], subjects: list[str]
) -> None:
    world = postfix(limits(flow, few=f"per: {per}, of: messages, limit: 9, within: 1h"))
    who = {} if flow == "submission" else {"sasl_username": ""}
    for mail in mails:
        world.mail([FREE] if flow != "submission" else [USER["recipient"]], **who, **mail)
    assert world.used() == {f"{flow}.few {subject}": 1 for subject in subjects}


@pytest.mark.parametrize(
    ("of", "used"),
    [
        ("messages", {"a.example": 1, "b.example": 1}),
        ("recipients", {"a.example": 2, "b.example": 1}),
        ("bytes", {"a.example": 700, "b.example": 700}),
    ],
)
def test_recipient_domains_of_a_mail_to_several(postfix: Any, of: str, used: dict[str, int]) -> None:
    world = postfix(limits(few=f"per: recipient_domain, of: {of}, limit: 1000, within: 1h"))
    assert world.mail(["1@a.example", "2@A.example", "1@b.example"], size=700) == ""
    assert world.used() == {f"submission.few {domain}": units for domain, units in used.items()}


def test_a_full_domain_does_not_keep_the_other_from_its_mail(postfix: Any) -> None:
    world = postfix(limits(few="per: recipient_domain, of: recipients, limit: 1, within: 1h"))
    assert world.mail(["1@a.example", "2@a.example", "1@b.example"]) == ""
    assert world.used() == {"submission.few a.example": 1, "submission.few b.example": 1}


def test_all_limits_of_a_mail_are_taken_from_or_none(postfix: Any) -> None:
    world = postfix(
        limits(
            many="per: user, of: recipients, limit: 100, within: 1h",
            few="per: user, of: messages, limit: 1, within: 1h",
        )
    )
    data = {**USER, "protocol_state": "DATA", "recipient_count": "10"}
    assert world.bench.action(**data) == "PREPEND"
    assert world.bench.action(**data) == "450"
    assert world.used() == {"submission.many anna": 10, "submission.few anna": 1}
