"""From evidence to the answer: thresholds, shadows, flows, and what is asked only once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mailbase.config import loads
from mailbase.vocabulary import Action
from policyd.engine.texts import Texts
from policyd.evidence.facts import Evidence
from policyd.evidence.weights import Thresholds, Weights

from ..scored import BAD, CLIENT, FREE, GOOD, line, make, settings


def test_by_default_nothing_is_refused_for_points(make_bench: Any) -> None:
    bench = make(make_bench, settings())
    decision = bench.decide(**BAD, recipient=FREE)
    assert decision.reply == "DUNNO"
    assert decision.weighed is not None
    assert decision.weighed.total == 7.5
    assert (
        decision.weighed.text() == "fcrdns.no-ptr:2,helo.not-fqdn:1.5,sender_domain.no-mail-host:4,spf.none:0"
    )


def test_points_and_facts_stand_in_the_log(make_bench: Any) -> None:
    bench = make(make_bench, settings())
    text = line(bench, bench.decide(**BAD, recipient=FREE), **BAD, recipient=FREE)
    assert (
        " points=7.5 facts=fcrdns.no-ptr:2,helo.not-fqdn:1.5,sender_domain.no-mail-host:4,spf.none:0 " in text
    )
    assert " helo=friend " in text


@pytest.mark.parametrize(
    ("thresholds", "code"),
    [
        ({"reject_at": 7.5}, "554"),
        ({"reject_at": 7.6}, "DUNNO"),
        ({"defer_at": 7.5}, "450"),
        ({"defer_at": 7.6}, "DUNNO"),
        ({"defer_at": 3, "reject_at": 7}, "554"),
        ({"defer_at": 3, "reject_at": 8}, "450"),
    ],
)
def test_thresholds(make_bench: Any, thresholds: dict[str, float], code: str) -> None:
    bench = make(make_bench, settings(**thresholds))
    assert bench.action(**BAD, recipient=FREE) == code
    assert bench.action(**GOOD, recipient=FREE) == "DUNNO"


def test_a_refusal_names_the_strongest_reason_the_id_and_the_contact(make_bench: Any) -> None:
    bench = make(make_bench, settings(reject_at=5))
    bench.engine.policy = replace(bench.engine.policy, texts=Texts("https://x.example/mail"))
    decision = bench.decide(**BAD)
    assert decision.reply == (
        f"554 5.7.1 Refused: the sender's domain cannot receive mail [{decision.id}] https://x.example/mail"
    )
    assert decision.reason == "sender_domain-no-mail-host"


def test_what_is_refused_is_not_greylisted_and_what_is_deferred_is(make_bench: Any) -> None:
    bench = make(make_bench, settings(reject_at=5))
    bench.decide(**BAD)
    assert bench.store.pending == 0
    bench = make(make_bench, settings(defer_at=5))
    decision = bench.decide(**BAD)
    assert decision.reply.startswith("450 4.7.1 Not now: the sender's domain cannot receive mail; try again")
    assert bench.store.pending == 1


def test_a_settled_outcome_asks_nobody(make_bench: Any) -> None:
    bench = make(make_bench, settings(reject_at=5))
    assert bench.action(**BAD, recipient="a@elsewhere.example") == "554"
    assert bench.resolver.asked == []


@pytest.mark.parametrize(
    "recipient", ["abuse@inst.example", "Postmaster@quiet.example", "abuse+x@inst.example"]
)
def test_exempt_recipients_get_no_points(make_bench: Any, recipient: str) -> None:
    bench = make(make_bench, settings(reject_at=1))
    decision = bench.decide(**BAD, recipient=recipient)
    assert (decision.reply, decision.weighed) == ("DUNNO", None)
    assert bench.resolver.asked == []


def test_an_exempt_recipient_does_not_lose_the_others_evidence(make_bench: Any) -> None:
    bench = make(make_bench, settings())
    for recipient in (FREE, "abuse@quiet.example"):
        bench.decide(**BAD, instance="i", recipient=recipient)
    decision = bench.decide(**BAD, instance="i", protocol_state="DATA", recipient="")
    ticket = bench.tickets.find(decision.id, CLIENT, "a@gone.example", bench.clock.seconds())
    assert ticket.points == 7.5
    assert [finding.name for finding in ticket.findings] == [
        "fcrdns.no-ptr",
        "helo.not-fqdn",
        "sender_domain.no-mail-host",
        "spf.none",
    ]


@pytest.mark.parametrize(
    "who",
    [
        {"client_address": "203.0.113.5"},
        {"client_address": "198.51.100.7"},
        {"sasl_username": "ada"},
    ],
)
def test_other_flows_are_not_looked_at(make_bench: Any, who: dict[str, str]) -> None:
    bench = make(make_bench, settings(reject_at=1))
    assert bench.decide(**{**BAD, **who}).weighed is None
    assert bench.resolver.asked == []


def test_another_flow_can_be_looked_at(make_bench: Any) -> None:
    bench = make(make_bench, "flows: {outbound: {reject_at: 1.5, checks: {helo: {enabled: true}}}}")
    assert bench.action(**{**BAD, "client_address": "198.51.100.7"}) == "554"


def test_nothing_is_looked_up_where_no_check_is_on(make_bench: Any) -> None:
    bench = make(make_bench, settings("checks: false"))
    bench.decide(**BAD)
    assert bench.resolver.asked == []
    assert all(
        check.name != "points" for course in bench.engine.policy.plan.values() for check in course.checks
    )


def test_a_shadow_is_counted_and_not_acted_on(make_bench: Any) -> None:
    bench = make(
        make_bench, settings("checks: {fcrdns: true, helo: true, sender_domain: {shadow: true}}", reject_at=5)
    )
    decision = bench.decide(**BAD, recipient=FREE)
    assert decision.reply == "DUNNO"
    assert decision.weighed is not None
    assert (decision.weighed.total, decision.weighed.shadow_total) == (3.5, 7.5)
    text = line(bench, decision, **BAD, recipient=FREE)
    assert (
        " points=3.5 facts=fcrdns.no-ptr:2,helo.not-fqdn:1.5,(sender_domain.no-mail-host:4) shadow=reject "
        in text
    )
    assert bench.metrics.shadows["inbound", Action.REJECT] == 1


def test_further_recipients_cost_nothing(make_bench: Any) -> None:
    bench = make(make_bench, settings())
    bench.decide(**BAD, instance="i", recipient="a@quiet.example")
    asked = len(bench.resolver.asked)
    decision = bench.decide(**BAD, instance="i", recipient="b@quiet.example")
    assert decision.weighed is not None
    assert len(bench.resolver.asked) == asked > 0
    assert bench.metrics.facts["fcrdns", "no-ptr"] == 1
    bench.decide(**BAD, instance="j", recipient="b@quiet.example")
    assert bench.metrics.facts["fcrdns", "no-ptr"] == 2


def test_a_repeated_request_counts_once(make_bench: Any) -> None:
    bench = make(make_bench, settings(reject_at=5))
    first = bench.decide(**BAD, instance="i")
    again = bench.decide(**BAD, instance="i")
    assert (again.reply, again.repeated) == (first.reply, True)
    assert bench.metrics.facts["fcrdns", "no-ptr"] == 1


def test_a_query_counts_nothing_and_keeps_nothing(make_bench: Any) -> None:
    bench = make(make_bench, settings(reject_at=5))
    decision = bench.engine.query(bench.request(**BAD, instance="i"))
    assert decision.reply.startswith("554 5.7.1 ")
    assert set(bench.metrics.facts.values()) == {0}
    assert not bench.decide(**BAD, instance="i").repeated


def test_points_add_up_without_rounding_errors_and_facts_without_points_are_no_reason() -> None:
    weights, thresholds = Weights({"a": {"x": 0.1, "y": 0.2, "z": -1}}), Thresholds(defer_at=0.3)
    weighed = weights.weigh((Evidence("a", "x"), Evidence("a", "y"), Evidence("a", "new")))
    fact = weighed.under(thresholds)
    assert (weighed.total, fact.action, fact.name) == (0.3, Action.DEFER, "y")
    assert weights.weigh((Evidence("a", "y"), Evidence("a", "z"))).total == -0.8
    assert weights.weigh(()).under(thresholds).name == ""


def test_a_threshold_without_a_check_is_for_the_content_alone(make_bench: Any) -> None:
    assert make(make_bench, "flows: {inbound: {greylisting: false, reject_at: 5}}").action(**BAD) == "DUNNO"


def test_a_check_that_is_named_is_on_and_the_others_stay_off() -> None:
    checks = loads("flows: {inbound: {checks: {helo: {shadow: true}}}}").flows.inbound.checks
    assert (checks.helo.enabled, checks.helo.shadow) == (True, True)
    assert not checks.fcrdns.enabled
    assert not loads("").flows.inbound.checks.helo.enabled
