"""Whatever a message looks like and wherever its pieces end: what arrives verifies.

What Postfix makes of a message is done here to the whole of it, line by line and octet by octet; dkimpy says
whether the signature fits.
"""

from __future__ import annotations

import re

import dkim
from hypothesis import given
from hypothesis import strategies as st

from contentfilter.signing.author import NoAuthor, author_domain
from contentfilter.signing.canonical import BodyHash
from contentfilter.signing.header import parse_header
from contentfilter.signing.signature import NotSigned, Transmission, digest, sign
from contentfilter.signing.transit import Unforeseeable
from tests.samples.dkim_keys import MADE, key, records

PUBLIC, KEY = key()
RECORDS = records("inst.example", PUBLIC)
LIMIT = 10
"""Octets of a line; small, so that lines are broken often."""

ODD = st.sampled_from(
    [b" ", b"\t", b"\r", b"\r\r", b".", b"..", b"a", b"ab", b"\xfc", b"\0", b"  ", b"x" * 9, b"y" * 25]
)
LINE = st.lists(ODD, max_size=5).map(b"".join)
NAME = st.sampled_from([b"Subject", b"To", b"cc", b"Reply-To", b"X-A", b"Date", b"Received"])
FIELD = st.tuples(NAME, st.lists(LINE, min_size=1, max_size=3)).map(
    lambda item: item[0] + b":" + b"\r\n ".join(item[1]) + b"\r\n"
)
BODY = st.lists(LINE, max_size=8).map(b"\r\n".join)


def arrives(message: bytes, limit: int) -> bytes:
    """What Postfix makes of it."""
    text = re.sub(rb"\r+\n", b"\n", message).replace(b"\r", b" ")
    lines = text.removesuffix(b"\n").split(b"\n")
    made = []
    for line in lines:
        out, room = [], limit
        for number in range(len(line)):
            if room == 0:
                out.append(b"\r\n ")
                room = limit - 1
            out.append(line[number : number + 1])
            room -= 1
        made.append(b"".join(out))
    return b"".join(line + b"\r\n" for line in made)


@given(st.lists(FIELD, max_size=4), BODY, st.integers(0, 4), st.booleans(), st.integers(1, 60))
def test_it_verifies(fields: list[bytes], body: bytes, place: int, folds: bool, piece: int) -> None:
    fields.insert(min(place, len(fields)), b"From: a@b.c\r\n")
    message = b"".join(fields) + b"\r\n" + body
    limit = LIMIT + 3 if folds else 0
    pieces = [message[start : start + piece] for start in range(0, len(message), piece)]
    lines = sign(digest(pieces, Transmission(limit)), "inst.example", [KEY], int(MADE))
    arrived = arrives(message, limit or 1 << 20)
    assert dkim.verify(lines + arrived, dnsfunc=lambda name, timeout=5: RECORDS[name.decode().rstrip(".")])


@given(st.binary(max_size=400) | st.lists(LINE, max_size=20).map(b"\r\n".join), st.integers(1, 50))
def test_whatever_comes(message: bytes, piece: int) -> None:
    pieces = [message[start : start + piece] for start in range(0, len(message), piece)]
    try:
        whole = digest([message], Transmission(LIMIT))
        assert digest(pieces, Transmission(LIMIT)) == whole
        lines = sign(whole, "inst.example", [KEY], int(MADE))
    except (NotSigned, Unforeseeable):
        return
    assert lines.isascii()
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\r\n[^ ]", lines[:-1])


@given(st.binary(max_size=300))
def test_any_beginning_has_an_author_or_none(head: bytes) -> None:
    try:
        assert "." in author_domain(b"From: " + head)
    except NoAuthor:
        return


@given(st.binary(max_size=200).map(lambda data: data.replace(b"\r", b"")))
def test_fields_are_pieces_of_the_message_in_their_order(data: bytes) -> None:
    try:
        fields, end = parse_header(data)
    except Unforeseeable:
        return
    place = 0
    for field in fields:
        place = data.index(field.value, place) + len(field.value)
    assert place <= end <= len(data)


@given(st.lists(st.sampled_from([b" ", b"\t", b"\n", b"a", b"  ", b"\n\n"]), max_size=30), st.data())
def test_a_body_is_the_same_in_pieces(parts: list[bytes], data: st.DataObject) -> None:
    whole, split = BodyHash(), BodyHash()
    whole.feed(b"".join(parts))
    for part in parts:
        split.feed(part)
    assert whole.digest() == split.digest()
