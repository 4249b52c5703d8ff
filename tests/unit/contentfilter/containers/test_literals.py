"""Data that is written out in pages: the least that is looked at, and nothing less."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contentfilter.containers.literals import (
    _BASE64,
    _ESCAPED_HEX,
    _NUMBERS,
    _RUN_OF_BASE64,
    _RUN_OF_HEX,
    _RUN_OF_NUMBERS,
    data_urls,
    literals,
)

CONTENT = b"MZ" + bytes(range(150, 196))
"""48 octets, and so 64 characters of base64."""


def found(text: bytes) -> set[bytes]:
    return {content for content, _data in literals(text)}


def test_base64_of_64_characters_is_looked_at_and_less_is_not() -> None:
    text = base64.b64encode(CONTENT)
    assert CONTENT in found(b"<p>" + text + b"</p>")
    assert not found(b"<p>" + text[1:] + b"</p>")


@pytest.mark.parametrize("form", [b"%d,", b"0x%02x, ", b"%d\v", b"%d ; "])
def test_64_numbers_are_looked_at_and_less_are_not(form: bytes) -> None:
    octets = CONTENT + bytes(16)
    text = b"".join(form % octet for octet in octets)
    assert octets[:60] in {content[:60] for content in found(b"var a = [" + text + b"]")}
    assert not found(b"var a = [" + b"".join(form % octet for octet in octets[:63]) + b"]")


@pytest.mark.parametrize("last", [b"12345", b"999", b"777, "])
def test_a_number_that_is_no_octet_behind_octets_does_not_hide_them(last: bytes) -> None:
    octets = CONTENT + bytes(16)
    text = b"".join(b"%d," % octet for octet in octets)
    assert octets[:60] in {content[:60] for content in found(b"var a = [" + text + last + b"]")}


@pytest.mark.parametrize("form", ["%02x ", "%%%02x%%", "%02x:"])
def test_64_octets_in_hexadecimal_are_looked_at_and_less_are_not(form: str) -> None:
    octets = CONTENT.translate(None, b"\0") + b"\xee" * 16
    assert octets in found(("var a = '" + "".join(form % octet for octet in octets) + "'").encode())
    assert not found(("var a = '" + "".join(form % octet for octet in octets[:63]) + "'").encode())


def test_a_data_url_is_found_in_letters_of_either_case() -> None:
    assert list(data_urls(b"<a href='DaTa:text/html,%3Cp%3Ehello there</p>'>")) == [
        ("text/html", b"<p>hello there")
    ]


@pytest.mark.parametrize(
    ("pattern", "run"),
    [(_BASE64, _RUN_OF_BASE64), (_ESCAPED_HEX, _RUN_OF_HEX), (_NUMBERS, _RUN_OF_NUMBERS)],
    ids=["base64", "hexadecimal", "numbers"],
)
def test_whatever_an_expression_takes_has_the_run_that_it_is_searched_for_by(pattern, run) -> None:
    @settings(max_examples=30, deadline=None)
    @given(st.from_regex(pattern))
    def holds(text: bytes) -> None:
        assert run.stands_in(text)

    holds()


@pytest.mark.parametrize(
    ("pattern", "text", "end"),
    [
        (_NUMBERS, b"65," * 64 + b"0x7 ", 195 + 1),
        (_ESCAPED_HEX, b"41," * 64 + b"%4x", 192),
        (_BASE64, b"A" * 64 + b"\n" + b"B" * 15, 64),
    ],
)
def test_what_begins_like_one_more_and_is_none_is_left(pattern, text: bytes, end: int) -> None:
    found = pattern.match(text)
    assert found is not None
    assert found.end() == end
