"""RTF: objects in each of their readings, fields, templates, links."""

from __future__ import annotations

import binascii
import struct
import time

import pytest

from contentfilter.content.scan import scan_document
from contentfilter.scanners.rtf import object_readings
from tests.samples.office import doc
from tests.samples.word import equation

from ..scanned import found

PROGRAM = b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + bytes(100)


def ole1(kind: bytes, content: bytes, form: int = 2, topic: bytes = b"") -> bytes:
    head = struct.pack("<II", 0x501, form)
    texts = b"".join(struct.pack("<I", len(text) + 1) + text + b"\0" for text in (kind, topic, b""))
    return head + texts + struct.pack("<I", len(content)) + content


def rtf(objdata: bytes, before: bytes = b"", head: bytes = b"{\\rtf1") -> bytes:
    return before + head + b" text{\\object\\objemb{\\*\\objdata " + objdata + b"}}}"


def hexed(data: bytes) -> bytes:
    return binascii.hexlify(data)


DOCUMENT = hexed(ole1(b"Word.Document.8", doc()))
HALF = len(DOCUMENT) // 2
MACROS = {"office-macro", "office-macro-suspicious"}


@pytest.mark.parametrize(
    "data",
    [
        rtf(DOCUMENT),
        rtf(DOCUMENT.upper()),
        rtf(DOCUMENT, b"\r\n \t"),
        rtf(DOCUMENT, b"junk that Word does not mind" * 20),
        rtf(DOCUMENT, b"", b"{\\rt"),
        rtf(DOCUMENT).replace(b"objdata ", b"objdata1234567 "),
        rtf(DOCUMENT).replace(b"objdata ", b"objdata-1 "),
        rtf(DOCUMENT).replace(b"objdata ", b"objdata"),
        rtf(DOCUMENT, b"\0\0\0", b"{\\rtf\\x"),
        rtf(b" ".join(DOCUMENT[at : at + 1] for at in range(len(DOCUMENT)))),
        rtf(DOCUMENT[:HALF] + b"zZ~!" + DOCUMENT[HALF:]),
        rtf(DOCUMENT[:HALF] + b"\\binfsxn0 " + DOCUMENT[HALF:]),
        rtf(DOCUMENT[:HALF] + b"\\par\\b0 " + DOCUMENT[HALF:]),
        rtf(DOCUMENT[:HALF] + b"{\\*\\x ff}" + DOCUMENT[HALF:]),
        rtf(DOCUMENT[:HALF] + b"{" + DOCUMENT[HALF : HALF + 4] + b"}" + DOCUMENT[HALF + 4 :]),
        rtf(DOCUMENT[:HALF] + b"{\\*\\x ff{ee}}{" + DOCUMENT[HALF:] + b"}"),
        rtf(DOCUMENT[:HALF] + b"\\bin2 " + binascii.unhexlify(DOCUMENT[HALF:][:4]) + DOCUMENT[HALF + 4 :]),
        rtf(DOCUMENT[:HALF] + b"\\bin0 " + DOCUMENT[HALF:]),
        rtf(DOCUMENT[:HALF] + b"\\bin-4 " + DOCUMENT[HALF:]),
        rtf(DOCUMENT[:1] + b"\\bin" + b"0" * 11 + b" " + DOCUMENT[1:]),
        rtf(DOCUMENT[:1] + b"\\bin-" + b"0" * 11 + b" " + DOCUMENT[1:]),
        rtf(DOCUMENT[:2] + b"\\bin" + b"0" * 20 + b"1 " + binascii.unhexlify(DOCUMENT[2:4]) + DOCUMENT[4:]),
        rtf(DOCUMENT)[:-3],
        rtf(b"01", head=b"{\\rtf1{\\objdata 02}") + rtf(DOCUMENT),
    ],
)  # fmt: skip
def test_documents_in_objects(data: bytes):
    assert found(data) >= MACROS


def test_a_number_behind_bin_is_no_data_for_other_words():
    assert object_readings(b"41\\binfsxn0 42}", 0, 100)[0] == [b"AB"]
    assert object_readings(b"41\\bin2 }}42}", 0, 100)[0] == [b"A}}B"]


def test_an_escape_takes_its_digits_along_or_is_none():
    assert set(object_readings(b"41\\'4243}", 0, 100)[0]) == {b"AC", b"ABC"}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (rtf(b"41\\bin9999999999 " + DOCUMENT), True),
        (rtf(b"41\\bin" + b"0" * 50 + b"9999999999 " + DOCUMENT), True),
        (rtf(b"41\\bin" + b"9" * 5000 + b" " + DOCUMENT), True),
        (b"{\\rtf1 C:\\\\bin9999999999}", False),
        (b"{\\rtf1{\\pict\\bin999999999 x}}", False),
    ],
    ids=["ten digits", "zeros", "beyond numbers", "text", "nine digits"],
)  # fmt: skip
def test_binary_data_without_end_is_told(data: bytes, told: bool):
    result = scan_document("a.rtf", data)
    assert [one.reason for one in result.unscanned] == ["malformed"] * told


