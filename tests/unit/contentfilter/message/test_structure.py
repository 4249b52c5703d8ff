"""The MIME reader on messages that leave no doubt: numbers, names, decoded content."""

from __future__ import annotations

import pytest

from contentfilter.content.limits import Budget, ScanOptions
from contentfilter.content.part import Part
from contentfilter.message import BytesWire, MessageReader
from contentfilter.message.parameters import parameters
from mailbase.vocabulary import Finding, Unscanned
from tests.samples.messages import HEAD, attachment, message, multipart, text


def read(data: bytes) -> list[Part | Finding | Unscanned]:
    return list(MessageReader(BytesWire(data), Budget(ScanOptions())).read())


def parts(data: bytes) -> list[tuple[str, bytes]]:
    items = read(data)
    assert all(isinstance(item, Part) for item in items), items
    return [(item.path, bytes(item.data)) for item in items if isinstance(item, Part)]


def test_text_mail_is_part_one():
    assert parts(message(text(b"hello\r\n"))) == [("1", b"hello\r\n")]


def test_mail_without_mime_header_is_part_one():
    assert parts(b"From: a@b\r\n\r\nhello\r\n") == [("1", b"hello\r\n")]


def test_mail_of_header_alone():
    assert parts(b"From: a@b\r\n") == [("1", b"")]


@pytest.mark.parametrize("value", [b"", b"\x0b", b"\x0c; charset=utf-8", b'""', b"\x0b'"])
def test_content_type_that_says_nothing(value: bytes):
    mail = b"MIME-Version: 1.0\r\nContent-Type:" + value + b"\r\n\r\nhello\r\n"
    assert [item.data for item in read(mail) if isinstance(item, Part)] == [b"hello\r\n"]


def test_mail_that_begins_with_an_empty_line():
    assert parts(b"\r\nhello") == [("1", b"hello")]


def test_empty_mail():
    assert parts(b"") == [("1", b"")]


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_parts_are_numbered_and_named(line_end: bytes):
    mail = message(multipart(text(b"hi"), attachment(b"\x00\xff" * 100, "a.bin"))).replace(b"\r\n", line_end)
    assert parts(mail) == [("1", b"hi"), ("2/a.bin", b"\x00\xff" * 100)]


def test_nested_multipart_numbers():
    inner = multipart(text(b"plain"), text(b"html"), boundary=b"inner", kind=b"alternative")
    mail = message(multipart(inner, attachment(b"data", "d")))
    assert parts(mail) == [("1.1", b"plain"), ("1.2", b"html"), ("2/d", b"data")]


def test_attached_message_numbers_its_parts_below_its_own():
    single = b"Content-Type: message/rfc822\r\n\r\n" + HEAD + attachment(b"one", "one")
    several = (
        b"Content-Type: message/rfc822\r\n\r\n" + HEAD + multipart(text(b"x"), text(b"y"), boundary=b"in")
    )
    assert parts(message(multipart(single, several))) == [("1.1/one", b"one"), ("2.1", b"x"), ("2.2", b"y")]


def test_attached_message_that_is_encoded_is_decoded():
    inner = HEAD + attachment(b"payload", "p")
    mail = message(attachment(inner, "mail.eml", "message/rfc822"))
    assert [data for _path, data in parts(mail)] == [b"payload"]


def test_line_end_before_a_delimiter_belongs_to_the_delimiter():
    mail = message(multipart(text(b"a\r\n"), text(b"")))
    assert parts(mail) == [("1", b"a\r\n"), ("2", b"")]


def test_boundary_that_begins_like_the_outer_one_does_not_end_the_outer_part():
    inner = multipart(text(b"deep"), boundary=b"=_b1")
    assert parts(message(multipart(inner, text(b"last"), boundary=b"=_b"))) == [
        ("1.1", b"deep"),
        ("2", b"last"),
    ]


def test_boundary_with_trailing_blanks_on_its_line():
    mail = message(multipart(text(b"a"), text(b"b"))).replace(b"--=_b\r\n", b"--=_b \t\r\n")
    assert [data for _path, data in parts(mail)] == [b"a", b"b"]


def test_preamble_and_epilogue_of_honest_programs_are_nothing():
    entity = multipart(text(b"a"))
    head, body = entity.split(b"\r\n\r\n", 1)
    body = (
        b"This is a multi-part message in MIME format.\r\n"
        + body
        + b"\r\n-- \r\nlist footer, unsubscribe here\r\n"
    )
    assert parts(message(head + b"\r\n\r\n" + body)) == [("1", b"a")]


