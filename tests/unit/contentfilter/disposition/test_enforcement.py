"""What is done about forged mail: nothing, points, or what its author's domain asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from contentfilter.content.clues import Clue
from contentfilter.content.results import ScanResult
from contentfilter.disposition.policy import Policies, Policy
from contentfilter.disposition.total import add_up
from contentfilter.disposition.verdict import decide
from mailbase.config import ConfigError, Settings, loads
from mailbase.config.authentication import Enforcement
from mailbase.registry import load_registry
from mailbase.vocabulary import Action, Finding, Flow

REGISTRY = """
servers:
  mail.inst.example:
    domains:
      plain.example: {}
      careless.example: {authentication: off}
      counting.example: {authentication: points}
      strict.example: {authentication: policy}
      own.example: {authentication: policy, actions: {dmarc-quarantine: quarantine}}
"""
FORGED = Finding("dmarc-reject", "", "example.org")
SUSPECT = Finding("dmarc-quarantine", "", "example.org")


def settings(tmp_path: Path, text: str = "") -> Settings:
    (tmp_path / "registry.yaml").write_text(REGISTRY)
    return loads(text).with_registry(load_registry(tmp_path / "registry.yaml"))


def actions(policy: Policy) -> tuple[Action, Action]:
    return policy.actions["dmarc-reject"], policy.actions["dmarc-quarantine"]


def test_by_default_strangers_get_points_and_nothing_is_enforced(tmp_path: Path) -> None:
    given = settings(tmp_path)
    assert {flow: given.flows.of(flow).authentication for flow in Flow} == {
        Flow.INBOUND: Enforcement.POINTS,
        Flow.UPSTREAM: Enforcement.POINTS,
        Flow.OUTBOUND: Enforcement.OFF,
        Flow.SUBMISSION: Enforcement.OFF,
    }
    for flow in Flow:
        assert actions(Policies(given).of_flow(flow)) == (Action.ACCEPT, Action.ACCEPT)


def test_a_flow_enforces_and_its_own_actions_count_for_more(tmp_path: Path) -> None:
    flows = "flows: {inbound: {authentication: policy}, upstream: {authentication: policy}}"
    policies = Policies(settings(tmp_path, flows))
    assert actions(policies.of_flow(Flow.INBOUND)) == (Action.REJECT, Action.TAG)
    assert actions(policies.of_flow(Flow.UPSTREAM)) == (Action.QUARANTINE, Action.TAG)
    own = "flows: {inbound: {authentication: policy, actions: {dmarc-reject: quarantine}}}"
    assert actions(Policies(settings(tmp_path, own)).of_flow(Flow.INBOUND)) == (Action.QUARANTINE, Action.TAG)


@pytest.mark.parametrize(
    ("domain", "inbound", "upstream"),
    [
        ("plain", (Action.ACCEPT, Action.ACCEPT), (Action.QUARANTINE, Action.TAG)),
        ("careless", (Action.ACCEPT, Action.ACCEPT), (Action.ACCEPT, Action.ACCEPT)),
        ("counting", (Action.ACCEPT, Action.ACCEPT), (Action.ACCEPT, Action.ACCEPT)),
        ("strict", (Action.REJECT, Action.TAG), (Action.QUARANTINE, Action.TAG)),
        ("own", (Action.REJECT, Action.QUARANTINE), (Action.QUARANTINE, Action.QUARANTINE)),
    ],
)
def test_a_domain_chooses_for_itself(
    tmp_path: Path, domain: str, inbound: tuple[Action, Action], upstream: tuple[Action, Action]
) -> None:
    policies = Policies(settings(tmp_path, "flows: {upstream: {authentication: policy}}"))
    assert actions(policies.of(Flow.INBOUND, f"r@{domain}.example")) == inbound
    assert actions(policies.of(Flow.UPSTREAM, f"r@{domain}.example")) == upstream
    assert actions(policies.of(Flow.SUBMISSION, f"r@{domain}.example"))[0] is Action.ACCEPT


def test_off_means_that_the_domain_s_mail_gets_no_points_for_it(tmp_path: Path) -> None:
    policies = Policies(settings(tmp_path))
    clues = [Clue("dmarc.reject"), Clue("auth.several-from"), Clue("rule.x", points=1.0)]
    totals = {
        domain: add_up(clues, (), None, policies.of(Flow.INBOUND, f"r@{domain}.example").points).points
        for domain in ("plain", "counting", "careless")
    }
    assert totals == {"plain": 6.0, "counting": 6.0, "careless": 1.0}


def test_the_refusal_names_dmarc_and_the_domain(tmp_path: Path) -> None:
    policies = Policies(settings(tmp_path))
    strict = policies.of(Flow.INBOUND, "r@strict.example")
    verdict = decide("0123456789abc", Flow.INBOUND, strict, [ScanResult((FORGED,))])
    assert verdict.action is Action.REJECT
    reply = str(verdict.reply("https://help.example"))
    assert reply.startswith(
        "550 5.7.1 This message fails DMARC: example.org does not vouch for it. Please send"
    )
    assert reply.endswith("https://help.example [0123456789abc]")
    assert decide("0", Flow.INBOUND, strict, [ScanResult((SUSPECT,))]).action is Action.TAG
    # A virus beside it is told as what it is.
    both = decide("0", Flow.INBOUND, strict, [ScanResult((Finding("virus", "2", "Eicar"), FORGED))])
    assert str(both.reply()).startswith("554 5.7.1 ")


def test_complaints_are_not_refused_for_it(tmp_path: Path) -> None:
    policies = Policies(settings(tmp_path, "flows: {inbound: {authentication: policy}}"))
    abuse = policies.of(Flow.INBOUND, "abuse@plain.example")
    assert decide("0", Flow.INBOUND, abuse, [ScanResult((FORGED,))]).action is Action.QUARANTINE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("flows: {inbound: {authentication: perhaps}}", "points"),
        ("flows: {upstream: {actions: {dmarc-reject: reject}}}", "expected accept, tag or quarantine"),
        ("authentication: {authserv_id: a b}", "expected a name such as mx.example.org"),
        ("authentication: {trusted_sealers: org}", "expected a domain such as lists.example.org"),
        ("authentication: {trusted_sealer: a.example}", "trusted_sealers"),
    ],
)
def test_mistakes_are_told(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        loads(text)
