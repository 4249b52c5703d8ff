"""Header fields of a MIME entity (RFC 5322 2.2, RFC 2045 5, RFC 2183), every way a client may read them.

Only the fields that decide how the body is read are looked at. A field that stands twice is kept twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from contentfilter.message.filename import described_name, file_names, stray_names, suffix, worst
from contentfilter.message.parameters import decode_words, without_comments
from contentfilter.message.variants import is_strange

MAX_VALUE = 128 * 1024
"""Bytes of one field's value that are parsed. Postfix lets 100 KiB through (header_size_limit)."""
MAX_FIELDS = 40
"""Fields of interest in one block."""

_VALUE = re.compile(rb"[^\r\n]*(?:(?:\r\n|\r|\n)[ \t][^\r\n]*)*")
_QUOTED_IN_LINE = re.compile(rb'"[^"\r\n]*"')
_AFTER_NUL = re.compile(rb"\0[^\r\n]*")
_FOLD = re.compile(rb"[\r\n]+[ \t]?")
_NAME = re.compile(
    rb"(type|transfer-encoding|disposition)"
    rb"((?:[ \t\v\f\x80-\xff]|\r?\n[ \t]|\([^()\r\n]{0,60}\)){0,40})(:{0,8})"
)
_MEDIA = re.compile(
    rb"\s*\"?[a-z0-9=][\w.+?=-]{0,60}/[\w.+-]{1,80}\"?\s*(?:;|\Z)|[^;]{0,80};\s*boundary", re.IGNORECASE
)
_DISPOSITION = re.compile(rb"\s*+(?:attachment|inline)?\s*+(?:;|\Z)", re.IGNORECASE)
_CHARSET = re.compile(rb"charset[*0]{0,3}\s*=\s*[\"']{0,2}([\w.:-]{1,40})", re.IGNORECASE)
_NAMING = (b"content-description", b"content-name", b"content-location")
_BEFORE = re.compile(rb"(?:\A|[\r\n])[\0-\x20:]{1,80}\Z")
_LINES = re.compile(
    rb"(?:>?From [^\n]*\n)?(?:[!-9;-~]{1,200}[ \t]*:[^\n]*(?:\n|\Z)|[ \t]+[^\s][^\n]*(?:\n|\Z))*"
)
_LINE = re.compile(rb"[^\n]*\n?")

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
    b"x-uu": "uuencode",
}
"""Content-Transfer-Encoding (RFC 2045 6.1) and what clients know besides."""
_MEANT_AS_IDENTITY = frozenset(
    b"7-bit 8-bit 7bits 8bits bit7 bit8 none text plain utf-8 utf8 ascii us-ascii iso-8859-1 text/plain "
    b"unknown default normal 7bit; 8bit; binary;".split()
) | {b"7 bit", b"8 bit"}
"""What programs write that mean no encoding; no client decodes for it."""
_ENCODED = "a field in encoded words"
_EVERY = ("identity", "base64", "quoted-printable", "uuencode", "binhex")


@dataclass(slots=True)
class Header:
    """What the header of one entity says about its body.

    Arguments:
        types: values of Content-Type, unfolded, those that differ.
        encodings: decoders to be tried, names of :data:`ENCODINGS`' values.
        dispositions: values of Content-Disposition.
        oddities: what may be read in two ways, in words.
        strange: NUL or bare CR stand in it.
        names: file names, as users see them.
        block: the header itself.
        early_end: where some clients take the body to begin, in the block; -1 if all agree.
        crowded: there are more fields of interest than are read.
    """

    types: list[bytes] = field(default_factory=list)
    encodings: list[str] = field(default_factory=list)
    dispositions: list[bytes] = field(default_factory=list)
    oddities: list[str] = field(default_factory=list)
    strange: bool = False
    names: list[str] = field(default_factory=list)
    block: bytes = b""
    early_end: int = -1
    crowded: bool = False

    def agrees(self, other: Header) -> bool:
        """Whether both say the same about the body."""
        return (self.types, self.encodings, self.dispositions) == (
            other.types,
            other.encodings,
            other.dispositions,
        )

    @property
    def media_types(self) -> list[str]:
        """Media types such as ``multipart/mixed``, lower case."""
        return [media_type(value) for value in self.types]

    @property
    def media_type(self) -> str:
        """The first of them; empty if there is none."""
        return media_type(self.types[0]) if self.types else ""

    @property
    def name(self) -> str:
        """The file name; of several the worst; empty if there is none."""
        return worst(self.names) if self.names else ""

    @property
    def attached(self) -> bool:
        """Whether the body is to be offered as a file, not shown (RFC 2183 2.2)."""
        return any(value[:10].lower() == b"attachment" for value in self.dispositions)

    @property
    def charset(self) -> str:
        """The declared charset of text (RFC 2046 4.1.2); empty if there is none."""
        for value in self.types:
            if found := _CHARSET.search(value):
                return found[1].decode("latin-1")
        return ""


