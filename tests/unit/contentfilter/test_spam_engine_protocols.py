"""What Rspamd and spamd are asked and what their answers mean, as bytes: any split, length and nonsense."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contentfilter.content.clues import MAX_DETAIL
from contentfilter.spamengines import http, question, rspamd, spamd
from contentfilter.spamengines.opinion import MAX_NAME, MAX_SCORE, MAX_SYMBOLS, Opinion, Symbol, heaviest
from contentfilter.spamengines.question import Asked, Nonsense

from .clamds import Message
from .spamdoubles import HAM
from .spamdoubles import http as http_answer
from .spamdoubles import spamd as spamd_answer

CONTENT = b"Subject: x\r\n\r\n.dot\r\n"
SPOOL = Message(b"Subject: x\r\n", b"\r\n..dot\r\n")
SPOOL.size = len(CONTENT)
MAIL = Asked(SPOOL, "a@x.example", ("b@y.example",))


def sent(asked: Any) -> bytes:
    return b"".join(asked.frames())


def answered(asked: Any, *pieces: bytes) -> Any:
    """The answer in ``pieces``, or None; a real one comes after the question has gone out."""
    sent(asked)
    for piece in pieces:
        if (answer := asked.receive(piece)) is not None:
            return answer
    return None


# Rspamd: what goes out


def test_the_mail_goes_out_without_its_dots_behind_what_the_envelope_says():
    asked = Asked(
        MAIL.spool, "a@x.example", ("b@y.example",), "192.0.2.1", "c.example", "helo", "ada", "01234"
    )
    head, body = sent(rspamd.check(asked)).split(b"\r\n\r\n", 1)
    assert body == CONTENT
    assert head.split(b"\r\n") == [
        b"POST /checkv2 HTTP/1.1",
        b"Host: localhost",
        b"From: <a@x.example>",
        b"Rcpt: <b@y.example>",
        b"Deliver-To: b@y.example",
        b"IP: 192.0.2.1",
        b"Helo: helo",
        b"Hostname: c.example",
        b"User: ada",
        b"Queue-Id: 01234",
        b"Content-Length: %d" % len(CONTENT),
        b"Connection: keep-alive",
    ]


def test_what_is_not_known_is_not_said_and_a_bounce_has_no_sender():
    head = sent(rspamd.check(Asked(MAIL.spool))).split(b"\r\n\r\n")[0]
    assert b"\r\nFrom: <>\r\n" in head
    for name in (b"Rcpt", b"Deliver-To", b"IP", b"Helo", b"Hostname", b"User", b"Queue-Id"):
        assert name not in head


def test_several_recipients_are_told_and_nobody_is_the_one():
    head = sent(rspamd.check(Asked(MAIL.spool, "", ("a@x", "b@x"))))
    assert b"Rcpt: <a@x>\r\nRcpt: <b@x>\r\n" in head
    assert b"Deliver-To" not in head


def test_so_many_recipients_are_told_as_have_room():
    many = tuple(f"u{number}@{'x' * 200}.example" for number in range(1000))
    head = sent(rspamd.check(Asked(MAIL.spool, "", many))).split(b"\r\n\r\n")[0]
    told = [line for line in head.split(b"\r\n") if line.startswith(b"Rcpt: ")]
    octets = sum(len(line) + 2 for line in told)
    assert rspamd.MAX_FIELDS - len(told[-1]) - 4 < octets <= rspamd.MAX_FIELDS


@given(st.text(max_size=40))
def test_no_name_can_say_more_than_itself(text):
    asked = Asked(MAIL.spool, text, (text,), text, text, text, text, text)
    head, _, body = sent(rspamd.check(asked)).partition(b"\r\n\r\n")
    assert body == CONTENT
    names = [line.split(b":")[0] for line in head.split(b"\r\n")]
    optional = [b"IP", b"Helo", b"Hostname", b"User", b"Queue-Id"]
    assert [name for name in names if name not in optional] == [
        b"POST /checkv2 HTTP/1.1",
        b"Host",
        b"From",
        b"Rcpt",
        b"Deliver-To",
        b"Content-Length",
        b"Connection",
    ]
    assert all(octet > 31 and octet != 127 for octet in head.replace(b"\r\n", b""))


def test_a_large_mail_is_read_piece_by_piece():
    message = Message(*[b"x" * 40_000 + b"\r\n"] * 50)
    frames = rspamd.check(Asked(message)).frames()
    next(frames)
    assert message.read <= 2
    rest = b"".join(frames)
    assert message.read == 50
    assert len(rest) > 1_900_000


# Rspamd: answers


def checked(**fields: Any) -> Opinion:
    return rspamd.opinion(json.dumps({"score": 1, **fields}).encode())


def test_score_symbols_threshold_and_action_are_read():
    body = (
        b'{"is_skipped":false,"score":7.500000,"required_score":15.0,"action":"add header","symbols":'
        b'{"SMALL":{"name":"SMALL","score":0.5,"metric_score":0.5},"HAM":{"name":"HAM","score":-2.25},'
        b'"BIG":{"name":"BIG","score":1,"metric_score":9.25,"options":["x"]},"ZERO":{"score":0}},'
        b'"messages":{},"urls":["evil.example"],"message-id":"1@x","time_real":0.27}'
    )
    opinion = rspamd.opinion(body)
    assert opinion == Opinion(
        7.5,
        15.0,
        (Symbol("BIG", 9.25), Symbol("HAM", -2.25), Symbol("SMALL", 0.5), Symbol("ZERO", 0.0)),
        action="add header",
    )
    assert str(opinion) == "7.5 of 15, add header: BIG 9.25, HAM -2.25, SMALL 0.5, ZERO 0"


def test_a_mail_that_it_skipped_has_no_score_of_ours():
    opinion = checked(is_skipped=True)
    assert opinion.skipped
    assert str(opinion) == "not looked at"


def test_urls_and_addresses_of_the_mail_are_not_read_at_all():
    """A mail may have ten thousand of them; its score stands in front."""
    body = HAM[:-1] + b',"urls":["' + b"a" * (2 * question.KEPT)
    assert rspamd.opinion(body[: question.KEPT]).score == 1.5
    assert rspamd.opinion(HAM[:-1] + b',"urls":[nonsense').score == 1.5


def test_symbols_that_are_cut_off_cost_no_score():
    body = b'{"score":3,"symbols":{"A":{"options":["' + b"a" * question.KEPT
    assert rspamd.opinion(body[: question.KEPT]).score == 3
    with pytest.raises(Nonsense):
        rspamd.opinion(body[:100])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"pong",
        b"[]",
        b"{}",
        b"{",
        b'{"score"',
        b'{"score":',
        b'{"score":1',
        b'{"score":1,',
        b'{"score":1 "symbols":{}}',
        b'{1:2,"score":1}',
        b'{"score":"1"}',
        b'{"score":true}',
        b'{"score":null}',
        b'{"score":NaN}',
        b'{"score":Infinity}',
        b'{"score":1,"symbols":[]}',
        b'{"score":1,"symbols":{"A":{"score":"x"}}}',
        b'{"score":1,"required_score":"x"}',
        b'{"score":' + b"9" * 5000 + b"}",
        b'{"symbols":' + b"[" * 100_000,
        b'{"error":"cannot parse","score_":1}',
        b"\xff\xfe{",
    ],
)
def test_what_says_nothing_is_no_opinion(body):
    with pytest.raises(Nonsense) as caught:
        rspamd.opinion(body)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_a_score_beyond_all_bounds_is_bounded():
    assert checked(score=1e300).score == MAX_SCORE
    assert rspamd.opinion(b'{"score":-1e999,"symbols":{}}').score == -MAX_SCORE
    assert checked(score=-(10**300)).score == -MAX_SCORE


def test_symbols_are_bounded_and_clean():
    names = {f"S{number}": {"score": number} for number in range(500)}
    opinion = checked(symbols={**names, "evil\r\nname": {"score": 1000}, "": {"score": 1000}, "a b": {}})
    assert len(opinion.symbols) == MAX_SYMBOLS
    assert opinion.symbols[0] == Symbol("S499", 499.0)
    assert opinion.more == 490
    long = checked(symbols={"L" * 500 + str(number): {"score": 5} for number in range(9)}, action="x" * 500)
    assert all(len(symbol.name) == MAX_NAME for symbol in long.symbols)
    assert len(str(long)) <= MAX_DETAIL
    assert str(long).endswith(" more")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
fields = st.dictionaries(st.sampled_from(["score", "symbols", "action", "required_score", "x"]), json_values)


@given(st.binary(max_size=200) | fields.map(lambda value: json.dumps(value).encode()))
@settings(max_examples=100, deadline=None)
def test_whatever_rspamd_says_is_an_opinion_or_nonsense(body):
    try:
        opinion = rspamd.opinion(body)
    except Nonsense as problem:
        text = str(problem)
    else:
        assert -MAX_SCORE <= opinion.score <= MAX_SCORE
        text = str(opinion)
        assert len(text) <= MAX_DETAIL
    assert text.isascii()
    assert text.isprintable()


@given(fields)
@settings(max_examples=60, deadline=None)
def test_the_members_of_an_object_are_those_that_json_knows(value):
    text = json.dumps(value).encode()
    if "NaN" in text.decode() or "Infinity" in text.decode():
        return
    assert dict(rspamd._members(text.decode())) == json.loads(text)


# HTTP


SPLITS = [
    http_answer(HAM),
    http_answer(HAM, close=False),
    b"HTTP/1.1 100 Continue\r\n\r\n" + http_answer(HAM),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n"
    % (HAM[:5], len(HAM) - 5, HAM[5:]),
]


@pytest.mark.parametrize("number", range(len(SPLITS)))
def test_the_answer_may_come_in_any_pieces(number):
    answer = SPLITS[number]
    for place in range(len(answer) + 1):
        assert answered(rspamd.ping(), answer[:place], answer[place:]) == HAM
    assert answered(rspamd.ping(), *(bytes([octet]) for octet in answer)) == HAM


@pytest.mark.parametrize("number", range(len(SPLITS)))
def test_an_answer_that_is_cut_off_is_none(number):
    answer = SPLITS[number]
    for place in range(len(answer)):
        asked = rspamd.ping()
        assert answered(asked, answer[:place]) is None
        with pytest.raises(Nonsense, match=r"closed|not HTTP"):
            asked.ended()


def test_without_a_length_the_answer_ends_with_the_connection():
    asked = rspamd.ping()
    assert answered(asked, b"HTTP/1.0 200 OK\r\n\r\n" + HAM) is None
    assert asked.ended() == HAM
    assert not asked.reusable


def test_the_connection_is_reused_only_where_both_want_to():
    for answer, reusable in (
        (http_answer(HAM, close=False), True),
        (http_answer(HAM), False),
        (http_answer(HAM, close=False).replace(b"HTTP/1.1", b"HTTP/1.0"), False),
        (http_answer(HAM, close=False) + b"more", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npong", True),
    ):
        asked = rspamd.ping()
        assert answered(asked, answer)
        assert asked.reusable is reusable, answer


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (http_answer(b'{"error":"no mail"}', b"500 in\x01valid"), "500"),
        (http_answer(b"", b"404 Not found"), "HTTP 404 Not found"),
        (http_answer(b"", b"204 No Content"), "HTTP 204"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 5000, "not HTTP"),
        (b"x" * 100_000, "not HTTP"),
    ],
)
def test_what_is_no_good_answer_is_nonsense(answer, text):
    with pytest.raises(Nonsense, match=text) as caught:
        answered(rspamd.ping(), answer)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


def test_of_a_long_answer_the_beginning_is_kept_and_an_endless_one_is_none(monkeypatch):
    monkeypatch.setattr(http, "KEPT", 1000)
    monkeypatch.setattr(http, "MAX_ANSWER", 5000)
    asked = rspamd.ping()
    assert answered(asked, http_answer(b"a" * 5000)) == b"a" * 1000
    with pytest.raises(Nonsense, match="more than 5000 octets"):
        answered(rspamd.ping(), http_answer(b"a" * 5001))


# spamd


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


def pieces(data: bytes) -> st.SearchStrategy[list[bytes]]:
    places = st.lists(st.integers(0, len(data)), max_size=6).map(sorted)
    return places.map(lambda cuts: [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)])


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


def test_symbols_of_equal_weight_stand_in_the_order_of_their_names():
    top, more = heaviest(_symbols(["B", "A", "C"]))
    assert [symbol.name for symbol in top] == ["A", "B", "C"]
    assert more == 0


def _symbols(names: list[str]) -> Iterator[Symbol]:
    return (Symbol(name, 1.0) for name in names)
