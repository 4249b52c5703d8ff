"""The MIME reader on invented messages: honest ones are read whole, and nothing makes it stumble."""

from __future__ import annotations

import base64
import quopri
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contentfilter.content.limits import Budget, ScanOptions
from contentfilter.content.part import Part
from contentfilter.content.scan import scan_message
from contentfilter.message import BytesWire, FileWire, MessageReader, base64text, encodings, oldfiles
from contentfilter.message.boundary import MAX_BOUNDARY, boundaries
from contentfilter.message.filename import file_names, worst
from contentfilter.message.header import parse
from contentfilter.message.parameters import decode_words, parameters
from contentfilter.message.wire import Wire
from mailbase.vocabulary import Finding, Unscanned

OPTIONS = ScanOptions(parts=500, work=64 << 20)
EXAMPLES = settings(max_examples=300, deadline=None)

FRAGMENTS = st.sampled_from(
    [
        *(
            b"\r\n",
            b"\n",
            b"\r",
            b"\r\n\r\n",
            b"\n\n",
            b" ",
            b"\t",
            b"\0",
            b"=",
            b'"',
            b";",
            b":",
            b"\xff",
            b"..",
        ),
        *(b"--", b"--a", b"--a--", b"--b", b"\r\n--a\r\n", b"\r\n--a--\r\n", b"\r\n..", b"PK\3\4"),
        *(
            b"Content-Type: ",
            b"content-type:",
            b"multipart/mixed; boundary=a",
            b'multipart/mixed; boundary="b"',
        ),
        *(b"multipart/digest", b"message/rfc822", b"message/partial", b"text/plain"),
        *(b"Content-Transfer-Encoding: ", b"base64", b"quoted-printable", b"x-uuencode", b"7bit"),
        *(b"aGVsbG8=", b"=41=\r\n", b"begin 644 f\r\n", b"%:&5L;&\\\r\n", b"end\r\n"),
        *(b"=ybegin line=1 name=x\r\n", b"=yend", b'Content-Disposition: attachment; filename="a.b"'),
        *(b"filename*0*=utf-8''%41", b"=?utf-8?b?QQ==?="),
    ]
)
NOISE = st.lists(st.one_of(FRAGMENTS, st.binary(max_size=8)), max_size=60).map(b"".join)


def read(wire: Wire) -> list[Part | Finding | Unscanned]:
    return list(MessageReader(wire, Budget(OPTIONS)).read())


def seen(items: list[Part | Finding | Unscanned]) -> list[object]:
    return [(item.path, bytes(item.data)) if isinstance(item, Part) else item for item in items]


@EXAMPLES
@given(NOISE)
def test_noise_is_read_without_stumbling(data: bytes):
    items = read(BytesWire(data))
    assert len(items) <= 2 * OPTIONS.parts
    for item in items:
        path = item.path if isinstance(item, Part) else item.part
        assert path.isprintable()


@EXAMPLES
@given(NOISE)
def test_noise_is_scanned_without_a_failure(data: bytes):
    result = scan_message(data, OPTIONS)
    assert "failed" not in {item.reason for item in result.unscanned}


@settings(max_examples=100, deadline=None)
@given(NOISE)
def test_a_file_is_read_like_memory(data: bytes):
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        assert seen(read(FileWire(file.fileno(), len(data), stuffed=False))) == seen(read(BytesWire(data)))


@st.composite
def even_lines(draw: st.DrawFn) -> bytes:
    """Base64 in lines of one length, with some octets changed, put in or left out."""
    size = draw(st.sampled_from([4, 8, 60, 61, 76]))
    line_end = draw(st.sampled_from([b"\r\n", b"\n"]))
    raw = base64.b64encode(draw(st.binary(max_size=600)))
    text = bytearray(line_end.join(raw[at : at + size] for at in range(0, len(raw), size)) + line_end)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(text)))
        text[at : at + draw(st.integers(0, 2))] = draw(
            st.sampled_from([b"", b"A", b"=", b"\n", b"\r", b" ", b":", b"\0"])
        )
    return bytes(text)


@EXAMPLES
@given(even_lines(), st.sampled_from([16, 100, 160]))
def test_lines_of_one_length_are_decoded_like_any(text: bytes, step: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base64text, "_STEP", step)
        quickly = base64text.decode(BytesWire(text), 0, len(text))
        patch.setattr(base64text, "_LONGEST", 0)
        assert quickly == base64text.decode(BytesWire(text), 0, len(text))


