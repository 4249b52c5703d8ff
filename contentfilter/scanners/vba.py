"""VBA macros in OLE compound files: documents of Word, Excel, PowerPoint, Publisher, Visio, Project, and the
``vbaProject.bin`` of OOXML ones, which is such a file as well; and, as far as they can be seen, in Access
databases.

Our own reader of the VBA streams finds the source code. A project that it cannot make sense of is shown to
olevba as well.
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from contentfilter.containers import ovba
from contentfilter.containers.cfb import CompoundFile
from contentfilter.containers.vba_source import has_code, normal_source
from contentfilter.content.limits import MIB
from contentfilter.content.part import Content, Context, Found, Part
from contentfilter.macros.digest import digest_of
from contentfilter.scanners.macro_words import TELLING, suspicious, words_of
from contentfilter.scanners.remote import is_remote

_SIGNS = frozenset({"dir", "_vba_project", "vba"})
_ACCESS = (b"Standard Jet DB", b"Standard ACE DB")
_IDENTIFIER = re.compile(rb"[A-Za-z]\w{2,60}")
_MAX_NAMES = 4 * MIB
_OLEVBA_WORK = 4 * MIB
"""What a look by olevba counts for, against the bound on work."""
_READ_SHARE, _CALL = 64, 1024
"""What olevba reads counts as so many octets less than what comes out; what each stream counts at least."""


class Vba:
    """Finds ``office-macro``, ``office-macro-suspicious``, and ``office-remote-template`` for a project that
    another is loaded with."""

    name = "vba"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        file = context.cfb
        limit = context.options.code_size
        if file is None:
            if context.cfb_problem:
                yield part.unscanned("malformed", f"OLE file: {context.cfb_problem}")
                yield from _carved(part, limit, "in a damaged file")
            elif part.data[4:19] in _ACCESS:
                yield from _carved(part, limit, "in a database")
            return
        if not has_project(file, part):
            return
        modules, references, cut = [], list[str](), False
        for module in ovba.modules(file, limit, references):
            modules.append(module)
            if module.cut:
                cut = True
                yield part.unscanned("too-large", "VBA source")
        remote = next(filter(is_remote, references), "")
        if remote:
            yield part.found("office-remote-template", f"VBA project that loads {remote[:200]}")
        names = [module.stream for module in modules if module.executable]
        unreadable = sum(not module.readable for module in modules)
        stomped = any(module.stomped for module in modules)
        normal = [module.normal for module in modules]
        if not names and (unreadable or file.damaged):
            code, spent = ovba.carved(part.data, limit)
            normal.append(normal_source(code.decode("latin-1")))
            if spent >= limit:
                yield part.unscanned("too-large", "VBA source")
            elif unreadable and not has_code(normal[-1]):
                if not context.budget.take_work(least=_OLEVBA_WORK):
                    yield part.unscanned("too-large", "VBA source")
                    return
                source, whole = _olevba(part, limit)
                normal.append(normal_source(source))
                if not whole:
                    yield part.unscanned("too-large", "VBA source")
                if not has_code(normal[-1]):
                    yield part.unscanned("malformed", f"{unreadable} VBA modules cannot be read")
        if not names and not any(map(has_code, normal)):
            return
        digest = ""
        # What was not read in whole, or does not run as it reads, is nothing to allow.
        if names and not (unreadable or stomped or cut or remote or file.damaged or _hides(file, normal)):
            digest = digest_of(normal)
        detail = f"VBA in {', '.join(names[:3]) or 'a damaged file'}" + (
            ", source removed" if stomped else ""
        )
        yield part.found("office-macro", detail, digest)
        reasons = suspicious("\n".join(normal)) or (["source removed"] if stomped else [])
        if reasons:
            yield part.found("office-macro-suspicious", ", ".join(reasons), digest)


def has_project(file: CompoundFile, part: Part) -> bool:
    """Whether there is any sign of a VBA project: a cheap question before the dear one."""
    return any(entry.key in _SIGNS for entry in file.entries) or ovba.MARK in part.data


def _carved(part: Part, limit: int, where: str) -> Iterator[Found]:
    code, spent = ovba.carved(part.data, limit)
    normal = normal_source(code.decode("latin-1"))
    if spent >= limit:
        yield part.unscanned("too-large", "VBA source")
    if has_code(normal):
        yield part.found("office-macro", f"VBA {where}")
        if reasons := suspicious(normal):
            yield part.found("office-macro-suspicious", ", ".join(reasons))


def _hides(file: CompoundFile, sources: Iterable[str]) -> bool:
    """Whether the compiled code names what its source does not: Office may run the one for the other.

    Arguments:
        sources: of the modules.
    """
    compiled: set[str] = set()
    for stream in file.streams:
        if stream.key == "_vba_project":
            names = _IDENTIFIER.findall(file.read(stream, _MAX_NAMES))
            compiled |= TELLING.intersection(name.decode("latin-1").lower() for name in names)
    return bool(compiled) and not compiled.issubset(words_of("\n".join(sources)))


@functools.cache
def load_olevba() -> Any:
    """The module olevba; importing it takes a tenth of a second and warns a lot."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from oletools import olevba
    return olevba


class _EnoughError(BaseException):
    """olevba has had its share. Not of those exceptions that it passes over."""


def _olevba(part: Part, limit: int) -> tuple[str, bool]:
    """The source as olevba reads it, empty if it finds none or fails; and whether it could read all.

    It takes each module and each mark for one more stream, whose rest it copies twice, and bounds nothing.

    Arguments:
        limit: octets that may come out; what goes in counts less.
    """
    olevba = load_olevba()
    logging.getLogger("olevba").setLevel(logging.CRITICAL + 1)
    quiet = io.StringIO()
    found, room = list[str](), limit

    def decompress(container: Content) -> bytes:
        nonlocal room
        plain = ovba.decompress(container, room)
        room -= len(plain) + len(container) // _READ_SHARE + _CALL
        if room <= 0:
            raise _EnoughError
        if not plain:
            raise ValueError("no compressed container")
        return plain

    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet), _in_place(olevba, decompress):
        parser = olevba.VBA_Parser("part", data=bytes(part.data), disable_pcode=True)
        try:
            for _file, _stream, _name, code in parser.extract_macros():
                if isinstance(code, str):
                    found.append(code)
        except _EnoughError:
            pass
        finally:
            parser.close()
    return "\n".join(found), room > 0


@contextlib.contextmanager
def _in_place(olevba: Any, decompress: Callable[[Content], bytes]) -> Iterator[None]:
    """``decompress`` for olevba's own, which takes a microsecond for each octet, of which there is no end."""
    own, olevba.decompress_stream = olevba.decompress_stream, decompress
    try:
        yield
    finally:
        olevba.decompress_stream = own
