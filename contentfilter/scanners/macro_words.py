"""Whether a macro looks malicious: it starts by itself, and writes or executes something.

The rule is MacroRaptor's (oletools), which is the reference in the tests; the words are looked up in a set
instead of by one large pattern, so that a project costs microseconds.
"""

from __future__ import annotations

import re

from contentfilter.content.needles import Needles

_WORD = re.compile(r"[^\W\d]\w*")
_CALLED = (
    "autoexec", "autoopen", "auto_open", "autoclose", "auto_close", "autoexit", "autonew", "documentopen",
    "document_open", "document_close", "documentbeforeclose", "document_beforeclose", "documentchange",
    "document_new", "document_contentcontrolonenter", "newdocument", "workbook_open", "workbook_activate",
    "workbook_close", "workbook_beforeclose", "workbook_sheetactivate", "workbook_windowactivate",
    "application_startup", "presentation_open", "slideshowbegin", "slideshownextslide",
    "onslideshowpagechange",
)  # fmt: skip
"""Procedures that Office calls when a document is opened, closed, or shown: how their names begin."""
_CALLED_TOO = "auto_ope"
"""Likewise; a name of its own."""
_EVENTS = (
    "_painted", "_painting", "_gotfocus", "_lostfocus", "_mousehover", "_layout", "_click", "_change",
    "_resize", "_beforenavigate2", "_beforescriptexecute", "_documentcomplete", "_downloadbegin",
    "_downloadcomplete", "_filedownload", "_navigatecomplete2", "_navigateerror", "_progresschange",
    "_propertychange", "_setsecurelockicon", "_statustextchange", "_titlechange", "_mousemove",
    "_mouseenter", "_mouseleave", "_onconnecting", "_calculate", "_activate",
)  # fmt: skip
"""Procedures that it calls for what is shown in them: what stands behind the name of that."""
_EVENT = re.compile("|".join(_EVENTS))
_ANY_START = Needles(*(name.encode() for name in (*_CALLED, _CALLED_TOO, *_EVENTS)))
_WRITES = frozenset(
    {
        "filecopy", "copyfile", "kill", "createtextfile", "virtualalloc", "virtualallocex", "rtlmovememory",
        "urldownloadtofile", "urldownloadtofilea", "altstartuppath", "writeprocessmemory", "adodb",
        "writetext", "savetofile", "saveas", "saveasrtf", "filesaveas", "mkdir", "rmdir",
        "savesetting", "setattr", "deletefile", "movefile", "regwrite",
    }
)  # fmt: skip
_RUNS = frozenset(
    {
        "shell", "createobject", "getobject", "sendkeys", "run", "call", "macscript", "followhyperlink",
        "createthread", "shellexecute", "shellexecutea", "executeexcel4macro", "exec", "register", "settimer",
        "winexec", "callbyname", "wscript", "powershell", "msxml2", "createremotethread",
    }
)  # fmt: skip
_PAIRS = (
    (re.compile(r"\bopen\b"), re.compile(r"\b(?:write|append|binary|output|random)\b")),
    (re.compile(r"\bdeclare\b"), re.compile(r"\blib\b")),
)
"""``Open … For Output`` and ``Declare … Lib`` on one line."""
TELLING = frozenset(
    {
        "shell", "createobject", "getobject", "urldownloadtofile", "urldownloadtofilea", "wscript",
        "virtualalloc", "createthread", "winexec", "shellexecute", "shellexecutea", "savetofile",
        "createtextfile", "callbyname", "executeexcel4macro",
    }
)  # fmt: skip
"""Names that malicious code can hardly do without."""


def words_of(code: str) -> dict[str, None]:
    """The words in code, in lower case, once each, in their order."""
    return dict.fromkeys(_WORD.findall(code.lower()))


def suspicious(code: str) -> list[str]:
    """What the rule objects to in VBA source: what starts it, and what it does; empty if nothing.

    Arguments:
        code: with continued lines joined, see :func:`contentfilter.containers.vba_source.lines_of`.
    """
    if not _ANY_START.stand_in(code.lower().encode("utf-8", "replace")):
        # Most macros wait until they are called; to have their words costs more than all else here.
        return []
    words = words_of(code)
    start = next(filter(_is_start, words), "")
    if not start:
        return []
    acts = [next((word for word in words if word in kind), "") for kind in (_WRITES, _RUNS)]
    if not all(acts):
        lowered = code.lower()
        acts += [_both(lowered, *pair) for pair in _PAIRS]
    return [start[:40], *filter(None, acts)] if any(acts) else []


def _is_start(word: str) -> bool:
    return word.startswith(_CALLED) or word == _CALLED_TOO or _EVENT.search(word, 1) is not None


def _both(code: str, first: re.Pattern[str], second: re.Pattern[str]) -> str:
    """The first line in which one follows the other, shortened; empty if there is none."""
    at = 0
    while match := first.search(code, at):
        end = code.find("\n", match.end())
        end = len(code) if end < 0 else end
        if second.search(code, match.end(), end):
            return code[match.start() : min(end, match.start() + 40)]
        at = end
    return ""
