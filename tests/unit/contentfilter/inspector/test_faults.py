"""Scanners, disk and policy that fail the inspector, and a client that goes."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.head_start import HEAD_START

from ..inspecting import (
    MACRO,
    VIRUS,
    FakeClamd,
    Scene,
    reply,
)


def test_a_full_disk_leaves_the_mail_with_the_client(scene):
    scene.pool.result = ScanResult((MACRO,))
    scene.quarantine.problem = OSError(28, "No space left on device")
    _decision, disposition = scene.inspect(client="198.51.100.7")
    assert reply(disposition) == (451, "4.3.0")
    assert scene.count("contentfilter_quarantine_failures_total") == 1
    assert scene.count("contentfilter_messages_total", flow="upstream", action="defer") == 1
    assert scene.count("contentfilter_messages_total", flow="upstream", action="quarantine") == 0


@pytest.mark.parametrize(("reason", "status"), [("crashed", "4.3.0"), ("overload", "4.3.2")])
def test_a_scanner_that_fails_makes_the_mail_wait(scene, reason, status):
    scene.pool.result = ScanFailed("workers", reason)
    _decision, disposition = scene.inspect()
    assert reply(disposition) == (451, status)
    assert scene.count("contentfilter_scanner_failures_total", scanner="workers", reason=reason) == 1


def test_scanners_run_side_by_side_and_order_of_finishing_does_not_matter(tmp_path):
    texts = []
    for first in ("pool", "clamd"):
        clamd = FakeClamd(answer=Deferred())
        scene = Scene(tmp_path, clamd=clamd)
        scene.pool.answer = Deferred()
        results: list[Any] = []
        scene.start().addBoth(results.append)
        assert not results
        order = [(scene.pool.answer, ScanResult((MACRO,))), (clamd.answer, ScanResult((VIRUS,)))]
        for answer, result in order if first == "pool" else reversed(order):
            assert answer is not None
            answer.callback(result)
        texts.append(results[0][1].reply.text[:30])
    assert texts[0] == texts[1] == 'The attachment "a.docm" contai'


def test_clamd_alone_failing_is_no_pass(tmp_path):
    scene = Scene(tmp_path, clamd=FakeClamd(ScanFailed("clamd", "unavailable")))
    _decision, disposition = scene.inspect()
    assert reply(disposition) == (451, "4.3.0")


def test_when_nobody_waits_all_is_given_up(tmp_path):
    clamd = FakeClamd(answer=Deferred())
    scene = Scene(tmp_path, clamd=clamd)
    scene.pool.answer = Deferred()
    inspection = scene.start()
    scene.clock.advance(HEAD_START)
    inspection.cancel()
    inspection.addErrback(lambda failure: failure.trap(CancelledError) and None)
    assert scene.pool.answer.called
    assert clamd.answer is not None
    assert clamd.answer.called
    assert scene.output.getvalue() == ""


def test_our_own_mistake_is_raised_not_passed(tmp_path):
    scene = Scene(tmp_path, clamd=FakeClamd(answer=Deferred()))
    scene.pool.answer = Deferred()
    failures: list[Any] = []
    scene.start().addErrback(failures.append)
    scene.clock.advance(HEAD_START)
    scene.pool.answer.errback(ZeroDivisionError())
    assert failures[0].check(ZeroDivisionError)
    assert scene.backends.engines[0].answer.called  # type: ignore[attr-defined]
