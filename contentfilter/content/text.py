"""Text as a client shows it: the charset that is declared, or that the octets show."""

from __future__ import annotations

import codecs
import re

from contentfilter.content.limits import MIB
from contentfilter.content.part import Content

MAX_TEXT = 8 * MIB
"""Octets of a part that are decoded."""

_HEAD = 2048
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_KNOWN = re.compile(
    r"(?:utf-?(?:7|8|16|16-?[lb]e|32|32-?[lb]e)|us-ascii|ascii|latin-?\d|iso-?8859-\d{1,2}|iso-2022-[a-z]{2}(?:-\d)?"
    r"|(?:windows|cp|ibm)-?\d{3,4}|koi8-[rut]|gbk?|gb2312|gb18030|hz|big5(?:-?hkscs)?|euc-?[a-z]{2}|shift_?jis"
    r"|ks_c_5601-1987|tis-620|mac(?:intosh|-?[a-z]{5,10}))"
)
"""Charsets that are decoded. Python knows more, and some of those take quadratic time."""
_META = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([\w-]{2,30})", re.IGNORECASE)
_WIDE = re.compile(r"utf-?(?:7|16|32)")


def text_of(data: Content, charset: str = "") -> str:
    """``data`` as text.

    Arguments:
        data: at most ``MAX_TEXT`` of it are decoded.
        charset: as the part's header declares it (RFC 2046 4.1.2); may be empty, wrong or hostile.
    """
    data = bytes(data[:MAX_TEXT])
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    for name in (charset.strip(" \"'").lower(), by_look(data), "utf-8"):
        if not _KNOWN.fullmatch(name):
            continue
        try:
            # Without a mark, clients take wide characters for those of their own machine.
            return data.decode({"utf-16": "utf-16-le", "utf-32": "utf-32-le"}.get(name, name))
        except (LookupError, UnicodeError):
            if _WIDE.match(name):
                return data.decode(name, "replace")
    return data.decode("cp1252", "replace")


def by_look(data: Content) -> str:
    """The charset that the octets themselves show: wide characters, or what an HTML page says of itself."""
    head = bytes(data[:_HEAD])
    if b"\0" in head and len(head) > 3:
        even, odd = head[0::2].count(0), head[1::2].count(0)
        if odd > len(head) // 4 and not even:
            return "utf-16-le"
        if even > len(head) // 4 and not odd:
            return "utf-16-be"
    found = _META.search(head) if b"<" in head else None
    return found[1].decode("ascii", "replace").lower() if found else ""


def hidden_from_bytes(data: Content, charset: str = "") -> bool:
    """Whether clients show this text in a charset that does not look like ASCII to one who reads octets."""
    head = data[:4]
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or head == codecs.BOM_UTF32_BE:
        return True
    if charset and _WIDE.match(charset.strip(" \"'").lower()):
        return True
    if b"\0" in head[:2] and head[:2].strip(b"\0") in (b"<", b"{"):
        return True
    # An HTML page that says so of itself: RFC 2152 writes < as +ADw-.
    return b"+AD" in data[:_HEAD] and by_look(data) == "utf-7"
