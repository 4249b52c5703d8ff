"""What a file's name tells: how Windows reads its suffix, and whether it is made to mislead people.

Interface: :func:`suffix`, :func:`suffixes`, :func:`deception`. A name makes nothing harmless; that content is
a script is often told by nothing else, since it is text like any other.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote

from mailbase.scripts import SUFFIXES

_STRIPPED = (
    " .\t\r\n\v\f\"'\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""Windows drops dots and spaces at the end of a name; mail programs the rest."""
_FORBIDDEN_CHARACTERS = '<>:"/\\|?*'
_FORBIDDEN = str.maketrans("", "", _FORBIDDEN_CHARACTERS)
_FORBIDDEN_IN = frozenset(_FORBIDDEN_CHARACTERS)
"""What no name may have on Windows; Exchange and Outlook leave it out (MS-OXCMAIL 2.2.3.4.1.1)."""
_INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\x01-\x1f\x7f]")
_OVERRIDES = re.compile("[\u202d\u202e]")
_GAP = re.compile("[ \t\u00a0\u1680\u2000-\u200a\u202f\u205f\u2800\u3000\u3164]{12,}\\S{0,3}\\.[^.]{1,10}$")
_MAX_SUFFIX = 20

_DOCUMENTS = (
    "pdf doc docx docm rtf odt xls xlsx xlsm ods csv ppt pptx odp txt jpg jpeg png gif bmp tif tiff "
    "mp3 mp4 wav avi mov eml msg"
)
DOCUMENTS = frozenset(_DOCUMENTS.split())
"""What people take for a thing to read."""
_OPENED = (
    "exe scr com pif cpl dll msi msp lnk url chm jar iso img vhd vhdx msix html htm xhtml shtml mht mhtml "
    "svg one desktop"
)
_PROGRAMS = frozenset(_OPENED.split()) | frozenset(SUFFIXES)
"""What opens or runs instead, where such a name stands in front."""

_SIGNED = frozenset({"p7m", "p7s", "p7z", "pgp", "gpg", "asc"})


@lru_cache(maxsize=512)
def suffixes(name: str) -> tuple[str, ...]:
    """What may be taken for the suffix of this name, lower case: as it stands, up to a NUL or the name of a
    stream (``a.js::$DATA`` is ``a.js``), without what is not seen or not allowed in names, and with what
    stands in hexadecimal (``a%2Ejs``)."""
    seen: dict[str, None] = {}
    cut = [name.split(mark, 1)[0] for mark in ("\0", "::") if mark in name]
    if "%" in name:
        cut.append(unquote(name))
    cut += [text.translate(_FORBIDDEN) for text in (name, *cut) if not _FORBIDDEN_IN.isdisjoint(text)]
    for reading in (name, *cut):
        for text in (reading,) if reading.isascii() and reading.isprintable() else (reading, _bare(reading)):
            _stem, dot, end = text.rstrip(_STRIPPED).rpartition(".")
            end = end.lower()
            if dot and len(end) <= _MAX_SUFFIX:
                seen[end] = None
    return tuple(seen)


def suffix(name: str) -> str:
    """The suffix as it stands; empty if there is none."""
    found = suffixes(name)
    return found[0] if found else ""


def signed_name(name: str) -> str:
    """The name of what was signed, from the name of the file that holds it with its signature:
    ``invoice.js.p7m`` holds ``invoice.js``. Empty if it does not tell."""
    stem, _dot, end = name.rpartition(".")
    return stem if end.lower() in _SIGNED and "." in stem else ""


def deception(name: str) -> str:
    """In which way the name misleads, in words; empty if it doesn't."""
    if "\0" in name:
        return "NUL in the name"
    if not name.isascii() and _OVERRIDES.search(name):
        return "the name's direction is overridden"
    if _GAP.search(name):
        return "blanks in front of the suffix"
    bare = name.rstrip(_STRIPPED).lower()
    stem, _dot, last = bare.rpartition(".")
    if last in _PROGRAMS:
        shown = stem.rstrip(_STRIPPED).rpartition(".")[2]
        if shown in DOCUMENTS and shown != last:
            return f"two suffixes, .{shown} and .{last}"
    return ""


def _bare(name: str) -> str:
    return _INVISIBLE.sub("", name)
