"""XDP: a PDF document and its form in XML (XML Data Package), which Acrobat opens like a PDF."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from contentfilter.content.part import Context, Found, Part
from contentfilter.pdf.objects import has_script

_HEAD = 4096
_CHUNK = re.compile(rb"<(?:[\w.-]{1,40}:)?chunk\b[^<>]{0,500}>([^<]*)")
_NO_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))


class Xdp:
    """Hands out the PDF documents inside, and finds ``pdf-javascript`` in the form."""

    name = "xdp"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        head = part.data[:_HEAD]
        if b"<" not in head[:64] or b"ns.adobe.com/xdp" not in head:
            return
        if has_script(part.data):
            yield part.found("pdf-javascript", "script in an XFA form")
        for number, match in enumerate(_CHUNK.finditer(part.data)):
            if number >= context.options.members or context.budget.exhausted:
                yield part.unscanned("too-large", "PDF documents in XML")
                return
            text = match[1].translate(None, _NO_BASE64)
            text = text[:-1] if len(text) % 4 == 1 else text
            if content := binascii.a2b_base64(text + b"=" * (-len(text) % 4)):
                yield part.piece("PDF in XML", content)
