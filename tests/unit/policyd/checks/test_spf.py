"""SPF in the engine: points, Received-SPF in the ticket's place, and greylisting."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mailbase.config import ConfigError, loads
from mailbase.dns import TableResolver
from policyd.evidence.facts import Evidence
from policyd.spf.received import MAX_SENDER, received_spf

RECORD = "v=spf1 ip4:198.18.0.0/16 ip6:2001:db8:18::/48 ip4:203.0.113.99 -all"
TABLE = {
    ("s.example", "TXT"): RECORD,
    ("soft.example", "TXT"): "v=spf1 ~all",
    ("open.example", "TXT"): "v=spf1 +all",
    ("mail.h.example", "TXT"): "v=spf1 ip4:198.18.0.0/16 -all",
}
UNNAMED = {"client_name": "unknown", "reverse_client_name": "unknown"}
GOOD = {**UNNAMED, "client_address": "198.18.1.1", "sender": "a@s.example", "helo_name": "friend"}
BAD = {**GOOD, "client_address": "192.0.2.9"}
FREE = "person@quiet.example"
QUOTED = r'"(?:[ !#-\[\]-~]|\\["\\])*"|[!-~]+'
LINE = re.compile(
    r"PREPEND Received-SPF: (?P<result>[a-z]+) \([ -'*-~]*\) receiver=mx\.gate\.example; "
    rf"client-ip=[0-9a-f.:]+; envelope-from=(?P<sender>{QUOTED}); helo=({QUOTED}); "
    r"identity=(?P<identity>mailfrom|helo)"
)


def make(make_bench: Any, flow: str = "checks: {spf: true}", policyd: str = "", **kind: Any) -> Any:
    bench = make_bench(f"flows: {{inbound: {{{flow}}}}}\npolicyd: {{{policyd}}}")
    bench.resolver = TableResolver(TABLE, clock=bench.clock)
    bench.restart()
    return bench


@pytest.mark.parametrize(
    ("who", "thresholds", "code"),
    [
        (GOOD, "reject_at: 1", "DUNNO"),
        (BAD, "reject_at: 2.5", "554"),
        (BAD, "defer_at: 2.5", "450"),
        (BAD, "reject_at: 2.6", "DUNNO"),
        ({**BAD, "sender": "a@soft.example"}, "defer_at: 1, reject_at: 2", "450"),
        ({**BAD, "sender": "a@open.example"}, "reject_at: 2", "554"),
        ({**BAD, "sender": "a@none.example"}, "reject_at: 0.1", "DUNNO"),
        ({**BAD, "sender": "a@none.example", "helo_name": "mail.h.example"}, "reject_at: 2.5", "554"),
        ({**BAD, "sender": "", "helo_name": "mail.h.example"}, "reject_at: 2.5", "554"),
    ],
)
def test_points_decide(make_bench: Any, who: dict[str, str], thresholds: str, code: str) -> None:
    bench = make(make_bench, f"checks: {{spf: true}}, {thresholds}")
    assert bench.action(**who, recipient=FREE) == code


def test_facts_and_times_are_counted(make_bench: Any) -> None:
    bench = make(make_bench)
    for who in (GOOD, BAD, {**BAD, "helo_name": "mail.h.example"}, {**BAD, "sender": "a@open.example"}):
        bench.decide(**who, recipient=FREE)
    facts = {fact: count for (check, fact), count in bench.metrics.facts.items() if check == "spf" and count}
    assert facts == {"pass": 2, "fail": 2, "helo-fail": 1, "plus-all": 1}
    assert bench.metrics.facts["spf", "temporary"] == 0
    assert sum(bench.metrics.check_times["spf"].buckets) == 4


def test_a_fail_can_be_made_a_verdict(make_bench: Any) -> None:
    bench = make(make_bench, "checks: {spf: {actions: {fail: reject}}}")
    assert bench.reply(**BAD, recipient=FREE).startswith(
        "554 5.7.1 Refused: the sender's domain does not let you send for it (SPF) ["
    )


def test_a_shadow_refuses_nothing_and_makes_nobody_the_same(make_bench: Any) -> None:
    bench = make(make_bench, "checks: {spf: {shadow: true}}, reject_at: 1")
    assert bench.action(**BAD, recipient=FREE) == "DUNNO"
    assert bench.action(**GOOD) == "DEFER_IF_PERMIT"
    bench.clock.advance(300)
    assert bench.decide(**{**GOOD, "client_address": "198.18.2.2"}).reason == "greylist-new"


# Received-SPF


HEADER = "spf: {received_header: true}"


def data(bench: Any, instance: str, **who: str) -> str:
    return bench.reply(**who, instance=instance, protocol_state="DATA", recipient="")


@pytest.mark.parametrize(
    ("who", "result", "identity"),
    [
        (GOOD, "pass", "mailfrom"),
        (BAD, "fail", "mailfrom"),
        ({**GOOD, "client_address": "2001:db8:18::5"}, "pass", "mailfrom"),
        ({**BAD, "sender": "a@soft.example"}, "softfail", "mailfrom"),
        ({**BAD, "sender": "a@none.example"}, "none", "mailfrom"),
        ({**GOOD, "sender": "", "helo_name": "mail.h.example"}, "pass", "helo"),
        ({**GOOD, "sender": "", "helo_name": "friend"}, "none", "helo"),
        ({**GOOD, "helo_name": "mail.h.example"}, "pass", "mailfrom"),
    ],
)
def test_received_spf_stands_in_the_tickets_place(
    make_bench: Any, who: dict[str, str], result: str, identity: str
) -> None:
    bench = make(make_bench, policyd=HEADER)
    for recipient in (FREE, "other@quiet.example"):
        assert bench.action(**who, instance="i", recipient=recipient) == "DUNNO"
    line = data(bench, "i", **who)
    found = LINE.fullmatch(line)
    assert found is not None, line
    assert (found["result"], found["identity"]) == (result, identity)
    assert found["sender"] == (who["sender"] if who["sender"].isalnum() else f'"{who["sender"]}"')
    # Once in a mail, wherever Postfix asks; a repetition gets what it got.
    assert data(bench, "i", **who) == line
    assert data(bench, "i", **who, policy_context="recipient") == "DUNNO"


def test_no_line_where_spf_was_not_looked_at(make_bench: Any) -> None:
    bench = make(make_bench, policyd=HEADER)
    for who in ({**GOOD, "sasl_username": "ada"}, {**GOOD, "client_address": "203.0.113.1"}):
        bench.decide(**who, instance=str(who), recipient=FREE)
        assert data(bench, str(who), **who) in ("DUNNO", "OK")
    skipping = make(make_bench, policyd="spf: {received_header: true, skip: [198.18.0.0/16]}")
    skipping.decide(**GOOD, instance="i", recipient=FREE)
    assert data(skipping, "i", **GOOD) == "DUNNO"


def test_without_the_setting_the_ticket_stands_and_knows_the_results(make_bench: Any) -> None:
    bench = make(make_bench)
    bench.decide(**GOOD, instance="i", recipient=FREE)
    reply = data(bench, "i", **GOOD)
    ticket = bench.tickets.find(reply.rpartition(" ")[2], "198.18.1.1", "a@s.example", bench.clock.seconds())
    assert [(one.name, one.detail) for one in ticket.findings] == [("spf.pass", "s.example")]


@pytest.mark.parametrize(
    ("sender", "helo"),
    [
        ('a"b\\c@s.example', "x"),
        ("a\r\0X-Forged: 1@s.example", "y\r\raction=OK\x85\u2028"),
        ("é@s.example", "ü"),
        ("a;b=c@s.example", "(x)"),
        ("a" * 400 + "@s.example", "h" * 400),
        ('"' * 150 + "@s.example", "\\" * 300),
    ],
)
def test_foreign_text_cannot_break_the_line(make_bench: Any, sender: str, helo: str) -> None:
    request = make(make_bench).request(**{**GOOD, "sender": sender, "helo_name": helo})
    facts = (Evidence("spf", "fail", 's.example: "\r\n) come in; x=y'),)
    line = received_spf(request, facts, "mx.gate.example")
    assert line is not None
    assert len(line) <= 500
    assert LINE.fullmatch(f"PREPEND {line}"), line
    assert len(sender) <= MAX_SENDER or "..." in line


def test_the_setting_has_to_be_yes_or_no() -> None:
    with pytest.raises(ConfigError, match=r"policyd\.spf\.received_header"):
        loads("policyd: {spf: {received_header: pass}}")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("policyd: {spf: {received_header: true}}", "policyd.spf.received_header"),
        ("policyd: {greylist: {sender_domains: [s.example]}}", "policyd.greylist.sender_domains"),
        (
            "{policyd: {greylist: {sender_domains: [s.example]}}, "
            "flows: {inbound: {checks: {spf: {shadow: true}}}}}",
            "policyd.greylist.sender_domains",
        ),
    ],
)
def test_settings_that_need_spf_say_so(text: str, key: str) -> None:
    with pytest.raises(ConfigError, match=f"{re.escape(key)}: expected (flows.inbound.checks.)?spf to be on"):
        loads(text)


# Greylisting


def test_clients_that_pass_for_one_domain_are_one_caller(make_bench: Any) -> None:
    bench = make(make_bench)
    assert bench.decide(**GOOD).reason == "greylist-new"
    bench.clock.advance(300)
    elsewhere = {**GOOD, "client_address": "2001:db8:18:9::1"}
    assert bench.decide(**{**elsewhere, "client_address": "192.0.2.9"}).reason == "greylist-new"
    assert bench.decide(**elsewhere).reason == "greylist-passed"
    assert bench.decide(**{**GOOD, "client_address": "203.0.113.99"}).flow == "upstream"
    assert bench.decide(**{**GOOD, "client_address": "198.18.77.1"}).reason == "greylist-known"


def test_bounces_are_one_callers_by_their_helo_name(make_bench: Any) -> None:
    bench = make(make_bench)
    bounce = {**GOOD, "sender": "", "helo_name": "mail.h.example"}
    assert bench.decide(**bounce).reason == "greylist-new"
    bench.clock.advance(300)
    assert bench.decide(**{**bounce, "client_address": "192.0.2.9"}).reason == "greylist-new"
    assert bench.decide(**{**bounce, "client_address": "198.18.2.2"}).reason == "greylist-passed"


def test_a_helo_names_pass_is_nothing_to_another_sender(make_bench: Any) -> None:
    bench = make(make_bench)
    forged = {**GOOD, "sender": "a@none.example", "helo_name": "mail.h.example"}
    assert bench.decide(**forged).reason == "greylist-new"
    bench.clock.advance(300)
    assert bench.decide(**{**forged, "client_address": "198.18.2.2"}).reason == "greylist-new"


def test_everybodys_pass_makes_nobody_the_same(make_bench: Any) -> None:
    bench = make(make_bench)
    loose = {**GOOD, "sender": "a@open.example"}
    assert bench.decide(**loose).reason == "greylist-new"
    bench.clock.advance(300)
    assert bench.decide(**{**loose, "client_address": "192.0.2.9"}).reason == "greylist-new"


def test_domains_on_the_list_do_not_wait_if_they_pass(make_bench: Any) -> None:
    bench = make(make_bench, policyd="greylist: {sender_domains: [s.example, open.example]}")
    decision = bench.decide(**GOOD)
    assert (decision.reply, decision.reason) == ("DUNNO", "greylist-sender-allowed")
    assert bench.decide(**BAD).reason == "greylist-new"
    assert bench.decide(**{**GOOD, "sender": "a@open.example"}).reason == "greylist-new"


def test_a_domain_earns_being_spared_wherever_it_sends_from(make_bench: Any) -> None:
    bench = make(make_bench)
    for number, letter in enumerate("abcde"):
        who = {**GOOD, "client_address": f"198.18.{number}.1", "sender": f"{letter}@s.example"}
        bench.decide(**who)
        bench.clock.advance(300)
        assert bench.decide(**who).reason == "greylist-passed"
    stranger = {**GOOD, "client_address": "2001:db8:18:7::1", "sender": "z@s.example"}
    assert bench.decide(**stranger).reason == "greylist-client-earned"
    assert bench.decide(**{**stranger, "client_address": "192.0.2.9"}).reason == "greylist-new"
