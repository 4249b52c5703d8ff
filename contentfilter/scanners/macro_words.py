"""Whether a macro looks malicious: it starts by itself, and writes or executes something.

The rule is MacroRaptor's (oletools), which is the reference in the tests; the words are looked up in a set
instead of by one large pattern, so that a project costs microseconds.
"""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W\d]\w*")
_STARTS = re.compile(
    r"auto(?:exec|_?open|_?close|exit|new|_ope\Z)"
    r"|document(?:_?open|_close|_?beforeclose|change|_new|_contentcontrolonenter)|newdocument"
    r"|workbook_(?:open|activate|close|beforeclose|sheetactivate|windowactivate)"
    r"|application_startup|presentation_open|slideshow(?:begin|nextslide)|onslideshowpagechange"
    r"|\w+_(?:painted|painting|gotfocus|lostfocus|mousehover|layout|click|change|resize|beforenavigate2"
    r"|beforescriptexecute|documentcomplete|downloadbegin|downloadcomplete|filedownload|navigatecomplete2"
    r"|navigateerror|progresschange|propertychange|setsecurelockicon|statustextchange|titlechange|mousemove"
    r"|mouseenter|mouseleave|onconnecting|calculate|activate)"
)
"""Procedures that Office calls when a document is opened, closed, or shown."""
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
    words = words_of(code)
    start = next((word for word in words if _STARTS.match(word)), "")
    if not start:
        return []
    acts = [next((word for word in words if word in kind), "") for kind in (_WRITES, _RUNS)]
    if not all(acts):
        lowered = code.lower()
        acts += [_both(lowered, *pair) for pair in _PAIRS]
    return [start[:40], *filter(None, acts)] if any(acts) else []


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
