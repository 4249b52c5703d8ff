"""Character references (HTML 5, 13.5) in texts of any length and malice."""

from __future__ import annotations

import html
import re

_ENDLESS = re.compile(r"&#0*+[0-9]{8,}+;?|&#[xX]0*+[0-9a-fA-F]{7,}+;?")
"""Numbers that no character has. Python refuses to read very long ones, or takes long for them."""
_PADDED = re.compile(r"(&#[xX]?)0+(?=[0-9a-fA-F])")
"""Noughts in front of another digit, which may be one as well."""


def unescaped(text: str) -> str:
    """``text`` as it is meant: ``&amp;`` is ``&``, ``&#x41;`` is ``A``. Takes linear time."""
    if "&" not in text:
        return text
    if "&#" in text:
        text = _ENDLESS.sub("\ufffd", text)
        text = _PADDED.sub(r"\1", text)
    return html.unescape(text)
