"""The name of an attachment (RFC 2183 2.3), of all that programs may show the one that is worst."""

from __future__ import annotations

import re

from contentfilter.content.filename import suffixes
from contentfilter.message.parameters import decode_words, parameters, without_comments
from mailbase.scripts import SUFFIXES

_DESCRIBED = frozenset(SUFFIXES) | {"url", "website", "desktop"}
"""What tells by its name alone what it is, or not without one."""
_DESCRIPTION = re.compile(
    rb"^content-(?:description|name)[ \t]*:[ \t]*([^\r\n]{0,1000}(?:\r?\n[ \t][^\r\n]{0,1000}){0,4})",
    re.IGNORECASE | re.MULTILINE,
)
_LOOSE = re.compile(rb"name[ \t]*(?:\*[0-9* \t]{0,8})?=\s*\"?([^\";\r\n]{1,2048})", re.IGNORECASE)
_STRAY = re.compile(rb"^[ \t]*(?:file)?" + _LOOSE.pattern, re.IGNORECASE | re.MULTILINE)
_MAX_LOOSE = 8

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
    for values, key, other in ((dispositions, "filename", "name"), (types, "name", "filename")):
        for value in values:
            lower = value.lower()
            # Some programs take the key of the other field as well.
            with_file = lower.count(b"filename")
            swapped = lower.count(b"name") > with_file if other == "name" else with_file > 0
            # Most take a comment for a piece of the name.
            for reading in (value, without_comments(value)) if b"(" in value else (value,):
                texts = parameters(reading, key)
                for text in texts + parameters(reading, other) if swapped else texts:
                    found[_name(text)] = None
    if not found:
        loose = [match[1] for value in dispositions + types for match in _LOOSE.finditer(value)]
        found = dict.fromkeys(_name(text.decode("utf-8", "replace")) for text in loose[:_MAX_LOOSE])
    return [name for name in found if name]


def stray_names(text: bytes) -> list[str]:
    """Names in lines that should have been folded: ``name=`` at the start of one."""
    return [_name(match[1].decode("utf-8", "replace")) for match in _STRAY.finditer(text)][:_MAX_LOOSE]


def described_name(block: bytes) -> str:
    """The name that an attachment without one gets from its description, by Outlook (MS-OXCMAIL 2.2.3.4.1.1),
    or from Content-Name, by Thunderbird.

    Most descriptions are words for people. Empty unless it is the name of a script or shortcut.
    """
    names = (_name(match[1].decode("utf-8", "replace").strip()) for match in _DESCRIPTION.finditer(block))
    return next((name for name in names if _DESCRIBED.intersection(suffixes(name))), "")


def _name(text: str) -> str:
    # RFC 2231 forbids encoded words here; programs write them all the same.
    return decode_words(text).replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def worst(names: list[str]) -> str:
    """The name whose suffix promises most harm, the first of equals; empty for none."""
    return max(names, key=_harm, default="")


def _harm(name: str) -> int:
    return max((_HARM.get(end, 0) for end in suffixes(name)), default=0)


def suffix(name: str) -> str:
    """What stands after the last dot, in lower case; empty if that is no suffix."""
    _stem, dot, end = name.rstrip(" .").rpartition(".")
    return end.lower() if dot and end.isalnum() else ""
