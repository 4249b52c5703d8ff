"""Those who are asked about a mail beside the workers: in order, in time, and without them if need be."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from contentfilter.assessing import Assessment, Mail, Name, StampFailed
from contentfilter.content.clues import Clue
from contentfilter.content.results import ScanFailed
from contentfilter.panel import PATIENCE, Panel
from contentfilter.session.envelope import Client, Envelope
from contentfilter.session.envelope import Path as MailPath
from contentfilter.spool.spool import Spool
from contentfilter.together import Awaited
from mailbase.logs import Log
from mailbase.vocabulary import Flow


class Member:
    """Says what it is told to, when it is told to."""

    patience: float

    def __init__(self, name: Name, answer: Any = None) -> None:
        self.name = name
        self.answer: Deferred[Any] = Deferred()
        if answer is not None:
            self.say(answer)

    def say(self, answer: Any) -> None:
        if isinstance(answer, Exception):
            self.answer.errback(answer)
        else:
            self.answer.callback(answer)

    async def assess(self, mail: Mail) -> Assessment:
        return await self.answer  # type: ignore[no-any-return]

    async def prepare(self, head: bytes, flow: Any) -> Mapping[str, Any]:
        return await self.answer  # type: ignore[no-any-return]

    async def stamp(self, mail: Mail, shares: Sequence[Any]) -> bytes:
        return await self.answer  # type: ignore[no-any-return]


class Room:
    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.output = io.StringIO()
        self.asked_for: list[tuple[str, bool, float]] = []
        self.panel = Panel(self.clock, Log("test", stream=self.output), self)
        envelope = Envelope(MailPath("a@x.example", b"<a@x.example>"), Client("c", "192.0.2.1"), [], [])
        self.mail = Mail("0123456789abc", envelope, Spool(folder, 1 << 20), Flow.INBOUND)

    def asked(self, name: Name, answered: bool, seconds: float) -> None:
        self.asked_for.append((name, answered, seconds))

    def assess(self, *members: Member, seconds: float = 60.0) -> list[Any]:
        async def clues() -> list[Clue]:
            clues, self.failures = await self.panel.assess(members, self.mail, seconds)
            return clues

        return self.run(clues())

    def run(self, work: Coroutine[Any, Any, Any]) -> list[Any]:
        results: list[Any] = []
        self.work = Deferred.fromCoroutine(work).addBoth(results.append)
        return results


@pytest.fixture
def room(tmp_path):
    return Room(tmp_path)


A, B = Clue("url.listed", "a", 2.5), Clue("rspamd.score", "b", 1.0)


def test_clues_stand_in_the_order_of_the_assessors_and_not_of_their_answers(room):
    first, second = Member("urls"), Member("rspamd")
    results = room.assess(first, second)
    second.say(Assessment([B]))
    assert results == []
    first.say(Assessment([A]))
    assert results == [[A, B]]
    assert room.asked_for == [("rspamd", True, 0.0), ("urls", True, 0.0)]
    assert not room.clock.getDelayedCalls()


def test_one_that_fails_adds_nothing_and_is_counted(room):
    results = room.assess(Member("urls", ValueError("broken")), Member("rspamd", Assessment([B])))
    assert results == [[B]]
    assert ("urls", False, 0.0) in room.asked_for
    assert "broken" in room.output.getvalue()


def test_one_that_could_not_say_everything_is_counted_and_what_it_said_counts(room):
    assert room.assess(Member("urls", Assessment([A], "one list is away"))) == [[A]]
    assert room.asked_for == [("urls", False, 0.0)]
    assert "one list is away" in room.output.getvalue()


@pytest.mark.parametrize(("seconds", "until"), [(3.0, 3.0), (60.0, PATIENCE), (-1.0, 0.0)])
def test_one_that_is_late_is_not_waited_for(room, seconds, until):
    late = Member("urls")
    results = room.assess(late, Member("rspamd", Assessment([B])), seconds=seconds)
    room.clock.advance(max(0.0, until - 0.01))
    assert (results == []) is (until > 0)
    room.clock.advance(0.01)
    assert results == [[B]]
    assert isinstance(late.answer.result, type(None)) or late.answer.called
    assert ("urls", False, until) in [(name, ok, round(took, 6)) for name, ok, took in room.asked_for]


def test_whatever_stops_a_late_one_does_not_keep_the_answer(room):
    late = Member("urls")

    def stubborn(_answer):
        raise RuntimeError("no")

    late.answer = Deferred(stubborn)
    results = room.assess(late)
    with contextlib.suppress(RuntimeError):
        room.clock.advance(PATIENCE)
    assert results == [[]]


def test_a_mail_that_nobody_waits_for_any_more_asks_nobody(room):
    member = Member("urls")
    results = room.assess(member)
    room.work.cancel()
    assert results[0].check(CancelledError)
    assert not room.clock.getDelayedCalls()
    assert member.answer.called


def test_what_preparers_find_stands_under_their_names(room):
    room.panel.preparers = [Member("authentication", {"a": "b"}), Member("urls", ValueError("x"))]
    assert room.run(room.panel.prepare(b"head", Awaited(), 5.0)) == [{"authentication": {"a": "b"}}]


def test_workers_are_told_whom_they_need_do_nothing_for(room):
    idle, busy, plain = Member("bulk"), Member("urls"), Member("rspamd")
    idle.spares, busy.spares = lambda: True, lambda: False
    room.panel.after = [idle, busy, plain]
    assert room.panel.spared() == {"bulk": False}


def test_stamps_stand_in_their_order_and_one_that_fails_keeps_the_mail(room):
    first, second = Member("authentication"), Member("signing", b"B: 2\r\n")
    room.panel.stampers = [first, second]
    results = room.run(room.panel.stamp(room.mail, [], 5.0))
    first.say(b"A: 1\r\n")
    assert results == [b"A: 1\r\nB: 2\r\n"]
    room.panel.stampers = [Member("authentication", b""), Member("signing", StampFailed("no key"))]
    (failure,) = room.run(room.panel.stamp(room.mail, [], 5.0))
    assert failure.check(StampFailed)
    assert failure.getErrorMessage() == "signing: no key"


def test_the_silence_of_a_spam_engine_is_told_and_that_of_others_is_not(room):
    """The configuration says what a mail gets that a spam engine did not look at."""
    failed = Assessment(failed="refused", reason="unavailable")
    assert room.assess(
        Member("rspamd", failed), Member("spamassassin", ValueError("x")), Member("urls", failed)
    )
    assert room.failures == [
        ScanFailed("rspamd", "unavailable", "refused"),
        ScanFailed("spamassassin", "timed-out", "x"),
    ]


def test_one_with_patience_of_its_own_is_waited_for_that_long(room):
    patient, late = Member("spamassassin"), Member("urls")
    patient.patience = 30.0
    results = room.assess(patient, late)
    room.clock.advance(PATIENCE)
    assert late.answer.called
    room.clock.advance(30.0 - PATIENCE - 0.01)
    assert not results
    room.clock.advance(0.01)
    assert results == [[]]
    assert [(failed.scanner, failed.reason) for failed in room.failures] == [("spamassassin", "timed-out")]
