"""Transfer encodings against the standard library, and where clients differ."""

from __future__ import annotations

import base64
import quopri
import random
import time

import pytest

from contentfilter.content.limits import Budget, ScanOptions
from contentfilter.content.part import Part
from contentfilter.message import MessageReader, base64text, encodings, oldfiles
from contentfilter.message.wire import BytesWire
from tests.samples.noise import noise


def base64_of(text: bytes) -> tuple[list[bytes], bool]:
    found = base64text.decode(BytesWire(text), 0, len(text))
    return [bytes(reading) for reading in found.readings], found.complete


@pytest.mark.parametrize("size", [0, 1, 2, 3, 57, 58, 787_000, 3_000_000])
@pytest.mark.parametrize("line", [60, 76, 77, 998])
def test_base64_over_windows(size: int, line: int):
    data = random.Random(size).randbytes(size)
    raw = base64.b64encode(data)
    text = b"\r\n".join(raw[at : at + line] for at in range(0, len(raw), line))
    readings, complete = base64_of(text)
    assert readings[0] == data
    assert complete
    if line % 4 == 0:
        assert readings == [data]


EVEN = base64.encodebytes(bytes(range(256)) * 12).replace(b"\n", b"\r\n")


@pytest.mark.parametrize("octet", [b"=", b"-", b"\n", b"\r", b" ", b"\0", b":", b"A", b""])
@pytest.mark.parametrize("at", [0, 3, 75, 76, 77, 78, 312, 311, 310, len(EVEN) - 3, len(EVEN) - 1])
@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"], ids=["crlf", "lf"])
def test_lines_of_one_length_are_read_like_any(
    monkeypatch: pytest.MonkeyPatch, octet: bytes, at: int, line_end: bytes
):
    text = EVEN.replace(b"\r\n", line_end)
    text = text[:at] + octet + text[at + 1 :]
    monkeypatch.setattr(base64text, "_STEP", 160)
    quickly = base64text.decode(BytesWire(text), 0, len(text))
    monkeypatch.setattr(base64text, "_LONGEST", 0)
    assert quickly == base64text.decode(BytesWire(text), 0, len(text))
    assert not quickly.pure or not text.translate(None, b" \r\n" + base64text._ALPHABET + b"=")


