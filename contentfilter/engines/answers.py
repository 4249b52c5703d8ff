"""What the names and answers of engines mean. Pure."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from contentfilter.content.results import ScanFailed, ScanResult
from mailbase.replies import printable
from mailbase.vocabulary import Finding, Unscanned

MAX_TEXT = 400
"""Characters of an answer that are kept."""

_SAID = re.compile(r"(?:stream|fd\[[0-9]{1,10}\]): (.+)", re.DOTALL)
"""An answer to ``INSTREAM`` or ``FILDES``."""
_FOUND = " FOUND"
_NOT_LOOKED_INTO = (
    # What is locked is judged by our own scanners, which tell a PDF that everybody can open from one that
    # nobody can.
    ("Heuristics.Encrypted.", "encrypted"),
    ("Heuristics.Limits.Exceeded", "too-large"),
    ("Heuristics.Broken.", "malformed"),
)
_MACRO = "Heuristics.OLE2.ContainsMacros"


def fact(name: str, suspected: Sequence[str]) -> Finding | Unscanned:
    """What it means that an engine names ``name``.

    clamd also names what is no malware (clamd.conf(5), the options that begin with Alert): what it could not
    open or did not finish, and macros of any kind.

    Arguments:
        suspected: beginnings of names that are a guess, and no malware that is known.
    """
    for beginning, reason in _NOT_LOOKED_INTO:
        if name.startswith(beginning):
            return Unscanned("", reason, name)
    if name.startswith(_MACRO):
        return Finding("office-macro", "", name)
    if name.startswith(tuple(suspected)):
        return Finding("virus-suspected", "", name)
    return Finding("virus", "", name)


def result(found: Finding | Unscanned, seconds: float) -> ScanResult:
    """The one fact as the result of a scan."""
    if isinstance(found, Finding):
        return ScanResult((found,), seconds=seconds)
    return ScanResult(unscanned=(found,), seconds=seconds)


def judge(answer: bytes, seconds: float, suspected: Sequence[str] = ()) -> ScanResult | ScanFailed:
    """What clamd's answer to a message means.

    Arguments:
        answer: without the number of the question and the final NUL.
        seconds: how long it took.
        suspected: see :func:`fact`.
    """
    text = printable(answer.strip(), MAX_TEXT)
    match = _SAID.fullmatch(text)
    said = match[1] if match else ""
    if said == "OK":
        return ScanResult(seconds=seconds)
    if said.endswith(_FOUND) and (name := said.removesuffix(_FOUND)):
        return result(fact(name, suspected), seconds)
    if "size limit exceeded" in text:
        # Its StreamMaxLength is smaller than our max_size; no later try would end otherwise.
        return result(Unscanned("", "too-large", text), seconds)
    return ScanFailed("clamd", "protocol", text or "an empty answer")


_VERSION = re.compile(r"ClamAV [^/]{1,100}/[0-9]{1,10}/(.{1,40})", re.DOTALL)
_DATE = "%a %b %d %H:%M:%S %Y"


def signatures_made(answer: bytes) -> float | None:
    """When clamd's signatures were made, by its answer to VERSION: seconds since the epoch.

    Returns:
        0 where it has none of the official ones; None if this is no such answer.
    """
    text = printable(answer.strip(), MAX_TEXT)
    if not text.startswith("ClamAV "):
        return None
    found = _VERSION.fullmatch(text)
    if found is None:
        return 0.0
    try:
        # Local time, as ctime(3) writes it.
        return time.mktime(time.strptime(found[1], _DATE))
    except (ValueError, OverflowError):
        return 0.0
