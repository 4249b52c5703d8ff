"""HTTP as far as Rspamd speaks it: any pieces, any end, bounds."""

from __future__ import annotations

import pytest

from contentfilter.spamengines import http, rspamd
from contentfilter.spamengines.question import Nonsense

from ..spamdoubles import HAM
from ..spamdoubles import http as http_answer
from .spamasked import SPLITS, answered


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