def test_equation_that_is_loaded_when_the_document_is_opened():
    data = rtf(hexed(ole1(b"Equation.3", bytes(50))))
    assert found(data) == {"ole-object"}
    assert found(data.replace(b"\\objdata", b"\\objupdate\\objdata")) == {"ole-object", "executable"}
    package = rtf(hexed(ole1(b"Paint.Picture", bytes(50))))
    assert found(package.replace(b"\\objdata", b"\\objupdate\\objdata")) == {"ole-object"}


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (ole1(b"Equation.3", b"\x1c" + bytes(50)), {"ole-object"}),
        (ole1(b"eQuAtIoN.2", bytes(50)), {"ole-object"}),
        (ole1(b"Equation.3", equation(font=b"calc.exe ".ljust(60, b"A"))), {"ole-object", "executable"}),
        (ole1(b"Equation.3", equation(font=b"Times New Roman, of a name of thirty")), {"ole-object"}),
        (ole1(b"Equation.DSMT4", bytes(50)), set()),
        (ole1(b"x", b"", 1, b"http://evil.example/x.hta"), {"office-remote-template"}),
        (ole1(b"x", b"", 1, b"C:\\a.doc"), set()),
        (ole1(b"x", PROGRAM), {"executable"}),
        (ole1(b"", b""), set()),
        (b"\x01\x05", set()),
        (b"", set()),
    ],
)
def test_other_objects(data: bytes, names: set[str]):
    assert found(rtf(hexed(data))) == names


def test_object_that_is_loaded_at_once():
    assert found(b"{\\rtf1{\\object\\objautlink\\objupdate}}") == {"ole-object"}


@pytest.mark.parametrize(
    "field",
    [
        b"{\\*\\fldinst DDEAUTO cmd}",
        b"{\\fldinst {\\b D}{\\i\\f1 DE}\\par\\~cmd}",
        b"{\\*\\fldinst \\u68?\\u68?\\'45 cmd}",
        b"{\\*\\fldinst \\uc0\\u68\\u68 E cmd}",
        b"{\\*\\fldinst \\u68\\'3fDE cmd}",
        b"{\\*\\fldinst {\\field{\\*\\fldinst QUOTE 68 68 69}{\\fldrslt x}} cmd}",
        b"{\\*\\fldinst HYPERLINK {\\field{\\*\\fldinst DDE cmd}}}",
        b"{\\*\\fldinst" + b"{\\b }" * 2000 + b" DDE cmd}",
        b"{\\*\\fldinst\r\nD\r\nDE cmd}",
    ],
)
def test_dde(field: bytes):
    assert found(b"{\\rtf1{\\field" + field + b"{\\fldrslt y}}}") == {"office-dde"}


@pytest.mark.parametrize(
    "field",
    [
        b"{\\*\\fldinst HYPERLINK x}{\\fldrslt DDE cmd}",
        b"{\\*\\fldinsta DDE cmd}",
        b"{\\*\\fldinst PAGE}DDE cmd",
        b"{\\*\\fldinst {\\field{\\*\\fldinst PAGE}{\\fldrslt DDE x}}}",
    ],
)
def test_other_fields(field: bytes):
    assert found(b"{\\rtf1{\\field" + field + b"}}") == set()


@pytest.mark.parametrize(
    ("template", "names"),
    [
        (b"{\\*\\template http://evil.example/t}", {"office-remote-template"}),
        (b"{\\template\\\\\\\\evil.example\\\\x\\\\t.dotm}", {"office-remote-template"}),
        (b"{\\*\\template {\\b h}t{\\i tp}://evil.example/}", {"office-remote-template"}),
        (b"{\\*\\template \\u-65432?ttp://evil.example/}", {"office-remote-template"}),
        (b"{\\*\\template C:\\\\t.dotm}", set()),
        (b"{\\*\\templates http://fine.example/}", set()),
    ],
)
def test_templates(template: bytes, names: set[str]):
    assert found(b"{\\rtf1" + template + b"}") == names


def test_text_that_speaks_of_rtf_is_none():
    assert found(b"RTF begins with {\\rtf1 and objects with \\objdata 0105") == set()


@pytest.mark.parametrize(
    "data",
    [
        rtf(b"41" * 4_000_000),
        rtf(b"{4" * 400_000),
        rtf(b"\\'41" * 400_000),
        rtf(b"\\bin1 " * 400_000),
        b"{\\rtf1" + b"{\\*\\objdata 41" * 100_000,
        b"{\\rtf1" + b"{\\*\\fldinst {" * 200_000,
        b"{\\rtf1" + b"{\\*\\fldinst " + b"x" * 4_000_000,
        b"{\\rtf1" + b"{\\*\\template http:" * 100_000,
        b"{\\rtf1" + b"\\" * 2_000_000,
        b"{\\rtf1" + b"\\fldinst\\u1 " * 400_000,
    ],
    ids=range(10),
)
def test_documents_built_to_exhaust(data: bytes):
    started = time.process_time()
    found(data)
    assert time.process_time() - started < 8
