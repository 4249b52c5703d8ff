"""OpenPGP: what is only signed or compressed is seen through, what is encrypted is told."""

from __future__ import annotations

import random

import pytest

from contentfilter.containers import openpgp as reader
from contentfilter.content.limits import ScanOptions
from contentfilter.content.scan import scan_document, scan_message
from tests.samples.messages import HEAD, attachment, multipart, text
from tests.samples.office import doc
from tests.samples.openpgp import (
    FOR_A_KEY,
    MARKER,
    ONE_PASS,
    SEALED,
    SIGNATURE,
    armour,
    compressed,
    literal,
    new,
    old,
    partial,
)

LITERAL = old(11, literal(doc(), b"a.doc"))
SIGNED = ONE_PASS + LITERAL + SIGNATURE
SCRIPT = old(11, literal(b"WScript.Echo(1)", b"a.js"))
"""By its name alone, which nobody sees who does not open the packet."""

READABLE = {
    "a literal": LITERAL,
    "a literal, endless": old(11, literal(doc(), b"a.doc"), 3),
    "a literal, new header": new(11, literal(doc(), b"a.doc")),
    "a literal in pieces": partial(11, literal(doc(), b"a.doc")),
    "a literal in pieces of one octet": partial(11, literal(doc(), b"a.doc"), 0),
    "a literal that is text": old(11, literal(doc(), b"a.doc", b"u")),
    "signed": SIGNED,
    "signed by two": ONE_PASS * 2 + LITERAL + SIGNATURE * 2,
    "signed in front": SIGNATURE + LITERAL,
    "compressed as in ZIP": old(8, compressed(SIGNED, 1), 3),
    "compressed with zlib": new(8, compressed(SIGNED, 2)),
    "compressed with bzip2": old(8, compressed(SIGNED, 3)),
    "not compressed after all": old(8, compressed(SIGNED, 0)),
    "compressed, in pieces": partial(8, compressed(SIGNED, 2)),
    "compressed twice": old(8, compressed(old(8, compressed(SIGNED, 1), 3), 2)),
    "compressed, without its checksum": old(8, compressed(LITERAL, 2)[:-4], 3),
    "after a marker": MARKER + LITERAL,
    "after a marker and padding": MARKER + new(21, b"random") + LITERAL,
    "two literals": old(11, literal(b"hello")) + LITERAL,
    "junk behind": LITERAL + b"junk",
    "armour": armour(SIGNED),
    "armour with LF": armour(SIGNED, b"\n"),
    "armour with headers": armour(SIGNED, headers=b"Version: GnuPG v2\nComment: a = b-c\n"),
    "armour, quoted": armour(SIGNED, quote=b"> "),
    "armour within text": b"Hi,\r\n\r\n" + armour(old(8, compressed(SIGNED), 3)) + b"\r\nBye\r\n",
    "armour without an end": armour(SIGNED)[:-40],
    "the second armour": armour(old(11, literal(b"hello"))) + b"\r\n" + armour(SIGNED),
}


@pytest.mark.parametrize("data", READABLE.values(), ids=READABLE.keys())
def test_what_anybody_can_read_is_scanned(data: bytes):
    result = scan_document("x", data)
    assert ("office-macro", "x/a.doc") in {(finding.name, finding.part) for finding in result.findings}
    assert result.unscanned == ()


def test_the_content_is_given_out_whole():
    content = bytes(range(256)) * 400
    for message in (
        old(11, literal(content)),
        partial(11, literal(content), 12),
        old(8, compressed(new(11, literal(content)))),
    ):
        assert reader.read(message, len(message) + len(content) + 99).literals == [("", content)]
        assert [*reader.armoured(armour(message))] == [message]


def test_in_a_mail_under_any_type():
    mail = HEAD + multipart(text(), attachment(old(8, compressed(SIGNED), 3), "message.pdf"))
    assert "2/message.pdf/a.doc" in {finding.part for finding in scan_message(mail).findings}


LOCKED = {
    "for a key": armour(FOR_A_KEY + SEALED),
    "quoted, and cut off": b"> -----BEGIN PGP MESSAGE-----\r\n> \r\n> hQEMA\r\n",
    "for a password": armour(new(3, b"\x04\x09\x03\x08" + bytes(9)) + SEALED),
    "to nobody": armour(SEALED),
    "in a compressed message": old(8, compressed(FOR_A_KEY + SEALED), 3),
}


