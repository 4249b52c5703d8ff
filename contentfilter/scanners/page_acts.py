"""What a web page does beside showing itself: it starts handlers of the system, asks a share of another
machine for something, or puts a command into the clipboard for the reader to run.

Interface: functions of a text in lower case, as scripts and attributes have it. No scanner by itself:
:mod:`contentfilter.scanners.html_smuggling` knows the pages, and what their scripts unwrap.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from contentfilter.content.needles import Needles
from contentfilter.content.references import unescaped
from contentfilter.scanners.remote import is_share

_SET = rb"(?:=|\b(?:open|assign|replace|navigate|fetch)\s{0,9}\()\s{0,9}(?:[\"']|(`))?\s{0,9}"
"""Where an address stands, in attributes and in scripts; a page that quotes one has it elsewhere. The group
is the sign with which a text of a script begins and ends; elsewhere it is a character like any other."""
_HANDLERS = Needles(
    b"search-ms:",
    b"search:",
    b"ms-msdt:",
    b"ms-officecmd:",
    b"ms-appinstaller:",
    b"applescript:",
    b"file:",
    b"\\\\",
)
_HANDLER = re.compile(
    _SET + rb"(?P<target>search-ms:|search:[^\"'<>]{0,500}\bcrumb\b|ms-msdt:|ms-officecmd:|ms-appinstaller:"
    rb"|applescript:|(?:file:[/\\]{2,9}|\\{2})(?(1)[^\"'`<>\s]{1,300}|[^\"'<>\s]{1,300})\.[a-z]{2,5}!"
    rb"(?(1)[^\"'`<>\s/\\]|[^\"'<>\s/\\]))"
)
"""They start or install a program, or show what lies on another machine as if it were here; the last is how
Outlook hands a file to a program without asking (CVE-2024-21413, CVE-2024-38021)."""
_SHARES = Needles(b"file:", b"\\\\")
_LOADED = re.compile(
    rb"<(?:img|iframe|frame|embed|object|script|link|body|table|td|video|audio|source|input|image|use|base)\b"
    rb"[^<>]{0,500}?\b(?:src|href|data|background|poster)\s{0,9}=\s{0,9}(?:\"([^\"<>]{3,500})\"|'([^'<>]{3,500})'"
    rb"|([^\s\"'<>]{3,500}))"
    rb"|<meta\b[^<>]{0,300}?url\s{0,9}=\s{0,9}[\"']?([^\"'<>]{3,500})"
    rb"|\blocation(?:\.href)?\s{0,9}=\s{0,9}[\"'`]([^\"'`<>]{3,500})"
    rb"|\burl\(\s{0,9}[\"']?([^\"'()<>]{3,500})"
)
"""What is fetched when a page is shown: by elements, styles, and scripts that go elsewhere."""
_MAX_LOADED = 200_000
_IN_TAG = rb"(?>(?>(?:[^>=]+|=\s{0,9}\"[^\"]*\"|=\s{0,9}'[^']*'|=){1,64})*)"
"""All up to the end of a tag as browsers read it (HTML 5, 13.2.5): quotes count behind an equals sign only,
and what begins like another tag is a part of it."""
_TAG = re.compile(rb"<[a-z]" + _IN_TAG)
_SCRIPT = re.compile(
    rb"<script\b"
    + _IN_TAG
    + rb"(?:>.*?(?:</script|\Z))?|\bon[a-z]{3,24}\s{0,9}=\s{0,9}(?:\"[^\"]{1,4000}|'[^']{1,4000})",
    re.DOTALL,
)
_COPIES = re.compile(rb"clipboard\.write|execcommand\(\s{0,9}[\"'`]copy|clipboarddata\.setdata")
_COMMANDS = Needles(
    b"powershell", b"pwsh", b"mshta", b"cmd", b"msiexec", b"rundll32", b"regsvr32", b"certutil", b"bitsadmin",
    b"invoke-", b"iex", b"curl", b"osascript",
)  # fmt: skip
_COMMAND = re.compile(
    rb"\b(?:(?:powershell|pwsh)(?:\.exe)?[\"']{0,2}\s{1,9}[-/\"'&($]"
    rb"|mshta(?:\.exe)?[\"']{0,2}\s{1,9}[\"']?(?:https?:|\\\\|vbscript:|javascript:|[a-z]:)"
    rb"|cmd(?:\.exe)?[\"']{0,2}\s{1,9}/[ckv]\b|(?:msiexec|regsvr32)(?:\.exe)?\s{1,9}/|rundll32(?:\.exe)?\s{1,9}\S"
    rb"|(?:certutil|bitsadmin)(?:\.exe)?\s{1,9}[-/]|invoke-(?:expression|webrequest|restmethod)\b|iex\b\s{0,9}[($]"
    rb"|curl\s[^|\r\n]{1,300}\|\s{0,9}(?:ba|z)?sh\b|osascript\s{1,9}-e)"
)


_STARTS = re.compile(_SET + rb"(?:search:|file:|\\{2})")
"""Where :data:`_HANDLER` has some hundred octets to look at."""


def looks(lower: bytes) -> int:
    """How often a page has something that must be looked at for some hundred octets."""
    return len(_STARTS.findall(lower)) if of_interest(lower) else 0


def of_interest(lower: bytes) -> bool:
    """Whether a page may start something, or ask for something, without a script."""
    return _HANDLERS.stand_in(lower) or _SHARES.stand_in(lower)


def handler(lower: bytes, code: bool = False) -> str:
    """What a page starts, in words; empty if it starts nothing.

    Arguments:
        code: of scripts. In a page it must stand in a tag: elsewhere it is a text about it.
    """
    if not _HANDLERS.stand_in(lower):
        return ""
    match = _HANDLER.search(lower)
    if match is not None and not code:
        places = (_HANDLER.search(lower, tag.start(), tag.end()) for tag in _TAG.finditer(lower))
        match = next((place for place in places if place is not None), None)
    return f"link {match['target'][:200].decode('latin-1')!r}" if match else ""


def share(lower: bytes) -> str:
    """The path on another machine that a page asks for when it is shown; empty if there is none."""
    if not _SHARES.stand_in(lower):
        return ""
    return next((target for target in _loaded(lower) if _is_share(target)), "")


def _loaded(lower: bytes) -> Iterator[str]:
    for match in islice(_LOADED.finditer(lower), _MAX_LOADED):
        target = match[match.lastindex or 0]
        if b"\\" in target or b"file" in target or b"&" in target:
            yield unescaped(target.decode("utf-8", "replace"))


def _is_share(target: str) -> bool:
    # What begins with two slashes is another site in a browser, and stands in many pages that were saved.
    return not target.lstrip().startswith("//") and is_share(target)


def scripts(lower: bytes) -> bytes:
    """What is code in a page: its scripts, and what elements do by themselves."""
    return b"\n".join(match[0] for match in _SCRIPT.finditer(lower))


def copies(lower: bytes) -> bool:
    """Whether a script puts something into the clipboard."""
    return (b"clipboard" in lower or b"execcommand" in lower) and _COPIES.search(lower) is not None


def command(lower: bytes) -> str:
    """The command for a shell or console that stands in a script; empty if there is none."""
    match = _COMMAND.search(lower) if _COMMANDS.stand_in(lower) else None
    return lower[match.start() : match.start() + 60].decode("latin-1") if match else ""
