"""Office's XML: the parts of OOXML and OpenDocument packages, and the flat formats (Word 2003 XML, Flat OPC,
SpreadsheetML). Each piece of XML is judged by itself, under whatever name it came.

It is searched, not parsed; see :mod:`contentfilter.containers.markup`.
"""

from __future__ import annotations

import binascii
import itertools
import re
import xml.parsers.expat
from collections.abc import Generator, Iterator

from contentfilter.containers.biff import xlsb_dde
from contentfilter.containers.markup import (
    ATTRIBUTES,
    PREFIX,
    as_utf8,
    attributes,
    elements,
    joined,
    unescaped,
)
from contentfilter.content import references
from contentfilter.content.limits import KIB, MIB
from contentfilter.content.needles import Needles
from contentfilter.content.part import Content, Context, Found, Part
from contentfilter.scanners.remote import is_active, is_remote, starts_program
from contentfilter.scanners.word_fields import BEGIN, END, SEPARATE, judge_fields

_BASE64_JUNK = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
)
_REFERENCE = re.compile(rb"&#(?:x0*+([0-9a-fA-F]{1,4})|0*+([0-9]{1,4}));")
_BINARY = re.compile(PREFIX + rb"(?:binData|binaryData|binary-data)(?=[\s/>])" + ATTRIBUTES + rb">([^<]*)")
_FIELD_TOKEN = re.compile(
    PREFIX
    + rb"(?:(instrText|delInstrText)(?=[\s/>])"
    + ATTRIBUTES
    + rb">([^<]*)|(fldChar|fldSimple)(?=[\s/>])"
    + ATTRIBUTES
    + rb")"
)
_CELL = re.compile(
    PREFIX + rb"f(?=[\s>])" + ATTRIBUTES + rb">[\s=+@-]*[A-Za-z][\w.]{0,40}\|(?:'|&apos;|&#39;)[^<]{0,300}!"
)
_DDE_ELEMENTS = (
    (b"Link", re.compile(PREFIX + rb"ddeLink(?=[\s/>])" + ATTRIBUTES)),
    (b"Formula", re.compile(rb"Formula\s*=\s*[\"']\s*=\s*([A-Za-z][\w.]{0,40})\|([^\"<]{0,300}?)!")),
    (b"|'", _CELL),
    (b"|&", _CELL),
    (b"dde-", re.compile(PREFIX + rb"dde-source(?=[\s/>])" + ATTRIBUTES, re.IGNORECASE)),
    (b"DDE", re.compile(rb"formula\s*=\s*[\"'](?:\w{1,10}:)?\s*=[^\"<]{0,200}?\bDDE\s*\([^\"<]{0,300}")),
    (b"ppaction", re.compile(rb"ppaction://program[^\"'<]{0,300}", re.IGNORECASE)),
)
"""SpreadsheetML links and formulas, Excel 2003 XML, OpenDocument, PowerPoint's actions."""
_SIGNS = Needles(
    b"inData", b"inaryData", b"inary-data", b"nstrText", b"fldSimple", b"elationship", b"mso-application",
    b"ttachedTemplate", b"dit-Time-Data", *(sign for sign, _pattern in _DDE_ELEMENTS),
)  # fmt: skip
"""Without all of these only the head is of interest; they are looked for one by one where there is any."""
_REMOTE_KINDS = (
    "/attachedtemplate", "/oleobject", "/frame", "/subdocument", "/afchunk", "/vbaproject", "/package",
    "/control", "/mailmergesource", "/mailmergeheadersource", "/transform", "/attachedtoolbars",
    "/slideupdateurl", "/externallink", "/slidemaster", "/slidelayout", "/slide", "/extensibility",
)  # fmt: skip
_MACRO_SHEETS = ("/xlmacrosheet", "/xlintlmacrosheet")
_MACRO_SHEET = re.compile(PREFIX + rb"macrosheet(?=[\s/>])", re.IGNORECASE)
_STYLESHEET = re.compile(rb"<\?xml-stylesheet\b([^<]{0,2000}?)\?>")
_MAX_FIELDS = 100_000
_ELEMENT_WORK = 8 * KIB
"""What an element counts for whose attributes are read, against the bound on work."""
_CUSTOM_UI = re.compile(rb"/office/20\d\d/\d\d/customui\b")
_ADD_IN = b"_AssemblyLocation"
_ADD_IN_PLACE = re.compile(
    _ADD_IN + rb"\d{0,3}[\"'][^<>]{0,300}>\s{0,99}(?:<[^<>]{1,200}>\s{0,99})?([^<|]{1,2000})"
)
"""Where a document's own add-in is installed from (VSTO), in its custom properties."""
_CALLBACK = re.compile(rb"\bon[A-Z]\w{2,20}\s{0,20}=\s{0,20}[\"']([^\"'<]{1,2000})!")
_PACKAGING = re.compile(PREFIX + rb"(?:Types|Relationships)(?=[\s/>])")
_MAX_PACKAGING = 4 * MIB
_MAX_RELATIONS = 50_000
_MAX_LINKS = 10_000