@pytest.mark.parametrize("data", LOCKED.values(), ids=LOCKED.keys())
def test_what_is_encrypted_is_told(data: bytes):
    result = scan_document("x", data)
    assert result.findings == ()
    assert [item.reason for item in result.unscanned] == ["mail-encrypted"]


def test_what_stands_beside_something_encrypted_is_scanned_as_well():
    result = scan_document("x", armour(LITERAL + FOR_A_KEY))
    assert "office-macro" in {finding.name for finding in result.findings}
    assert [item.reason for item in result.unscanned] == ["mail-encrypted"]


PLAIN = {
    "a detached signature": SIGNATURE,
    "text that begins as a literal": b"\xcbrtliches Beispiel, das nicht weitergeht",
    "text in UTF-8, quoted": "«Schöne Grüße»".encode() * 20,
    "no signature, though a literal follows": "«".encode() + b"x" * 171 + SCRIPT,
    "padding alone in front": new(21, b"random") + SCRIPT,
    "Hebrew": "שלום לכולם ".encode() * 20,
    "Latin-1": "ÈÊÂÄË".encode("latin-1") * 20,
    "a session key's octets within text": "ÂÃÄ".encode("latin-1") + FOR_A_KEY,
    "an algorithm that nobody has": old(8, b"\x09" + ONE_PASS + SCRIPT + SIGNATURE),
    "no compressed data": old(8, b"\x01" + ONE_PASS + SCRIPT + SIGNATURE),
}


@pytest.mark.parametrize("data", PLAIN.values(), ids=PLAIN.keys())
def test_what_only_begins_so_is_left_alone(data: bytes):
    assert [finding.part for finding in scan_document("x", SCRIPT).findings] == ["x/a.js"]
    result = scan_document("x", data)
    assert (result.findings, result.unscanned) == ((), ())


@pytest.mark.parametrize(
    "message",
    [b"", b"hello", ONE_PASS, LITERAL + b"junk", old(8, b"\x01no"), new(6, b"a key") + LITERAL],
    ids=["empty", "text", "no content", "junk behind", "not compressed", "a key"],
)
def test_armour_that_cannot_be_read_is_told(message: bytes):
    assert [item.reason for item in scan_document("x", armour(message)).unscanned] == ["malformed"]


def test_no_base64_in_armour_is_told():
    data = b"-----BEGIN PGP MESSAGE-----\r\n\r\n!!\r\n-----END PGP MESSAGE-----\r\n"
    assert [item.reason for item in scan_document("x", data).unscanned] == ["malformed"]


def test_a_bomb_is_bounded():
    for algorithm in (1, 2, 3):
        bomb = old(8, compressed(new(11, literal(bytes(40 << 20))), algorithm), 3)
        result = scan_document("x", bomb, ScanOptions(member_size=20 << 20))
        assert "archive-bomb" in {finding.name for finding in result.findings}
        assert "too-large" in {item.reason for item in result.unscanned}


def test_levels_share_one_bound():
    message = new(11, literal(random.Random(1).randbytes(1000)))
    for _ in range(3):
        message = old(8, compressed(message, 2))
    read = reader.read(message, 1500)
    assert (read.problem, read.expanded) == ("too-large", 1500)


def test_nesting_ends():
    message = new(11, literal(b"hello"))
    for _ in range(reader.MAX_LEVELS + 1):
        message = old(8, compressed(message, 0))
    assert reader.read(message, 1000).literals == []
    assert reader.read(message, 1000).problem == "malformed"
    assert reader.read(message[3 + 2 :], 1000).literals == []


def test_packets_and_pieces_are_counted():
    assert reader.read(MARKER * reader.MAX_PACKETS + LITERAL, 1000).problem == "malformed"
    assert reader.read(MARKER * (reader.MAX_PACKETS - 1) + LITERAL, 1000).problem == ""
    body = literal(b"x" * (reader.MAX_PIECES + 10))
    assert reader.read(partial(11, body, 0), 1000).problem == "malformed"


def test_every_cut_is_read_without_stumbling():
    for data in (
        MARKER + partial(8, compressed(SIGNED[:700], 2), 4),
        armour(old(8, compressed(SIGNED[:700]))),
    ):
        for end in range(len(data)):
            assert "failed" not in {item.reason for item in scan_document("x", data[:end]).unscanned}
