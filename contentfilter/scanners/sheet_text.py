"""Tables as text: DDE formulas in CSV, Excel 4 macros in SYLK."""

from __future__ import annotations

import re
from collections.abc import Iterator

from contentfilter.limits import MIB
from contentfilter.part import Context, Found, Part

_SEARCHED = 4 * MIB
_LINK = re.compile(
    rb"\|(?<=[\w.]\|)\s{0,20}(?:'[^'\x00-\x08\n-\x1f\x7f]{1,500}'|[\w .:\\/$()&-]{1,200})![\w'$\"]"
)
"""The link of a DDE formula, ``program|topic!item``, from its bar on: a rare character is found fast."""
_FIELD = re.compile(
    rb"(?:(?<![^\r\n,;\t'])[ ]{0,20}[=+@-][\w ().:$&<>=*/^+%-]{0,200}"
    rb"|\"\s{0,20}[=+@-][^\x00-\x1f\x7f\"]{0,200})"
    rb"(?<![\w.])\"?[A-Za-z][\w.]{0,60}\Z"
)
"""The formula's field up to the bar; it begins after a line end, a separator or a quote. What may stand in it
is kept narrow: octets that are no text at all look like almost everything now and then."""
_BEFORE = 300
"""Octets before the bar that are looked at."""
_LINKS = 20_000
"""Links that are looked at; random octets of this size have a thousand."""
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
        elif data.find(b"|", 0, _SEARCHED) < 0 or b"\0" in data[:256] or data[:1] == b"<":
            return
        for number, link in enumerate(_LINK.finditer(data, 0, _SEARCHED)):
            if number == _LINKS:
                yield part.unscanned("too-large", "links in a table")
                return
            bar = link.start()
            if field := _FIELD.search(data[max(0, bar - _BEFORE) : bar]):
                formula = (field[0] + link[0]).decode("latin-1").strip(' "')
                yield part.found("office-dde", f"formula {formula!r:.200}")
                return
