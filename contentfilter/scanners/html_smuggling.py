"""Web pages that carry a file in their text and build it where they are opened, past who scans attachments.

What is written out in a page is decoded and scanned as if it were attached. The finding itself needs all of
it: a script or a link to save, code that builds a file, and data that is neither picture, font nor text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from contentfilter.containers.literals import (
    SHOWN,
    TooManyError,
    data_urls,
    dense_text,
    flat,
    kind_of,
    literals,
    octets,
    replacements,
    turned_round,
    unquoted,
)
from contentfilter.content.filename import suffix
from contentfilter.content.limits import KIB, MIB
from contentfilter.content.needles import Needles
from contentfilter.content.part import Content, Context, Found, Part
from contentfilter.scanners import page_acts
from contentfilter.scanners.archived import archive_kind
from contentfilter.scanners.opening import TO_READ, opening
from mailbase.scripts import SUFFIXES

_PAGES = frozenset({"htm", "html", "shtml", "xhtml", "xht", "svg", "svgz", "hta", "mht", "mhtml"})
_SIGNS = Needles(
    b"<html",
    b"<script",
    b"<!doctype html",
    b"<body",
    b"<head",
    b"<svg",
    b"<iframe",
    b"<meta",
    b"<a ",
    b"<div",
)
_NAMESPACES = Needles(b"w3.org/1999/xhtml", b"w3.org/2000/svg", b"<!ENTITY", b"xml-stylesheet")
_PREFIXES = re.compile(rb"xmlns:([\w.-]{1,40})\s*=\s*[\"']http://www\.w3\.org/(?:1999/xhtml|2000/svg)[\"']")
_HANDLER = re.compile(rb"on[a-z]{3,24}+\s{0,20}+=")
_SPELT = re.compile(
    rb"&(?:#(?:x0*(?:[46][1-9a-f]|[57][0-9a])|0*(?:6[5-9]|[78]\d|90|9[7-9]|1[01]\d|12[012]))\b|colon;)"
)
"""Letters as character references, as nobody writes them who wants to be read."""
_BUILDS = (
    b"mssaveoropenblob", b"mssaveblob", b"createobjecturl", b"showsavefilepicker", b"saveas(",
)  # fmt: skip
_DOWNLOAD = re.compile(
    rb"[.\"'`\[]download\b|\bdownload\s{0,9}[=:]|[\"']\s{1,9}download\s{0,9}/?>|<a\s{1,9}download[\s/>]"
)
"""The attribute and the property; in a sentence it is a word."""
_OBFUSCATED = re.compile(rb"\b_0x[0-9a-f]{4,6}\b")
_LEAST_OBFUSCATED = 20
_LAYERED = (b"unescape", b"decodeuri", b"document.write")
_NAMES = re.compile(rb"[\"'`]([^\"'`<>\r\n/\\]{1,120}\.([A-Za-z0-9-]{2,20}))[\"'`]")
_ARCHIVES = "zip rar 7z cab tar gz tgz bz2 xz zst lz lz4 lzma z lzh arj iso img vhd vhdx"
_OTHERS = "exe lnk msi jar chm url slk doc docm xls xlsm pdf one mht eml uue"
_FILES = frozenset(f"{_ARCHIVES} {_OTHERS}".split())
_NAME = rb"\s{0,9}[\"'`][^\"'`<>\r\n]{1,120}\.([a-z0-9-]{2,20})[\"'`]"
_SAVED = (
    re.compile(rb"download[\"']?\s{0,9}[=:,]" + _NAME),
    re.compile(rb"saveas\([^;]{0,200}?," + _NAME),
)
"""The name under which a page saves what it builds."""
_MAX_SAVED = 10_000
"""Calls that save something, each with some hundred octets to look at."""
_PRINTABLE = bytes(range(32, 256)) + b"\t\r\n\f"
_LEAST_PAGE = 64
_LEAST_DATA = 1024
"""Octets of what is not known at all from which on it is taken for a file, not for a key or a token."""
_ROOM = 64 * MIB
_WORK, _LATE_WORK = 16, 64
"""What an octet of a script counts for, against the bound on work, and of one that is unwrapped twice."""
_DIGIT_WORK = 48
"""What a digit counts for beside: it may be of a number, which is read by itself."""
_LOOK_WORK = 4 * KIB
"""What an address counts for of which some hundred octets are looked at."""
_LITERAL_WORK = 32 * KIB
"""What a text that is decoded counts for: it is compared with all that is known, in several forms."""
_MAX_LAYERS = 100
_MAX_PREFIXES = 10
_MAX_HANDED = 200


class HtmlSmuggling:
    """Finds ``html-smuggling``, ``executable``, ``forced-authentication``; hands out what is written in pages
    as data."""

    name = "html-smuggling"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        if is_page(part) and (page := _Page(part, context)).of_interest:
            yield from page.look()


def is_page(part: Part) -> bool:
    """Whether a browser may be given this to show."""
    data = part.data
    if len(data) < _LEAST_PAGE:
        return False
    end = suffix(part.name) if part.name else ""
    if end in _PAGES:
        return True
    if b"\0" in data[:_LEAST_PAGE]:
        return False
    head = opening(data)
    if head.startswith(b"<?xml"):
        return _NAMESPACES.stand_in(data) and not _only_declares(data)
    if not head.startswith(b"<") and (not part.name or end in TO_READ):
        # A text may speak of pages; a mail's own is shown without running anything.
        return False
    return _SIGNS.stand_in(head)


def _only_declares(data: Content) -> bool:
    """Whether XML names the namespaces of web pages and has nothing in them, as flat OpenDocument does."""
    rest, prefixes = _PREFIXES.sub(b"", data), set(_PREFIXES.findall(data))
    if len(prefixes) > _MAX_PREFIXES or _NAMESPACES.stand_in(rest):
        return False
    return not any(b"<%s:" % prefix in data for prefix in prefixes)


def _runs(lower: bytes) -> bool:
    """Whether a page, in lower case, has scripts."""
    return b"script" in lower or _HANDLER.search(lower) is not None


def _is_obfuscated(lower: bytes) -> bool:
    """Whether a script, in lower case, has names as programs give them that hide what it does."""
    if lower.count(b"_0x") < _LEAST_OBFUSCATED:
        return False
    return len(_OBFUSCATED.findall(lower)) >= _LEAST_OBFUSCATED


class _Page:
    """One page and the texts that its scripts unwrap."""

    def __init__(self, part: Part, context: Context) -> None:
        self._part = part
        self._context = context
        # Browsers drop NULs.
        self._text = bytes(part.data).translate(None, b"\0") if b"\0" in part.data else bytes(part.data)
        self._lower = self._text.lower()
        self._script = _runs(self._lower)
        # A mail that is shown fetches nothing by itself.
        self._is_file = bool(part.name) or part.attached
        self._seen: set[tuple[int, bytes]] = set()
        self._known: list[bytes] = []
        self._unknown: list[bytes] = []
        self._builds = ""
        self._carried = ""
        self._more = False
        self._copies = False
        self._command = self._handler = self._share = ""
        # Honest data is smaller than the text it is written as; compressed data is not.
        self._room = _ROOM + 4 * len(self._text)
        self._file_name = ""
        self._script_name = ""

    @property
    def of_interest(self) -> bool:
        return (
            self._script
            or b"data:" in self._lower
            or page_acts.of_interest(self._lower)
            or _SPELT.search(self._lower) is not None
        )

    def look(self) -> Iterator[Found]:
        """What is written out in the page, and what is odd about that."""
        layers, budget = [self._text], self._context.budget
        for number, layer in enumerate(layers):
            cost = (_WORK if number < 2 else _LATE_WORK) * len(layer)
            if self._script:
                cost += _DIGIT_WORK * (len(layer) - len(layer.translate(None, b"0123456789")))
            cost += _LOOK_WORK * page_acts.looks(layer.lower() if number else self._lower)
            if not budget.exhausted and budget.take_work(cost):
                try:
                    self._read(layer, layers)
                except TooManyError:
                    self._more = True
            if budget.exhausted:
                yield self._part.unscanned("too-large", "scripts in a web page")
                break
            if self._room < 0:
                yield self._part.unscanned("too-large", "data in a web page")
                break
        yield from self._acts()
        if self._builds and self._carried:
            yield self._part.found("html-smuggling", f"{self._carried}, {self._builds}")
        elif self._more or len(layers) > _MAX_LAYERS:
            yield self._part.found("html-smuggling", "more than is looked at")
        for content in [*self._known, *self._unknown][:_MAX_HANDED]:
            yield self._child(content)
        if len(self._known) > _MAX_HANDED:
            yield self._part.unscanned("too-large", "files in a web page")

    def _acts(self) -> Iterator[Found]:
        """What the page does, and not its data."""
        if self._handler:
            yield self._part.found("executable", self._handler)
        if self._copies and self._command:
            yield self._part.found("executable", f"page that copies a command {self._command!r}")
        if self._share:
            yield self._part.found("forced-authentication", f"page asks {self._share[:200]}")

    def _note_acts(self, layer: bytes, text: bytes) -> None:
        """What a page does by its own text, and what it does by what its scripts unwrap.

        Arguments:
            text: as :func:`flat` makes it of ``layer``; a page that shows how something is written shows it.
        """
        page = layer is self._text
        lower = self._lower if page else layer.lower()
        tagged = page or b"<script" in lower
        code = flat(page_acts.scripts(lower)) if tagged else text.lower()
        shown = (lower, text.lower()) if page and _SPELT.search(lower) else (lower,)
        self._handler = self._handler or page_acts.handler(code, code=True)
        for place in shown:
            self._handler = self._handler or page_acts.handler(place)
        if self._is_file:
            for place in (*shown, code):
                self._share = self._share or page_acts.share(place)
        self._copies = self._copies or page_acts.copies(code)
        self._command = self._command or page_acts.command(code)

    def _read(self, layer: bytes, layers: list[bytes]) -> None:
        text = flat(layer)
        self._note_acts(layer, text)
        # Joined texts are no longer the words they were.
        self._note_code(layer)
        self._note_code(text)
        for kind, content in data_urls(text, shown=bool(self._builds)):
            if self._is_new(content):
                self._sort(content, False, layers, link="html" not in kind)
        if not self._script:
            return
        for content in octets(layer):
            if self._is_new(content):
                self._sort(content, False, layers)
        for content in turned_round(layer):
            if self._is_new(content):
                self._sort(content, True, layers)
        for content, data in literals(text, replacements(layer)):
            if self._is_new(content):
                self._sort(content, data, layers)
            if self._room < 0 or not self._context.budget.take_work(least=_LITERAL_WORK):
                return
        if self._builds and not self._carried and (size := dense_text(layer)):
            self._carried = f"{size} characters of unknown data"
        if b"%" in text and any(word in text.lower() for word in _LAYERED):
            plain = unquoted(text)
            if len(plain) < len(text) and self._is_new(plain):
                self._add_layer(plain, layers)

    def _add_layer(self, text: bytes, layers: list[bytes]) -> None:
        if len(layers) <= _MAX_LAYERS:
            layers.append(text)

    def _note_code(self, text: bytes) -> None:
        lower = text.lower()
        self._script = self._script or _runs(lower)
        for word in _BUILDS:
            if word in lower:
                self._builds = self._builds or word.decode()
        saves = b"download" in lower and _DOWNLOAD.search(lower) is not None
        if not self._builds and saves and (b"blob" in lower or b"data:" in lower):
            self._builds = "download"
        if not self._builds and _is_obfuscated(lower[:65536]):
            self._builds = "obfuscated script"
        for match in _NAMES.finditer(text) if self._builds or saves else ():
            end = match[2].decode("latin-1").lower()
            name = match[1].decode("utf-8", "replace")
            if end in SUFFIXES and not self._script_name:
                self._script_name = name
            if end in _FILES and not self._file_name:
                self._file_name = name
        if self._builds and self._script_name and not self._carried:
            self._more = self._more or lower.count(b"saveas(") > _MAX_SAVED
            patterns = _SAVED[:1] if self._more else _SAVED
            ends = (match[1].decode("latin-1") for saved in patterns for match in saved.finditer(lower))
            end = next((end for end in ends if end in SUFFIXES), "")
            self._carried = f"a script .{end}" if end else ""

    def _is_new(self, content: bytes) -> bool:
        key = (len(content), content[:64])
        if len(content) < 16 or key in self._seen:
            return False
        self._seen.add(key)
        self._room -= len(content)
        return True

    def _sort(self, content: bytes, data: bool, layers: list[bytes], link: bool = False) -> None:
        """Take content for text to be read on, for something to be scanned, or for nothing of interest.

        Arguments:
            data: what nothing is known of may be a file that is encrypted.
            link: it may be saved without a script.
        """
        shown = content.startswith(SHOWN)
        if shown and not self._builds:
            return
        if kind := kind_of(content) or archive_kind(content):
            self._carried = self._carried or f"{len(content)} octets, {kind}"
            if link and not self._script:
                self._builds = self._builds or "link"
            self._known.append(content)
        elif shown:
            return
        elif not content.translate(None, _PRINTABLE):
            # A page or script of its own, whatever it may carry.
            self._add_layer(content, layers)
            if self._script_name or self._file_name:
                self._unknown.append(content)
        elif data and len(content) >= _LEAST_DATA:
            self._carried = self._carried or f"{len(content)} octets of unknown data"
            self._unknown.append(content)

    def _child(self, content: bytes) -> Part:
        """The content under the name that a script saves it by; a text under that of a script if it can."""
        names = [self._file_name, self._script_name]
        if not content[:4096].translate(None, _PRINTABLE):
            names.reverse()
        name = names[0] or names[1]
        if name and self._builds:
            return self._part.child(name, content)
        return self._part.piece("data in a web page", content)