class OfficeXml:
    """Finds ``office-dde``, ``office-remote-template`` and ``office-xlm-macro``; hands out binary data kept
    in XML."""

    name = "office-xml"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        if xlsb_dde(part.data):
            yield part.found("office-dde", "link")
            return
        source = as_utf8(part.data)
        if source is None:
            return
        data = (yield from _signed(part, context, source)) if _SIGNS.stand_in(source) else source
        if b"ustom" in source[:4096] and _CUSTOM_UI.search(source, 0, 4096):
            yield from _callbacks(part, source)
        if _ADD_IN in source:
            yield from _add_in(part, source)
        head = data[:4096].lower()
        if b"schemas.openxmlformats.org/package/2006/" in head and not _is_well_formed(part.data):
            yield part.unscanned("malformed", "OOXML whose parts cannot be told apart")
        named = b"macrosheet" in head and _MACRO_SHEET.search(head)
        if named or (b"content-types" in head and "macrosheet" in _lower(data)):
            yield part.found("office-xlm-macro", "macro sheet")


def _signed(part: Part, context: Context, source: Content) -> Generator[Found, None, Content]:
    """What there is in XML in which one of the signs stands; returns it, its sections joined if need be."""
    data = source
    # Only texts can be cut in the middle; names and attributes cannot.
    binary = b"inData" in data or b"inaryData" in data or b"inary-data" in data
    fields = b"nstrText" in data or b"fldSimple" in data
    if (binary or fields) and (b"<!" in data or data.find(b"<?", 2) > 0):
        whole = joined(data)
        if whole is None:
            yield part.unscanned("too-large", "sections of XML")
        else:
            data = whole
    if binary:
        for number, match in enumerate(_BINARY.finditer(data)):
            if number >= context.options.members or context.budget.exhausted:
                yield part.unscanned("too-large", "binary data in XML")
                break
            if content := _base64(match[2]):
                yield part.piece("binary data", content)
    if fields:
        text, count = ("", 0) if context.budget.exhausted else _instructions(data)
        if not context.budget.take_work(_ELEMENT_WORK * count, least=0) or count > _MAX_FIELDS:
            yield part.unscanned("too-large", "fields")
        yield from judge_fields(part, text)
    for sign, pattern in _DDE_ELEMENTS:
        if sign in data and (link := pattern.search(data)):
            yield part.found("office-dde", unescaped(link[0])[:200].strip())
    if b"elationship" in data:
        yield from _relations(part, context, data)
    if b"mso-application" in source[:4096]:
        yield from _stylesheet(part, source)
    if b"ttachedTemplate" in source or b"dit-Time-Data" in source:
        yield from _template(part, source)
    return data


def _base64(text: bytes) -> bytes:
    if b"&" in text:
        text = _REFERENCE.sub(_character, text)
    text = text.translate(None, _BASE64_JUNK)
    text = text[:-1] if len(text) % 4 == 1 else text
    return binascii.a2b_base64(text + b"=" * (-len(text) % 4))


def _character(match: re.Match[bytes]) -> bytes:
    number = int(match[1], 16) if match[1] else int(match[2])
    return bytes((number,)) if number < 128 else b""


def _lower(data: Content) -> str:
    text = bytes(data[: 4 * MIB])
    return (
        references.unescaped(text.decode("utf-8", "replace")) if b"&" in text else text.decode("latin-1")
    ).lower()


