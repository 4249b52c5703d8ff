"""Rspamd: what it is told, and what its answer says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contentfilter.content.clues import MAX_DETAIL
from contentfilter.spamengines import question, rspamd
from contentfilter.spamengines.opinion import MAX_NAME, MAX_SCORE, MAX_SYMBOLS, Opinion, Symbol, heaviest
from contentfilter.spamengines.question import Asked, Nonsense

from ..enginedoubles import Message
from ..spamdoubles import HAM
from .spamasked import CONTENT, MAIL, sent

# What goes out


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


# Answers


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


def test_symbols_of_equal_weight_stand_in_the_order_of_their_names():
    top, more = heaviest(_symbols(["B", "A", "C"]))
    assert [symbol.name for symbol in top] == ["A", "B", "C"]
    assert more == 0


def _symbols(names: list[str]) -> Iterator[Symbol]:
    return (Symbol(name, 1.0) for name in names)
