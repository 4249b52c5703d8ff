"""Readers of programs, pages, messages and notes on invented octets: no crash, and always an end."""

from __future__ import annotations

import base64

from hypothesis import given, settings
from hypothesis import strategies as st

from contentfilter.containers import onestore, shell_link
from contentfilter.containers.disk_image import disk_image
from contentfilter.containers.literals import data_urls, flat, from_base64, literals, unquoted
from contentfilter.content.filename import deception, suffix, suffixes
from contentfilter.content.limits import Budget, ScanOptions
from contentfilter.content.part import Context, Part
from contentfilter.scanners.appended import Appended, program_behind
from contentfilter.scanners.cards import Cards
from contentfilter.scanners.executable import Executable
from contentfilter.scanners.html_smuggling import HtmlSmuggling
from contentfilter.scanners.misnamed import Misnamed, kind_of
from contentfilter.scanners.onenote import OneNote
from contentfilter.scanners.outlook import Outlook
from contentfilter.scanners.scripts import Scripts, script
from mailbase.scripts import SUFFIXES
from tests.samples.outlook import attached, invitation, onenote, outlook_message
from tests.samples.programs import installer, jar, pe, shortcut, xar

EXAMPLES = settings(max_examples=300, deadline=None)
SCANNERS = (Executable(), Scripts(), Misnamed(), HtmlSmuggling(), Appended(), Outlook(), OneNote(), Cards())
WHOLE = (
    pe(),
    shortcut(),
    installer(),
    jar(),
    xar(b"<name>PackageInfo<"),
    outlook_message(attached(b"x" * 50, "a.js"), t10090102=b"\0" * 16),
    onenote([b"x" * 50], ["a.js"]),
    invitation(b"x" * 50, "a.js"),
    b"<html><script>x = atob('"
    + base64.b64encode(bytes(range(256)) * 2)
    + b"'); createObjectURL('a.js')</script>",
    bytes(510) + b"\x55\xaa" + bytes(2000),
    b"[InternetShortcut]\r\nURL=file://a\r\n",
    b"Windows Registry Editor Version 5.00\r\n",
)
NAMES = st.one_of(
    st.text(max_size=40),
    st.builds(
        lambda stem, end, tail: f"{stem}.{end}{tail}",
        st.text(max_size=10),
        st.sampled_from([*SUFFIXES, "pdf", "html", "com", "txt", "exe"]),
        st.text(" .\0\u202e\u200b\t", max_size=4),
    ),
)
FRAGMENTS = st.sampled_from(
    [
        b"<html>", b"<script>", b"</script>", b"<?xml", b"<svg", b"data:", b";base64,", b"atob('", b"')",
        b'"', b"'", b"`", b"+", b",", b"\\x41", b"\\u0041", b"\\u{41}", b"&#65;", b"&#x41;", b"%41",
        b"unescape", b"createObjectURL", b"download", b"A" * 70, b"QUJD" * 20, b"41" * 70, b"0x41, " * 70,
        b"65, " * 70, b"-1,", b"=", b"==", b"\r\n", b" ", b"\0", b"MZ", b"PE\0\0", b"BEGIN:VCARD\r\n",
        b"ENCODING=BASE64:", b"ATTACH", b"'a.js'", b"_0x1234", b"\xff\xfe", b"\xef\xbb\xbf", b"TVqQAAMA" * 10,
        b"UEsDBBQA" * 10, b"eJwDAAAAAAE=", b"[Shell]", b"exec=",
    ]
)  # fmt: skip
NOISE = st.lists(st.one_of(FRAGMENTS, st.binary(max_size=8)), max_size=40).map(b"".join)


def look(data: bytes, name: str) -> list[object]:
    part = Part("x", data, name=name)
    budget = Budget(ScanOptions())
    return [item for scanner in SCANNERS for item in scanner.scan(part, Context(part, budget))]


@EXAMPLES
@given(NOISE, NAMES)
def test_noise(data: bytes, name: str):
    look(data, name)
    look(b"<html><script>" + data, name)


@EXAMPLES
@given(st.sampled_from(WHOLE), st.data(), NAMES)
def test_what_is_cut_and_changed(whole: bytes, draw: st.DataObject, name: str):
    size = draw.draw(st.integers(0, len(whole)))
    changed = bytearray(whole[:size])
    for at in draw.draw(st.lists(st.integers(0, max(0, size - 1)), max_size=8)):
        if at < size:
            changed[at] = draw.draw(st.integers(0, 255))
    look(bytes(changed), name)


@EXAMPLES
@given(st.binary(max_size=300))
def test_small_readers(data: bytes):
    assert isinstance(shell_link.describe(shell_link.MAGIC + data), str)
    assert isinstance(script(data, "x"), str)
    assert isinstance(kind_of(data), str)
    assert isinstance(disk_image(data), str)
    assert isinstance(from_base64(data), bytes)
    assert len(unquoted(data)) <= len(data)
    list(onestore.files(onestore.MAGIC + data))
    onestore.names(data, ["js"])
    program_behind(data)
    list(data_urls(flat(data)))
    list(literals(flat(data)))


@EXAMPLES
@given(NAMES)
def test_names(name: str):
    assert isinstance(deception(name), str)
    assert len(suffixes(name)) <= 4
    assert suffix(name) == (suffixes(name) or ("",))[0]


@EXAMPLES
@given(st.binary(min_size=70, max_size=400), st.sampled_from(["64", "hex", "numbers", "percent"]))
def test_what_is_written_out_is_read_again(data: bytes, form: str):
    text = {
        "64": base64.b64encode(data),
        "hex": data.hex().encode(),
        "numbers": b"[" + b",".join(b"%d" % octet for octet in data) + b"]",
        "percent": b"".join(b"%%%02x" % octet for octet in data),
    }[form]
    assert any(content.startswith(data) for content, _random in literals(b" '" + text + b"' "))
