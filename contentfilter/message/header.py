"""Header fields of a MIME entity (RFC 5322 2.2, RFC 2045 5, RFC 2183), every way a client may read them.

Only the fields that decide how the body is read are looked at. A field that stands twice is kept twice.
"""

from __future__ import annotations

import base64
import binascii
import re
import urllib.parse
from dataclasses import dataclass, field

MAX_VALUE = 16 * 1024
"""Bytes of one field's value that are parsed."""
MAX_FIELDS = 40
"""Fields of interest in one block."""
MAX_BOUNDARY = 250
"""RFC 2046 5.1.1 allows 70; clients take more."""
MAX_RAW_NAME = 2048

_WANTED = (b"type", b"transfer-encoding", b"disposition")
_VALUE = re.compile(rb"[^\r\n]*(?:(?:\r\n|\r|\n)[ \t][^\r\n]*)*")
_FOLD = re.compile(rb"[\r\n]+[ \t]?")
_PARAMETER = re.compile(rb';\s*([^\s=;"]{1,80})\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)', re.DOTALL)
_ANY_BOUNDARY = re.compile(rb'boundary(?:\*0?\*?)?\s*=\s*("?)([^"\r\n]*)', re.IGNORECASE)
_COMMENT = re.compile(rb"\([^()]{0,1000}\)")
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_WORD = re.compile(r"=\?([^?\s]{1,40})\?([bBqQ])\?([^?]{0,2000})\?=(?:\s+(?==\?))?")
_CONTINUED = re.compile(r"(.+?)\*(\d{1,3})(\*?)\Z", re.DOTALL)

ENCODINGS = {
    b"": "identity",
    b"7bit": "identity",
    b"8bit": "identity",
    b"binary": "identity",
    b"base64": "base64",
    b"quoted-printable": "quoted-printable",
    b"uuencode": "uuencode",
    b"x-uuencode": "uuencode",
    b"x-uue": "uuencode",
    b"uue": "uuencode",
    b"uu": "uuencode",
}
"""Content-Transfer-Encoding (RFC 2045 6.1) and what clients know besides."""


@dataclass(slots=True)
class Header:
    """What the header of one entity says about its body.

    Arguments:
        types: values of Content-Type, unfolded, those that differ.
        encodings: decoders to be tried, names of :data:`ENCODINGS`' values.
        dispositions: values of Content-Disposition.
        oddities: what may be read in two ways, in words.
    """

    types: list[bytes] = field(default_factory=list)
    encodings: list[str] = field(default_factory=list)
    dispositions: list[bytes] = field(default_factory=list)
    oddities: list[str] = field(default_factory=list)

    @property
    def media_types(self) -> list[str]:
        """Media types such as ``multipart/mixed``, lower case."""
        return [media_type(value) for value in self.types]

    @property
    def name(self) -> str:
        """The file name (RFC 2183 2.3, RFC 2045 5.1's name parameter as clients use it); empty if none."""
        for values, key in ((self.dispositions, "filename"), (self.types, "name")):
            for value in values:
                if name := file_name(value, key):
                    return name
        return ""


def parse(block: bytes) -> Header:
    """The header ``block``, line ends included."""
    header = Header()
    if b"\0" in block:
        header.oddities.append("NUL in the header")
        block = block.replace(b"\0", b"")
    lower = block.lower()
    encodings: list[bytes] = []
    at, left = lower.find(b"content-"), MAX_FIELDS
    while at >= 0 and left:
        left -= 1
        here, at = at, lower.find(b"content-", at + 8)
        if here and lower[here - 1] not in b"\r\n":
            continue
        colon = lower.find(b":", here + 8, here + 80)
        what = lower[here + 8 : colon].rstrip(b" \t\r\n") if colon >= 0 else b""
        if what not in _WANTED:
            continue
        if here and lower[here - 1] == 13:
            header.oddities.append("header line after a bare CR")
        match = _VALUE.match(block, colon + 1, colon + 1 + MAX_VALUE)
        value = _FOLD.sub(b" ", match[0]).strip() if match else b""
        values = {b"type": header.types, b"disposition": header.dispositions}.get(what, encodings)
        if value not in values:
            values.append(value)
    if not left:
        header.oddities.append("too many Content fields")
    if len(header.types) > 1:
        header.oddities.append("several Content-Type fields")
    _read_encodings(header, encodings)
    return header


def _read_encodings(header: Header, values: list[bytes]) -> None:
    for value in values:
        bare = _COMMENT.sub(b"", value).strip(b" \t\"';").lower()
        known = ENCODINGS.get(bare) or ENCODINGS.get(bare.split(b";")[0].strip().split(b" ")[0])
        if known is None:
            # Some clients take an unknown word for 7bit, some for the known one it resembles.
            header.oddities.append("unknown Content-Transfer-Encoding")
        for decoder in (known,) if known else ("identity", "base64", "quoted-printable"):
            if decoder not in header.encodings:
                header.encodings.append(decoder)
    if len(values) > 1 and len(header.encodings) > 1:
        header.oddities.append("several Content-Transfer-Encoding fields")
    if not header.encodings:
        header.encodings.append("identity")


