"""Recipients of one mail that are treated differently, in a session."""

from __future__ import annotations

import pytest

from contentfilter.disposition.disposition import Answer, Deliver
from contentfilter.disposition.splits import Splits
from contentfilter.session import session as words
from contentfilter.session.envelope import Envelope, Path
from contentfilter.session.steps import (
    ClientGone,
    Inspect,
    InspectionFailed,
    Reinject,
    TakeBack,
    Verdict,
)
from contentfilter.smtp.client import TROUBLE, Result
from contentfilter.smtp.events import (
    Data,
    EndOfData,
    Hello,
    Reset,
)

from .scripted import NO, QUEUED, Script, ended, mail, rcpt, record, said

THREE = ("a@y", "trap@y", "b@y")
TRAP = {1: words.OK}


@pytest.mark.parametrize("lmtp", [False, True])
def test_who_is_left_out_is_not_reinjected_and_hears_that_all_is_well(lmtp: bool) -> None:
    script = Script(lmtp)
    script.message(*THREE)
    script(EndOfData(4, None))
    (reinject,) = script(Verdict("id1", Deliver(b"", TRAP)))
    assert isinstance(reinject, Reinject)
    assert [path.address for path in reinject.job.envelope.recipients] == ["a@y", "b@y"]
    replies = (QUEUED, NO) if lmtp else (QUEUED,)
    commands = script(ended(Result.DELIVERED, *replies))
    assert said(commands) == ([QUEUED, words.OK, NO] if lmtp else [QUEUED])
    assert len(record(commands).envelope.recipients) == 3


@pytest.mark.parametrize("lmtp", [False, True])
def test_who_is_left_out_is_not_refused_either(lmtp: bool) -> None:
    script = Script(lmtp)
    script.message(*THREE)
    script(EndOfData(4, None))
    commands = script(Verdict("id1", Answer(NO, TRAP)))
    assert said(commands) == ([NO, words.OK, NO] if lmtp else [NO])


def test_the_next_mail_leaves_nobody_out() -> None:
    script = Script(lmtp=True)
    script.message(*THREE)
    script(EndOfData(4, None))
    script(Verdict("id1", Answer(NO, TRAP)))
    script.message(*THREE)
    script(EndOfData(4, None))
    assert said(script(InspectionFailed())) == [TROUBLE] * 3


def test_all_hear_that_a_mail_was_discarded() -> None:
    script = Script(lmtp=True)
    script.message("t@y", "u@y")
    script(EndOfData(4, None))
    assert said(script(Verdict("id1", Answer(words.OK)))) == [words.OK] * 2


def test_who_is_refused_is_never_passed_over_in_silence() -> None:
    script = Script()
    script.message("a@y", "b@y")
    script(EndOfData(4, None))
    with pytest.raises(RuntimeError):
        script(Verdict("id1", Deliver(b"", {0: NO})))


@pytest.mark.parametrize("lmtp", [False, True])
def test_recipients_apart_are_not_reinjected_and_hear_their_own_where_they_can(lmtp: bool) -> None:
    script = Script(lmtp)
    script.message("a@y", "b@y", "c@y")
    script(EndOfData(4, None))
    first = NO if lmtp else words.OK
    (reinject,) = script(Verdict("id1", Deliver(b"", {0: first, 2: words.OK})))
    assert isinstance(reinject, Reinject)
    assert [path.address for path in reinject.job.envelope.recipients] == ["b@y"]
    commands = script(ended(Result.DELIVERED, QUEUED))
    assert said(commands) == ([NO, QUEUED, words.OK] if lmtp else [QUEUED])


@pytest.mark.parametrize(
    ("result", "lmtp", "gone", "taken_back"),
    [
        (Result.DELIVERED, False, False, False),
        (Result.DELIVERED, False, True, False),
        (Result.FAILED, False, False, True),
        (Result.REFUSED, False, False, True),
        (Result.UNKNOWN, False, False, True),
        (Result.ABANDONED, False, True, True),
        # Who was quarantined has heard 250.
        (Result.FAILED, True, False, False),
        (Result.ABANDONED, True, True, True),
    ],
)
def test_what_was_kept_is_taken_back_if_the_client_keeps_it(
    result: Result, lmtp: bool, gone: bool, taken_back: bool
) -> None:
    script = Script(lmtp)
    script.message("a@y", "b@y")
    script(EndOfData(4, None))
    script(Verdict("id1", Deliver(b"", {0: words.OK}, "file.mail")))
    if gone:
        script(ClientGone())
    commands = script(ended(result, NO))
    assert (TakeBack("file.mail") in commands) is taken_back
    if not gone:
        script.message()
        script(EndOfData(4, None))
        script(Verdict("id2", Deliver()))
        assert TakeBack("file.mail") not in script(ended(Result.FAILED, NO))


def parted() -> Splits:
    """… of a mail of a@x whose recipients b@y and d@y need another answer than c@y."""
    splits = Splits(lambda: 0.0)
    paths = [Path(address, b"") for address in ("b@y", "c@y", "d@y")]
    splits.remember(Envelope(Path("a@x", b""), recipients=paths, size=10), {0: 2, 1: 5, 2: 2})
    return splits


def test_session_puts_off_those_that_do_not_go_with_the_first() -> None:
    script = Script(size_limit=10_000, splits=parted())
    script(Hello(True, "c"))
    script(mail(SIZE="10"))
    assert [said(script(rcpt(one))) for one in ("b@y", "c@y", "d@y")] == [
        [words.RECIPIENT_OK],
        [words.PUT_OFF],
        [words.RECIPIENT_OK],
    ]
    script(Data())
    (inspect,) = script(EndOfData(0, None))
    assert isinstance(inspect, Inspect)
    assert [path.address for path in inspect.envelope.recipients] == ["b@y", "d@y"]
    assert inspect.envelope.size == 10
    assert (words.PUT_OFF.code, words.PUT_OFF.status) == (452, "4.5.3")
    # A transaction begins anew, whichever way the one before ended.
    script(Verdict("id", Answer(NO)))
    script(mail(SIZE="10"))
    assert said(script(rcpt("c@y"))) == [words.RECIPIENT_OK]
    assert said(script(rcpt("b@y"))) == [words.PUT_OFF]
    script(Reset())
    script(mail(SIZE="5000"))
    assert said(script(rcpt("b@y"))) == said(script(rcpt("c@y"))) == [words.RECIPIENT_OK]
