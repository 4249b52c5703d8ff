"""OpenDocument and its forerunners: Basic, scripts in other languages, and events that run them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from contentfilter.containers.markup import ATTRIBUTES, PREFIX, as_utf8, attributes, elements, joined
from contentfilter.containers.vba_source import lines_of, normal_source
from contentfilter.content import references
from contentfilter.content.limits import MIB
from contentfilter.content.needles import Needles
from contentfilter.content.part import Content, Context, Found, Part
from contentfilter.macros.digest import digest_of
from contentfilter.scanners.remote import is_remote

_MODULE = re.compile(PREFIX + rb"module(?=[\s/>])" + ATTRIBUTES + rb">([^<]*)")
_FLAT_MODULE = re.compile(PREFIX + rb"source-code(?=[\s/>])" + ATTRIBUTES + rb">([^<]*)")
"""A module in a document that is one file of XML (OpenDocument 1.2 part 1, 3.11)."""
_EMPTY = re.compile(r"'|rem(?: |\Z)|option [\w ]+\Z|sub main ?(?:\( ?\) ?)?\Z|end sub\Z")
"""Lines that each new module begins with."""
_SCRIPT = re.compile(rb"scripts/(?:[^/]+/)+[^/]+\.(?:py|bsh|js|java|class|jar)\Z", re.IGNORECASE)
_STARTING = re.compile(r"dom:load|on-?load|on-?open|startapp|mouse-?over|prepare|focus", re.IGNORECASE)
_MACRO_URL = re.compile(r"\s*(?:vnd\.sun\.star\.script|macro|script):", re.IGNORECASE)
_OFFICE_S_OWN = re.compile(
    r"\s*(?:application:Template\.\w+\.\w+"
    r"|vnd\.sun\.star\.script:Template\.\w+\.\w+\?language=Basic&location=application)\s*\Z"
)
"""Macros that come with the office suite and that its templates and wizards for letters call. Nothing in a
document changes them, and a name in Basic leads nowhere else."""
_STAR_BASIC = frozenset({"starbasic", "basicmanager2"})
_SIGNS = Needles(b"encryption-data", b"StarBasic", b"source-code", b"office:document", b"event")
"""Without all of these there is nothing."""
_MAX_SOURCE = 4 * MIB
_MAX_EVENTS = 10_000


class OpenDocument:
    """Finds ``office-macro``, ``office-macro-suspicious``, ``office-dde``, ``office-remote-template`` and
    ``office-encrypted``."""

    name = "open-document"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        if part.data[:2] == b"PK":
            yield from _scripts(part, context)
            return
        if (file := context.cfb) is not None:
            if any(entry.key in _STAR_BASIC for entry in file.entries):
                yield part.unscanned("unsupported", "Basic of StarOffice")
            return
        data = as_utf8(part.data)
        if data is None or not _SIGNS.stand_in(data):
            return
        if b"encryption-data" in data and b"manifest" in data[:4096].lower() and _is_locked(data):
            yield part.found("office-encrypted", "OpenDocument")
            yield part.unscanned("encrypted", "OpenDocument")
        if b"StarBasic" in data or b"source-code" in data:
            yield from _basic(part, joined(data) or data)
        if b"office:document" in data[:4096] and b"http" in data:
            yield from _fetched(part, data)
        if b"event" in data and (b"vnd.sun.star.script" in data or b"event-name" in data):
            yield from _events(part, data)


def _scripts(part: Part, context: Context) -> Iterator[Found]:
    """Scripts of other languages lie beside the document, and their place in the package makes them such."""
    archive = context.zip
    if archive is None:
        return
    for member in archive.members:
        if _SCRIPT.match(member.name):
            yield part.found("office-macro", f"script {member.text_name[-100:]}")
            return


def _is_locked(data: Content) -> bool:
    """Whether the manifest has the element, and does not speak of it."""
    return any(True for _match in elements(data, b"encryption-data"))


def _basic(part: Part, data: Content) -> Iterator[Found]:
    in_packages = (match[2] for match in _MODULE.finditer(data) if b"StarBasic" in match[1])
    for raw in itertools.chain(in_packages, (match[2] for match in _FLAT_MODULE.finditer(data))):
        source = raw[: _MAX_SOURCE + 1].decode("utf-8", "replace")
        if len(source) > _MAX_SOURCE:
            yield part.unscanned("too-large", "Basic source")
        source = references.unescaped(source)
        if any(not _EMPTY.match(line) for line in lines_of(source)):
            yield part.found("office-macro", "OpenDocument Basic", digest_of([normal_source(source)]))
            return


def _fetched(part: Part, data: Content) -> Iterator[Found]:
    """Templates, sections, frames and objects that come from elsewhere when the document is opened."""
    names = b"template|section-source|floating-frame|object|object-ole|applet|plugin"
    for match in itertools.islice(elements(data, names), _MAX_EVENTS):
        target = attributes(match[1]).get(b"href", "")
        if is_remote(target):
            yield part.found("office-remote-template", f"link {target[:200]}")
            return


def _events(part: Part, data: Content) -> Iterator[Found]:
    """Events of the document that run a script, which may lie in it or in the office suite itself."""
    for number, match in enumerate(elements(data, b"event-listener|event")):
        if number == _MAX_EVENTS:
            yield part.unscanned("too-large", "events")
            return
        values = attributes(match[1])
        if values.get(b"action") == "execute":
            yield part.found("office-dde", f"action that starts {values.get(b'href', '')[:160]!r}")
            return
        target = values.get(b"href", "") or values.get(b"macro-name", "")
        language = values.get(b"language", "")
        if not (_MACRO_URL.match(target) or (target and "basic" in language.lower())):
            continue
        if _OFFICE_S_OWN.match(target):
            continue
        event = values.get(b"event-name", "")
        yield part.found("office-macro", f"event {event[:60]} runs {target[:160]}")
        if _STARTING.search(event):
            yield part.found("office-macro-suspicious", f"{event[:60]}, {target[:160]}")
        return
