"""A callout's conversation, as a script: this comes in, that must go out."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from mailbase.smtp_replies import MAX_LINE, MAX_LINES
from policyd.callout.conversation import Conversation, Doing, Finished, Outcome, Script, StartTls, Write

ASK = Script("mx.gate.example", (b"<ada@inst.example>",))
PLAIN = (
    b"220 mail.inst.example ESMTP\r\n",
    b"250-mail.inst.example\r\n250 PIPELINING\r\n",
    b"250 2.1.0 ok\r\n",
)
"""Up to the answer to MAIL."""
TLS = (
    b"220 hi\r\n",
    b"250-hi\r\n250 STARTTLS\r\n",
    b"220 go\r\n",
    b"250-hi\r\n250 SIZE 100\r\n",
    b"250 ok\r\n",
)


class Talk:
    def __init__(self, script: Script = ASK) -> None:
        self.conversation = Conversation(script)
        self.conversation.connected()
        self.written: list[bytes] = []
        self.end: Finished | None = None

    def hear(self, *pieces: bytes) -> Talk:
        for piece in pieces:
            self.do(self.conversation.receive(piece))
        return self

    def do(self, doings: list[Doing]) -> None:
        for doing in doings:
            match doing:
                case Write(data):
                    self.written.append(data)
                case StartTls():
                    self.written.append(b"(tls)")
                case Finished():
                    assert self.end is None
                    self.end = doing

    @property
    def outcome(self) -> Outcome:
        assert self.end is not None
        return self.end.outcome


def test_a_callout_asks_and_leaves_without_sending_mail() -> None:
    talk = Talk().hear(*PLAIN, b"250 2.1.5 ok\r\n")
    assert talk.written == [
        b"EHLO mx.gate.example\r\n",
        b"MAIL FROM:<>\r\n",
        b"RCPT TO:<ada@inst.example>\r\n",
        b"QUIT\r\n",
    ]
    assert [reply.code for reply in talk.outcome.replies] == [250]
    assert talk.outcome.failure == ""
    assert talk.end is not None
    assert talk.end.polite


def test_tls_is_turned_on_where_it_is_offered_and_the_greeting_repeated() -> None:
    talk = Talk().hear(*TLS, b"550 5.1.1 no\r\n")
    assert talk.written[1:5] == [b"STARTTLS\r\n", b"(tls)", b"EHLO mx.gate.example\r\n", b"MAIL FROM:<>\r\n"]
    assert talk.outcome.tls
    assert talk.outcome.keywords == {"SIZE": ("100",)}


def test_tls_is_not_forced() -> None:
    talk = Talk().hear(*TLS[:2], b"454 4.7.0 not now\r\n", b"250 ok\r\n", b"250 ok\r\n")
    assert b"(tls)" not in talk.written
    assert not talk.outcome.tls
    assert len(talk.outcome.replies) == 1
    untold = Talk(Script("mx.gate.example", (b"<a@b.example>",), tls=False)).hear(*TLS[:2])
    assert untold.written[-1] == b"MAIL FROM:<>\r\n"


def test_a_handshake_that_fails_is_told_from_other_ends() -> None:
    talk = Talk().hear(*TLS[:3])
    talk.do(talk.conversation.fail("connection lost"))
    assert talk.outcome.handshake_failed
    later = Talk().hear(*TLS[:4])
    later.do(later.conversation.fail("connection lost"))
    assert not later.outcome.handshake_failed
    # Some offer it, and break off when they are taken at their word.
    broken_off = Talk().hear(*TLS[:2])
    broken_off.do(broken_off.conversation.fail("connection lost"))
    assert broken_off.outcome.handshake_failed
    assert Talk().hear(*TLS[:2], b"421 bye\r\n").outcome.handshake_failed


@pytest.mark.parametrize("smuggled", [b"220 go\r\n250 x", b"220 go\r\n250 x\r\n", b"220 go\r\n\r\n"])
def test_nothing_that_was_said_before_tls_is_heard_inside(smuggled: bytes) -> None:
    talk = Talk().hear(*TLS[:2], smuggled)
    assert b"(tls)" not in talk.written
    assert talk.outcome.failure


def test_a_server_without_extensions_is_greeted_by_helo() -> None:
    talk = Talk().hear(b"220 hi\r\n", b"502 5.5.1 what?\r\n", b"250 hi\r\n", b"250 ok\r\n", b"250 ok\r\n")
    assert talk.written[1] == b"HELO mx.gate.example\r\n"
    assert talk.outcome.replies[0].code == 250


def test_without_recipients_it_ends_after_the_greeting() -> None:
    talk = Talk(Script("mx.gate.example")).hear(*TLS[:4])
    assert talk.written[-1] == b"QUIT\r\n"
    assert talk.outcome.keywords == {"SIZE": ("100",)}
    assert talk.outcome.failure == ""


def test_all_recipients_are_asked_for_whatever_the_answers() -> None:
    paths = (b"<a@b.example>", b"<b@b.example>")
    talk = Talk(Script("mx.gate.example", paths)).hear(*PLAIN, b"550 no\r\n", b"250 ok\r\n")
    assert [reply.code for reply in talk.outcome.replies] == [550, 250]


@pytest.mark.parametrize(
    ("first", "asked"), [(b"250 ok\r\n", True), (b"550 no\r\n", False), (b"450 -\r\n", False)]
)
def test_a_made_up_address_is_asked_for_after_one_that_was_taken(first: bytes, asked: bool) -> None:
    talk = Talk(Script("mx.gate.example", (b"<a@b.example>",), b"<made-up@b.example>"))
    talk.hear(*PLAIN, first)
    assert (talk.written[-1] == b"RCPT TO:<made-up@b.example>\r\n") is asked
    assert (talk.end is None) is asked
    if asked:
        talk.hear(b"550 no\r\n")
        assert [reply.code for reply in talk.outcome.replies] == [250, 550]


def test_what_was_answered_before_the_end_is_known() -> None:
    talk = Talk(Script("mx.gate.example", (b"<a@b.example>",), b"<made-up@b.example>"))
    talk.hear(*PLAIN, b"250 ok\r\n", b"421 too many errors\r\n")
    assert [reply.code for reply in talk.outcome.replies] == [250]


@pytest.mark.parametrize("answer", [b"550 no\r\n", b"250 ok\r\n"])
def test_an_answer_counts_also_where_it_is_read_together_with_a_goodbye(answer: bytes) -> None:
    whole = answer + b"421 too many errors\r\n"
    for pieces in [(whole,), *_splits(whole)]:
        talk = Talk(CONTROL).hear(*PLAIN, *pieces)
        assert [reply.code for reply in talk.outcome.replies] == [int(answer[:3])]
        assert talk.outcome.failure == "421 too many errors"
    assert Talk().hear(*PLAIN[:2], b"250 ok\r\n421 x\r\n").outcome.failure == "replies without a command"
    assert Talk().hear(*PLAIN, b"250 ok\r\n421 x\r\n421 x\r\n").outcome.replies == ()


def test_non_ascii_needs_smtputf8() -> None:
    script = Script("mx.gate.example", ("<jörg@b.example>".encode(),), smtputf8=True)
    lacking = Talk(script).hear(*PLAIN[:2])
    assert lacking.outcome.lacks_smtputf8
    assert lacking.written[-1] == b"QUIT\r\n"
    talk = Talk(script).hear(b"220 hi\r\n", b"250-hi\r\n250 SMTPUTF8\r\n", b"250 ok\r\n", b"250 ok\r\n")
    assert talk.written[1:3] == [b"MAIL FROM:<> SMTPUTF8\r\n", b"RCPT TO:<j\xc3\xb6rg@b.example>\r\n"]


@pytest.mark.parametrize("stage", range(len(TLS)))
@pytest.mark.parametrize(
    "bad",
    [
        b"421 4.3.2 going down\r\n",
        b"421-x\r\n421 y\r\n",
        b"\r\n",
        b"hello\r\n",
        b"250 ok\r\n250 ok\r\n",
        b"999 no\r\n",
        b"250-a\r\n350 b\r\n",
        b"2" * MAX_LINE,
        b"250-x\r\n" * (MAX_LINES + 1),
        b"\xff\x00\r\n",
        b"354 go\r\n",
    ],
)
def test_nothing_else_than_an_answer_goes_on(stage: int, bad: bytes) -> None:
    talk = Talk().hear(*TLS[:stage], bad)
    if bad == b"354 go\r\n" and stage == 2:
        # Not TLS then.
        assert talk.written[-1] == b"MAIL FROM:<>\r\n"
        return
    assert talk.outcome.failure
    assert talk.outcome.replies == ()
    after = len(talk.written)
    talk.hear(b"250 ok\r\n")
    talk.do(talk.conversation.fail("again"))
    assert len(talk.written) == after


@pytest.mark.parametrize("at", range(3))
@pytest.mark.parametrize("code", [b"450", b"550"])
def test_a_refusal_before_the_recipient_says_nothing_of_it(at: int, code: bytes) -> None:
    talk = Talk().hear(*PLAIN[:at], code + b" 5.1.1 no such user here\r\n")
    if at == 1 and code == b"550":
        talk.hear(code + b" no\r\n")
    assert talk.outcome.replies == ()
    assert talk.outcome.failure
    assert talk.outcome.reply is not None


def _splits(data: bytes) -> list[tuple[bytes, ...]]:
    cuts = [(data[:place], data[place:]) for place in range(1, len(data))]
    return [*cuts, tuple(bytes([octet]) for octet in data)]


def test_any_split_of_the_bytes_is_the_same() -> None:
    replies = (*TLS, b"550-5.1.1 no\r\n550 5.1.1 such\r\n")
    whole = Talk().hear(*replies)
    for place, reply in enumerate(replies):
        for pieces in _splits(reply):
            talk = Talk().hear(*replies[:place], *pieces, *replies[place + 1 :])
            assert talk.written == whole.written
            assert talk.outcome == whole.outcome


def test_the_stages_are_named_for_the_log() -> None:
    talk = Talk()
    stages: list[Any] = [talk.conversation.stage]
    for reply in TLS:
        talk.hear(reply)
        stages.append(talk.conversation.stage)
    assert stages == ["banner", "ehlo", "starttls", "ehlo", "mail", "rcpt"]
    assert all(one != other for one, other in pairwise(stages))


CONTROL = Script(
    "mx.gate.example", (b"<eve@inst.example>",), b"<made-up@x>", controls=[b"<ada@inst.example>"]
)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (b"550 5.1.1 no", b"RCPT TO:<ada@inst.example>\r\n"),
        (b"250 ok", b"RCPT TO:<made-up@x>\r\n"),
        (b"450 later", b"QUIT\r\n"),
    ],
)
def test_who_is_asked_for_next_depends_on_the_answer(first: bytes, second: bytes) -> None:
    talk = Talk(CONTROL).hear(*PLAIN, first + b"\r\n")
    assert talk.written[-1] == second


def test_after_the_control_nobody_else_is_asked_for() -> None:
    talk = Talk(CONTROL).hear(*PLAIN, b"550 5.1.1 no\r\n", b"250 ok\r\n")
    assert talk.written[-1] == b"QUIT\r\n"
    assert [reply.code for reply in talk.outcome.replies] == [550, 250]


def test_controls_are_asked_for_until_one_is_not_refused() -> None:
    controls = [b"<a@inst.example>", b"<b@inst.example>", b"<c@inst.example>"]
    talk = Talk(replace(CONTROL, controls=controls)).hear(*PLAIN, *[b"550 5.1.1 no\r\n"] * 2)
    assert talk.written[-1] == b"RCPT TO:<b@inst.example>\r\n"
    talk.hear(b"250 ok\r\n")
    assert talk.written[-1] == b"QUIT\r\n"
    assert [reply.code for reply in talk.outcome.replies] == [550, 550, 250]
    talk = Talk(replace(CONTROL, controls=controls)).hear(*PLAIN, *[b"550 5.1.1 no\r\n"] * 4)
    assert [reply.code for reply in talk.outcome.replies] == [550] * 4


def test_a_control_that_is_cut_off_leaves_the_first_answer() -> None:
    talk = Talk(CONTROL).hear(*PLAIN, b"550 5.1.1 no\r\n", b"421 4.7.0 too many errors\r\n")
    assert [reply.code for reply in talk.outcome.replies] == [550]
