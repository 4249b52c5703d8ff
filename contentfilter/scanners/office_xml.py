"""Office's XML: the parts of OOXML and OpenDocument packages, and the flat formats (Word 2003 XML, Flat OPC,
SpreadsheetML). Each piece of XML is judged by itself, under whatever name it came.

It is searched, not parsed: no entity is expanded and no document is too broken.
"""

from __future__ import annotations

import binascii
import html
import re
from collections.abc import Iterator

from contentfilter.containers.biff import xlsb_dde
from contentfilter.part import Content, Context, Found, Part

_BASE64_JUNK = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
)
_BINARY = re.compile(rb"<(?:[\w.-]+:)?(?:binData|binaryData)\b[^<>]{0,500}>([^<]*)")
_FIELD_TOKEN = re.compile(
    rb"<(?:[\w.-]+:)?(?:(instrText|delInstrText)\b[^<>]{0,500}>([^<]*)"
    rb"|fldChar\b[^<>]{0,500}?fldCharType\s*=\s*[\"'](begin|separate|end)"
    rb"|fldSimple\b[^<>]{0,500}?instr\s*=\s*(?:\"([^\"]*)|'([^']*)))"
)
_QUOTE = re.compile(r"QUOTE((?:\s+\"?\d{1,5}\"?)+)", re.IGNORECASE)
_DDE_FIELD = re.compile(r"(?:^|[\x13\"])\s*DDE(?:AUTO)?(?=[\s\"\x13]|$)", re.IGNORECASE)
_DDE_ELEMENTS = (
    (b"Link", re.compile(rb"<(?:[\w.-]+:)?ddeLink\b[^<>]{0,1000}")),
    (b"Formula", re.compile(rb"Formula\s*=\s*\"\s*=\s*([A-Za-z][\w.]{0,40})\|([^\"]{0,300}?)!")),
    (b"dde-", re.compile(rb"<(?:[\w.-]+:)?dde-source\b[^<>]{0,1000}", re.IGNORECASE)),
)
"""SpreadsheetML links, formulas of Excel 2003 XML, OpenDocument."""
_RELATION = re.compile(rb"<(?:[\w.-]+:)?Relationship\b([^<>]{0,8000})", re.IGNORECASE)
_ATTRIBUTE = re.compile(rb"([\w:]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_REMOTE_KINDS = ("/attachedtemplate", "/oleobject", "/frame", "/subdocument", "/afchunk", "/vbaproject")
_REMOTE = re.compile(
    r"(?:https?|ftp|mhtml|ms-\w+|x-usc|its|\w+\+https?):|(?:file:)?[/\\]{2,}[^/\\\s]*[^/\\:\s]{2,}[/\\]", re.I
)
_MACRO_SHEET = re.compile(rb"<(?:[\w.-]+:)?macrosheet\b", re.IGNORECASE)
_BASIC = re.compile(rb"<(?:[\w.-]+:)?module\b[^<>]{0,1000}script:language=\"StarBasic\"[^<>]{0,1000}>([^<]*)")
_MAX_FIELDS = 20_000
_MAX_RELATIONS = 50_000


class OfficeXml:
    """Finds ``office-dde``, ``office-remote-template``, ``office-xlm-macro``, and in OpenDocument
    ``office-encrypted`` and ``office-macro``; hands out binary data that is kept in XML."""

    name = "office-xml"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        if xlsb_dde(part.data):
            yield part.found("office-dde", "link")
            return
        data = as_utf8_xml(part.data)
        if data is None:
            return
        if b"in" in data and (b"binData" in data or b"binaryData" in data):
            for number, match in enumerate(_BINARY.finditer(data)):
                if number >= context.options.members or context.budget.exhausted:
                    yield part.unscanned("too-large", "binary data in XML")
                    break
                if content := _base64(match[1]):
                    yield part.piece("binary data", content)
        if b"instrText" in data or b"nstrText" in data or b"fldSimple" in data:
            yield from _fields(part, data)
        for sign, pattern in _DDE_ELEMENTS:
            if sign in data and (link := pattern.search(data)):
                yield part.found("office-dde", _shown(link[0]))
        if b"elationship" in data:
            yield from _relations(part, data)
        head = data[:4096].lower()
        if _MACRO_SHEET.search(head) or (b"content-types" in head and b"macrosheet" in data.lower()):
            yield part.found("office-xlm-macro", "macro sheet")
        if b"encryption-data" in data and b"manifest" in head:
            yield part.found("office-encrypted", "OpenDocument")
            yield part.unscanned("encrypted", "OpenDocument")
        if b"StarBasic" in data and any(_basic_code(match[1]) for match in _BASIC.finditer(data)):
            yield part.found("office-macro", "OpenDocument Basic")


def as_utf8_xml(data: Content) -> bytes | bytearray | None:
    """``data`` in UTF-8 (or a charset that has ASCII) if it looks like XML; None if it doesn't."""
    if data[:1] == b"<":
        if data[1:2] == b"\0":
            return bytes(data).decode("utf-16-le", "replace").encode("utf-8", "replace")
        return data
    head = data[:64]
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"\0<")):
        charset = "utf-16-be" if head.startswith((b"\xfe\xff", b"\0<")) else "utf-16-le"
        text = bytes(data).decode(charset, "replace").lstrip("\ufeff \t\r\n")
        return text.encode("utf-8", "replace") if text.startswith("<") else None
    if head.startswith((b"\xef\xbb\xbf", b" ", b"\t", b"\r", b"\n")):
        bare = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
        return data if bare.startswith(b"<") else None
    return None


