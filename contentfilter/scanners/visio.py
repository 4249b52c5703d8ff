"""Visio's binary drawings: hands out the OLE files in them, VBA projects and embedded documents."""

from __future__ import annotations

from collections.abc import Iterator

from contentfilter.containers.visio import MAGIC, Drawing
from contentfilter.content.part import Content, Context, Found, Part

_STREAM = "visiodocument"


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
    drawing = Drawing(data)
    for content in drawing.files(max(context.budget.allowance(), 1)):
        if context.budget.exhausted:
            yield part.unscanned("too-large", "OLE files in a Visio drawing")
            return
        yield part.piece("Visio object", content)
    if drawing.cut:
        yield part.unscanned("too-large", "streams of a Visio drawing")
    elif drawing.damaged:
        yield part.unscanned("malformed", "Visio drawing")