def test_lines_of_one_length_are_decoded_without_looking_twice(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(base64text, "_STEP", 160)
    data, rest = base64text._even_lines(BytesWire(EVEN), 0, len(EVEN))
    assert rest == len(EVEN) // 78 * 78
    assert data == (bytes(range(256)) * 12)[: rest // 78 * 57]


def test_base64_without_its_padding():
    assert base64_of(b"aGVsbG8") == ([b"hello"], True)
    assert base64_of(b"aGVsb") == ([b"hel"], True)


def test_base64_with_padding_between_windows():
    data = noise(1_000_001)
    text = base64.b64encode(data[:-1]) + b"\r\n" + base64.b64encode(data) + b"\r\n"
    readings, complete = base64_of(text)
    assert complete
    assert readings[0] == data[:-1]
    assert data[:-1] + data in readings


@pytest.mark.parametrize("footer", [b"footer", b"_____\r\na list\r\n", b"-- \r\nsee http://list.example/a/b"])
def test_base64_with_a_footer_is_in_no_doubt(footer: bytes):
    text = b"aGVsbG8=\r\n" + footer
    found = base64text.decode(BytesWire(text), 0, len(text))
    assert found.readings[0] == b"hello"
    assert not found.doubtful


def test_base64_that_goes_on_after_the_padding_is_in_doubt():
    text = b"aGVsbG8=\r\n" + base64.b64encode(b"and what else there is to say")
    found = base64text.decode(BytesWire(text), 0, len(text))
    assert found.doubtful
    assert b"helloand what else there is to say" in found.readings


def test_base64_pieces_are_bounded():
    readings, complete = base64_of(b"aGVsbG8=" * 300_000)
    assert complete
    assert readings[:2] == [b"hello", b"hello" * 300_000]
    readings, complete = base64_of(b"aGVsbG8=" * 300_002)
    assert not complete
    assert readings == [b"hello"]


def test_base64_in_lines_of_odd_length_is_bounded():
    for count, whole in ((400_000, True), (400_002, False)):
        readings, complete = base64_of(b"QUFBQQ\n" * count)
        assert (complete, b"A" * 3 * count in readings) == (whole, whole)
    text = b"QUFB" * 10 + b"Q\n"
    assert b"A" * 30 * 400_004 in base64_of(text * 400_004)[0]


@pytest.mark.parametrize("spare", [b"X", b"XX", b"XXX"])
@pytest.mark.parametrize("count", range(20, 30))
def test_base64_with_spare_characters_in_each_line(spare: bytes, count: int):
    """Whatever number of them that makes in all."""
    for text in ((b"QUFB" + spare + b"\r\n") * count, (b"QUFBQUFB" + spare + b"\n") * count):
        readings, complete = base64_of(text)
        assert complete
        assert b"A" * (text.count(b"QUFB") * 3) in readings


def test_padding_in_place_of_zeros():
    data = b"\0abc\0\0\0def" * 5
    assert data in base64_of(base64.b64encode(data).replace(b"A", b"="))[0]


@pytest.mark.parametrize("junk", [bytes((byte,)) for byte in range(256) if not chr(byte).isalnum()])
def test_base64_with_any_junk_is_read(junk: bytes):
    text = junk + b"aGVs\r\n" + junk + b"bG8h\r\nYW5k" + junk + b"\r\n"
    readings, complete = base64_of(text)
    assert complete
    assert b"hello!and" in readings or junk in b"+/="


@pytest.mark.parametrize("text", [b"====", b"=" * 3_000_000, b"!" * 3_000_000])
def test_base64_of_nothing(text: bytes):
    assert base64_of(text) == ([b""], True)


def test_quoted_printable_over_windows():
    data = random.Random(1).randbytes(1_500_000).replace(b"\n", b"")
    text = quopri.encodestring(data).replace(b"\n", b"\r\n")
    assert encodings.quoted_printable(BytesWire(text), 0, len(text)) == data


@pytest.mark.parametrize("encoding", [b"quoted-printable", b"binary"])
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_lines_that_end_with_lf_for_some_and_crlf_for_others(encoding: bytes, end: bytes):
    data = b"PK\3\4" + bytes(16) + b"one\ntwo\r\x01\nthree"
    assert data in parts(encoding, data, end)
    assert data.replace(b"\n", end) in parts(encoding, data, end)
    # A text is the same text, however its lines end.
    assert parts(encoding, b"Hello\nworld\n", end) == [b"Hello\nworld\n".replace(b"\n", end)]


def parts(encoding: bytes, data: bytes, end: bytes) -> list[bytes]:
    raw = data
    if encoding == b"quoted-printable":
        raw = b"".join(
            b"=%02X" % octet if octet > 126 or octet in b"=\r" else b"%c" % octet for octet in data
        )
    mail = b"MIME-Version: 1.0\nContent-Type: application/x\nContent-Transfer-Encoding: %s\n\n" % encoding
    mail = (mail + raw).replace(b"\n", end)
    found = MessageReader(BytesWire(mail), Budget(ScanOptions())).read()
    return [bytes(item.data) for item in found if isinstance(item, Part)]


def test_uuencode_of_encoders_that_differ():
    import binascii

    data = bytes(range(256)) * 3
    lines = [binascii.b2a_uu(data[at : at + 45]) for at in range(0, len(data), 45)]
    blanks = b"begin 644 f\n" + b"".join(lines) + b" \nend\n"
    backticks = blanks.replace(b" ", b"`").replace(b"begin`644`f", b"begin 644 f")
    trailing = b"begin 644 f\n" + b"".join(line[:-1] + b"x\n" for line in lines) + b"`\nend\n"
    for text in (blanks, backticks, trailing):
        assert list(oldfiles.uuencoded(text)) == [(b"f", data)]


@pytest.mark.parametrize("size", range(1, 46))
def test_uuencode_among_other_lines_whatever_it_is_padded_with(size: int):
    import binascii

    data, spare = b"\xaa" * size, -size % 3
    line = binascii.b2a_uu(data).rstrip(b"\n")
    for padding in (b" ", b"`", b"!"):
        text = line[: len(line) - spare] + padding * spare
        found = oldfiles.uuencoded(b"begin 644 f\nand here it is\n" + text + b"\n`\nend\n")
        assert (b"f", data) in list(found)


def test_uuencode_that_breaks_off_gives_what_was_there():
    assert list(oldfiles.uuencoded(b"begin 644 f\n%:&5L;&\\\nnothing of the kind\n")) == [(b"f", b"hello")]


LINES = b"M" + b"8" * 60 + b"\n!8```\n`\nend\n"


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (b"begin 644 a b.doc", b"a b.doc"),
        (b"begin  644  f", b"f"),
        (b"begin\t0644\tf", b"f"),
        (b"begin 100644 f", b"f"),
        (b"begin 888 f", b"f"),
        (b"begin 644", b""),
        (b"begin 644 ", b""),
        (b"begin 644 " + b"f" * 900, b"f" * 900),
        (b"begin 12345678 f", b"12345678 f"),
        (b"begin f", b"f"),
        (b"begin  f.doc", b"f.doc"),
        (b"begin 644 x\nbegin 644 f", b"f"),
        (b"begin \nbegin 644 \nbegin 644 f", b"f"),
    ],
)
def test_first_lines_of_uuencode(line: bytes, name: bytes):
    for end in (b"\n", b"\r\n", b"\r"):
        text = (b"hello\n" + line + b"\n").replace(b"\n", end) + LINES
        found = [item for item in oldfiles.uuencoded(text) if item[1]]
        assert [item[0] for item in found] == [name]
        assert len(found[0][1]) == 46