def _base64(text: bytes) -> bytes:
    text = text.translate(None, _BASE64_JUNK)
    text = text[:-1] if len(text) % 4 == 1 else text
    return binascii.a2b_base64(text + b"=" * (-len(text) % 4))


def _shown(raw: bytes) -> str:
    return html.unescape(bytes(raw).decode("utf-8", "replace"))[:200]


def _fields(part: Part, data: Content) -> Iterator[Found]:
    """Word's fields: an instruction may be cut over runs, nested, or spelt in numbers by QUOTE."""
    text: list[str] = []
    depth = 0
    for count, match in enumerate(_FIELD_TOKEN.finditer(data)):
        if count >= _MAX_FIELDS:
            yield part.unscanned("too-large", "fields")
            break
        if match[1]:
            text.append(_shown_all(match[2]))
        elif match[3] == b"begin":
            depth += 1
            if depth == 1:
                text.append("\x13")
        elif match[3] == b"end":
            depth = max(0, depth - 1)
        elif match[3] is None:
            text.append("\x13" + _shown_all(match[4] or match[5] or b"") + "\x13")
    joined = "".join(text)
    plain = _QUOTE.sub(lambda m: "".join(chr(int(n) & 0xFFFF) for n in re.findall(r"\d+", m[1])), joined)
    for reading in dict.fromkeys((joined, plain, re.sub(r"\s+", "", plain))):
        if match_dde := _DDE_FIELD.search(reading):
            field = reading[match_dde.start() :].strip('\x13" ').split("\x13")[0]
            yield part.found("office-dde", f"field {field[:160].strip()!r}")
            return


def _shown_all(raw: bytes) -> str:
    return html.unescape(bytes(raw[:20_000]).decode("utf-8", "replace"))


def _relations(part: Part, data: Content) -> Iterator[Found]:
    """Relationships (ECMA-376 part 2) that make Office fetch a template or object from elsewhere."""
    external = (match for match in _RELATION.finditer(data) if b"xternal" in match[1])
    for count, match in enumerate(external):
        if count >= _MAX_RELATIONS:
            yield part.unscanned("too-large", "relationships")
            return
        values = {
            name.rsplit(b":", 1)[-1].lower(): html.unescape((double or single).decode("utf-8", "replace"))
            for name, double, single in _ATTRIBUTE.findall(match[1])
        }
        kind, target = values.get(b"type", "").lower(), values.get(b"target", "").strip()
        if (
            values.get(b"targetmode", "").lower() == "external"
            and kind.endswith(_REMOTE_KINDS)
            and is_remote(target)
        ):
            yield part.found("office-remote-template", f"{kind.rsplit('/', 1)[-1]} {target[:200]}")
            return


def is_remote(target: str) -> bool:
    """Whether a link leads to another machine."""
    return _REMOTE.match(target.strip()) is not None


def _basic_code(raw: bytes) -> bool:
    """Whether StarBasic source holds more than the empty Main that each new module begins with."""
    lines = [line.strip().lower() for line in html.unescape(raw.decode("utf-8", "replace")).splitlines()]
    code = [
        line for line in lines if line and not line.startswith(("'", "rem ", "option ")) and line != "rem"
    ]
    return any(not line.startswith(("sub main", "end sub")) for line in code)
