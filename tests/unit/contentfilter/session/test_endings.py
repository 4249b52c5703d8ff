"""A session whose client goes, is silent, or says good-bye, and one that is to stop."""

from __future__ import annotations

import pytest

from contentfilter.disposition.disposition import Deliver
from contentfilter.session import session as words
from contentfilter.session.steps import (
    AbandonReinjection,
    CancelInspection,
    ClientGone,
    ClientSilent,
    Close,
    CloseSpool,
    End,
    Inspect,
    Record,
    Reinject,
    Say,
    Stop,
    Verdict,
)
from contentfilter.smtp.client import Result
from contentfilter.smtp.events import (
    EndOfData,
    Hello,
    Noop,
    Quit,
    Refused,
    Reset,
    ServerEvent,
)

from .scripted import NO, QUEUED, Script, ended, record, said


@pytest.mark.parametrize("before", [0, 1, 2])
def test_session_client_gone_before_the_end_leaves_nothing(before: int) -> None:
    script = Script()
    steps = [lambda: None, script.envelope, script.message]
    steps[before]()
    commands = script(ClientGone())
    if before == 2:
        assert CloseSpool() in commands
        assert record(commands).end is End.CLIENT_GONE
        assert record(commands).reply is None
    else:
        assert commands == []
    assert not any(isinstance(command, Inspect | Reinject) for command in commands)
    assert script.session.closed


def test_session_client_gone_while_inspecting() -> None:
    script = Script()
    script.message()
    script(EndOfData(4, None))
    commands = script(ClientGone())
    assert commands[:2] == [CancelInspection(), CloseSpool()]
    assert record(commands).end is End.CLIENT_GONE
    assert script(Verdict("late", Deliver())) == []


def test_session_client_gone_while_delivering_waits_for_the_outcome() -> None:
    script = Script()
    script.judged()
    assert script(ClientGone()) == [AbandonReinjection()]
    assert not script.session.closed
    commands = script(ended(Result.DELIVERED, QUEUED))
    assert [type(command) for command in commands] == [CloseSpool, Record]
    assert record(commands).end is End.DELIVERED
    assert record(commands).reply is None
    assert script.session.closed


def test_session_silent_client_is_sent_away() -> None:
    script = Script()
    assert script(ClientSilent()) == [Close(words.TIMED_OUT)]
    assert script.session.closed
    script = Script()
    script.message()
    commands = script(ClientSilent())
    assert commands[0] == CloseSpool()
    assert commands[-1] == Close(words.TIMED_OUT)
    assert record(commands).end is End.CLIENT_GONE


def test_session_waiting_client_is_not_silent() -> None:
    script = Script()
    script.judged()
    assert script(ClientSilent()) == []


def test_session_stop_when_idle() -> None:
    script = Script()
    assert script(Stop()) == [Close(words.STOPPING)]


@pytest.mark.parametrize("hello", [Hello(True, "c"), Noop(words.OK)])
def test_session_stop_lets_a_new_client_bring_its_mail(hello: ServerEvent) -> None:
    script = Script()
    assert script(Stop(at_once=False)) == []
    assert not any(isinstance(one, Close) for one in script(hello))
    script.judged()
    commands = script(ended(Result.DELIVERED, QUEUED))
    assert said(commands) == [QUEUED]
    assert commands[-1] == Close(words.STOPPING)


def test_session_stop_ends_a_new_client_that_brings_nothing() -> None:
    script = Script()
    script(Stop(at_once=False))
    assert script(Stop()) == [Close(words.STOPPING)]


def test_session_stop_ends_a_client_that_has_had_its_mail() -> None:
    script = Script()
    script.judged()
    script(ended(Result.DELIVERED, QUEUED))
    assert script(Stop(at_once=False)) == [Close(words.STOPPING)]


def test_session_stop_lets_the_transaction_end() -> None:
    script = Script()
    script.judged()
    assert script(Stop()) == []
    commands = script(ended(Result.DELIVERED, QUEUED))
    assert said(commands) == [QUEUED]
    assert commands[-1] == Close(words.STOPPING)
    assert script.session.closed


@pytest.mark.parametrize("event", [Reset(), Hello(True, "c"), Hello(False, "c")])
def test_session_stop_within_the_envelope(event: ServerEvent) -> None:
    script = Script()
    script.envelope()
    assert script(Stop()) == []
    assert script(event)[1:] == [Close(words.STOPPING)]
    assert script.session.closed


def test_session_quit_and_the_rest() -> None:
    script = Script()
    assert script(Noop(words.OK)) == [Say(words.OK)]
    assert script(Refused(NO)) == [Say(NO)]
    assert not script.session.closed
    assert script(Quit()) == [Say(words.BYE), Close()]
    assert script.session.closed
    script = Script()
    assert script(Refused(NO, fatal=True)) == [Say(NO), Close()]
    assert script.session.closed
