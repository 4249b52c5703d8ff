"""The name of an attachment (RFC 2183 2.3), of all that programs may show the one that is worst."""

from __future__ import annotations

import re

from contentfilter.content.filename import suffixes
from contentfilter.content.limits import KIB
from contentfilter.message.parameters import decode_words, parameters, without_comments
from mailbase.scripts import SUFFIXES

_DESCRIBED = frozenset(SUFFIXES) | {"url", "website", "desktop"}
"""What tells by its name alone what it is, or not without one."""
_DESCRIPTION = re.compile(
    rb"^content-(description|name|location)[ \t]*:[ \t]*([^\r\n]{0,1000}(?:\r?\n[ \t][^\r\n]{0,1000}){0,4})",
    re.IGNORECASE | re.MULTILINE,
)
_LOOSE = re.compile(rb"name[ \t]*(?:\*[0-9* \t]{0,8})?=\s*\"?([^\";\r\n]{1,2048})", re.IGNORECASE)
_STRAY = re.compile(
    rb"^(?:[ \t\"']|\([^()\r\n]{0,60}\)){0,40}((?:file)?name[ \t]*(?:\*[0-9* \t]{0,8})?\"?=[^\r\n]*)",
    re.IGNORECASE | re.MULTILINE,
)
_FOLD = re.compile(rb"\r?\n[ \t]+")
_UNPARTED = re.compile(rb"(?<![;\s,])(?>[\s,]+)(?=\"?(?:file)?name[*0-9\"]{0,8}\s*=)", re.IGNORECASE)
"""Blanks or a comma in front of a name, where a semicolon should be."""
_BEHIND_QUOTES = re.compile(rb'=\s*"[^"\\]*"\s*[^\s;(]')
_NAMED = re.compile(rb"(?:file)?name", re.IGNORECASE)
_MAX_ODD = 8 * KIB
"""Octets of a value that are read in every form. Of a longer one it is what stands behind the word name."""
_TO_THE_END = re.compile(rb'(name[*0-9]{0,8}\s*=\s*)"(.*)', re.IGNORECASE | re.DOTALL)
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
            for reading in _readings(value):
                texts = parameters(reading, key)
                for text in texts + parameters(reading, other) if swapped else texts:
                    found[_name(text)] = None
    if not found:
        loose = [match[1] for value in dispositions + types for match in _LOOSE.finditer(value)]
        found = dict.fromkeys(_name(text.decode("utf-8", "replace")) for text in loose[:_MAX_LOOSE])
    return [name for name in found if name]


def _readings(value: bytes) -> list[bytes]:
    """The forms of a field's value that programs take names from: as it stands, mostly no other, and as it is
    for those who mind less how it is written."""
    # Most take a comment for a piece of the name.
    plain = [value, without_comments(value)] if b"(" in value else [value]
    odd = plain[:] if len(value) <= _MAX_ODD else [_around_names(value)]
    value = odd[0]
    if value.count(b'"') % 2:
        odd += [form + b'"' for form in odd]
    if _BEHIND_QUOTES.search(value):
        odd += [form.replace(b'"', b"") for form in odd] + [_TO_THE_END.sub(_quoted, value)]
    if _UNPARTED.search(value):
        odd += [_UNPARTED.sub(b"; ", form) for form in odd]
    return list(dict.fromkeys((*plain, *odd)))


def _around_names(value: bytes) -> bytes:
    places = [match.start() for match in _NAMED.finditer(value)]
    return b"".join(b"; " + value[at : at + _MAX_ODD // 8] for at in (*places[:4], *places[4:][-4:]))


def _quoted(match: re.Match[bytes]) -> bytes:
    return match[1] + b'"' + match[2].replace(b'"', b"") + b'"'


def stray_names(text: bytes) -> list[str]:
    """Names in lines that should have been folded."""
    lines = [b"; " + match[1] for match in _STRAY.finditer(_FOLD.sub(b" ", text))][:_MAX_LOOSE]
    return file_names(lines, []) if lines else []


def described_name(block: bytes, attached: bool) -> str:
    """The name that an attachment without one gets from its description, by Outlook (MS-OXCMAIL 2.2.3.4.1.1),
    or from Content-Name, by Thunderbird; some take Content-Location.

    Most descriptions are words for people. Empty unless it is the name of a script or shortcut.

    Arguments:
        attached: it is to be offered as a file. Pages that are sent whole tell by Content-Location where
            their pieces come from.
    """
    names = (
        _name(match[2].decode("utf-8", "replace").strip())
        for match in _DESCRIPTION.finditer(block)
        if attached or match[1].lower() != b"location"
    )
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
