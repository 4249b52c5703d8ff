"""OLE files behind something else: what was put in front of a document, and AutoCAD's drawings, which carry
their VBA project and embedded documents as they are.

Office opens no document that begins with something else, but what is cut off or unwrapped on its way may.
"""

from __future__ import annotations

from collections.abc import Iterator

from contentfilter.containers import openpgp
from contentfilter.containers.cfb import MAGIC
from contentfilter.content.limits import KIB, MIB
from contentfilter.content.part import Content, Context, Found, Part

_FRONT = 4 * KIB
"""Octets that may stand in front."""
_DRAWING = b"AC10"
_MAX_IN_DRAWING = 50
_SIZE_IN_DRAWING = 8 * MIB
_READ_BY_OTHERS = (MAGIC, b"\x78\x9f\x3e\x22", b"Visio (TM) Drawing")
"""OLE files, TNEF, streams of Visio."""
_BYTE_ORDER, _BYTE_ORDER_AT = b"\xfe\xff", 28


class Displaced:
    """Hands out the OLE files."""

    name = "displaced"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        data = part.data
        drawing = data.startswith(_DRAWING)
        if data.startswith(_READ_BY_OTHERS):
            return
        end, at = len(data) if drawing else min(len(data), _FRONT), 0
        for _ in range(_MAX_IN_DRAWING):
            at = data.find(MAGIC, at + 1, end)
            if at < 0:
                return
            if _is_header(data, at):
                if context.budget.exhausted:
                    break
                if not drawing:
                    if openpgp.may_begin(data) and openpgp.read(data, context.budget.allowance()).literals:
                        # Its pieces are put together there.
                        return
                    yield part.piece("OLE file behind other data", data[at:])
                    return
                yield part.piece("drawing", data[at : at + _SIZE_IN_DRAWING])
        yield part.unscanned("too-large", "OLE files in a drawing")


def _is_header(data: Content, at: int) -> bool:
    return data[at + _BYTE_ORDER_AT : at + _BYTE_ORDER_AT + 2] == _BYTE_ORDER
