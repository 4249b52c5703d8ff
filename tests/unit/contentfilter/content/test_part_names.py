"""The name that content would be saved under stays with it, as it was given."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from contentfilter.content import scan
from contentfilter.content.limits import Budget, ScanOptions
from contentfilter.content.part import MAX_RAW_NAME, Context, Found, Part, clean_name
from contentfilter.content.scan import scan_document, scan_message
from contentfilter.message import BytesWire, MessageReader
from contentfilter.message.header import parse
from tests.samples.archives import plain_zip
from tests.samples.messages import attachment, message, multipart, text

HIDDEN = "annexe\u202etxt.js "


def names_in(mail: bytes) -> list[str]:
    budget = Budget(ScanOptions())
    return [item.name for item in MessageReader(BytesWire(mail), budget).read() if isinstance(item, Part)]


def test_a_text_has_none_and_an_attachment_its_own():
    mail = message(multipart(text(), attachment(b"x", "a.js"), attachment(b"y", "C:\\\\folder\\\\b.pdf")))
    assert names_in(mail) == ["", "a.js", "b.pdf"]


def test_directions_and_spaces_stay():
    encoded = "=?utf-8?q?" + "".join(f"={octet:02X}" for octet in HIDDEN.encode()) + "?="
    assert names_in(message(multipart(attachment(b"x", encoded)))) == [HIDDEN]


class Names:
    """Keeps the name of each part."""

    name = "names"

    def __init__(self) -> None:
        self.seen: list[str] = []

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        self.seen.append(part.name)
        yield from ()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names = Names()
    monkeypatch.setitem(scan.SCANNERS, "executable", names)
    monkeypatch.setattr(scan._Walk.__init__, "__defaults__", (tuple(scan.SCANNERS.values()),))
    return names.seen


def test_a_document_and_the_members_of_an_archive(seen: list[str]):
    scan_document("folder/a.zip", plain_zip({f"inner/{HIDDEN}": b"x", "C:\\b.txt": b"y"}))
    assert seen == ["a.zip", HIDDEN, "b.txt"]


def test_a_long_name_keeps_its_end(seen: list[str]):
    scan_document("a", plain_zip({"n" * 5000 + ".js": b"x"}))
    assert seen[1].endswith("nn.js")
    assert len(seen[1]) == MAX_RAW_NAME


@pytest.mark.parametrize(
    "letter", ["\u00ad", "\u200b", "\u00a0", "\u2028", "\ue000", "\udcff", "\x07", "\ufeff"]
)
def test_what_is_not_seen_in_a_name_is_seen_in_its_path(letter: str):
    assert clean_name(f"invo{letter}ice.doc") == "invo?ice.doc"


def test_what_is_seen_stays():
    assert clean_name(" Größe 日本 (1).doc ") == "Größe 日本 (1).doc"


@pytest.mark.parametrize(
    ("field", "name"),
    [
        (b'attachment; filename="a.js\0.txt"', "a.js"),
        (b'attachment; filename="a.\r\n js"', "a.js"),
        (b'attachment; filename="a long\r\n\tname.js"', "a long name.js"),
        (b"filename=a.js", "a.js"),
        (b'attachment; filename="b/a.js/"', "a.js"),
        (b"attachment; filename=a.js(a comment)", "a.js"),
        (b"attachment; filename=a.js (b (c))", "a.js"),
        (b'attachment; filename="a (1).js"', "a (1).js"),
        (b'attachment;\r\n filename="a b.js";\r\n size=1', "a b.js"),
    ],
)
def test_names_that_only_some_programs_read(field: bytes, name: str):
    mail = b"Content-Type: a/b\r\nContent-Disposition: " + field + b"\r\n\r\nx\r\n"
    assert name in names_in(mail)


@pytest.mark.parametrize(
    "field",
    [
        b"Content-Disposition: attachment filename=a.js",
        b"Content-Disposition: attachment, filename=a.js",
        b"Content-Disposition: attachment; filename *= a.js",
        b"Content-Disposition: attachment; name=a.js",
        b"Content-Disposition: =?utf-8?b?YXR0YWNobWVudDsgZmlsZW5hbWU9ImEuanMi?=",
        b"Content-Disposition: =?utf-8?q?attachment=3b_filename=3d=22?= =?utf-8?q?a=2ejs=22?=",
        b"Content-Disposition: attachment;" + b"\r\n x=" + b"y" * 60_000 + b";\r\n filename=a.js",
        b"Content-Disposition: attachment" + b";\r\n x=y" * 500 + b";\r\n filename=a.js",
        b'Content-Disposition: attachment;\r\nfilename="a.js"',
        b"X-Unix-Mode: 0600;\r\n\tx\r\nname=a.js",
        b"Content-Description: a.js",
        b"Content-Description: =?utf-8?q?a=2ejs?=",
        b"content-name: a.js",
        b"Content-Location: a.js\r\nContent-Disposition: attachment",
        b'Content-Disposition: attachment;\r\nfilename*0="a."; filename*1=js',
        b"Content-Disposition: attachment;\r\n(to open) filename*0=a.;\r\n filename*1=js",
        b'Content-Disposition: attachment; filename*0="a. "; filename*1="js "',
    ],
)
def test_where_else_programs_look_for_a_name(field: bytes):
    mail = b"Content-Type: a/b\r\n" + field + b"\r\n\r\nx\r\n"
    assert "a.js" in names_in(mail)
    assert "executable" in {finding.name for finding in scan_message(mail).findings}


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (b'; "name"="a.js"', "a.js"),
        (b"; charset=utf-8 name=a.js", "a.js"),
        (b'; charset=utf-8, name*1="js"; name*0="a."', "a.js"),
        (b'; name="a;b.js', "a;b.js"),
        (b'; name="a".js', "a.js"),
        (b'; name="a.j"s"', "a.js"),
        (b'; name="a"x"; b.js"', "ax; b.js"),
        (b'; name="=?iso-8859-1?q?\xc3\xa9=2Ej?=s"', "\xc3\xa9.js"),
        (b'; name="=?iso-8859-1?b?YS5qcw\xe4?="', "a.js"),
        (b'; name="=? 8bit?q?a=2Ejs?="', "a.js"),
    ],
)
def test_a_name_that_some_programs_read_where_others_read_another(value: bytes, name: str):
    fields = b"Content-Type: a/b" + value + b'\r\nContent-Disposition: attachment; filename="x.txt"\r\n'
    assert name in parse(fields).names
    result = scan_message(fields + b"\r\nx\r\n")
    assert {finding.name for finding in result.findings} == {"executable", "mime-ambiguous"}


def test_a_name_that_some_programs_read_far_behind_others():
    value = b"; name=x.txt" + b";\r\n x=y" * 2000 + b';\r\n "name"="a".js'
    assert "a.js" in parse(b"Content-Type: a/b" + value + b"\r\n").names


@pytest.mark.parametrize(
    "piece", [b",", b", ", b"name", b'; name="a" x', b' name*1=a, name*0="b"x;', b'="a"b', b"="]
)
def test_names_are_read_in_linear_time(piece: bytes):
    value = b"; name=x" + piece * (120_000 // len(piece))
    started = time.process_time()
    parse(b"Content-Type: a/b" + value + b"\r\n")
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    "value",
    [
        b'; name="offer "of the summer".pdf"',
        b'; name="screen 27".pdf"',
        b'; name="a; b (1), c=d.pdf"',
        b"; name=a name=b.pdf",
        b'; name="=?utf-8?q?a=3B_b.pdf?="; size="1"',
        b'; charset="utf-8" name="a.pdf"',
        b'; name="a.pdf',
    ],
)
def test_names_that_are_badly_written_and_no_harm(value: bytes):
    fields = (
        b"Content-Type: a/b"
        + value
        + b"\r\nContent-Disposition: attachment"
        + value.replace(b" name", b" filename")
    )
    assert not scan_message(fields + b"\r\n\r\nx\r\n").findings


def test_a_name_that_only_those_read_who_clear_away_bare_cr():
    fields = b"Content-Type: text/plain;\r' \r name=a.js\r\nContent-Disposition: attachment\r\n"
    assert "executable" in {finding.name for finding in scan_message(fields + b"\r\nx\r\n").findings}


def test_the_type_names_the_file_too():
    assert names_in(b"Content-Type: a/b; filename=a.js\r\n\r\nx\r\n") == ["a.js"]


@pytest.mark.parametrize(
    "field",
    [
        b"Content-Description: Mail for example.com",
        b"Content-Description: Delivery report",
        b"Content-Description: notes on a.js\r\nContent-Disposition: attachment; filename=a.txt",
        b"Content-Description: node.js news",
    ],
)
def test_a_description_that_is_no_name(field: bytes):
    assert not scan_message(b"Content-Type: text/plain\r\n" + field + b"\r\n\r\nx\r\n").findings


def test_blanks_at_the_end_of_a_long_name_hide_nothing():
    mail = b'Content-Type: a/b; name="a.js' + b" " * 3000 + b'"\r\n\r\nx\r\n'
    assert names_in(mail)[0].rstrip() == "a.js"


def test_a_name_that_is_folded_beside_its_quotes_is_one():
    field = b'Content-Disposition: attachment;\r\n filename="a b";\r\n size="1"\r\n'
    mail = b"Content-Type: a/b\r\n" + field + b"\r\nx\r\n"
    assert names_in(mail) == ["a b"]
    assert not scan_message(mail).findings