def _instructions(data: Content) -> tuple[str, int]:
    """The instructions of Word's fields with the marks between them; an instruction may be cut over runs. And
    how many elements they are, of which no more are read than ``_MAX_FIELDS``."""
    text: list[str] = []
    depth, stray, count = 0, False, 0
    for match in _FIELD_TOKEN.finditer(data):
        count += 1
        if count > _MAX_FIELDS:
            break
        if match[1]:
            if not depth and not stray:
                text.append(BEGIN)
                stray = True
            text.append(unescaped(match[3]))
            continue
        if stray:
            text.append(END)
            stray = False
        values = attributes(match[5])
        if match[4] == b"fldSimple":
            text += (BEGIN, values.get(b"instr", ""), END)
            continue
        match values.get(b"fldchartype", "").strip():
            case "begin":
                depth += 1
                text.append(BEGIN)
            case "separate":
                text.append(SEPARATE)
            case "end":
                depth = max(0, depth - 1)
                text.append(END)
    return "".join(text), count


def _is_well_formed(data: Content) -> bool:
    """Whether types or relations of a package can be read as XML without a DTD. Where they cannot, Word
    repairs what it likes to."""
    if not _PACKAGING.search(data, 0, 4096) or len(data) > _MAX_PACKAGING:
        return True
    parser = xml.parsers.expat.ParserCreate()

    def refuse(*_arguments: object) -> None:
        raise ValueError("a DTD")

    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(bytes(data), True)
    except (xml.parsers.expat.ExpatError, ValueError, LookupError):
        return False
    return True


def _relations(part: Part, context: Context, data: Content) -> Iterator[Found]:
    """Relationships (ECMA-376 part 2) that make Office fetch a template or object from elsewhere."""
    told = set()
    for count, match in enumerate(elements(data, b"Relationship")):
        if count >= _MAX_RELATIONS:
            yield part.unscanned("too-large", "relationships")
            return
        raw = match[1]
        if b"xternal" not in raw and b"acro" not in raw and b"&" not in raw:
            continue
        if not context.budget.take_work(least=_ELEMENT_WORK):
            yield part.unscanned("too-large", "relationships")
            return
        values = attributes(raw)
        kind, target = values.get(b"type", "").strip().lower(), values.get(b"target", "").strip()
        if kind.endswith(_MACRO_SHEETS):
            name, detail = "office-xlm-macro", "macro sheet"
        elif values.get(b"targetmode", "").strip().lower() != "external":
            continue
        elif is_active(target) or (kind.endswith(_REMOTE_KINDS) and is_remote(target)):
            name, detail = "office-remote-template", f"{kind.rsplit('/', 1)[-1]} {target[:200]}"
        else:
            continue
        for finding in (name, "executable") if _starts(kind, target) else (name,):
            if finding not in told:
                told.add(finding)
                yield part.found(finding, detail)


def _starts(kind: str, target: str) -> bool:
    """Whether what a relation leads to runs: by a handler of the system, or, as an object, by what is said
    behind an exclamation mark (CVE-2022-30190)."""
    if starts_program(target):
        return True
    return kind.endswith("/oleobject") and target.endswith("!") and target.lower().startswith("http")


def _template(part: Part, data: Content) -> Iterator[Found]:
    """A template, or the file with the macros, that a document in Word 2003 XML or HTML says it has."""
    for match in itertools.islice(elements(data, b"attachedTemplate|link"), _MAX_LINKS):
        values = attributes(match[1])
        if b"emplate" not in match[0][:200] and values.get(b"rel", "").lower() != "edit-time-data":
            continue
        target = values.get(b"val", "") or values.get(b"href", "")
        if is_remote(target):
            yield part.found("office-remote-template", f"template {target[:200]}")
            return


def _callbacks(part: Part, data: Content) -> Iterator[Found]:
    """What a document's own ribbon calls in the macros of another file (MS-CUSTOMUI 2.2): ``file!macro``."""
    for match in itertools.islice(_CALLBACK.finditer(data), _MAX_LINKS):
        target = unescaped(match[1]).strip()
        if is_remote(target):
            yield part.found("office-remote-template", f"callback {target[:200]}")
            return


def _add_in(part: Part, data: Content) -> Iterator[Found]:
    """An add-in from elsewhere that Office offers to install when the document is opened."""
    for match in itertools.islice(_ADD_IN_PLACE.finditer(data), _MAX_LINKS):
        target = unescaped(match[1]).strip()
        if is_remote(target):
            yield part.found("office-remote-template", f"add-in {target[:200]}")
            return


def _stylesheet(part: Part, data: Content) -> Iterator[Found]:
    """A document of Office whose XSLT, which can hold scripts, comes from elsewhere."""
    for match in _STYLESHEET.finditer(data, 0, 65_536):
        target = attributes(match[1]).get(b"href", "")
        if is_remote(target):
            yield part.found("office-remote-template", f"xml-stylesheet {target[:200]}")
            return
