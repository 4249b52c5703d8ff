"""RTF (Rich Text Format 1.9.1): embedded objects, fields, templates from elsewhere.

Word reads RTF in its own way, and documents are written to be read by it alone. Object data is therefore
collected in each of the ways that are known: with and without nested groups, with and without its habit of
dropping a half octet before an escape.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from contentfilter.containers.mtef import overflows
from contentfilter.content.part import Content, Context, Found, Part
from contentfilter.scanners.ole_links import EQUATION_NAMES
from contentfilter.scanners.ole_objects import native
from contentfilter.scanners.remote import is_remote
from contentfilter.scanners.word_fields import BEGIN, END, MAX_TEXT, judge_fields

_START = b"{\\rt"
_SEARCHED = 4096
"""Octets in which a document may begin; what stands before is not shown by Word, or shown as text."""
_TOKEN = re.compile(
    rb"\\'(..)|\\bin(?![a-zA-Z])(-?\d+)? ?|\\[a-zA-Z]+-?\d* ?|(\\.)|([{}])|([^\\{}]+)", re.DOTALL
)
_ENDLESS = re.compile(rb"(?<!\\)(?:\\\\)*\\bin0*[1-9]\d{9}")
"""A length of binary data beyond any document: what Word makes of that is not known."""
_NUMBER = re.compile(rb"-?\d{1,100} ?")
_HEX = b"0123456789abcdefABCDEF"
_NO_HEX = bytes(set(range(256)) - set(_HEX))
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_UPDATED = b"\\objupdate"
_MAX_OBJECTS = 200
_MAX_TOKENS = 300_000
_MAX_FIELDS, _MAX_FIELD, _MAX_FIELD_OCTETS = 20_000, 16_384, 8 << 20
_TEXT_TOKEN = re.compile(
    rb"\\'([0-9a-fA-F]{2})|\\(fldinst|fldrslt)(?![a-zA-Z])-?\d* ?|\\u(-?\d{1,6}) ?|\\uc(\d{1,4}) ?"
    rb"|\\(~|(?:par|tab|line)(?![a-zA-Z])-?\d* ?)|\\[a-zA-Z]+-?\d* ?|\\([{}\\])|\\.|([{}])|[\r\n]+"
    rb"|([^\\{}\r\n]+)",
    re.DOTALL,
)
_REPLACEMENT = re.compile(rb"\\'[0-9a-fA-F]{2}|[^\\{}\r\n]", re.DOTALL)


class Rtf:
    """Finds ``ole-object``, ``executable``, ``office-dde`` and ``office-remote-template``; hands out embedded
    objects."""

    name = "rtf"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        data = part.data
        if data.find(_START, 0, _SEARCHED) < 0:
            return
        yield from self._objects(part)
        if _ENDLESS.search(data):
            yield part.unscanned("malformed", "RTF binary data without end")
        if _UPDATED in data:
            yield part.found("ole-object", "object that is loaded when the document is opened")
        yield from judge_fields(part, _fields(data))
        for at in _places(data, b"\\template", 100):
            target = _text(data, at + 9)[0].strip()
            if is_remote(target):
                yield part.found("office-remote-template", f"template {target[:200]}")
                break

    def _objects(self, part: Part) -> Iterator[Found]:
        tokens = _MAX_TOKENS
        for number, at in enumerate(_places(part.data, b"\\objdata", _MAX_OBJECTS + 1)):
            if number == _MAX_OBJECTS or tokens <= 0:
                yield part.unscanned("too-large", "RTF objects")
                return
            readings: list[bytes] = []
            for start in _starts(part.data, at + 8):
                more, used = object_readings(part.data, start, tokens)
                readings += more
                tokens -= used
            if tokens <= 0:
                yield part.unscanned("too-large", "RTF object")
            seen: set[bytes] = set()
            for data in readings:
                for item in _embedded(part, data):
                    key = bytes(item.data[:4096]) if isinstance(item, Part) else repr(item).encode()
                    if key not in seen:
                        seen.add(key)
                        yield item


def _starts(data: Content, at: int) -> list[int]:
    """Where the data begins behind its word: digits without a blank before them may be the word's number."""
    number = _NUMBER.match(data, at)
    return [number.end(), at] if number else [at]


def object_readings(data: Content, at: int, limit: int) -> tuple[list[bytes], int]:
    """The octets of an object whose data begins at ``at``, as they may be read, and the tokens it took.

    Groups inside may count or not, or only those that are no destinations to be ignored (``\\*``); and an
    escape may take a half octet before it along, or be no escape.
    """
    every, outer, open_ones, quirky, plain = (bytearray() for _ in range(5))
    depth = count = ignored = 0
    end = len(data)
    while at < end and count < limit:
        match = _TOKEN.match(data, at)
        if match is None:
            break
        count += 1
        at = match.end()
        if text := match[5]:
            digits = text.translate(None, _NO_HEX)
            every += digits
            plain += digits
            quirky += digits
            if not depth:
                outer += digits
            if not ignored:
                open_ones += digits
        elif brace := match[4]:
            depth += 1 if brace == b"{" else -1
            if depth < 0:
                break
            if depth < ignored:
                ignored = 0
        elif match[1]:
            if len(quirky) & 1:
                del quirky[-1]
            # Or it is none, and its digits are data.
            plain += match[1].translate(None, _NO_HEX)
        elif match[3]:
            if match[3] == b"\\*" and depth and not ignored:
                ignored = depth
        elif match[2]:
            raw = data[at : at + _length(match[2])]
            at += len(raw)
            for target in (every, outer, open_ones, quirky, plain):
                target += binascii.hexlify(raw)
    readings = [
        binascii.unhexlify(digits[: len(digits) & ~1])
        for digits in dict.fromkeys(map(bytes, (quirky, every, outer, open_ones, plain)))
    ]
    return readings, count


