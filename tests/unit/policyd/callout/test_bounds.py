"""Not too many callouts at once, and none that waits for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from policyd.callout import callouts as module
from policyd.callout.result import Result

from ..callouts import ADA, DOWN, KNOWN, TEMPORARY, UNKNOWN, World, replies, terms


def test_one_callout_for_all_who_ask(world: World) -> None:
    world.delay = 1.0
    waiting = [world.start(address) for address in (ADA, "ADA@inst.example", ADA)]
    assert len(world.calls) == 1
    world.clock.advance(1.0)
    assert waiting == [[KNOWN]] * 3
    assert world.metrics.joined == 2


def test_connections_to_a_server_are_limited_and_the_queue_behind_them(make: Callable[..., World]) -> None:
    world = make(terms(concurrency=2, backlog=3))
    world.delay = 1.0
    waiting = [world.start(f"{number}@lone.example") for number in range(6)]
    assert waiting[5] == [Result.BUSY]
    assert len(world.calls) == 2
    assert world.metrics.now().waiting == 3
    assert world.metrics.now().in_flight == 5
    world.start(ADA)
    assert len(world.calls) == 3, "another server has its own"
    for _ in range(3):
        world.clock.advance(1.0)
    assert waiting[:5] == [[UNKNOWN]] * 5
    assert world.metrics.now().in_flight == world.metrics.now().waiting == 0
    # What could not be asked is not remembered.
    world.delay = 0.0
    assert world.ask("5@lone.example") is UNKNOWN


def test_whoever_waits_too_long_in_the_queue_is_busy(make: Callable[..., World]) -> None:
    world = make(terms(concurrency=1, deadline="2s"))
    world.delay = 100.0
    waiting = [world.start(f"{number}@lone.example") for number in range(3)]
    world.clock.advance(2.0)
    assert waiting[0] == [TEMPORARY]
    assert waiting[1:] == [[Result.BUSY]] * 2
    assert world.metrics.now().in_flight == 0


def test_a_long_queue_behind_a_server_that_fails_at_once_is_no_trouble(
    make: Callable[..., World], bench: Any
) -> None:
    world = make(terms(concurrency=1, backlog=3000, failures=1, server_budget=100_000))
    world.delay = 1.0
    world.answers["192.0.2.40"] = DOWN
    waiting = [world.start(f"{number}@lone.example") for number in range(2000)]
    world.clock.advance(1.0)
    assert waiting == [[TEMPORARY]] * 2000
    assert len(world.calls) == 1
    assert world.metrics.now().in_flight == world.metrics.now().waiting == 0
    assert "RecursionError" not in bench.stream.getvalue()
    world.clock.advance(30)
    del world.answers["192.0.2.40"]
    waiting = [world.start(f"{number}@lone.example", client=None) for number in range(10)]
    world.clock.advance(10.0)
    for _ in range(10):
        world.clock.advance(1.0)
    assert [UNKNOWN] in waiting


def test_callouts_in_all_are_limited(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FLIGHTS", 2)
    world.delay = 1.0
    waiting = [world.start(f"{number}@inst.example") for number in range(3)]
    assert waiting == [[], [], [Result.BUSY]]


def test_the_mails_deadline_decides_and_the_callout_goes_on(world: World) -> None:
    world.delay = 10.0
    got = world.start(ADA, seconds=8.0)
    world.clock.advance(7.9)
    assert got == []
    world.clock.advance(0.1)
    assert got == [TEMPORARY]
    assert world.metrics.late == 1
    world.clock.advance(2.0)
    assert world.ask(ADA) is KNOWN
    assert len(world.calls) == 1


def test_a_callout_ends_at_its_own_deadline(world: World) -> None:
    world.delay = 1000.0
    got = world.start("ada@lone.example", seconds=300.0)
    world.clock.advance(29.9)
    assert got == []
    world.clock.advance(0.1)
    assert got == [TEMPORARY]


def test_a_server_that_fails_is_left_alone_and_tried_again(world: World, bench: Any) -> None:
    world.answers["192.0.2.40"] = DOWN
    for number in range(7):
        assert world.ask(f"{number}@lone.example") is TEMPORARY
    assert len(world.calls) == 5
    assert world.metrics.now().servers_down == 1
    log = bench.stream.getvalue()
    assert "event=callout-server-down server=lone.example" in log
    assert "192.0.2.40: cannot connect: refused (at connect)" in log
    world.clock.advance(30)
    del world.answers["192.0.2.40"]
    assert world.ask("ada@lone.example") is KNOWN
    assert world.ask("7@lone.example") is UNKNOWN
    assert "event=callout-server-up server=lone.example" in bench.stream.getvalue()
    assert world.metrics.now().servers_down == 0


def test_only_one_tries_a_server_that_was_down(world: World) -> None:
    world.answers["192.0.2.40"] = DOWN
    for number in range(5):
        world.ask(f"{number}@lone.example")
    world.clock.advance(30)
    world.delay = 1.0
    first = world.start("a@lone.example")
    assert world.start("b@lone.example") == [TEMPORARY]
    world.clock.advance(1.0)
    assert first == [TEMPORARY]
    world.delay = 0.0
    assert world.start("c@lone.example") == [TEMPORARY]
    assert len(world.calls) == 6


def test_a_server_that_is_left_alone_does_not_hold_up_its_backup(world: World) -> None:
    world.answers["192.0.2.25"] = world.answers["2001:db8::25"] = DOWN
    for number in range(6):
        assert world.ask(f"{number}@inst.example") is UNKNOWN
    assert [call.host for call in world.calls[-2:]] == ["192.0.2.26"] * 2


def test_a_server_that_says_no_to_us_is_not_down(world: World) -> None:
    world.answers["192.0.2.40"] = replies("550 5.7.1 no")
    for number in range(7):
        world.ask(f"{number}@lone.example")
    assert len(world.calls) == 7
