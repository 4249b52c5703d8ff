"""ActiveMime: the wrapper in which Word and Excel keep a macro project in MHT and XML files.

It is also found by how it begins in base64, in whatever is too broken, or too strange, to be read as a
message or XML and is read by Word all the same.
"""

from __future__ import annotations

import binascii
import re
import zlib
from collections.abc import Iterator

from contentfilter.containers.zipmember import inflate
from contentfilter.content.limits import KIB
from contentfilter.content.part import Content, Context, Found, Part

_MAGIC = b"ActiveMime"
_OFFSETS = (0x32, 0x22A, 0x1E, 0x2A, 0x46)
_SEARCHED = 1024
_ENCODED = b"QWN0aXZlTWlt"
"""How it begins in base64; wherever it does, since it is at the start of what is encoded."""
_BASE64 = re.compile(rb"[A-Za-z0-9+/ \t\r\n]++")
_MAX_ENCODED = 20


class ActiveMime:
    """Hands out the compound file inside."""

    name = "active-mime"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        data = part.data
        if data.startswith(_MAGIC):
            yield from _opened(part, data, context)
            return
        # Base64 is text, and nothing that begins with other octets is searched for it; but Word reads it
        # behind a PDF as well, and wherever a message begins behind something else.
        at = data.find(_ENCODED) if _may_be_text(data) else -1
        for _ in range(_MAX_ENCODED):
            if at < 0:
                return
            match = _BASE64.match(data, at)
            end = match.end() if match else at + len(_ENCODED)
            encoded = b"".join(bytes(data[at:end]).split())
            yield part.piece("ActiveMime", binascii.a2b_base64(encoded[: len(encoded) & ~3]))
            at = data.find(_ENCODED, end)
        yield part.unscanned("too-large", "ActiveMime in base64")


def _may_be_text(data: Content) -> bool:
    if data.startswith(b"%PDF-") or data.find(b"\0", 0, 4 * KIB) < 0:
        return True
    return b"mime-version" in bytes(data[: 64 * KIB]).lower()


def _opened(part: Part, data: Content, context: Context) -> Iterator[Found]:
    found = (at for at in range(len(_MAGIC), min(len(data), _SEARCHED)) if data[at] == 0x78)
    for at in dict.fromkeys((*_OFFSETS, *found)):
        result = inflate(data, at, len(data), max(context.budget.allowance(), 1), zlib.MAX_WBITS)
        if result.data:
            if result.problem:
                yield part.unscanned(result.problem, "ActiveMime")
            yield part.piece("ActiveMime", result.data)
            return
    yield part.unscanned("malformed", "ActiveMime")
