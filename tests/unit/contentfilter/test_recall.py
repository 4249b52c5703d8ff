"""Messages that are known already: none is taken for another, and what failed by chance is tried again."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.task import Clock

from contentfilter import recall
from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.recall import KEPT, LARGE, Recall, Recalled
from contentfilter.spool.spool import Spool
from mailbase.vocabulary import Finding, Unscanned

CLEAN = ScanResult(parts=3, seconds=0.5)
MACRO = ScanResult((Finding("office-macro", "2/a.docm"),), parts=2)
CRASHED = ScanFailed("workers", "crashed", "worker ended: SIGSEGV")
KILLED = ScanFailed("workers", "crashed", "worker ended: SIGKILL")
SLOW = ScanFailed("workers", "timed-out", "no answer within 45 s")
MESSAGE = b"Subject: x\r\n\r\nHello\r\n"


class Rig:
    def __init__(self, folder: Path, lifetime: float = 3600.0) -> None:
        self.clock = Clock()
        self.folder = folder
        self.counts: list[Recalled] = []
        self.recall = Recall(self.clock.seconds, lifetime, self)

    def recalled(self, what: Recalled) -> None:
        self.counts.append(what)

    def spool(self, data: bytes) -> Spool:
        spool = Spool(self.folder, 1000)
        spool.write(data)
        return spool

    def see(self, data: bytes, answer: ScanResult | ScanFailed) -> None:
        spool = self.spool(data)
        self.recall.note(self.recall.key(spool), spool, answer)
        spool.close()

    def ask(self, data: bytes) -> ScanResult | ScanFailed | None:
        spool = self.spool(data)
        answer = self.recall.answer(self.recall.key(spool))
        spool.close()
        return answer


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_the_same_message_need_not_be_scanned_again(rig: Rig) -> None:
    assert rig.ask(MESSAGE) is None
    rig.see(MESSAGE, MACRO)
    assert rig.ask(MESSAGE) == ScanResult(MACRO.findings)
    assert rig.counts == ["result"]
    rig.see(MESSAGE, CLEAN)
    assert rig.ask(MESSAGE) == ScanResult()


def test_one_that_ended_a_worker_is_not_given_to_another(rig: Rig) -> None:
    rig.see(MESSAGE, CRASHED)
    assert rig.ask(MESSAGE) == ScanFailed("workers", "crashed", "not tried again: worker ended: SIGSEGV")
    assert rig.counts == ["failure"]


@pytest.mark.parametrize(
    "trace",
    [
        b"X-Postwarden-Id: abc\r\n",
        b"Received: from c.example (c.example [192.0.2.1])\r\n\tby mx with ESMTP id 4X\r\n\tfor <b@y>\r\n",
        b"X-Postwarden-Id: abc\r\nReceived: from a\r\n by b;\r\n Fri, 27 Nov 2026\r\n",
        b"Received: 1\r\nx-postwarden-id: 2\r\nReceived: 3\r\nReceived: 4\r\n",
    ],
)
def test_a_retry_is_known_behind_other_trace_lines(rig: Rig, trace: bytes) -> None:
    rig.see(b"Received: from before\r\n" + MESSAGE, CRASHED)
    assert rig.ask(trace + MESSAGE) is not None


@pytest.mark.parametrize(
    "other",
    [
        MESSAGE + b"\r\n",
        MESSAGE[:-3] + b"O\r\n",
        b" " + MESSAGE,
        b"Reply-To: x\r\n" + MESSAGE,
        # What some program reads as more than a trace line is part of the message.
        b"Received: x\rContent-Type: multipart/mixed; boundary=b\r\n" + MESSAGE,
        b"Received: x\r\n\tContent-Type: multipart/mixed; boundary=b\r\n" + MESSAGE,
        b"Received: x\0\r\n" + MESSAGE,
        b"Received: \xe9\r\n" + MESSAGE,
        b"Received: x\n" + MESSAGE,
        b"Received : x\r\n" + MESSAGE,
        b"Received: x\r\n\x0by\r\n" + MESSAGE,
        b"Received: 1\r\n" * 5 + MESSAGE,
        b"X-Postwarden-Ids: 1\r\n" + MESSAGE,
        b"\r\n" + MESSAGE,
    ],
)
def test_another_message_is_another_one(rig: Rig, other: bytes) -> None:
    rig.see(MESSAGE, CLEAN)
    assert rig.ask(other) is None


def test_the_whole_of_a_spooled_message_counts(rig: Rig) -> None:
    long = b"Subject: x\r\n\r\n" + b"y" * 500_000
    rig.see(long + b"1", CLEAN)
    assert rig.ask(long + b"1") is not None
    assert rig.ask(long + b"2") is None
    assert rig.ask(long) is None


def test_what_may_have_been_the_machines_fault_is_tried_again(rig: Rig) -> None:
    for reason in ("unavailable", "overload", "protocol"):
        rig.see(MESSAGE, ScanFailed("workers", reason))
    rig.see(MESSAGE, ScanResult(unscanned=(Unscanned("1", "timed-out"),)))
    rig.see(MESSAGE, ScanResult(unscanned=(Unscanned("1", "failed"),)))
    assert len(rig.recall) == 0
    for number, doubtful in enumerate((SLOW, KILLED)):
        message = MESSAGE + b"%d\r\n" % number
        rig.see(message, doubtful)
        assert rig.ask(message) is None
        rig.see(message, doubtful)
        assert rig.ask(message) is not None


def test_one_that_was_slow_once_and_then_well_is_well(rig: Rig) -> None:
    rig.see(MESSAGE, SLOW)
    rig.see(MESSAGE, CLEAN)
    assert rig.ask(MESSAGE) == ScanResult()


def test_nothing_is_remembered_for_longer_than_told(rig: Rig) -> None:
    rig.see(MESSAGE, CRASHED)
    rig.clock.advance(3599)
    assert rig.ask(MESSAGE) is not None
    rig.clock.advance(1)
    assert rig.ask(MESSAGE) is None
    assert len(rig.recall) == 0


def test_of_large_messages_only_what_ended_a_worker_is_remembered(rig: Rig) -> None:
    large = b"Subject: x\r\n\r\n" + b"y" * LARGE
    rig.see(large, CLEAN)
    assert len(rig.recall) == 0
    rig.see(b"Received: a\r\n" + large, CRASHED)
    assert rig.ask(b"Received: bcd\r\n" + large) is not None
    # Only one of the very same size is looked at, and told apart.
    assert rig.recall.key(rig.spool(large[:-1] + b"z")).digest
    assert rig.ask(large[:-1] + b"z") is None
    assert not rig.recall.key(rig.spool(large + b"z")).digest
    rig.clock.advance(3600)
    assert rig.ask(large) is None
    assert not rig.recall.key(rig.spool(large)).digest


def test_what_is_remembered_is_bounded(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall, "KEPT", 3)
    for number in range(3):
        rig.see(MESSAGE + b"%d\r\n" % number, CLEAN)
    rig.ask(MESSAGE + b"0\r\n")
    rig.see(MESSAGE + b"3\r\n", CLEAN)
    assert len(rig.recall) == 3
    assert rig.ask(MESSAGE + b"1\r\n") is None, "the one that was asked for longest ago"
    assert rig.ask(MESSAGE + b"0\r\n") is not None
    assert KEPT == 10_000
    findings = tuple(Finding("virus", str(number)) for number in range(recall.MAX_FACTS + 1))
    rig.see(MESSAGE, ScanResult(findings))
    assert rig.ask(MESSAGE) is None


def test_other_rules_know_nothing_yet(rig: Rig) -> None:
    rig.see(MESSAGE, CLEAN)
    rig.see(b"y" * (LARGE + 1), CRASHED)
    rig.recall.clear()
    assert rig.ask(MESSAGE) is None
    assert rig.ask(b"y" * (LARGE + 1)) is None


def test_it_can_be_turned_off(tmp_path: Path) -> None:
    rig = Rig(tmp_path, 0.0)
    rig.see(MESSAGE, CRASHED)
    rig.see(MESSAGE, CLEAN)
    assert rig.ask(MESSAGE) is None
    assert len(rig.recall) == 0