def media_type(value: bytes) -> str:
    """``multipart/mixed`` from a Content-Type value; empty if there is none."""
    if b"(" in value:
        value = _COMMENT.sub(b"", value)
    head = value.split(b";", 1)[0].strip().lower()
    return head.split(None, 1)[0].decode("latin-1") if head else ""


def boundaries(value: bytes) -> list[bytes]:
    """Boundaries that clients may read in a Content-Type value (RFC 2046 5.1.1), the strict reading first."""
    found: list[bytes] = []
    plain = _COMMENT.sub(b"", value) if b"(" in value else value
    for name, text in _pairs(plain):
        if name in (b"boundary", b"boundary*", b"boundary*0", b"boundary*0*"):
            # A continued boundary (RFC 2231 3) and its first piece alone are both candidates.
            whole = (
                parameter(plain, "boundary").encode("utf-8", "replace")
                if name.endswith((b"*", b"0"))
                else text
            )
            found += [whole, text, text.split(b" ")[0]]
    for match in _ANY_BOUNDARY.finditer(value):
        text = match[2] if match[1] else match[2].split(b";")[0]
        found += [text.strip(), text.split(b" ")[0]]
    kept = []
    for item in found:
        item = item[:MAX_BOUNDARY].rstrip(b" \t")
        if item and item not in kept:
            kept.append(item)
    return kept[:6]


def _pairs(value: bytes) -> list[tuple[bytes, bytes]]:
    """The parameters of a structured value (RFC 2045 5.1), names in lower case, quotes resolved."""
    pairs = []
    for match in _PARAMETER.finditer(b";" + value.partition(b";")[2]):
        text = match[2]
        if text.startswith(b'"'):
            text = text[1:].removesuffix(b'"')
            if b"\\" in text:
                text = _ESCAPED.sub(rb"\1", text)
        else:
            text = text.rstrip()
        pairs.append((match[1].lower(), text))
        if len(pairs) >= 100:
            break
    return pairs


def parameter(value: bytes, key: str) -> str:
    """The parameter ``key`` of a structured value, decoded (RFC 2231, RFC 2047); empty if there is none."""
    plain, pieces, extended = "", {}, False
    for raw_name, raw_text in _pairs(value):
        name, text = raw_name.decode("latin-1"), _decode_text(_shortened(raw_text))
        if name == key and not plain:
            plain = text
        elif name == key + "*":
            pieces[0], extended = text, True
        elif (match := _CONTINUED.match(name)) and match[1] == key:
            pieces[int(match[2])] = text if match[3] else urllib.parse.quote(text, safe="' ")
            extended |= bool(match[3])
    if pieces:
        joined = "".join(pieces[number] for number in sorted(pieces))[:MAX_RAW_NAME]
        return _decode_extended(joined, extended)
    return plain


def file_name(value: bytes, key: str) -> str:
    """The parameter ``key`` as a file name: encoded words, which RFC 2231 forbids here, are decoded too."""
    return decode_words(parameter(value, key)).replace("\\", "/").rsplit("/", 1)[-1]


def _shortened(raw: bytes) -> bytes:
    """A long name by its ends: the suffix is what people look at."""
    return raw if len(raw) <= MAX_RAW_NAME else raw[: MAX_RAW_NAME // 2] + raw[-MAX_RAW_NAME // 2 :]


def _decode_text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _decode_extended(text: str, extended: bool) -> str:
    """RFC 2231 4: ``charset'language'percent-encoded``."""
    charset, rest = "utf-8", text
    if extended and text.count("'") >= 2:
        charset, _language, rest = text.split("'", 2)
    return _decode_charset(urllib.parse.unquote_to_bytes(rest), charset)


def _decode_charset(raw: bytes, charset: str) -> str:
    try:
        return raw[:MAX_RAW_NAME].decode(charset or "utf-8", "replace")
    except (LookupError, ValueError):
        return raw[:MAX_RAW_NAME].decode("latin-1")


def decode_words(text: str) -> str:
    """``text`` with its encoded words (RFC 2047) decoded; a broken one stays as it is."""
    if "=?" not in text:
        return text

    def word(match: re.Match[str]) -> str:
        charset = match[1].split("*")[0]
        try:
            if match[2] in "bB":
                raw = base64.b64decode(match[3] + "===")
            else:
                raw = binascii.a2b_qp(match[3], header=True)
        except (binascii.Error, ValueError):
            return match[0]
        return _decode_charset(raw, charset)

    return _WORD.sub(word, text[: 4 * MAX_RAW_NAME])