@pytest.mark.parametrize(
    ("field", "name"),
    [
        (b'attachment; filename="a b.txt"', "a b.txt"),
        (b"attachment; filename=a.txt; size=3", "a.txt"),
        (b'attachment; filename="a\\"b.txt"', 'a"b.txt'),
        (b'attachment; filename="C:\\\\temp\\\\a.txt"', "a.txt"),
        (b'attachment; filename="../../etc/passwd"', "passwd"),
        (b"attachment; filename*=UTF-8''%C3%A4.doc", "ä.doc"),
        (b"attachment; filename*=iso-8859-1'de'%E4.doc", "ä.doc"),
        (b"attachment; filename*0=in; filename*1=voice.doc", "invoice.doc"),
        (b"attachment; filename*1*=oice%2E; filename*0*=utf-8''inv; filename*2=doc", "invoice.doc"),
        (b'attachment; filename="=?utf-8?B?w6QuZG9j?="', "ä.doc"),
        (b'attachment; filename="=?iso-8859-1?Q?=E4_b?= =?utf-8?q?.doc?="', "ä b.doc"),
        (b'attachment; filename="\xc3\xa4.doc"', "ä.doc"),
        (b'attachment; filename="\xe4.doc"', "ä.doc"),
        (b'attachment;\r\n\tfilename="folded.doc"', "folded.doc"),
        (b'attachment; filename="a\r\n b.doc"', "a b.doc"),
        (b'attachment; filename="a\x1b[31m.doc"', "a?[31m.doc"),
        (b"attachment; filename*=UTF-8''%0D%0AX%3A%00.doc", "??X:?.doc"),
        (b"attachment; filename*=nonsense''a.doc", "a.doc"),
        (b"attachment", ""),
    ],
)
def test_names(field: bytes, name: str):
    mail = HEAD + b"Content-Disposition: " + field + b"\r\n\r\nx"
    assert [path for path, _data in parts(mail)] == [f"1/{name}" if name else "1"]


INNOCENT, EVIL = b"picture.png", b"evil.exe"


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Type: a/b; name=%b\r\nContent-Disposition: attachment; filename=%b" % (INNOCENT, EVIL),
        b"Content-Type: a/b; name=%b\r\nContent-Disposition: attachment; filename=%b" % (EVIL, INNOCENT),
        b"Content-Disposition: attachment; filename=%b\r\nContent-Type: a/b; name=%b" % (INNOCENT, EVIL),
        b"Content-Type: a/b; name=%b; name=%b" % (INNOCENT, EVIL),
        b"Content-Type: a/b; name=%b; name=%b" % (EVIL, INNOCENT),
        b"Content-Disposition: attachment; filename=%b; filename=%b" % (INNOCENT, EVIL),
        b"Content-Disposition: attachment; filename=%b\r\nContent-Disposition: inline; filename=%b"
        % (INNOCENT, EVIL),
        b"Content-Disposition: attachment; filename=%b; filename*=''%b" % (INNOCENT, EVIL),
        b"Content-Disposition: attachment; filename*=''%b; filename=%b" % (INNOCENT, EVIL),
        b"Content-Disposition: attachment; filename=%b; filename*0=evil.; filename*1=exe" % INNOCENT,
        b"Content-Disposition: attachment; filename=%b; filename*1=exe; filename*0=evil." % INNOCENT,
        b"Content-Disposition: attachment; filename=%b; "
        b"filename*0*=utf-16''e%%00v%%00i%%00l%%00.%%00e%%00x%%00e%%00" % INNOCENT,
        b"Content-Disposition: attachment; filename*0=evil.exe; filename*1=.png",
    ],
)
def test_of_two_names_the_worst_counts_and_it_is_told(fields: bytes):
    finding, part = read(HEAD + fields + b"\r\n\r\nx")
    assert isinstance(finding, Finding)
    assert (finding.name, finding.detail) == ("mime-ambiguous", "file names with different suffixes")
    assert isinstance(part, Part)
    assert part.name.startswith("evil.")
    assert part.path == f"1/{part.name}"


