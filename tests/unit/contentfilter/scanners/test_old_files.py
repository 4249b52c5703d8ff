"""Files in the encodings that were there before MIME, where they are files themselves."""

from __future__ import annotations

import base64

import pytest

from contentfilter.content.limits import ScanOptions
from contentfilter.content.scan import scan_document, scan_message
from contentfilter.scanners import old_files
from tests.samples.archives import plain_zip
from tests.samples.messages import attachment, message, multipart, text
from tests.samples.mime_tricks.old_encodings import binhexed, uuencoded, yencoded
from tests.samples.office import doc


def xxencoded(data: bytes, end: bytes = b"+\r\nend\r\n", newline: bytes = b"\r\n") -> bytes:
    alphabet = b"+-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    to_alphabet = bytes.maketrans(
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=", alphabet + b"+"
    )
    lines = (data[at : at + 45] for at in range(0, len(data), 45))
    coded = (
        alphabet[len(line) : len(line) + 1] + base64.b64encode(line).translate(to_alphabet) for line in lines
    )
    return b"begin 644 a.doc" + newline + newline.join(coded) + newline + end


ENCODED = {
    "xxencode": xxencoded(doc()),
    "xxencode without an end": b"words\n" + xxencoded(doc(), b"", b"\n"),
    "uuencode": uuencoded(doc()),
    "uuencode, base64": b"begin-base64 644 a.doc\n" + base64.encodebytes(doc()) + b"====\n",
    "yEnc": yencoded(doc()),
    "BinHex": binhexed(doc()),
    "words in front": b"A file for you:\r\n\r\n" + uuencoded(doc()),
    "two": uuencoded(b"nothing of interest") + uuencoded(doc()),
}


@pytest.mark.parametrize("data", ENCODED.values(), ids=ENCODED.keys())
def test_the_macro_is_found(data: bytes):
    for content in (data, plain_zip({"a.uue": data}), plain_zip({"a.txt": data}), uuencoded(data)):
        assert "office-macro" in {finding.name for finding in scan_document("x", content).findings}


def test_in_the_text_of_a_mail_it_is_found_once():
    mail = message(multipart(text(), attachment(uuencoded(doc()), "a.txt")))
    assert [item.name for item in scan_message(mail).findings].count("office-macro") == 1


@pytest.mark.parametrize(
    "data",
    [
        b"begin;\nselect 1;\nend\n",
        b"begin 644 a.exe\n",
        b"program a;\nbegin\n  writeln(':-)');\nend.\n",
        b"=ybegin is how yEnc begins\n",
        b"What BinHex was:\n:-)\n",
    ],
)
def test_text_that_only_speaks_of_it(data: bytes):
    result = scan_document("a.zip", plain_zip({"a.txt": data * 2000}))
    assert result.findings == ()
    assert result.unscanned == ()


def test_bounds(monkeypatch: pytest.MonkeyPatch):
    data = uuencoded(b"a text that is long enough")
    assert scan_document("x", data * 100, ScanOptions(parts=50)).unscanned
    monkeypatch.setattr(old_files, "_MAX_TEXT", 150)
    assert {item.reason for item in scan_document("x", data * 10).unscanned} == {"too-large"}
    assert scan_document("x", b"to begin with" * 100).unscanned == ()
