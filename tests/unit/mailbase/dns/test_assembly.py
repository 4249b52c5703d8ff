"""The resolver of a daemon."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from mailbase.config.dns import DnsSettings
from mailbase.dns import RecordType, TimedOut, assembly, build_resolver
from mailbase.wallclock import WallClock

from .scene import FOUND, A, Scene


@pytest.mark.parametrize("corrected", [-3600.0, 3600.0])
def test_a_clock_that_is_set_makes_no_look_up_and_no_answer_last_longer(
    monkeypatch: pytest.MonkeyPatch, corrected: float
) -> None:
    scene = Scene()
    steady: Any = Clock()
    times = {"wall": 1_800_000_000.0}
    clock = WallClock(steady, lambda: times["wall"] + steady.rightNow, lambda: steady.rightNow)
    monkeypatch.setattr(assembly, "Sockets", lambda reactor: scene)
    downs: list[bool] = []
    settings = DnsSettings(servers=("192.0.2.1",), timeout=1.0, deadline=5.0)
    resolver = build_resolver(clock, settings, ["spf"], lambda server: downs.append(server.down))

    def ask() -> list[Any]:
        answer = resolver.ask("a.example", RecordType.A, consumer="spf", deadline=clock.seconds() + 8.0)
        told: list[Any] = []
        answer.addCallback(told.append) if hasattr(answer, "addCallback") else told.append(answer)
        return told

    told = ask()
    times["wall"] += corrected
    steady.pump([0.1] * 52)
    assert isinstance(told[0], TimedOut), "a look-up under way ends in its time"
    assert downs == [True], "a server that is silent is noticed"
    scene.probes[-1].reply()
    told = ask()
    scene.questions[-1].reply(A)
    assert told == [FOUND]
    times["wall"] -= corrected
    steady.advance(299.0)
    assert ask() == [FOUND]
    steady.advance(1.1)
    assert ask() == [], "an answer is as old as it is"
    resolver.stop()