def parse(block: bytes) -> Header:
    """The header ``block``, line ends included."""
    header = Header(block=block, strange=is_strange(block))
    cut = b""
    if b"\0" in block:
        header.oddities.append("NUL in the header")
        cut = _AFTER_NUL.sub(b"", block)
        block = block.replace(b"\0", b"")
    lower = block.lower()
    encodings: list[bytes] = []
    at, left = lower.find(b"content-"), MAX_FIELDS
    while at >= 0 and left:
        here, at = at, lower.find(b"content-", at + 8)
        found = _NAME.match(lower, here + 8, here + 200)
        if not found:
            continue
        left -= 1
        _read_field(header, encodings, block, here, found)
    header.crowded = not left
    if len(header.types) > 1:
        header.oddities.append("several Content-Type fields")
    _read_encodings(header, encodings)
    regular = _LINES.match(block)
    if regular and regular.end() < len(block):
        _look_at_end(header, block, regular.end())
    if b"name" in lower or _ENCODED in header.oddities:
        _read_names(header, block, cut)
    if not header.names and any(field in lower for field in _NAMING):
        name = described_name(block, header.attached)
        header.names = [name] if name else []
    if block.startswith(b"--") or b"\n--" in block:
        header.oddities.append("a delimiter in the header")
    return header


def _read_field(
    header: Header, encodings: list[bytes], block: bytes, here: int, found: re.Match[bytes]
) -> None:
    what, between, colons = found.groups()
    strict = not here or block[here - 1] in b"\r\n"
    if not strict and (not colons or not _BEFORE.search(block, max(0, here - 81), here)):
        return
    match = _VALUE.match(block, found.end(), found.end() + MAX_VALUE)
    value = match[0].strip(b" \t\r\n") if match else b""
    joined = b""
    if b"\n" in value or b"\r" in value:
        if what == b"disposition" and b'"' in _QUOTED_IN_LINE.sub(b"", value):
            # Some programs leave nothing of a line end within a name.
            joined = _FOLD.sub(b"", value)
        value = _FOLD.sub(b" ", value)
    if value.startswith(b"=?"):
        # As malware is sent; some programs decode it first.
        joined = decode_words(value.decode("latin-1")).encode("utf-8", "replace")
        header.oddities.append(_ENCODED)
    if not strict or len(colons) != 1 or b"(" in between:
        # A program that is generous takes it for a field. So do we, if it says something as a field.
        if not _speaks(what, value):
            return
        header.oddities.append("header field that is not written as one")
    elif here and block[here - 1] == 13:
        header.oddities.append("header line after a bare CR")
    elif between:
        header.oddities.append("blank before the colon of a header field")
    values = {b"type": header.types, b"disposition": header.dispositions}.get(what, encodings)
    values += [text for text in dict.fromkeys((value, joined or value)) if text not in values]


def _read_names(header: Header, block: bytes, cut: bytes) -> None:
    names = file_names(header.dispositions, header.types)
    if header.early_end >= 0:
        names += stray_names(block[block.rfind(b"\n", 0, header.early_end) + 1 :])
    if cut:
        # Names as they are for programs to which a NUL is the end.
        names += parse(cut).names
    header.names = list(dict.fromkeys(names))
    if len(header.names) > 1 and len({suffix(name) for name in header.names} - {""}) > 1:
        header.oddities.append("file names with different suffixes")


def _speaks(what: bytes, value: bytes) -> bool:
    if what == b"type":
        return _MEDIA.match(value) is not None
    if what == b"disposition":
        return _DISPOSITION.match(value) is not None
    return any(ENCODINGS.get(word, "identity") != "identity" for word in value.lower().split()[:4])


def _read_encodings(header: Header, values: list[bytes]) -> None:
    for value in values:
        bare = value.lower()
        known = ENCODINGS.get(bare) or ("identity" if bare in _MEANT_AS_IDENTITY else None)
        if known is None:
            # Some clients take an unknown word for 7bit, some for the known one it resembles.
            header.oddities.append("unknown Content-Transfer-Encoding")
        for decoder in (known,) if known else _resembling(bare):
            if decoder not in header.encodings:
                header.encodings.append(decoder)
    if len(values) > 1 and len(header.encodings) > 1:
        header.oddities.append("several Content-Transfer-Encoding fields")
    if not header.encodings:
        header.encodings.append("identity")


def _resembling(value: bytes) -> list[str]:
    likely = "base64" if b"64" in value else "quoted-printable" if b"quoted" in value else "identity"
    return sorted(_EVERY, key=lambda name: name != likely)


def _look_at_end(header: Header, block: bytes, at: int) -> None:
    """A line that is no header field: some clients pass over it, some take it for the first of the body."""
    line = _LINE.match(block, at)
    blank = line is not None and not line[0].strip()
    # One that only looks blank parts the header from the body.
    header.early_end = line.end() if line and blank else at


def media_type(value: bytes) -> str:
    """``multipart/mixed`` from a Content-Type value; empty if there is none."""
    if b"(" in value:
        value = without_comments(value)
    head = value.split(b";", 1)[0].strip(b" \t\r\n\"'").lower()
    words = head.split(None, 1)
    return words[0].decode("latin-1") if words else ""
