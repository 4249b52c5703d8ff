"""Whose From it is, as far as anybody can tell."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contentfilter.signing.author import MAX_VALUE, NoAuthor, author_domain, domain_in

PLAIN = {
    "an address": b" a@inst.example",
    "brackets": b" <a@inst.example>",
    "a name": b" Berg <a@inst.example>",
    "blanks": b"\tBerg  < a@inst.example >\t",
    "capitals": b" a@Inst.Example",
    "a last dot": b" a@inst.example.",
    "quotes": b' "Berg, Alex" <a@inst.example>',
    "escaped quotes": b' "Berg \\"x\\" <b@evil.example>" <a@inst.example>',
    "an address for a name": b' "b@evil.example" <a@inst.example>',
    "an address for a name, without quotes": b" b@evil.example <a@inst.example>",
    "a comma in a name, without quotes": b" Berg, Alex <a@inst.example>",
    "a quoted local part": b' "a@evil.example"@inst.example',
    "a quoted local part in brackets": b' <"a@evil.example>"@inst.example>',
    "a comment": b" a@inst.example (b@evil.example)",
    "nested comments": b" (x (y, \\) <b@evil.example>) z) a@inst.example",
    "an encoded name": b" =?utf-8?q?b=40evil.example?= <a@inst.example>",
    "8 bits": " Müller <a@inst.example>".encode(),
    "folded": b" Berg\r\n <a@inst.example>",
    "an empty entry": b" a@inst.example, ",
    "a plus": b" a+b=c@inst.example",
}


@pytest.mark.parametrize("name", PLAIN)
def test_one_author(name: str) -> None:
    assert domain_in(PLAIN[name]) == "inst.example"


def test_a_domain_of_other_letters() -> None:
    assert domain_in(" a@bücher.example".encode()) == "xn--bcher-kva.example"


UNCLEAR = {
    "nothing": (b"", "no-from"),
    "blanks": (b"  \r\n ", "no-from"),
    "a name": (b" Berg", "no-from"),
    "a comment": (b" (a@inst.example)", "no-from"),
    "two": (b" a@inst.example, b@inst.example", "several-from"),
    "two in brackets": (b" A <a@inst.example>, B <b@evil.example>", "several-from"),
    "two with one name": (b" <a@inst.example> <b@evil.example>", "unclear-from"),
    "nothing in brackets": (b" Berg <>", "unclear-from"),
    "a group": (b" Team: a@inst.example;", "unclear-from"),
    "a route": (b" <@evil.example:a@inst.example>", "unclear-from"),
    "two at": (b" a@evil.example@inst.example", "unclear-from"),
    "a blank within": (b" a b@inst.example", "unclear-from"),
    "a blank in the domain": (b" a@inst .example", "unclear-from"),
    "an open quote": (b' "a <a@inst.example>', "unclear-from"),
    "an open comment": (b" a@inst.example (x", "unclear-from"),
    "an open bracket": (b" <a@inst.example", "unclear-from"),
    "a bracket in brackets": (b" <<a@inst.example>>", "unclear-from"),
    "a closing bracket": (b" a@inst.example>", "unclear-from"),
    "a backslash": (b" a\\@inst.example", "unclear-from"),
    "an address literal": (b" a@[192.0.2.1]", "unclear-from"),
    "a name without dot": (b" a@localhost", "unclear-from"),
    "no local part": (b" @inst.example", "unclear-from"),
    "no domain": (b" a@", "unclear-from"),
    "a carriage return": (b" a@inst.example\rx", "unclear-from"),
    "NUL": (b" a@inst.example\0", "unclear-from"),
    "broken 8 bits": (b" a@inst\xff.example", "unclear-from"),
    "too long": (b" " * MAX_VALUE + b"a@inst.example", "unclear-from"),
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_nobody_or_several_or_nobody_knows(name: str) -> None:
    value, reason = UNCLEAR[name]
    with pytest.raises(NoAuthor) as caught:
        domain_in(value)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "head",
    [
        b"X: y\r\nFrom: a@inst.example\r\n\r\nbody",
        b"FROM : a@inst.example\r\n\r\n",
        b"From:\r\n a@inst.example\r\nSubject: x",
        b"Subject: x\r\n From: b@evil.example\r\nFrom: a@inst.example\r\n\r\nFrom: c@evil.example\r\n",
        b"X-From: b@evil.example\r\nFrom: a@inst.example\r\n",
    ],
)
def test_the_field_is_found(head: bytes) -> None:
    assert author_domain(head) == "inst.example"


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"Subject: x\r\n\r\nFrom: a@inst.example\r\n", "no-from"),
        (b"From: a@inst.example\r\nfrom: a@inst.example\r\n\r\n", "several-from"),
        (b"", "no-from"),
    ],
)
def test_none_or_several_fields(head: bytes, reason: str) -> None:
    with pytest.raises(NoAuthor) as caught:
        author_domain(head)
    assert caught.value.reason == reason


@given(st.binary(max_size=80) | st.text('<>(),:;"\\@ab. \t', max_size=60).map(str.encode))
def test_whatever_stands_there(value: bytes) -> None:
    try:
        domain = domain_in(value)
    except NoAuthor:
        return
    assert "." in domain
    assert domain == domain.lower()


@pytest.mark.parametrize("unit", [b"(", b'"', b"<", b",", b"a@", b"\\", b'<"', b"()", b"\r\n ", b"x"])
def test_a_long_field_takes_no_longer(unit: bytes) -> None:
    head = b"From: " + unit * (64 * 1024 // len(unit)) + b"\r\n\r\n"
    began = time.process_time()
    with pytest.raises(NoAuthor):
        author_domain(head)
    with pytest.raises(NoAuthor):
        domain_in((unit * MAX_VALUE)[:MAX_VALUE])
    assert time.process_time() - began < 0.5
