"""XML as it is searched: charsets, sections, attributes."""

from __future__ import annotations

import re
import time

import pytest

from contentfilter.containers.markup import ATTRIBUTES, as_utf8, attributes, elements, joined

XML = '<?xml version="1.0"?><a/>'


@pytest.mark.parametrize(
    "data",
    [
        XML.encode(),
        b" \r\n" + XML.encode(),
        XML.encode("utf-8-sig"),
        XML.encode("utf-16"),
        XML.encode("utf-16-le"),
        XML.encode("utf-16-be"),
        ("\ufeff" + XML).encode("utf-16-be"),
        XML.encode("utf-32"),
        XML.encode("utf-32-le"),
        XML.encode("utf-32-be"),
    ],
)
def test_xml_is_told_in_each_charset(data: bytes):
    text = as_utf8(data)
    assert text is not None
    assert XML.encode() in bytes(text)


def test_utf_7_is_read():
    data = b'<?xml version="1.0" encoding="utf-7"?>+ADw-w:instrText+AD4-DDE cmd+ADw-/w:instrText+AD4-'
    text = as_utf8(data)
    assert text is not None
    assert b"<w:instrText>DDE cmd<" in bytes(text)


@pytest.mark.parametrize("data", [b"", b"text", b"\xff\xfe", b"\xff\xfea\0", b"PK\x03\x04", b"\0\0\0\0"])
def test_other_octets_are_no_xml(data: bytes):
    assert as_utf8(data) is None


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        (b"<a>x</a>", b"<a>x</a>"),
        (b"<a>D<!-- > -->DE</a>", b"<a>DDE</a>"),
        (b"<a><![CDATA[D&D]]>E</a>", b"<a>D&amp;DE</a>"),
        (b"<a><![CDATA[<b>]]></a>", b"<a>&lt;b></a>"),
        (b"<?xml?><a>D<?x y?>DE</a>", b"<a>DDE</a>"),
        (b"<a><!-- <![CDATA[ --></a>", b"<a></a>"),
        (b"<a><![CDATA[<!-- ]]></a>", b"<a>&lt;!-- </a>"),
        (b"<a>x<!-- never closed", b"<a>x<!-- never closed"),
        (b"<!-- never closed <![CDATA[x]]>", b"<!-- never closed x"),
    ],
)
def test_texts_are_joined(text: bytes, whole: bytes):
    assert joined(text) == whole


def test_sections_without_number_or_end_take_no_time():
    started = time.process_time()
    assert joined(b"<!---->" * 300_000) is None
    assert joined(b"<!--" * 100_000 + b"<![CDATA[" * 90_000) is not None
    assert time.process_time() - started < 3


@pytest.mark.parametrize(
    "tag",
    [
        b'<Rel a="1" Target="x"/>',
        b"<p:Rel Target='x'>",
        '<ä-1:Rel q="a>b" t:TARGET = "x" >'.encode(),
        b'<Rel\n q=\'">\' Target="x">',
        b'<Rel Target="&#120;" />',
    ],
)
def test_elements_and_attributes(tag: bytes):
    [match] = elements(b"<root>" + tag + b"</root>", b"Rel")
    assert attributes(match[1])[b"target"] == "x"


def test_other_elements_are_none():
    assert list(elements(b"<Relx a='1'><aRel/></Rel>< Rel/>", b"Rel")) == []


def test_tags_that_never_end_take_linear_time():
    started = time.process_time()
    list(elements(b"<Rel " + b"a='" * 500_000, b"Rel"))
    list(elements(b'<Rel a="' * 200_000, b"Rel"))
    list(elements(b"<" + b"p" * 2_000_000, b"Rel"))
    assert time.process_time() - started < 3


def test_a_reference_of_thousands_of_digits_is_read():
    assert attributes(b'a="&#' + b"1" * 5000 + b';x"') == {b"a": "\ufffdx"}


@pytest.mark.parametrize(
    ("raw", "taken"),
    [
        (b' a="b>" c>', b' a="b>" c'),
        # A quotation mark that is never answered is no value, and none of the attributes.
        (b' a="b>', b" a="),
        (b" a='b\"<", b" a="),
        (b" a='b' " * 1000 + b'"', b" a='b' " * 1000),
    ],
)
def test_attributes_end_where_a_value_does_not(raw: bytes, taken: bytes):
    found = re.match(ATTRIBUTES, raw)
    assert found is not None
    assert found[1] == taken
