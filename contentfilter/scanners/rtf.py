"""RTF: embedded objects, DDE fields, remote templates.

Word reads RTF in its own way, and documents are written to be read by it alone. Object data is therefore
collected in each of the ways that are known: with and without nested groups, with and without its habit of
dropping a half octet before an escape.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from contentfilter.limits import MIB
from contentfilter.part import Content, Context, Found, Part
from contentfilter.scanners.office_xml import is_remote
from contentfilter.scanners.ole_objects import native

_START = b"{\\rt"
_TOKEN = re.compile(rb"\\'(..)|\\bin(-?\d{1,10})? ?|\\[a-zA-Z]+-?\d* ?|\\.|([{}])|([^\\{}]+)", re.DOTALL)
_HEX = b"0123456789abcdefABCDEF"
_NO_HEX = bytes(set(range(256)) - set(_HEX))
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MAX_OBJECTS = 200
_MAX_TOKENS = 300_000
_FIELD = re.compile(r"\s*\"?\s*DDE(?:AUTO)?\b", re.IGNORECASE)
_TEMPLATE = re.compile(rb"\\\*\s*\\template\b([^}]{1,2000})")
_UNICODE = re.compile(r"\\u(-?\d{1,6}) ?\??")
_CONTROL = re.compile(rb"\\[a-zA-Z]+-?\d* ?|[{}\r\n]")


class Rtf:
    """Finds ``ole-object``, ``office-dde``, ``office-remote-template``; hands out embedded objects."""

    name = "rtf"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        data = part.data
        if data[:1] not in (b"{", b" ", b"\t", b"\r", b"\n", b"\0", b"\xef") or _START not in data[:256]:
            return
        yield from self._objects(part)
        for at in _places(data, b"\\fldinst", 5000):
            text = _plain(data[at + 8 : at + 2000])
            if _FIELD.match(text):
                yield part.found("office-dde", f"field {text[:160].strip()!r}")
                break
        for match in _TEMPLATE.finditer(data):
            target = _UNICODE.sub(lambda m: chr(int(m[1]) & 0xFF), bytes(match[1]).decode("latin-1"))
            if is_remote(_plain(target.encode("latin-1", "replace")).strip()):
                yield part.found("office-remote-template", target.strip()[:200])
                break

    def _objects(self, part: Part) -> Iterator[Found]:
        tokens = _MAX_TOKENS
        for number, at in enumerate(_places(part.data, b"\\objdata", _MAX_OBJECTS + 1)):
            if number == _MAX_OBJECTS or tokens <= 0:
                yield part.unscanned("too-large", "RTF objects")
                return
            readings, used = object_readings(part.data, at + 8, tokens)
            tokens -= used
            if tokens <= 0:
                yield part.unscanned("too-large", "RTF object")
            seen = set()
            for data in readings:
                for name, content in _embedded(data):
                    if (key := bytes(content[:4096])) not in seen:
                        seen.add(key)
                        if name:
                            yield part.found("ole-object", f"package {name!r:.100}")
                        yield part.piece(name or "RTF object", content)


def object_readings(data: Content, at: int, limit: int) -> tuple[list[bytes], int]:
    """The octets of an object whose data begins at ``at``, as they may be read, and the tokens it took."""
    flat, nested_free, quirky = bytearray(), bytearray(), bytearray()
    depth = count = 0
    end = len(data)
    while at < end and count < limit:
        match = _TOKEN.match(data, at)
        if match is None:
            break
        count += 1
        at = match.end()
        if text := match[4]:
            digits = text.translate(None, _NO_HEX)
            flat += digits
            quirky += digits
            if not depth:
                nested_free += digits
        elif brace := match[3]:
            depth += 1 if brace == b"{" else -1
            if depth < 0:
                break
        elif match[1]:
            if len(quirky) & 1:
                del quirky[-1]
        elif match[0].startswith(b"\\bin") and match[2]:
            raw = data[at : at + max(0, int(match[2]))]
            at += len(raw)
            for target in (flat, nested_free, quirky):
                target += binascii.hexlify(raw)
    readings = [
        binascii.unhexlify(digits[: len(digits) & ~1])
        for digits in dict.fromkeys(map(bytes, (quirky, flat, nested_free)))
    ]
    return readings, count


def _embedded(data: bytes) -> Iterator[tuple[str, Content]]:
    """Contents of an OLE 1.0 object (MS-OLEDS 2.2): a compound file, a package, or what its class makes."""
    at = data.find(_OLE)
    if at >= 0:
        yield "", data[at:]
        return
    if len(data) < 12:
        return
    at = 8
    kind = b""
    for number in range(3):
        size = int.from_bytes(data[at : at + 4], "little")
        if size > 4096:
            return
        if number == 0:
            kind = data[at + 4 : at + 4 + size].rstrip(b"\0").lower()
        at += 4 + size
    content = data[at + 4 :]
    if kind == b"package":
        yield native(b"\0\0\0\0" + content)
    elif content:
        yield "", content


def _places(data: Content, word: bytes, limit: int) -> Iterator[int]:
    at = data.find(word)
    while at >= 0 and limit:
        yield at
        limit -= 1
        at = data.find(word, at + len(word))


def _plain(raw: Content) -> str:
    """Text without its control words; hexadecimal escapes decoded."""
    text = re.sub(rb"\\'([0-9a-fA-F]{2})", lambda m: bytes((int(m[1], 16),)), bytes(raw[: 2 * MIB]))
    return _CONTROL.sub(b"", text).decode("latin-1")
