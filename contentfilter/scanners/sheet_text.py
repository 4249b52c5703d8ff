"""Tables as text: DDE formulas in CSV, Excel 4 macros in SYLK."""

from __future__ import annotations

import re
from collections.abc import Iterator

from contentfilter.limits import MIB
from contentfilter.part import Context, Found, Part

_SEARCHED = 4 * MIB
_FORMULA = re.compile(
    rb"[=+@-][ \t=+@-]{0,20}\"?([A-Za-z][\w.]{0,60})\|\s*('[^'\r\n]{1,500}'|[^'\r\n!|]{1,200})![\w'$\"]"
)
_SYLK_MACRO = re.compile(rb"(?:\A|\n)O;(?:[^\r\n]*;)?E(?:;|\r|\n|\Z)")
_SYLK_NAME = re.compile(rb"(?:\A|\n)NN;N(?:auto_|AUTO_|Auto_)")


class SheetText:
    """Finds ``office-dde`` and ``office-xlm-macro``."""

    name = "sheet-text"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        data = part.data
        if data.startswith(b"ID;"):
            if _SYLK_MACRO.search(data, 0, _SEARCHED) or _SYLK_NAME.search(data, 0, _SEARCHED):
                yield part.found("office-xlm-macro", "SYLK")
        elif b"|" not in data[:_SEARCHED] or b"\0" in data[:256] or data[:1] == b"<":
            return
        for match in _FORMULA.finditer(data, 0, _SEARCHED):
            # A formula begins a field: after a line end, a separator or a quote.
            if match.start() == 0 or data[match.start() - 1] in b"\r\n,;\t\"'":
                yield part.found("office-dde", f"formula {bytes(match[0]).decode('latin-1')!r:.200}")
                return
