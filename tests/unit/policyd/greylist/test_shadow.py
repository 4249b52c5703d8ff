"""Greylisting as a shadow: counted and logged, and nobody waits."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailbase.config import loads
from mailbase.dns import TableResolver
from mailbase.store import StoreError
from mailbase.vocabulary import Action
from policyd.engine.account import account
from policyd.evidence.facts import Grey
from policyd.observability.recorder import Recorder

SHADOW = "policyd: {greylist: {shadow: true}}\n"
DELAY = 300


@pytest.fixture
def bench(make_bench: Any) -> Any:
    return make_bench(SHADOW + "flows: {inbound: {checks: false}}")


def test_nobody_waits_and_what_would_have_is_counted_and_told(bench: Any) -> None:
    recorder = Recorder(bench.log, bench.metrics)
    request = bench.request()
    decision = bench.engine.decide(request)
    assert (decision.reply, decision.action, decision.reason) == ("DUNNO", "accept", "(greylist-new)")
    recorder.decision(request, decision, 0.001)
    assert bench.metrics.shadows["inbound", Action.DEFER] == 1
    assert bench.metrics.greylist[Grey.NEW] == 1
    assert " action=accept reason=(greylist-new) " in bench.stream.getvalue()
    (told,) = [fact for fact in account(decision) if fact["check"] == "greylist"]
    assert told == {"check": "greylist", "fact": "new", "wait": DELAY, "shadow": True}
    bench.clock.advance(DELAY - 10)
    assert bench.decide().reason == "(greylist-early)"
    bench.clock.advance(10)
    assert bench.decide().reason == "(greylist-passed)"
    later = bench.decide()
    assert (later.reply, later.reason) == ("DUNNO", "greylist-known")
    recorder.decision(request, later, 0.001)
    assert bench.metrics.shadows["inbound", Action.DEFER] == 1


def test_what_it_has_learned_counts_once_it_is_turned_on(bench: Any) -> None:
    bench.decide()
    bench.clock.advance(DELAY)
    bench.decide()
    bench.settings = loads("flows: {inbound: {checks: false}}").with_registry(bench.settings.registry)
    bench.restart()
    assert bench.decide().reason == "greylist-known"
    assert bench.decide(sender="other@sender.example").reason == "greylist-new"


def test_the_ticket_does_not_say_that_it_has_waited(bench: Any) -> None:
    bench.decide()
    bench.clock.advance(DELAY)
    request = bench.request(instance="x")
    assert bench.engine.decide(request).reason == "(greylist-passed)"
    assert bench.engine.transactions.greylisting(request) == ""


def test_what_is_deferred_for_its_points_waits_all_the_same(make_bench: Any) -> None:
    bench = make_bench(SHADOW + "flows: {inbound: {defer_at: 1, reject_at: 9, checks: {helo: true}}}")
    bench.resolver = TableResolver({}, clock=bench.clock)
    bench.restart()
    suspicious = {"helo_name": "friend"}
    assert bench.decide(**suspicious).action is Action.DEFER
    bench.clock.advance(DELAY)
    passed = bench.decide(**suspicious, instance="x")
    assert (passed.reply, passed.reason) == ("DUNNO", "greylist-passed")
    assert bench.engine.transactions.greylisting(bench.request(**suspicious, instance="x")) == "waited"


@pytest.mark.parametrize("on_error", ["pass", "defer"])
def test_a_store_that_cannot_say_makes_nobody_wait_either(make_bench: Any, on_error: str) -> None:
    class Broken:
        def get(self, *_: object) -> None:
            raise StoreError("broken")

        put = get

    bench = make_bench(SHADOW + f"store: {{on_error: {on_error}}}\nflows: {{inbound: {{checks: false}}}}")
    bench.ledger.triplets = Broken()
    assert (bench.decide().reply, bench.decide().reason) == ("DUNNO", "(greylist-unavailable)")
    assert bench.engine.policy.on_error == "pass"


def test_a_shared_store_may_answer_later(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt = bench.ledger.attempt

    async def later(*given: Any, **more: Any) -> Any:
        return attempt(*given, **more)

    monkeypatch.setattr(bench.ledger, "attempt", later)
    reasons: list[str] = []
    waiting = Deferred.fromCoroutine(bench.engine.decide(bench.request()))
    waiting.addCallback(lambda decision: reasons.append(decision.reason))
    assert reasons == ["(greylist-new)"]