def _length(number: bytes) -> int:
    """The length of binary data; leading zeros say nothing, and a negative one is none."""
    return 0 if number.startswith(b"-") else int(number.lstrip(b"0")[:10] or b"0")


def _embedded(part: Part, data: bytes) -> Iterator[Found]:
    """What is in an OLE 1.0 object (MS-OLEDS 2.2): a compound file, a package, other data, a link."""
    at = data.find(_OLE)
    kind, after = _counted(data, 8)
    kind = kind.lower()
    if kind.startswith(EQUATION_NAMES):
        yield part.found("ole-object", "equation of the old Equation Editor")
        if _UPDATED in part.data:
            # No program writes that: whoever has it written wants the editor to run.
            yield part.found("executable", "equation that is loaded when the document is opened")
    if at >= 0:
        yield part.piece("RTF object", data[at:])
        return
    if len(data) < 12:
        return
    topic, after = _counted(data, after)
    item, after = _counted(data, after)
    if data[4:8] == b"\x01\0\0\0":
        for target in (topic, item):
            if is_remote(target.decode("latin-1")):
                yield part.found("office-remote-template", f"link {target[:200].decode('latin-1')}")
                return
    if after < 0:
        return
    content = data[after + 4 :]
    if kind == b"package":
        name, packed = native(b"\0\0\0\0" + content)
        yield part.found("ole-object", f"package {name!r:.100}")
        yield part.piece(name or "RTF object", packed, name)
    elif content:
        if kind.startswith(EQUATION_NAMES) and overflows(content):
            yield part.found("executable", "equation that overflows its editor")
        yield part.piece("RTF object", content)


def _counted(data: bytes, at: int) -> tuple[bytes, int]:
    """A text behind its length, and where it ends; -1 if there is none."""
    if not 0 <= at <= len(data) - 4:
        return b"", -1
    size = int.from_bytes(data[at : at + 4], "little")
    if size > 4096:
        return b"", -1
    return data[at + 4 : at + 4 + size].rstrip(b"\0"), at + 4 + size


def _places(data: Content, word: bytes, limit: int) -> Iterator[int]:
    """Where that control word stands, at most so often."""
    at = data.find(word)
    while at >= 0 and limit:
        end = at + len(word)
        if not data[end : end + 1].isalpha():
            yield at
            limit -= 1
        at = data.find(word, end)


def _fields(data: Content) -> str:
    """The instructions of all fields, with marks; fields inside others in their place."""
    out: list[str] = []
    room, done = _MAX_FIELD_OCTETS, 0
    for at in _places(data, b"\\fldinst", _MAX_FIELDS):
        if at < done:
            continue
        text, done = _text(data, at + 8)
        room -= done - at
        if room < 0:
            # Longer than is looked at; whoever judges it says so.
            return "".join(out) + BEGIN * MAX_TEXT
        out += (BEGIN, text, END)
    return "".join(out)


def _text(data: Content, at: int) -> tuple[str, int]:
    """The text from ``at`` to the end of its group, without control words, and where that is.

    A field inside has its marks; what it last resulted in is left out.
    """
    out: list[str] = []
    inner: list[int] = []
    depth, skipped, replaced = 0, 0, 1
    stop = min(len(data), at + _MAX_FIELD)
    while at < stop and (match := _TEXT_TOKEN.match(data, at, stop)):
        at = match.end()
        if brace := match[7]:
            depth += 1 if brace == b"{" else -1
            if depth < skipped:
                skipped = 0
            if inner and depth < inner[-1]:
                inner.pop()
                out.append(END)
            if depth < 0:
                break
        elif match[4]:
            replaced = min(int(match[4]), 8)
        elif match[2] == b"fldinst":
            inner.append(depth)
            out.append(BEGIN)
        elif match[2]:
            skipped = skipped or max(depth, 1)
        elif skipped:
            continue
        elif match[1]:
            out.append(chr(int(match[1], 16)))
        elif match[3]:
            out.append(chr(int(match[3]) & 0xFFFF))
            # Characters for readers without Unicode follow, as many as \\uc says.
            for _ in range(replaced):
                if (other := _REPLACEMENT.match(data, at, stop)) is None:
                    break
                at = other.end()
        elif match[5]:
            out.append(" ")
        elif text := match[6] or match[8]:
            out.append(text.decode("latin-1"))
    return "".join(out), at
