"""What a session tells the client when a mail does not go through."""

from __future__ import annotations

import pytest

from contentfilter.disposition.disposition import Answer, Deliver
from contentfilter.session import session as words
from contentfilter.session.steps import (
    CloseSpool,
    End,
    Inspect,
    InspectionFailed,
    SpoolFailed,
    Store,
    Verdict,
)
from contentfilter.smtp.client import TROUBLE, Result
from contentfilter.smtp.data import Defect
from contentfilter.smtp.events import (
    Content,
    Data,
    EndOfData,
)

from .scripted import NO, QUEUED, Script, ended, mail, rcpt, record, said


def test_session_inspector_refuses() -> None:
    script = Script()
    script.message()
    script(EndOfData(4, None))
    commands = script(Verdict("id1", Answer(NO)))
    assert said(commands) == [NO]
    assert record(commands).end is End.ANSWERED
    assert CloseSpool() in commands


def test_session_inspector_fails() -> None:
    script = Script()
    script.message()
    script(EndOfData(4, None))
    commands = script(InspectionFailed())
    assert said(commands) == [TROUBLE]
    assert TROUBLE.code == 451
    assert record(commands).end is End.INSPECTION_FAILED
    assert script(Verdict("late", Deliver())) == []
    # The next transaction hears nothing of it either.
    script(mail())
    assert script(InspectionFailed()) == []


@pytest.mark.parametrize(("defect", "end"), [(Defect.BARE_LF, End.BARE_LF), (Defect.DOT_CR, End.DOT_CR)])
def test_session_defective_message_is_refused_unseen(defect: Defect, end: End) -> None:
    script = Script()
    script.message()
    commands = script(EndOfData(4, defect))
    (reply,) = said(commands)
    assert (reply.code, reply.status) == (550, "5.5.2")
    assert record(commands).end is end
    assert not any(isinstance(command, Inspect) for command in commands)


def test_session_too_large_is_let_go_at_once_and_refused_at_the_end() -> None:
    script = Script(size_limit=10)
    script.envelope()
    script(Data())
    assert script(Content(b"a" * 10, 10)) == [Store(b"a" * 10, 10)]
    assert script(Content(b"b", 11)) == [CloseSpool()]
    assert script(Content(b"c", 12)) == []
    commands = script(EndOfData(12, None))
    assert said(commands) == [words.TOO_BIG]
    assert (words.TOO_BIG.code, words.TOO_BIG.status) == (552, "5.3.4")
    assert record(commands).end is End.TOO_LARGE
    assert record(commands).size == 12


def test_session_full_disk_is_told_at_the_end() -> None:
    script = Script()
    script.message()
    assert script(SpoolFailed()) == []
    assert script(Content(b"more", 8)) == []
    commands = script(EndOfData(8, None))
    assert said(commands) == [words.NO_SPACE]
    assert words.NO_SPACE.code == 452
    assert record(commands).end is End.NO_SPACE
    script(mail())
    script(rcpt())
    script(Data())
    assert script(Content(b"Hi\r\n", 4)) == [Store(b"Hi\r\n", 4)]


@pytest.mark.parametrize(
    ("result", "end"),
    [
        (Result.REFUSED, End.REFUSED),
        (Result.FAILED, End.REINJECTION_FAILED),
        (Result.LATE, End.LATE),
        (Result.MISMATCH, End.MISMATCH),
        (Result.UNKNOWN, End.UNKNOWN),
    ],
)
def test_session_reinjection_that_did_not_succeed_is_told(result: Result, end: End) -> None:
    script = Script()
    script.judged()
    commands = script(ended(result, NO))
    assert said(commands) == [NO]
    assert record(commands).end is end
    assert record(commands).detail == "why"


def test_session_lmtp_answers_for_each_recipient() -> None:
    script = Script(lmtp=True)
    script.judged("b@y", "c@y")
    assert said(script(ended(Result.DELIVERED, QUEUED, NO))) == [QUEUED, NO]
    script.message("b@y", "c@y", "d@y")
    script(EndOfData(4, None))
    assert said(script(Verdict("id", Answer(NO)))) == [NO] * 3
    script.message("b@y", "c@y")
    assert len(said(script(EndOfData(4, Defect.BARE_LF)))) == 2