@pytest.mark.parametrize(
    "fields",
    [
        b'Content-Type: a/b; name="=?utf-8?q?=C3=A4.doc?="\r\n'
        b"Content-Disposition: attachment; filename*=utf-8''%C3%A4.doc",
        b"Content-Type: a/b; name=a\r\nContent-Disposition: attachment; filename=a.doc",
        b"Content-Type: a/b; name=A.DOC\r\nContent-Disposition: attachment; filename=a.doc",
    ],
)
def test_the_same_name_in_two_forms_is_no_doubt(fields: bytes):
    [part] = read(HEAD + fields + b"\r\n\r\nx")
    assert isinstance(part, Part)
    assert part.name.lower().endswith(".doc")


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (b"x; filename*=UTF-16''%FF%FEa%00", ["a"]),
        (b"x; filename*=''%C3%A4", ["ä"]),
        (b"x; filename*=utf-8'%C3%A4", ["utf-8'ä"]),
        (b"x; filename*=a", ["a"]),
        (b"x; filename*1=b; filename*0=a", ["ab", "ba", "a"]),
        (b"x; filename*0=a; filename*2=c", ["ac", "c", "a"]),
        (b"x; filename*0=a; filename*0=b; filename*1=c", ["ac", "abc", "bc", "a"]),
        (b"x; filename =  a b  ; y", ["a b"]),
        (b'x; filename="a', ["a"]),
        (b"x; filename=", []),
        (b"x", []),
    ],
)
def test_every_name_that_a_program_may_read(value: bytes, names: list[str]):
    assert parameters(value, "filename") == names


def test_name_of_the_content_type_serves_if_there_is_no_other():
    assert parts(HEAD + b'Content-Type: image/png; name="a.png"\r\n\r\nx') == [("1/a.png", b"x")]


def test_long_name_is_cut():
    mail = HEAD + b'Content-Disposition: attachment; filename="' + b"n" * 5000 + b'.doc"\r\n\r\nx'
    [(path, _data)] = parts(mail)
    assert len(path) <= 122
    assert path.endswith(".doc")


@pytest.mark.parametrize(
    ("encoding", "body", "content"),
    [
        (b"base64", b"aGVsbG8=", b"hello"),
        (b"BASE64", b"aGVsbG8", b"hello"),
        (b"base64", b"a G!V$s\xffbG8=", b"hello"),
        (b"base64", b"", b""),
        (b"quoted-printable", b"h=65llo=\r\n w=C3=A4", b"hello w\xc3\xa4"),
        (b"7bit", b"hello", b"hello"),
        (b"x-uuencode", b"begin 644 f\r\n%:&5L;&\\\r\n`\r\nend\r\n", b"hello"),
        (b"uuencode", b"%:&5L;&\\\r\n", b"hello"),
    ],
)
def test_transfer_encodings(encoding: bytes, body: bytes, content: bytes):
    assert parts(HEAD + b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n" + body) == [("1", content)]


def test_encoded_files_inside_text_are_parts_of_their_own():
    body = b"see:\r\nbegin 644 hello.txt\r\n%:&5L;&\\\r\n`\r\nend\r\nand\r\n"
    body += b"begin-base64 600 b\r\naGVsbG8=\r\n====\r\n"
    assert parts(message(text(body)))[1:] == [("1/hello.txt", b"hello"), ("1/b", b"hello")]


def test_yenc_inside_text_is_a_part_of_its_own():
    body = (
        b"=ybegin line=128 size=3 name=y.bin\r\n"
        + bytes(((42 + 1) & 255, 61, 61 + 64))
        + b"\r\n=yend size=3\r\n"
    )
    assert parts(message(text(body)))[1:] == [("1/y.bin", b"\x01\x13")]


def test_broken_quoted_printable_is_read_in_every_way():
    mail = HEAD + b"Content-Transfer-Encoding: quoted-printable\r\n\r\na=ZZb= \r\nc"
    assert {data for _path, data in parts(mail)} >= {b"a=ZZbc", b"aZZbc", b"aZbc", b"abc"}


def test_a_piece_of_a_message_is_found_and_looked_into():
    mail = HEAD + b'Content-Type: message/partial; id="x"; number=1\r\n\r\nSubject: x\r\n\r\nanything'
    finding, unscanned, part = read(mail)
    assert finding == Finding("message-partial", "")
    assert unscanned == Unscanned("", "unsupported", "message/partial: a piece of a message")
    assert isinstance(part, Part)
    assert part.data == b"anything"


def test_content_that_lies_elsewhere_is_found():
    mail = (
        HEAD
        + b"Content-Type: message/external-body; access-type=anon-ftp\r\n\r\nContent-Type: text/plain\r\n\r\n"
    )
    assert any(item.name == "external-body" for item in read(mail) if isinstance(item, Finding))


def test_content_of_an_external_body_that_is_written_like_a_file():
    mail = (
        HEAD + b"Content-Type: message/external-body; access-type=x\r\n" + attachment(b"Key: a\r\n", "a.js")
    )
    named = mail.replace(b"Content-Type: application/octet-stream\r\n", b"")
    plain = [(item.name, item.data) for item in read(named) if isinstance(item, Part)]
    assert ("a.js", b"Key: a\r\n") in plain
