"""VBA macros in OLE compound files: documents of Word, Excel, PowerPoint, Publisher, Visio, and the
``vbaProject.bin`` of OOXML ones, which is such a file as well.

Our own reader of the VBA streams finds the source code; whether it looks malicious is MacroRaptor's rule
(oletools): something that runs by itself, and writes or executes. A project that our reader cannot make
sense of is shown to olevba as well.
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import re
import warnings
from collections.abc import Iterator
from typing import Any, TypeAlias

from contentfilter.containers import ovba
from contentfilter.containers.cfb import CompoundFile
from contentfilter.containers.vba_source import has_code
from contentfilter.macros.digest import digest_of
from contentfilter.part import Context, Found, Part


class Vba:
    """Finds ``office-macro`` and ``office-macro-suspicious``."""

    name = "vba"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        file = context.cfb
        if file is None:
            if context.cfb_problem:
                yield part.unscanned("malformed", f"OLE file: {context.cfb_problem}")
                if source := ovba.carve(part.data, context.options.code_size):
                    yield from judge(part, source.decode("latin-1"), "in a damaged file")
            return
        if not has_project(file, part):
            return
        sources, names, unreadable, stomped, cut = [], [], 0, False, False
        for module in ovba.modules(file, context.options.code_size):
            unreadable += not module.readable
            stomped |= module.stomped
            cut |= module.cut
            if module.executable:
                names.append(module.stream)
            sources.append(module.code)
            if module.cut:
                yield part.unscanned("too-large", "VBA source")
        if unreadable and not names:
            sources.append(_olevba(part))
            if not has_code(sources[-1]):
                yield part.unscanned("malformed", f"{unreadable} VBA modules cannot be read")
        code = "\n".join(sources)
        detail = f"VBA in {', '.join(names[:3])}" + (", source removed" if stomped else "")
        # What was not read in whole is nothing to allow.
        digest = "" if unreadable or stomped or cut or file.damaged else digest_of(sources)
        yield from judge(part, code, detail, bool(names), digest)


@functools.cache
def load_oletools() -> tuple[Any, Any]:
    """The modules mraptor and olevba; importing them takes a tenth of a second and warns a lot."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from oletools import mraptor, olevba
    return mraptor, olevba


def has_project(file: CompoundFile, part: Part) -> bool:
    """Whether there is any sign of a VBA project: a cheap question before the dear one."""
    return any(entry.key in _SIGNS for entry in file.entries) or ovba.MARK in part.data


_SIGNS = frozenset({"dir", "_vba_project", "vba"})


def judge(part: Part, code: str, detail: str, certain: bool = False, digest: str = "") -> Iterator[Found]:
    """The findings that macro source gives cause to."""
    if not certain and not has_code(code):
        return
    yield part.found("office-macro", detail, digest)
    if reasons := suspicious(code):
        yield part.found("office-macro-suspicious", ", ".join(reasons), digest)


def suspicious(code: str) -> list[str]:
    """What MacroRaptor objects to in VBA source: what starts it, and what it does; empty if nothing."""
    starting, writing, running = _rules()
    _mraptor, olevba = load_oletools()
    code = olevba.vba_collapse_long_lines(code)
    if not (starts := starting.search(code)):
        return []
    acts = [_first(code, *rule) for rule in (writing, running)]
    return [starts.group()[:40], *filter(None, acts)] if any(acts) else []


_Rule: TypeAlias = tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]


@functools.cache
def _rules() -> tuple[re.Pattern[str], _Rule, _Rule]:
    """MacroRaptor's patterns for what starts by itself, writes, and executes.

    Two of its alternatives, ``Open … For Output`` and ``Declare … Lib``, take quadratic time in a line's
    length. They come last, and are taken out here and looked for in two steps.
    """
    mraptor, _olevba = load_oletools()
    words = r"(?i)\b(?:Write|Append|Binary|Output|Random)\b"
    return (
        mraptor.re_autoexec,
        _rule(mraptor.re_write, mraptor.RE_OPEN_WRITE, r"(?i)\bOpen\b", words),
        _rule(mraptor.re_execute, mraptor.RE_DECLARE_LIB, r"(?i)\bDeclare\b", r"(?i)\bLib\b"),
    )


def _rule(pattern: re.Pattern[str], slow: str, first: str, second: str) -> _Rule:
    plain = re.compile(pattern.pattern.removesuffix("|" + slow))
    return plain, re.compile(first), re.compile(second)


def _first(code: str, plain: re.Pattern[str], opening: re.Pattern[str], closing: re.Pattern[str]) -> str:
    """What the rule matches first, shortened; empty if nothing."""
    if match := plain.search(code):
        return match.group()[:40]
    at = 0
    while match := opening.search(code, at):
        end = code.find("\n", match.end())
        end = len(code) if end < 0 else end
        if closing.search(code, match.end(), end):
            return code[match.start() : min(end, match.start() + 40)]
        at = end
    return ""


def _olevba(part: Part) -> str:
    """The source as olevba reads it; empty if it finds none or fails."""
    _mraptor, olevba = load_oletools()
    logging.getLogger("olevba").setLevel(logging.CRITICAL + 1)
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        parser = olevba.VBA_Parser("part", data=bytes(part.data), disable_pcode=True)
        try:
            return "\n".join(
                code for _file, _stream, _name, code in parser.extract_macros() if isinstance(code, str)
            )
        finally:
            parser.close()
