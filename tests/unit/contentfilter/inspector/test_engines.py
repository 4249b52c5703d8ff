"""When virus engines are asked: when the scan has ended, and not for what is refused while they are busy."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.head_start import HEAD_START
from contentfilter.inspector import RESERVE
from mailbase.vocabulary import Finding, Unscanned

from ..inspecting import (
    MACRO,
    VIRUS,
    FakeClamd,
    Scene,
    reply,
)


def asked(scene: Scene) -> list[float]:
    """What time the engine was given, by mail."""
    return scene.backends.engines[0].asked  # type: ignore[attr-defined, no-any-return]


def spared(scene: Scene) -> float:
    return scene.count("contentfilter_engine_scans_total", engine="clamd", result="spared")


@pytest.fixture
def busy(tmp_path: Any) -> Scene:
    """An inspector whose engine has other mail in hand, and would find a virus in this one."""
    return Scene(tmp_path, clamd=FakeClamd(ScanResult((VIRUS,)), idle=False))


def test_a_busy_engine_is_spared_what_is_refused_anyway(busy: Scene) -> None:
    busy.pool.result = ScanResult((MACRO,))
    _, disposition = busy.inspect()
    assert reply(disposition) == (554, "5.7.1")
    assert '"a.docm"' in disposition.reply.text  # type: ignore[union-attr]
    assert asked(busy) == []
    assert spared(busy) == 1
    assert busy.count("contentfilter_engine_scans_total", engine="clamd", result="clean") == 0
    assert "seconds_clamd" not in busy.output.getvalue()
    assert "seconds_workers" in busy.output.getvalue()


def test_an_idle_engine_is_asked_all_the_same(tmp_path: Any) -> None:
    scene = Scene(tmp_path, clamd=FakeClamd(ScanResult((VIRUS,))))
    scene.pool.result = ScanResult((MACRO,))
    scene.inspect()
    assert "virus" in scene.output.getvalue()
    assert spared(scene) == 0


@pytest.mark.parametrize(
    "scanned",
    [
        ScanResult(),
        ScanResult((Finding("mime-ambiguous", ""),)),
        ScanResult(unscanned=(Unscanned("3", "malformed"),)),
        ScanFailed("workers", "crashed"),
        ScanFailed("workers", "overload"),
    ],
)
def test_a_busy_engine_is_asked_after_all_else(busy: Scene, scanned: Any) -> None:
    busy.pool.result = scanned
    _, disposition = busy.inspect()
    assert reply(disposition) == (554, "5.7.1")
    assert "cause=virus" in busy.output.getvalue()
    assert spared(busy) == 0


def test_what_somebody_may_get_is_shown_to_the_engine(busy: Scene) -> None:
    busy.pool.result = ScanResult((MACRO,))
    for recipients in (("r@inst.example", "r@lax.example"), ("r@open.example",)):
        busy.inspect(recipients=recipients, lmtp=True)
    assert len(asked(busy)) == 2


def test_what_would_go_to_quarantine_is_shown_to_the_engine(busy: Scene) -> None:
    busy.pool.result = ScanResult((MACRO,))
    busy.inspect(client="198.51.100.7")
    assert len(asked(busy)) == 1
    (kept,) = busy.quarantine.kept
    assert VIRUS in kept.facts


def test_a_macro_that_is_allowed_is_shown_to_the_engine(busy: Scene) -> None:
    class Allowed:
        def digests(self, results: Any) -> frozenset[str]:
            return frozenset({"digest"})

        def permitted(self, digests: Any, sender: str, recipient: str) -> frozenset[str]:
            return frozenset(digests)

        def excuse(self, results: Any, sender: str, recipients: Any) -> Any:
            return [ScanResult() if MACRO in getattr(one, "findings", ()) else one for one in results]

    busy.backends.allowed = Allowed()  # type: ignore[assignment]
    busy.pool.result = ScanResult((MACRO,))
    busy.inspect()
    assert len(asked(busy)) == 1


def test_what_no_engine_has_seen_is_not_let_through(busy: Scene) -> None:
    class AllowedMeanwhile:
        asked = 0

        def digests(self, results: Any) -> frozenset[str]:
            self.asked += 1
            return frozenset({"digest"} if self.asked > 1 else ())

        def permitted(self, digests: Any, sender: str, recipient: str) -> frozenset[str]:
            return frozenset(digests)

        def excuse(self, results: Any, sender: str, recipients: Any) -> Any:
            return [ScanResult() if MACRO in getattr(one, "findings", ()) else one for one in results]

    busy.backends.allowed = AllowedMeanwhile()  # type: ignore[assignment]
    busy.pool.result = ScanResult((MACRO,))
    _, disposition = busy.inspect()
    assert spared(busy) == 1
    assert reply(disposition) == (451, "4.3.2")


def test_the_engine_waits_for_the_workers_but_not_long(tmp_path: Any) -> None:
    clamd = FakeClamd(ScanResult((VIRUS,)))
    scene = Scene(tmp_path, clamd=clamd)
    scene.pool.answer = Deferred()
    results: list[Any] = []
    scene.start().addBoth(results.append)
    scene.clock.advance(HEAD_START - 0.1)
    assert clamd.asked == []
    scene.clock.advance(0.1)
    assert clamd.asked == [75.0 - RESERVE - HEAD_START]
    scene.pool.answer.callback(ScanResult())
    assert reply(results[0][1]) == (554, "5.7.1")
    assert not scene.clock.getDelayedCalls()


def test_nothing_is_left_waiting_once_the_scan_has_ended(tmp_path: Any) -> None:
    scene = Scene(tmp_path, clamd=FakeClamd())
    scene.inspect()
    assert not scene.clock.getDelayedCalls()
