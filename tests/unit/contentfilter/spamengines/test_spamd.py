"""spamd: what it is told, and what its answer says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contentfilter.content.clues import MAX_DETAIL
from contentfilter.spamengines import rspamd, spamd
from contentfilter.spamengines.opinion import MAX_SYMBOLS, Opinion, Symbol
from contentfilter.spamengines.question import Nonsense

from ..spamdoubles import spamd as spamd_answer
from .spamasked import CONTENT, MAIL, SPLITS, answered, pieces, sent


def test_spamd_gets_the_mail_behind_its_length():
    assert sent(spamd.symbols(MAIL)) == b"SYMBOLS SPAMC/1.5\r\nContent-length: 20\r\n\r\n" + CONTENT
    assert b"\r\nUser: ada@x.example\r\n\r\n" in sent(spamd.symbols(MAIL, "ada@x.example"))


@pytest.mark.parametrize("user", ["a\r\nb", "", " a", "a b", "-x", "a" * 200, "ä"])
def test_what_is_no_user_is_not_said(user):
    assert b"User" not in sent(spamd.symbols(MAIL, user))


def test_score_and_names_are_read():
    opinion = spamd.opinion(spamd_answer(b"BAYES_99,AWL,HTML_MESSAGE\r\n", b"15.25"))
    assert opinion == Opinion(15.25, 5.0, (Symbol("AWL"), Symbol("BAYES_99"), Symbol("HTML_MESSAGE")))
    assert str(opinion) == "15.25 of 5: AWL, BAYES_99, HTML_MESSAGE"
    assert spamd.opinion(spamd_answer(b"", b"-2.2")).score == -2.2
    assert str(spamd.opinion(spamd_answer(b"\r\n"))) == "1.5 of 5"


def test_many_names_are_bounded():
    opinion = spamd.opinion(spamd_answer(b",".join(b"NAME_%d" % number for number in range(300))))
    assert len(opinion.symbols) == MAX_SYMBOLS
    assert opinion.more == 290
    assert len(str(opinion)) <= MAX_DETAIL


SPAMD = [
    spamd_answer(b"BAYES_99,AWL"),
    spamd_answer(b""),
    spamd_answer(b"BAYES_99,AWL").replace(b"\r\n", b"\n"),
]


@pytest.mark.parametrize("number", range(len(SPAMD)))
def test_its_answer_may_come_in_any_pieces_and_no_less_than_all(number):
    answer = SPAMD[number]
    for place in range(len(answer)):
        asked = spamd.symbols(MAIL)
        assert answered(asked, answer[:place]) is None
        assert asked.receive(answer[place:]) == answer
        cut = spamd.symbols(MAIL)
        assert answered(cut, answer[:place]) is None
        with pytest.raises(Nonsense):
            spamd.opinion(cut.ended())
    assert answered(spamd.symbols(MAIL), *(bytes([octet]) for octet in answer)) == answer


def test_without_a_length_its_answer_ends_with_the_connection():
    asked = spamd.symbols(MAIL)
    answer = b"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 7.5 / 5.0\r\n\r\nA,B"
    assert answered(asked, answer) is None
    assert spamd.opinion(asked.ended()) == Opinion(7.5, 5.0, (Symbol("A"), Symbol("B")))


def test_whoever_answers_pong_is_alive():
    asked = spamd.ping()
    assert sent(asked) == b"PING SPAMC/1.5\r\n\r\n"
    assert asked.receive(b"SPAMD/1.5 0 PONG\r\n") is None
    assert spamd.pong(asked.ended())
    for other in (b"SPAMD/1.5 0 EX_OK\r\n", b"220 mail.example ESMTP\r\n", b"", b"PONG\r\n"):
        assert not spamd.pong(other)


def test_an_error_is_said_in_its_words():
    """It is a line, and then spamd closes; or one with a header, as answers have."""
    asked = spamd.symbols(MAIL)
    assert answered(asked, b"SPAMD/1.0 76 Bad header line: x\r\n") is None
    with pytest.raises(Nonsense, match="spamd: 76 Bad header line: x") as caught:
        asked.ended()
    assert not caught.value.late
    with pytest.raises(Nonsense, match="spamd: 76 Bad header line: x"):
        answered(spamd.symbols(MAIL), b"SPAMD/1.0 76 Bad header line: x\r\n\r\n")


def test_that_it_had_no_time_is_told_apart():
    asked = spamd.symbols(MAIL)
    assert answered(asked, b"SPAMD/1.0 79 Timeout: (30 second timeout)\r\n") is None
    with pytest.raises(Nonsense) as caught:
        asked.ended()
    assert caught.value.late


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"\r\n\r\n",
        b"SPAMD/1.1 0 EX_OK\r\nContent-length: 99999999\r\n\r\n",
        b"x" * spamd.MAX_HEADER,
        b"SPAMD/1.1 0 EX_OK\r\n" + b"A: b\r\n" * 5000,
        b"SPAMD/1.1 0 EX_OK\r\n\r\n" + b"x" * (spamd.MAX_HEADER + spamd.MAX_BODY),
    ],
)
def test_what_is_no_answer_of_spamd_is_nonsense(answer):
    with pytest.raises(Nonsense) as caught:
        answered(spamd.symbols(MAIL), answer)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "head", [b"Spam: True ; x / 5.0", b"Spam: True", b"X-Spam: True ; 1 / 5", b"Spam: Perhaps ; 1 / 5", b""]
)
def test_an_answer_without_a_score_is_none(head):
    with pytest.raises(Nonsense):
        spamd.opinion(b"SPAMD/1.1 0 EX_OK\r\n" + head + b"\r\n\r\nSpam: True ; 7.5 / 5.0\r\n")


@given(st.binary(max_size=300) | st.sampled_from([*SPAMD, *SPLITS]), st.data())
@settings(max_examples=150, deadline=None)
def test_whatever_comes_in_whatever_pieces_ends_in_the_same_way(data, draw):
    """Either protocol, any bytes: all splits of them say the same."""

    def run(make: Any, parts: list[bytes]) -> object:
        asked = make()
        try:
            answer = answered(asked, *parts)
            return answer if answer is not None else asked.ended()
        except Nonsense:
            return Nonsense

    split = draw.draw(pieces(data))
    for make in (rspamd.ping, spamd.ping):
        assert run(make, split) == run(make, [data])
