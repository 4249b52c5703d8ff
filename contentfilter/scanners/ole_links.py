"""Links in OLE compound files to what lies elsewhere, and objects of the old Equation Editor.

A linked object keeps its source as a moniker (MS-OLEDS 2.3.3); a URL moniker is fetched, a script moniker is
run. The old Equation Editor runs whatever its data makes it run (CVE-2017-11882), and every document can ask
for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from contentfilter.containers.cfb import CompoundFile, Content, Entry
from contentfilter.containers.mtef import READ, overflows
from contentfilter.content.limits import KIB
from contentfilter.content.part import Context, Found, Part
from contentfilter.scanners.remote import is_remote

EQUATION_NAMES = (b"equation.2", b"equation.3")
_EQUATIONS = (
    bytes.fromhex("02ce020000000000c000000000000046"),
    bytes.fromhex("0017020000000000c000000000000046"),
)
_SCRIPTS = (
    bytes.fromhex("d30b2906aa48d2118432006008c3fbfc"),  # script
    bytes.fromhex("d20b2906aa48d2118432006008c3fbfc"),  # scriptlet in a file
    bytes.fromhex("c6afabec197fd211978e0000f8757e2a"),  # new
    bytes.fromhex("c7b0abec197fd211978e0000f8757e2a"),  # SOAP
)
"""Classes of monikers that run something."""
_LINKS = frozenset({"\x01ole", "\x03linkinfo"})
_EQUATION, _NATIVE = "equation native", "\x01ole10native"
_MAX_LINK = 64 * KIB
_WIDE = re.compile(rb"(?:[\x20-\x7e]\x00){6,2000}")
_NARROW = re.compile(rb"[\x20-\x7e]{6,2000}")
_START = re.compile(r"[A-Za-z][\w+-]{1,20}:|\\\\")
_MAX_LINKS = 1000


class OleLinks:
    """Finds ``office-remote-template``, ``ole-object`` and ``executable``."""

    name = "ole-links"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        file = context.cfb
        if file is None:
            return
        links = 0
        for entry in file.entries:
            key = entry.key
            if how := _attacks(file, entry):
                yield part.found("executable", how)
            if entry.clsid in _EQUATIONS or (key == _EQUATION and _of_no_class(entry)):
                yield part.found("ole-object", "equation of the old Equation Editor")
            elif key in _LINKS and entry.size:
                links += 1
                if links > _MAX_LINKS:
                    yield part.unscanned("too-large", "links")
                    return
                data = file.read(entry, _MAX_LINK)
                for target in targets(data):
                    if is_remote(target):
                        yield part.found("office-remote-template", f"link {target[:200]}")
                        break
                else:
                    if any(moniker in data for moniker in _SCRIPTS):
                        yield part.found("office-remote-template", "link that runs a script")


def _attacks(file: CompoundFile, entry: Entry) -> str:
    """How a stream is written to overflow the Equation Editor; empty if it is not."""
    of_editor = entry.parent is not None and entry.parent.clsid in _EQUATIONS
    if entry.key == _EQUATION and (of_editor or _of_no_class(entry)) and overflows(file.read(entry, READ)):
        return "equation that overflows its editor"
    if entry.key == _NATIVE and of_editor:
        # The editor keeps its equations in a stream of another name, and reads this one all the same.
        return "equation that no editor has written"
    return ""


def targets(data: Content) -> Iterator[str]:
    """Texts in a link's stream that may be where it leads."""
    raw = bytes(data)
    for pattern, charset in ((_WIDE, "utf-16-le"), (_NARROW, "ascii")):
        for match in pattern.finditer(raw):
            text = match[0].decode(charset)
            yield from (text[place.start() :] for place in _START.finditer(text))


def _of_no_class(entry: Entry) -> bool:
    """Whether the object around a stream does not say what it is. (MathType's say so.)"""
    return entry.parent is None or not any(entry.parent.clsid)