@pytest.mark.parametrize(
    "text",
    [b"begin\nMORE\n", b"begin  the meeting\nMEETINGS ARE DULL\n", b"begin\n" * 9, b"BEGIN 644 f\n" + LINES],
)
def test_words_that_begin_like_uuencode(text: bytes):
    assert not any(content for _name, content in oldfiles.uuencoded(text))


def test_first_lines_of_uuencode_are_read_in_linear_time():
    for text in (b"begin 644 x\n" * 100_000, b"begin" + b" " * 2_000_000, b"\nbegin " + b"6" * 2_000_000):
        started = time.process_time()
        assert not any(content for _name, content in oldfiles.uuencoded(text))
        assert time.process_time() - started < 2


UUENCODED = b"begin 644 evil.doc\n%:&5L;&\\\n`\nend\n"


@pytest.mark.parametrize(
    ("kind", "start", "found"),
    [
        (b"text/plain", b"", True),
        (b"text/plain", b"\0\x01" * 20, True),
        (b"application/octet-stream", b"", True),
        (b"application/octet-stream", b"\x01" * 16, True),
        (b"application/octet-stream", b"\x01" * 17, False),
        (b"application/octet-stream", b"\0", False),
        (b"application/octet-stream", b"\x1b$B\t\f" * 100, True),
    ],
)
def test_files_are_looked_for_in_text_alone_but_in_all_that_is_declared_as_text(
    kind: bytes, start: bytes, found: bool
):
    content = base64.encodebytes(start + b"\n" + UUENCODED)
    mail = b"Content-Type: " + kind + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + content
    items = MessageReader(BytesWire(mail), Budget(ScanOptions())).read()
    assert (b"hello" in [bytes(item.data) for item in items if isinstance(item, Part)]) is found
