"""Whose policy counts for a recipient: flow, domain, abuse@."""

from __future__ import annotations

from pathlib import Path

import pytest

from contentfilter.disposition.policy import Policies, Policy
from mailbase.config import Settings, loads
from mailbase.registry import load_registry
from mailbase.vocabulary import Action, Flow

REGISTRY = """
servers:
  mail.inst.example:
    domains:
      plain.example: {}
      strict.example:
        actions: {pdf-javascript: reject, office-dde: defer}
        unscanned: {unsupported: reject, failed: accept}
        tag_at: 2
        defer_at: 3
        reject_at: 6
        quarantine_at: 5
      lax.example:
        actions: {office-macro: tag}
        unscanned: {timed-out: accept}
        tag_at: null
      lax-too.example:
        actions: {office-macro: tag}
        unscanned: {timed-out: accept}
        tag_at: null
      open.example: {protection: false, actions: {virus: reject}}
"""


def settings(tmp_path: Path, text: str = "") -> Settings:
    (tmp_path / "registry.yaml").write_text(REGISTRY)
    configuration = (
        f"{text}\nflows: {{inbound: {{tag_at: 4, points: {{html-smuggling: 4}}}},"
        " upstream: {tag_at: 4, quarantine_at: 8, checks: true}}"
    )
    return loads(configuration).with_registry(load_registry(tmp_path / "registry.yaml"))


@pytest.fixture
def policies(tmp_path):
    return Policies(settings(tmp_path))


def of(policies: Policies, domain: str, flow: Flow = Flow.INBOUND, local: str = "r") -> Policy:
    return policies.of(flow, f"{local}@{domain}")


@pytest.mark.parametrize("flow", Flow)
@pytest.mark.parametrize("recipient", ["r@plain.example", "r@elsewhere.example", "r", "", "r@[192.0.2.1]"])
def test_without_a_word_of_its_own_the_flow_says(policies, flow, recipient):
    assert policies.of(flow, recipient) is policies.of_flow(flow)


def test_a_domain_lays_its_own_over_the_flows(policies):
    policy, flow = of(policies, "strict.example"), policies.of_flow(Flow.INBOUND)
    assert policy.actions["pdf-javascript"] is Action.REJECT
    assert policy.actions["office-macro"] is flow.actions["office-macro"]
    assert (policy.unscanned["unsupported"], policy.unscanned["failed"]) == (Action.REJECT, Action.ACCEPT)
    assert (policy.tag_at, flow.tag_at, of(policies, "lax.example").tag_at) == (2, 4, None)
    # Which of several findings is named stays in the flow's order.
    assert list(policy.actions) == list(flow.actions)


def test_case_extensions_and_dots_do_not_matter(policies):
    policy = of(policies, "strict.example")
    for address in ("R+x@STRICT.Example", "r@strict.example.", '"a@b"@strict.example', "r@ｓtrict.example"):
        assert policies.of(Flow.INBOUND, address) is policy
    # Subdomains are registered by themselves.
    assert of(policies, "sub.strict.example") is policies.of_flow(Flow.INBOUND)


def test_domains_that_say_the_same_have_one_policy(policies):
    assert of(policies, "lax.example") is of(policies, "lax-too.example")


def test_an_upstreams_mail_is_never_refused_for_a_domain(policies):
    policy = of(policies, "strict.example", Flow.UPSTREAM)
    assert policy.actions["pdf-javascript"] is Action.QUARANTINE
    assert policy.actions["office-dde"] is Action.QUARANTINE
    assert policy.unscanned["unsupported"] is Action.QUARANTINE
    assert of(policies, "lax.example", Flow.UPSTREAM).actions["office-macro"] is Action.TAG
    assert of(policies, "plain.example", Flow.UPSTREAM).quarantine_at == 8


def test_a_domain_has_thresholds_of_its_own_for_mail_from_elsewhere(policies):
    def thresholds(policy: Policy) -> tuple[float | None, ...]:
        return policy.tag_at, policy.defer_at, policy.reject_at, policy.quarantine_at

    assert thresholds(of(policies, "strict.example")) == (2, 3, 6, None)
    assert thresholds(of(policies, "lax.example")) == (None, 8, 15, None)
    assert thresholds(of(policies, "strict.example", Flow.UPSTREAM)) == (2, None, None, 5)
    for flow in (Flow.OUTBOUND, Flow.SUBMISSION):
        assert thresholds(of(policies, "strict.example", flow)) == (None, None, 15, None)


def test_points_are_the_flows(policies):
    assert of(policies, "strict.example").points == {"html-smuggling": 4}
    assert of(policies, "strict.example", Flow.UPSTREAM).points == {}


@pytest.mark.parametrize("flow", [Flow.OUTBOUND, Flow.SUBMISSION])
def test_our_own_mail_gets_no_less_than_the_flow_says(policies, flow):
    lax, strict = of(policies, "lax.example", flow), of(policies, "strict.example", flow)
    assert lax.actions["office-macro"] is Action.REJECT
    assert lax.unscanned["timed-out"] is Action.DEFER
    assert strict.actions["pdf-javascript"] is Action.REJECT
    assert strict.unscanned["failed"] is Action.DEFER
    assert of(policies, "open.example", flow).protected


@pytest.mark.parametrize("flow", [Flow.INBOUND, Flow.UPSTREAM])
def test_protection_can_be_off_for_mail_from_elsewhere(policies, flow):
    assert not of(policies, "open.example", flow).protected
    assert not policies.of(flow, "abuse@open.example").protected
    assert of(policies, "plain.example", flow).protected


@pytest.mark.parametrize("local", ["abuse", "Postmaster", "abuse+x", '"abuse"'])
@pytest.mark.parametrize("flow", Flow)
def test_complaints_get_no_points_and_are_not_refused(policies, local, flow):
    policy = of(policies, "strict.example", flow, local)
    assert policy.instead is Action.QUARANTINE
    assert {policy.tag_at, policy.defer_at, policy.reject_at, policy.quarantine_at} == {None}
    assert not policy.scored
    assert policy.actions["office-macro"] is not Action.ACCEPT


@pytest.mark.parametrize("flow", [Flow.OUTBOUND, Flow.SUBMISSION])
def test_somebody_elses_abuse_address_is_like_any_other(policies, flow):
    assert of(policies, "elsewhere.example", flow, "abuse") is policies.of_flow(flow)
    assert policies.of(flow, "postmaster").instead is Action.QUARANTINE


def test_who_takes_complaints_and_what_becomes_of_them_can_be_set(tmp_path):
    text = "policyd: {greylist: {exempt: [security]}}\ncontentfilter: {complaints: tag}"
    policies = Policies(settings(tmp_path, text))
    assert of(policies, "plain.example", local="security").instead is Action.TAG
    assert of(policies, "plain.example", local="abuse") is policies.of_flow(Flow.INBOUND)
