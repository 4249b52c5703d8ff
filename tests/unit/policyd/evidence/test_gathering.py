"""Asking DNS for all checks at once: deadlines, late answers, checks that misbehave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from mailbase.dns import RecordType
from policyd.engine.decision import Decision
from policyd.evidence.facts import Evidence
from policyd.evidence.gathering import MAX_ROUNDS, Gatherer
from policyd.evidence.inquiry import Collected
from policyd.observability.recorder import Recorder

from ..scored import BAD, FREE, GOOD, make, settings

PTR = "7.0.18.198.in-addr.arpa"


def wait(bench: Any, **attributes: str) -> list[Decision]:
    waiting = bench.engine.decide(bench.request(**attributes))
    assert not isinstance(waiting, Decision)
    done: list[Decision] = []
    Deferred.fromCoroutine(waiting).addCallback(done.append)
    return done


def test_all_checks_wait_at_the_same_time(make_bench: Any) -> None:
    slow: Mapping[str, float] = {PTR.replace(".", "_"): 2.0, "gone_example": 2.0, "h_example": 2.0}
    bench = make(make_bench, settings(reject_at=7), **slow)
    done = wait(bench, **{**BAD, "helo_name": "h.example"}, recipient=FREE)
    bench.clock.advance(1.9)
    assert not done
    bench.clock.advance(0.2)
    # HELO asks for an MX record as well, once it knows of no address.
    bench.clock.advance(2.0)
    assert done[0].reply.startswith("554 5.7.1 ")
    assert bench.metrics.late == 0


def test_what_is_known_at_the_deadline_decides(make_bench: Any) -> None:
    bench = make(make_bench, settings(reject_at=3.5), gone_example=60.0)
    done = wait(bench, **BAD, instance="i", recipient=FREE)
    bench.clock.advance(7.89)
    assert not done
    bench.clock.advance(0.01)
    assert done[0].reply.startswith("554 5.7.1 Refused: your address has no PTR record [")
    assert done[0].weighed is not None
    assert done[0].weighed.late
    assert bench.metrics.late == 1
    assert bench.metrics.facts["sender_domain", "temporary"] == 1


def test_a_check_asks_no_more_after_the_deadline(make_bench: Any) -> None:
    table = {("sender.example", "MX"): [(10, "m.example")]}
    bench = make(
        make_bench, settings() + "\npolicyd: {deadline: 1s}", table, sender_example=0.8, m_example=0.9
    )
    done = wait(bench, **GOOD, recipient=FREE)
    bench.clock.advance(0.89)
    assert not done
    bench.clock.advance(0.01)
    assert done[0].reply == "DUNNO"
    assert bench.metrics.late == 1


def test_the_late_answer_is_there_for_the_next_mail(make_bench: Any) -> None:
    bench = make(make_bench, settings() + "\npolicyd: {deadline: 1s}", gone_example=3.0)
    done = wait(bench, **BAD, recipient=FREE)
    bench.clock.advance(1.0)
    assert done[0].weighed is not None
    assert done[0].weighed.total == 3.5
    bench.clock.advance(2.0)
    assert bench.decide(**BAD, recipient=FREE).weighed.total == 7.5


class Asks:
    """A check that never has enough."""

    name = "fcrdns"

    def inquire(self, subject: Any) -> Any:
        while True:
            yield (("x.example", 1),)


class Raises:
    name = "helo"

    def __init__(self, at_once: bool) -> None:
        self.at_once = at_once

    def inquire(self, subject: Any) -> Any:
        if self.at_once:
            raise RuntimeError("at once")
        return self._later()

    def _later(self) -> Any:
        yield ()
        raise RuntimeError("later")


class Mixed:
    """A check that asks for what is there, what is not, and what cannot even be asked for."""

    name = "helo"

    def __init__(self, *questions: Any) -> None:
        self.questions = questions
        self.answers: list[Any] = []

    def inquire(self, subject: Any) -> Any:
        self.answers.append((yield self.questions))
        return (Evidence("helo", "equals-ptr"),)


def gathered(bench: Any, check: Any) -> list[Collected]:
    recorder = Recorder(bench.log, bench.metrics)
    gatherer = Gatherer(bench.resolver, bench.clock.seconds, recorder, bench.clock.seconds)
    done: list[Collected] = []
    collected = gatherer.gather([check], object(), 1e12, True)  # type: ignore[arg-type]
    if isinstance(collected, Collected):
        done.append(collected)
    else:
        assert isinstance(collected, Deferred)
        collected.addCallback(done.append)
    return done


@pytest.mark.parametrize("slow", [0.0, 1.0])
def test_answers_stand_in_the_order_of_the_questions_whenever_they_come(make_bench: Any, slow: float) -> None:
    table = {("a.example", "A"): "192.0.2.1", ("b.example", "A"): "192.0.2.2"}
    bench = make(make_bench, settings(), table, a_example=slow)
    later: Deferred[str] = Deferred()
    check = Mixed(
        succeed("at once"),
        ("a.example", RecordType.A),
        later,
        ("b.example", RecordType.A),
        fail(OSError("x")),
    )
    done = gathered(bench, check)
    later.callback("later")
    bench.clock.advance(slow)
    assert done[0].evidence == (Evidence("helo", "equals-ptr"),)
    ((first, second, third, fourth, fifth),) = check.answers
    assert (first, second.records, third, fourth.records) == (
        "at once",
        (b"\xc0\0\2\1",),
        "later",
        (b"\xc0\0\2\2",),
    )
    assert isinstance(fifth, OSError)


def test_what_comes_for_a_check_that_has_failed_is_nobodys(make_bench: Any) -> None:
    bench = make(make_bench, settings(), {}, a_example=1.0)
    check = Mixed(("a.example", RecordType.A), ("b.example", RecordType.A, "and more"))
    (collected,) = gathered(bench, check)
    assert collected.evidence == (Evidence("helo", "failed"),)
    bench.clock.advance(2.0)
    assert check.answers == []
    assert bench.metrics.check_failures["helo"] == 1


@pytest.mark.parametrize("check", [Asks(), Raises(True), Raises(False)])
def test_a_check_that_misbehaves_has_no_opinion(bench: Any, check: Any) -> None:
    recorder = Recorder(bench.log, bench.metrics)
    gatherer = Gatherer(bench.resolver, bench.clock.seconds, recorder, bench.clock.seconds)
    collected = gatherer.gather([check], object(), 1e12, True)  # type: ignore[arg-type]
    assert isinstance(collected, Collected)
    assert collected.evidence == (Evidence(check.name, "failed"),)
    assert bench.metrics.check_failures[check.name] == 1
    assert len(bench.resolver.asked) <= MAX_ROUNDS


def test_the_times_of_the_checks_are_measured(make_bench: Any) -> None:
    bench = make(make_bench, settings(), gone_example=3.0)
    wait(bench, **BAD, recipient=FREE)
    bench.clock.advance(3.0)
    assert bench.metrics.check_times["sender_domain"].seconds == 3.0
    assert bench.metrics.check_times["fcrdns"].seconds == 0.0
