"""ActiveMime: the wrapper in which Word and Excel keep a macro project in MHT and XML files."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from contentfilter.containers.zipmember import inflate
from contentfilter.part import Context, Found, Part

_MAGIC = b"ActiveMime"
_OFFSETS = (0x32, 0x22A, 0x1E, 0x2A, 0x46)
_SEARCHED = 1024


class ActiveMime:
    """Hands out the compound file inside."""

    name = "active-mime"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        if not part.data.startswith(_MAGIC):
            return
        data = part.data
        found = (at for at in range(len(_MAGIC), min(len(data), _SEARCHED)) if data[at] == 0x78)
        for at in dict.fromkeys((*_OFFSETS, *found)):
            result = inflate(data, at, len(data), max(context.budget.allowance(), 1), zlib.MAX_WBITS)
            if result.data:
                if result.problem:
                    yield part.unscanned(result.problem, "ActiveMime")
                yield part.piece("ActiveMime", result.data)
                return
        yield part.unscanned("malformed", "ActiveMime")
