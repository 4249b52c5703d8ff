"""The name of an attachment (RFC 2183 2.3), of all that programs may show the one that is worst."""

from __future__ import annotations

from contentfilter.filename import suffixes
from contentfilter.message.parameters import decode_words, parameters, without_comments
from mailbase.scripts import SUFFIXES

_RUNS = "exe scr com pif msi msp cpl dll jar lnk chm url iso img vhd one"
_MACROS = "docm dotm xlsm xltm xlam xlsb pptm potm ppam ppsm sldm xll doc xls ppt dot mht"
_CONTAINERS = "zip rar 7z cab arj ace tar gz tgz bz2 xz zst lzh eml msg htm html svg rtf pdf"
_HARM = {
    end: harm for harm, ends in enumerate((_CONTAINERS, _MACROS, _RUNS), start=1) for end in ends.split()
} | dict.fromkeys(SUFFIXES, 3)
"""What a suffix promises, by rank."""


def file_names(dispositions: list[bytes], types: list[bytes]) -> list[str]:
    """All file names of a part, those of Content-Disposition first, as users see them."""
    found: dict[str, None] = {}
    for values, key in ((dispositions, "filename"), (types, "name")):
        for value in values:
            # Most take a comment for a piece of the name.
            readings = (value, without_comments(value)) if b"(" in value else (value,)
            for text in (text for reading in readings for text in parameters(reading, key)):
                # RFC 2231 forbids encoded words here; programs write them all the same.
                found[decode_words(text).replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]] = None
    return [name for name in found if name]


def worst(names: list[str]) -> str:
    """The name whose suffix promises most harm, the first of equals; empty for none."""
    return max(names, key=_harm, default="")


def _harm(name: str) -> int:
    return max((_HARM.get(end, 0) for end in suffixes(name)), default=0)


def suffix(name: str) -> str:
    """What stands after the last dot, in lower case; empty if that is no suffix."""
    _stem, dot, end = name.rstrip(" .").rpartition(".")
    return end.lower() if dot and end.isalnum() else ""
