"""Text in UTF-16, UTF-32 and UTF-7, made legible for the scanners that look for ASCII."""

from __future__ import annotations

from collections.abc import Iterator

from contentfilter.content.part import Context, Found, Part
from contentfilter.content.text import hidden_from_bytes, text_of


class WideText:
    """Hands the same text out in UTF-8, as a client shows it."""

    name = "wide-text"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        if hidden_from_bytes(part.data, part.charset):
            text = text_of(part.data, part.charset)
            plain = text.encode("utf-8", "replace")
            if plain != part.data:
                yield part.piece("text", plain)
