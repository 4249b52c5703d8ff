"""Facts with an action of their own, and domains with thresholds of their own."""

from __future__ import annotations

from typing import Any

import pytest

from mailbase.config import ConfigError, loads

from ..scored import BAD, FREE, GOOD, line, make, settings


def test_a_fact_can_have_an_action_of_its_own(make_bench: Any) -> None:
    bench = make(make_bench, settings("checks: {helo: {actions: {not-fqdn: reject}}, sender_domain: true}"))
    decision = bench.decide(**BAD, recipient=FREE)
    assert decision.reply.startswith("554 5.7.1 Refused: your HELO is not a full host name [")
    assert decision.reason == "helo-not-fqdn"
    assert bench.action(**GOOD, recipient=FREE) == "DUNNO"


def test_an_action_of_a_shadow_is_only_noted(make_bench: Any) -> None:
    bench = make(make_bench, settings("checks: {helo: {shadow: true, actions: {not-fqdn: reject}}}"))
    decision = bench.decide(**BAD, recipient=FREE)
    assert decision.reply == "DUNNO"
    assert " shadow=reject " in line(bench, decision, **BAD, recipient=FREE)


def test_points_refuse_where_an_action_only_defers(make_bench: Any) -> None:
    own = "checks: {helo: {actions: {not-fqdn: defer}}, sender_domain: true}"
    assert make(make_bench, settings(own, reject_at=5)).action(**BAD, recipient=FREE) == "554"
    assert make(make_bench, settings(own, reject_at=6)).action(**BAD, recipient=FREE) == "450"


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ("{not-fqdn: tag}", "expected defer or reject"),
        ("{not-fqdm: reject}", "helo states no such fact"),
    ],
)
def test_actions_that_cannot_be(actions: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        loads(f"flows: {{inbound: {{checks: {{helo: {{actions: {actions}}}}}}}}}")


DOMAINS = """
servers:
  mail.inst.example:
    domains:
      strict.example: {greylisting: false, reject_at: 2}
      mild.example: {greylisting: false, reject_at: null}
      plain.example: {greylisting: false}
"""


def test_a_domain_has_thresholds_of_its_own_in_one_mail(make_bench: Any) -> None:
    bench = make_bench(settings(reject_at=7), DOMAINS)

    def actions(**about: str) -> dict[str, str]:
        return {
            name: bench.action(**{**BAD, **about}, recipient=f"p@{name}.example")
            for name in ("mild", "strict", "plain")
        }

    assert actions(instance="one") == {"mild": "DUNNO", "strict": "554", "plain": "554"}
    assert actions(instance="two", sender="") == {"mild": "DUNNO", "strict": "554", "plain": "DUNNO"}


def test_thresholds_of_a_domain_are_for_inbound_mail(make_bench: Any) -> None:
    registry = f"default_server: mail.inst.example\nsystems: [192.0.2.0/24]\n{DOMAINS}"
    outbound = {**BAD, "client_address": "192.0.2.7", "recipient": "p@strict.example"}
    bench = make_bench("flows: {outbound: {checks: {helo: {points: {not-fqdn: 3}}}}}", registry)
    assert bench.action(**outbound) == "OK", "its points are only logged"
    bench = make_bench("flows: {outbound: {reject_at: 3, checks: {helo: {points: {not-fqdn: 3}}}}}", registry)
    assert bench.action(**outbound) == "554"
    assert bench.action(**{**outbound, "recipient": "p@mild.example"}) == "554"


def test_thresholds_of_a_domain_must_be_in_order(make_bench: Any) -> None:
    with pytest.raises(ConfigError, match=r"expected a defer_at below reject_at \(2\), got 3"):
        make_bench(settings(), "servers: {m.example: {domains: {d.example: {defer_at: 3, reject_at: 2}}}}")


def test_nobody_is_asked_once_the_outcome_is_settled(make_bench: Any) -> None:
    forged = {**BAD, "helo_name": "mx.gate.example"}
    bench = make(make_bench, settings(reject_at=4.4))
    assert bench.action(**forged, recipient=FREE) == "554"
    assert not bench.resolver.asked
    # One that is still open could lower the total below the threshold.
    bench = make(make_bench, settings("checks: {fcrdns: {points: {confirmed: -1}}, helo: true}", reject_at=5))
    assert bench.action(**forged, recipient=FREE) == "554"
    assert bench.resolver.asked


def test_a_domain_that_never_refuses_wants_to_know_everything(make_bench: Any) -> None:
    bench = make_bench(settings(reject_at=4), DOMAINS)
    bench.decide(**{**BAD, "helo_name": "mx.gate.example"}, recipient="p@strict.example")
    assert bench.resolver.asked
