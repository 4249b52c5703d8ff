"""All 203 cases of the RFC 7208 test suite, through the check, the gatherer and a resolver."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from mailbase.addresses import domain_of, pack
from mailbase.dns import TableResolver
from policyd.checks.spf import SpfCheck
from policyd.evidence.facts import Evidence
from policyd.evidence.gathering import Gatherer
from policyd.evidence.inquiry import TEMPORARY, Collected, Subject
from tests.samples import rfc7208

DEVIATIONS: dict[str, str] = {}
"""Case → why ours is another result. There is none."""


def subject_of(case: rfc7208.Case) -> Subject:
    address = pack(case.address)
    assert address is not None
    domain = domain_of(case.sender) if case.sender else None
    return Subject(address, "", "", case.helo, case.sender, domain, "")


def judged(fact: Evidence) -> tuple[str, str]:
    """Result and explanation, in the words of the suite."""
    result = "temperror" if fact.name == TEMPORARY else fact.name
    return result, fact.detail.partition(": ")[2] or "DEFAULT"


def test_the_suite_is_there_and_whole() -> None:
    try:
        rfc7208.read()
    except rfc7208.SuiteMissing as problem:
        pytest.fail(str(problem), pytrace=False)
    assert len(rfc7208.cases()) == rfc7208.SIZE
    assert {case.name for case in rfc7208.cases()} >= set(DEVIATIONS)


@pytest.mark.parametrize("case", rfc7208.cases() or [None], ids=lambda case: case.name if case else "none")
def test_each_case_ends_as_the_suite_says(case: rfc7208.Case | None) -> None:
    if case is None:
        pytest.fail("the suite is missing", pytrace=False)
    clock = Clock()
    resolver = TableResolver(rfc7208.table(case.zone), clock=clock)
    watch: Any = Watch()
    gatherer = Gatherer(resolver, clock.seconds, watch, clock.seconds)
    check = SpfCheck("unknown", clock.seconds)
    for _ in range(2):  # the second time from memory
        collected = gatherer.gather([check], subject_of(case), 100.0, True)
        assert isinstance(collected, Collected)
        result, explanation = judged(collected.evidence[0])
        assert watch.failures == []
        if case.name in DEVIATIONS:
            assert result not in case.results
            continue
        assert result in case.results
        if case.explanation is not None:
            assert explanation == case.explanation


class Watch:
    def __init__(self) -> None:
        self.failures: list[tuple[str, Exception]] = []

    def established(self, *_: Any) -> None: ...

    def late(self) -> None: ...

    def check_failed(self, check: str, error: Exception) -> None:
        self.failures.append((check, error))
