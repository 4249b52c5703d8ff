"""Visio's binary drawings: hands out the OLE files in them, VBA projects and embedded documents."""

from __future__ import annotations

from collections.abc import Iterator

from contentfilter.containers.visio import MAGIC, MAX_EXPANDED, Drawing
from contentfilter.content.part import Content, Context, Found, Part

_STREAM = "visiodocument"
_COST = 32
"""What an octet that is taken out counts for, against the bound on work: it is done in Python."""


class Visio:
    """Hands out what is in the drawing."""

    name = "visio"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        if part.data.startswith(MAGIC):
            yield from _drawing(part, part.data, context)
        elif (file := context.cfb) is not None:
            for stream in file.streams:
                if stream.key == _STREAM:
                    yield from _drawing(part, file.read(stream), context)


def _drawing(part: Part, data: Content, context: Context) -> Iterator[Found]:
    budget = context.budget
    room = min(MAX_EXPANDED, max(budget.options.work - budget.work, 0) // _COST)
    drawing = Drawing(data, room=room)
    for content in drawing.files(max(budget.allowance(), 1)):
        if budget.exhausted:
            yield part.unscanned("too-large", "OLE files in a Visio drawing")
            return
        yield part.piece("Visio object", content)
    budget.take_work(_COST * (room - max(drawing.room, 0)))
    if drawing.cut:
        yield part.unscanned("too-large", "streams of a Visio drawing")
    elif drawing.damaged:
        yield part.unscanned("malformed", "Visio drawing")
