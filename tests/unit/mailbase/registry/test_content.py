"""What a domain's registration may say of content, and what it must not."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailbase.documents import ConfigError
from mailbase.registry import Domain, load_registry
from mailbase.registry.model import FLOW
from mailbase.vocabulary import Action


def domain(tmp_path: Path, text: str) -> Domain:
    path = tmp_path / "registry.yaml"
    path.write_text(f"servers:\n  mail.inst.example:\n    domains:\n      inst.example:\n        {text}\n")
    found = load_registry(path).domain("inst.example")
    assert found is not None
    return found


def test_a_domain_says_nothing_by_default(tmp_path):
    plain = domain(tmp_path, "")
    assert plain.protection
    assert (plain.actions, plain.unscanned, plain.tag_at) == ({}, {}, FLOW)


def test_a_domain_has_actions_of_its_own(tmp_path):
    own = domain(
        tmp_path,
        "{protection: false, actions: {office-macro: tag}, unscanned: {failed: accept}, tag_at: null}",
    )
    assert not own.protection
    assert own.actions == {"office-macro": Action.TAG}
    assert own.unscanned == {"failed": Action.ACCEPT}
    assert own.tag_at is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("actions: {office-marco: tag}", "no finding has this name; did you mean 'office-macro'?"),
        ("unscanned: {fialed: tag}", "no reason has this name; did you mean 'failed'?"),
        ("actions: {virus: discard}", "no mail is dropped for a finding"),
        ("actions: {virus: drop}", "expected"),
        ("protection: sometimes", "expected"),
        ("tag_at: -1", "expected points"),
        ("actions: [virus]", "expected"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path, text, message):
    with pytest.raises(ConfigError) as caught:
        domain(tmp_path, text)
    (problem,) = caught.value.problems
    assert problem.line == 5
    assert "servers[mail.inst.example].domains[inst.example]." in problem.path
    assert message in problem.message