CONTENT = st.binary(min_size=1, max_size=200)
BOUNDARY = st.text("abcXYZ019'+_,-./:=? ", min_size=1, max_size=30).map(lambda text: f"q{text}q")


@st.composite
def entity(draw: st.DrawFn, depth: int = 3) -> tuple[bytes, list[bytes]]:
    """An honest entity with its header, and the contents of its leaves."""
    end = draw(st.sampled_from([b"\r\n", b"\n"]))
    if depth and draw(st.booleans()):
        boundary = draw(BOUNDARY).encode() + b"%d" % depth
        below = [draw(entity(depth - 1)) for _ in range(draw(st.integers(1, 3)))]
        body = b"".join(b"--" + boundary + end + part + end for part, _contents in below)
        head = b'Content-Type: multipart/mixed; boundary="%s"' % boundary + end + end
        return head + body + b"--" + boundary + b"--" + end, [
            item for _part, items in below for item in items
        ]
    if depth and draw(st.booleans()):
        inner, contents = draw(entity(depth - 1))
        return b"Content-Type: message/rfc822" + end + end + b"From: a@b" + end + inner, contents
    content = draw(CONTENT)
    if draw(st.booleans()):
        encoded = base64.encodebytes(content).replace(b"\n", end)
        head = b"Content-Transfer-Encoding: base64"
    else:
        encoded = quopri.encodestring(content.replace(b"\n", b"N").replace(b"\r", b"R"), quotetabs=True)
        encoded = encoded.replace(b"\n", end)
        content = content.replace(b"\n", b"N").replace(b"\r", b"R")
        head = b"Content-Transfer-Encoding: quoted-printable"
    return head + end + end + encoded, [content]


@EXAMPLES
@given(entity())
def test_honest_messages_are_read_whole(sample: tuple[bytes, list[bytes]]):
    data, contents = sample
    items = read(BytesWire(b"From: a@b\r\n" + data))
    parts = [bytes(item.data) for item in items if isinstance(item, Part)]
    # Content may by chance begin a file inside text; those parts come besides.
    for content in contents:
        assert content in parts
    assert not any(isinstance(item, Unscanned) for item in items)


@EXAMPLES
@given(entity(), st.data())
def test_damaged_messages_are_read_without_stumbling(sample: tuple[bytes, list[bytes]], data: st.DataObject):
    mail = b"From: a@b\r\n" + sample[0]
    at = data.draw(st.integers(0, len(mail)))
    size = data.draw(st.integers(0, 20))
    result = scan_message(mail[:at] + data.draw(NOISE) + mail[at + size :], OPTIONS)
    assert "failed" not in {item.reason for item in result.unscanned}


@EXAMPLES
@given(NOISE, st.text(max_size=60))
def test_header_values_are_read_without_stumbling(value: bytes, text: str):
    header = parse(value)
    assert -1 <= header.early_end <= len(value)
    assert all(0 < len(item) <= MAX_BOUNDARY for item in boundaries(value, value).candidates)
    parameters(value, "filename")
    assert worst(file_names([value], [value])) in ["", *file_names([value], [value])]
    decode_words(text)


@EXAMPLES
@given(NOISE, st.sampled_from([b"=", b"-_", b"\n", b"A", b"#", b" "]), st.integers(0, 60))
def test_encodings_are_read_without_stumbling(data: bytes, sprinkled: bytes, every: int):
    text = base64.b64encode(data)
    if every:
        text = sprinkled.join(text[at : at + every] for at in range(0, len(text), every))
    found = base64text.decode(BytesWire(text), 0, len(text))
    assert len(found.readings) <= 12
    assert all(len(reading) <= len(text) for reading in found.readings)
    readings, _doubtful = encodings.other_readings(data)
    assert all(len(reading) <= len(data) + 1 for reading in readings or ())
    for _name, content in oldfiles.files_in_text(data):
        assert len(content) <= 255 * len(data)


@EXAMPLES
@given(st.binary(min_size=1, max_size=300))
def test_what_is_written_by_the_rules_has_one_reading(data: bytes):
    text = base64.encodebytes(data)
    found = base64text.decode(BytesWire(text), 0, len(text))
    assert (found.readings, found.doubtful, found.complete) == ([data], False, True)
