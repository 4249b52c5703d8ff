"""Files in the encodings that were there before MIME (uuencode, yEnc, BinHex) where they are files
themselves, as in archives. In the text of a mail the message's reader finds them."""

from __future__ import annotations

from collections.abc import Iterator

from contentfilter.content.limits import KIB, MIB
from contentfilter.content.needles import Needles
from contentfilter.content.part import Context, Found, Part
from contentfilter.message.oldfiles import encoded_files

_SIGNS = Needles(b"begin", b"=ybegin ", b"BinHex")
_HEAD = 4 * KIB
"""Octets in which the encoded file begins; in front of it stand some words at most."""
_MAX_TEXT = 16 * MIB
_WORK = 4 * KIB


class OldFiles:
    """Hands out the files."""

    name = "old-files"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        if part.encoding:
            return
        head = part.data[:_HEAD]
        if b"\0" in head or not _SIGNS.stand_in(head):
            return
        some = False
        for name, content in encoded_files(part.data[:_MAX_TEXT]):
            if not context.budget.take_work(least=_WORK):
                return
            if content:
                some = True
                yield part.child(name.strip().decode("utf-8", "replace"), content)
        if some and len(part.data) > _MAX_TEXT:
            yield part.unscanned("too-large", "files in text")
