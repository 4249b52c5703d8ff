"""Data of the old Equation Editor (MTEF 3, as MathType's SDK describes it), and whether it overflows it.

The editor copies the name of a font into 36 octets, however long it is (CVE-2017-11882, CVE-2018-0802).
Nothing of an equation is read here but where such a name would stand.
"""

from __future__ import annotations

import re
from typing import TypeAlias

Content: TypeAlias = bytes | bytearray

_HEADER = 28
"""Octets of EQNOLEFILEHDR, in front of MTEF."""
_SEARCHED = 128
"""Octets in which the font is named: it is among the first records of what is written for it alone."""
_LONG_NAME = re.compile(rb"\x08[\x01-\xff]{42,}", re.DOTALL)
"""The font record: its tag, typeface and style, and a name that does not end. Almost every record of a
character has an octet of zero, so honest equations have no such run."""
READ = _HEADER + _SEARCHED + 64
"""Octets of an equation that are looked at."""


def overflows(data: Content) -> bool:
    """Whether an equation names a font that is longer than the editor has room for.

    Arguments:
        data: with its header, or from MTEF on.
    """
    start = _HEADER if data[:2] == b"\x1c\0" else 0
    return _LONG_NAME.search(data[start : start + _SEARCHED + 64], 0) is not None
