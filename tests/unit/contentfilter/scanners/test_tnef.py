"""``winmail.dat``: what is in it, whole, nested, hidden and broken."""

from __future__ import annotations

import struct

import pytest

from contentfilter.containers import lzfu, tnef
from contentfilter.content.limits import Budget, ScanOptions
from contentfilter.content.part import Context, Found, Part
from contentfilter.content.scan import scan_document, scan_message
from contentfilter.scanners.tnef import Tnef
from mailbase.vocabulary import Finding, Unscanned
from tests.samples import tnef as made
from tests.samples.messages import HEAD, attachment
from tests.samples.office import doc, docm

DOCUMENT = doc()


def found(data: bytes) -> list[Found]:
    part = Part("1/winmail.dat", data)
    return list(Tnef().scan(part, Context(part, Budget(ScanOptions()))))


def parts(data: bytes) -> dict[str, bytes]:
    return {
        item.path.removeprefix("1/winmail.dat/"): bytes(item.data)
        for item in found(data)
        if isinstance(item, Part)
    }


def test_an_attachment_has_its_long_name_where_there_is_one():
    names = parts(made.tnef(made.file(DOCUMENT, b"SHORT~1.DOC"), made.file(b"two", b"two.txt")))
    assert names == {"SHORT~1.DOC": DOCUMENT, "two.txt": b"two"}


START, SCRIPT = made.attribute(0x9002, bytes(14)), made.attribute(0x800F, b"var a = 1;")
SHORT, OTHER = made.attribute(0x8010, b"a.js\0"), made.attribute(0x8010, b"a.txt\0")


def properties(*names: tuple[int, bytes]) -> bytes:
    items = [made.binary(number, name + b"\0" * (number != 0x3701), 0x1E) for number, name in names]
    return made.attribute(0x9005, made.properties(*items))


NAMES = {
    "long beside": (START, SHORT, SCRIPT, properties((0x3707, b"a.txt"))),
    "behind": (START, SCRIPT, properties((0x3707, b"a.txt")), SHORT),
    "shown": (START, OTHER, SCRIPT, properties((0x3001, b"a.js"))),
    "transport": (START, OTHER, made.attribute(0x9001, b"a.js\0"), SCRIPT),
    "long, twice": (START, SCRIPT, properties((0x3707, b"a.js"), (0x3707, b"a.txt"))),
    "of two contents": (START, OTHER, made.attribute(0x800F, b"hello"), SHORT, SCRIPT),
    "in properties": (START, SHORT, properties((0x3701, b"var a = 1;"), (0x3707, b"a.txt"))),
}


@pytest.mark.parametrize("attributes", NAMES.values(), ids=NAMES.keys())
def test_of_several_names_the_worst_counts(attributes: tuple[bytes, ...]):
    assert parts(made.tnef(*attributes, START, made.attribute(0x800F, b"next")))["a.js"] == b"var a = 1;"


def test_bodies_are_handed_out():
    stream = made.tnef(
        made.attribute(0x800C, b"plain", 1),
        made.attribute(
            0x9003,
            made.properties(made.long(1, 2), made.binary(0x1013, b"<html>"), made.binary(0x1009, made.RTF)),
            1,
        ),
    )
    assert parts(stream) == {
        "body.txt": b"plain",
        "body.html": b"<html>",
        "body.rtf": b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n",
    }


HIDDEN = {
    "attachment": made.tnef(made.file(DOCUMENT)),
    "attachment without a beginning": made.tnef(made.attribute(0x800F, DOCUMENT)),
    "two contents of one attachment, first": made.tnef(
        made.attribute(0x9002, bytes(14)),
        made.attribute(0x800F, DOCUMENT),
        made.attribute(0x800F, b"harmless"),
    ),
    "embedded message": made.tnef(made.embedded(made.tnef(made.file(DOCUMENT)), made.MESSAGE_ID)),
    "embedded message, three levels": made.tnef(
        made.embedded(
            made.tnef(made.embedded(made.tnef(made.file(DOCUMENT)), made.MESSAGE_ID)), made.MESSAGE_ID
        )
    ),
    "embedded object": made.tnef(made.embedded(DOCUMENT, made.STORAGE_ID)),
    "embedded object without its identifier": made.tnef(made.embedded(DOCUMENT, b"")),
    "binary property": made.tnef(made.attribute(0x9005, made.properties(made.binary(0x3701, DOCUMENT)))),
    "after a body": made.tnef(made.attribute(0x800C, b"text", 1), made.file(DOCUMENT)),
    "wrong checksums": made.tnef(made.file(DOCUMENT)[:-2] + b"zz"),
    "octets behind": made.tnef(made.file(DOCUMENT)) + bytes(20),
    "cut off behind it": made.tnef(made.file(DOCUMENT), made.file(b"x" * 1000))[:-500],
}


