"""Mails that hide a macro document by tricks with MIME: it is found in every one, and no trick is untold."""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Callable

import pytest

from contentfilter.content.limits import Budget, ScanOptions
from contentfilter.content.part import Part
from contentfilter.content.scan import scan_message
from contentfilter.message import BytesWire, MessageReader, wire
from tests.samples.archives import plain_zip
from tests.samples.mime_tricks import pieces
from tests.samples.mime_tricks.base64text import BASE64
from tests.samples.mime_tricks.boundaries import DECLARED
from tests.samples.mime_tricks.encoding_fields import ENCODING_FIELDS
from tests.samples.mime_tricks.old_encodings import uuencoded
from tests.samples.mime_tricks.quoted_printable import escaped
from tests.samples.mime_tricks.tricks import combined, tricks
from tests.samples.office import MACRO, doc, docm, vba_project

MAILS = tricks(docm()) | combined(docm(), 200, seed=1)
MAILS |= {f"{name}, OLE": mail for name, mail in tricks(doc(text=b"a" * 100)).items()}
TEXT = b"text that only a virus engine would know: X5O-and-so-on, and a little more of it"
# What nothing announces no program decodes; documents in it are found all the same.
TEXTS = {name: mail for name, mail in tricks(TEXT).items() if "nothing announces" not in name}


def test_there_are_enough_of_them():
    assert len(MAILS) >= 500


@pytest.mark.parametrize("mail", MAILS.values(), ids=MAILS.keys())
def test_the_macro_is_found(mail: bytes):
    result = scan_message(mail)
    assert "office-macro" in {finding.name for finding in result.findings}
    assert "failed" not in {item.reason for item in result.unscanned}


def test_readings_within_readings_are_handed_out():
    """The reading without CR has a reading of its own, whose content is new to all the others."""
    mail = pieces.mail(
        *DECLARED["after junk and folded"],
        pieces.part(BASE64["tabs"](TEXT), ENCODING_FIELDS["bare CR before the value"]),
    )
    items = MessageReader(BytesWire(mail), Budget(ScanOptions())).read()
    assert any(item.data == TEXT for item in items if isinstance(item, Part))


def test_a_mail_in_a_file_is_read_like_one_in_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wire, "IN_MEMORY", 0)
    for name, mail in TEXTS.items():
        stuffed = re.sub(rb"(\A|\r\n)\.", rb"\1..", mail)
        with tempfile.TemporaryFile() as file:
            file.write(stuffed)
            file.flush()
            opened = wire.open_wire(file.fileno(), len(stuffed))
            assert isinstance(opened, wire.FileWire), name
            assert seen(opened) == seen(BytesWire(mail)), name


PROSE = b"hello, this is the text\r\n" * 350_000
QUOTED = pieces.CTE + b"quoted-printable\r\n"
LARGE = {
    "blanks behind soft line ends": lambda data: pieces.part(escaped(data, end=b"= \r\n"), QUOTED),
    "uuencode behind text": lambda _data: b"\r\n" + PROSE + uuencoded(docm()),
    "uuencode behind text outside": lambda _data: pieces.TEXT + b"--b1--\r\n" + PROSE + uuencoded(docm()),
}


@pytest.mark.parametrize("make", LARGE.values(), ids=LARGE.keys())
def test_the_macro_is_found_in_much_text(make: Callable[[bytes], bytes]):
    """More than 8 MiB of it."""
    document = {
        "word/vbaProject.bin": vba_project(MACRO),
        "word/media/image1.bmp": bytes(range(256)) * 12_000,
    }
    mail = pieces.mixed(make(plain_zip(document, zipfile.ZIP_STORED)))
    assert len(mail) > 8 << 20
    assert "office-macro" in {finding.name for finding in scan_message(mail).findings}


def seen(message: wire.Wire) -> list[object]:
    items = MessageReader(message, Budget(ScanOptions())).read()
    return [(item.path, bytes(item.data)) if isinstance(item, Part) else item for item in items]


@pytest.mark.parametrize("mail", TEXTS.values(), ids=TEXTS.keys())
def test_what_no_scanner_knows_is_handed_out_or_the_trick_is_told(mail: bytes):
    items = list(MessageReader(BytesWire(mail), Budget(ScanOptions())).read())
    contents = [item for item in items if isinstance(item, Part)]
    told = len(contents) < len(items)
    encoded_again = scan_message(mail).parts > len(contents)
    assert told or encoded_again or any(TEXT in item.data for item in contents)