@pytest.mark.parametrize("stream", HIDDEN.values(), ids=HIDDEN.keys())
def test_the_macro_is_found(stream: bytes):
    result = scan_message(HEAD + attachment(stream, "winmail.dat", "application/ms-tnef"))
    assert "office-macro" in {finding.name for finding in result.findings}
    assert "failed" not in {item.reason for item in result.unscanned}


def test_by_its_content_whatever_its_name():
    assert "office-macro" in {
        f.name for f in scan_document("holiday.jpg", made.tnef(made.file(docm()))).findings
    }


def test_path_names_the_attachment():
    result = scan_document("winmail.dat", made.tnef(made.file(DOCUMENT, b"OLD.DOC", "Täglich.doc")))
    assert {finding.part for finding in result.findings} == {"winmail.dat/Täglich.doc"}


@pytest.mark.parametrize(
    "broken",
    [
        made.tnef(made.file(b"x" * 100))[:-90],
        made.tnef(made.attribute(0x9005, made.properties(made.long(1, 1))[:-2])),
        made.tnef(made.attribute(0x9005, made.properties(struct.pack("<HH", 0x77, 1)))),
        made.tnef(made.attribute(0x9005, struct.pack("<I", 5000) + made.long(1, 1) * 5000)),
        made.tnef(made.attribute(0x9005, made.properties(struct.pack("<HHI", 0x1102, 1, 1 << 30)))),
        made.tnef(b"\x07garbage that is no attribute"),
        made.tnef(made.attribute(0x9003, made.properties(made.binary(0x1009, b"short")))),
    ],
)
def test_what_is_broken_is_told(broken: bytes):
    assert "malformed" in {item.reason for item in found(broken) if isinstance(item, Unscanned)}


def test_every_cut_is_read_without_stumbling():
    stream = made.tnef(made.file(b"x" * 50), made.embedded(b"y" * 50, made.MESSAGE_ID))
    for end in range(6, len(stream)):
        found(stream[:end])


def test_attributes_and_properties_are_bounded():
    with pytest.raises(tnef.TnefError, match="more than"):
        list(tnef.attributes(made.tnef(made.attribute(0x8004, b"") * (tnef.MAX_ATTRIBUTES + 1))))


def test_rtf_runs_and_bounds():
    head = struct.pack("<II4sI", 0xFFFF, 0, b"LZFu", 0)
    # A literal, then references to the octet before: the run grows by 17 each.
    offset = (207 << 4) | 15
    text, problem = lzfu.expand(head + bytes((0b10, 65)) + struct.pack(">H", offset))
    assert (text, problem) == (b"A" * 18, "malformed")
    assert lzfu.expand(struct.pack("<II4sI", 17, 5, b"MELA", 0) + b"plain") == (b"plain", "")
    assert lzfu.expand(b"x" * 16) == (b"", "malformed")
    assert lzfu.expand(b"") == (b"", "malformed")


def test_rtf_that_expands_without_end_is_cut():
    tokens = b"\xff" + struct.pack(">H", (100 << 4) | 15) * 8
    body = tokens * (lzfu.MAX_SIZE // 136 + 10)
    text, problem = lzfu.expand(struct.pack("<II4sI", len(body) + 12, 0, b"LZFu", 0) + body)
    assert problem in ("too-large", "")
    assert len(text) <= lzfu.MAX_SIZE + 200


REMINDER = 0x851F


def numbered(number: int, value: bytes, kind: int = 0x1F) -> bytes:
    """A property that is named by a number."""
    head = struct.pack("<HH16sII", kind, 0x8003, bytes(16), 0, number)
    return head + struct.pack("<II", 1, len(value)) + made.padded(value)


def reminds(*items: bytes) -> list[str]:
    stream = made.tnef(made.attribute(0x9003, made.properties(made.named(b"x"), *items), 1))
    return [item.name for item in found(stream) if isinstance(item, Finding)]


def test_sound_of_a_reminder_on_another_machine():
    share = "\\\\192.0.2.1\\a\\b.wav\0"
    wide = share.encode("utf-16-le")
    assert reminds(numbered(REMINDER, wide)) == ["forced-authentication"]
    assert reminds(numbered(REMINDER, share.encode(), 0x1E)) == ["forced-authentication"]
    assert reminds(numbered(REMINDER, "C:\\a.wav\0reminder.wav".encode("utf-16-le"))) == []
    assert reminds(numbered(REMINDER - 1, wide)) == []
