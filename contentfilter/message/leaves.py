"""The content of leaf parts, decoded in every way, and what hides in text that is none of the structure."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterator

from contentfilter.content.limits import KIB, MIB, Budget
from contentfilter.content.part import Content, Found, Part, base_name, clean_name
from contentfilter.message import base64text, encodings
from contentfilter.message.header import Header, parse
from contentfilter.message.oldfiles import binhexed, files_in_text, uuencode_body
from contentfilter.message.variants import is_strange
from contentfilter.message.wire import Wire
from mailbase.vocabulary import Finding, Unscanned

AMBIGUOUS = "mime-ambiguous"

_EMPTY_LINE = re.compile(rb"\n\r?\n")
_HEAD_STEP = 8 * KIB
_HIDDEN = re.compile(
    rb"[\r\n](?:[ \t\v\f:]{0,20}|--[^\r\n]{1,250}?)(content-(?:type|transfer-encoding|disposition)"
    rb"[ \t]*(?:\([^()\r\n]{0,60}\))?(?:[ \t]|\r?\n[ \t]){0,40}:)"
)
_MAX_SIGNATURES = 50
"""Lines of two hyphens, as stand before signatures, that are passed over."""
_FIRST_WINDOW, _WINDOW = 4 * KIB, MIB
_PIECE_WORK = KIB
"""What a piece of base64 that is decoded by itself counts for, against the bound on work."""
_FILE_WORK = 12 * KIB
"""What a file in a text counts for: some ten microseconds, whatever is in it."""
_ESCAPE_WORK = 128
"""What an escape counts for where some are broken."""
_MAX_TEXT = 64 * MIB
"""Text of this size is looked into for files and for broken escapes."""
_TELLING = 512
"""Octets that tell text from other content."""
_CONTROLS = bytes(set(range(0x20)) - set(b"\t\n\v\f\r\x1b"))
_FEW = 16
"""Controls among them that text may have by mistake."""
_LEAST_OUTSIDE = 40
_WITH_LINES = frozenset({"identity", "quoted-printable"})


class Leaves:
    """Reads what has no parts, and keeps account of what has been read.

    Arguments:
        wire: where the message's octets are.
        budget: bounds.
        path: what stands before the part numbers; empty for the mail itself.
        depth: containers around this message, for the parts handed out.
        known: digests of contents that were handed out, where a second reading is to bring new ones only; a
            set for each reading within another.

    Attributes:
        plain: the part that was handed out last is text without a name, as it stands or declared as text.
        strange: NUL or bare CR stand where programs may take them for structure.
    """

    def __init__(self, wire: Wire, budget: Budget, path: str, depth: int, known: list[set[bytes]]) -> None:
        self.wire = wire
        self.budget = budget
        self.depth = depth
        self.known = known
        self._root = path
        self._prefix = path + "/" if path else ""
        self._seen: set[tuple[int, int, str]] = set()
        self.plain = False
        self.strange = False
        self._pure = False
        self._overlooked = False

    def take(self, start: int, end: int, reading: str) -> bool:
        """Whether this reading of this stretch is new and there is work left to spend on it."""
        if (start, end, reading) in self._seen:
            return False
        self._seen.add((start, end, reading))
        return self.budget.take_work(end - start)

    def path(self, number: str) -> str:
        """The path of the part with this number; of the message itself for none."""
        return self._prefix + number if number else self._root

    def ambiguous(self, number: str, detail: str) -> Finding:
        return Finding(AMBIGUOUS, self.path(number), detail)

    # Readings that are compared.

    def unless_plain(self, items: Iterator[Found], number: str, why: str) -> Iterator[Found]:
        """``items``, and that there is doubt if any of them is more than text without a name."""
        plain = True
        for item in items:
            plain = plain and (self.plain or not isinstance(item, Part))
            yield item
        if not plain:
            yield self.ambiguous(number, why)

    def noting(self, items: Iterator[Found]) -> Iterator[Found]:
        """``items``, whose contents are known from now on."""
        for item in items:
            if isinstance(item, Part):
                self.known[-1].update(_digests(item))
            yield item

    def doubted(self, items: Iterator[Found], number: str, why: str) -> Iterator[Found]:
        """What is new in ``items``, a reading that only some clients have, and that it is."""
        surprise, new = False, set[bytes]()
        before = len(self.known)
        # A reading within it has its own memory, so that what it notes is still new out here.
        self.known.append(set())
        for item in items:
            if isinstance(item, Part):
                exact, cleared = _digests(item)
                known = (new, *self.known[:before])
                alike = any(cleared in digests for digests in known)
                if alike and (self.plain or any(exact in digests for digests in known)):
                    continue
                surprise = surprise or not (self.plain or alike)
                new |= {exact, cleared}
            yield item
        del self.known[before:]
        self.known[-1] |= new
        if surprise:
            yield self.ambiguous(number, why)

    # Leaves.

    def leaf(self, header: Header, start: int, end: int, number: str) -> Iterator[Found]:
        """The content from start to end, in every encoding that its header may mean."""
        for encoding in header.encodings:
            if not self.take(start, end, encoding):
                continue
            self._pure = False
            yield from self.content(header, start, end, encoding, number)
            # A colon is in no base64: then no header hides in it.
            if encoding == "base64" and (self._pure or self.wire.find(b":", start, end) < 0):
                continue
            found = False
            for item in self.hidden(start, end, number):
                found = True
                yield item
            if found and encoding == "base64":
                yield self.ambiguous(number, "a part inside base64")

    def content(self, header: Header, start: int, end: int, encoding: str, number: str) -> Iterator[Found]:
        """One reading of a leaf, and the files that stand inside its text."""
        text: Content = b""
        if 0 < self.budget.options.leaf_size < end - start:
            yield self.part(number, header.name, b"", media=header.media_type, attached=header.attached)
            return
        if encoding == "base64":
            decoded = self._base64(start, end)
            if decoded.doubtful:
                yield self.ambiguous(number, "base64 that programs decode differently")
            yield from self.overlooked(number)
            readings: Iterator[Content | Finding] = _drained(decoded.readings)
            self._pure = decoded.pure
            self.budget.take_work(_PIECE_WORK * decoded.steps)
            if (decoded.odd or decoded.doubtful) and end - start <= _MAX_TEXT:
                text = self.wire.text(start, end)
        else:
            readings = self._in_turn(start, end, encoding, number)
        name, charset, media = header.name, header.charset, header.media_type
        while (data := next(readings, None)) is not None:
            if isinstance(data, Finding):
                yield data
                continue
            yield self.part(number, name, data, charset, encoding, media, header.attached)
            if encoding != "base64" or media.startswith("text/") or not _is_binary(data):
                yield from self._files(data, number, name)
            del data
        if text:
            self.strange = self.strange or is_strange(bytes(text))
            yield from self._files(text, number, name)

    def _in_turn(self, start: int, end: int, encoding: str, number: str) -> Iterator[Content | Finding]:
        """What programs make of this stretch, but for base64: each reading once, one at a time in memory."""
        readings, others = self.decode(start, end, encoding), None
        if encoding == "identity":
            self.strange = self.strange or any(map(is_strange, readings))
        elif encoding == "quoted-printable" and b"=" in (raw := self._short_text(start, end)):
            self.strange = self.strange or is_strange(raw)
            others, doubtful = encodings.other_readings(raw)
            if others:
                self.budget.take_work(_ESCAPE_WORK * raw.count(b"="))
            if doubtful:
                yield self.ambiguous(number, "broken quoted-printable")
        several, minded, known = others is not None or len(readings) > 1, False, set[bytes]()
        for data in itertools.chain(_drained(readings), others or ()):
            minded = minded or (encoding in _WITH_LINES and b"\r\n" in data and _minds_lines(data))
            if several or minded:
                digest = hashlib.blake2b(data, digest_size=16).digest()
                if digest in known:
                    continue
                known.add(digest)
            yield data
        if minded:
            for data in encodings.with_line_feeds(self._short_text(start, end), encoding):
                if data and hashlib.blake2b(data, digest_size=16).digest() not in known:
                    yield data

    def _short_text(self, start: int, end: int) -> bytes:
        return self.wire.text(start, end) if end - start <= _MAX_TEXT else b""

    def _files(self, text: Content, number: str, name: str) -> Iterator[Found]:
        """Files that stand inside text the way it was before MIME."""
        for inner, content in files_in_text(text):
            if not self.budget.take_work(least=_FILE_WORK):
                return
            if content:
                self.plain = False
                inner_name = inner.strip().decode("utf-8", "replace")
                yield self.part(self._name(number, name), inner_name, content)

    def decode(self, start: int, end: int, encoding: str) -> list[bytes | bytearray]:
        """What programs make of this stretch in this encoding."""
        match encoding:
            case "base64":
                return self._base64(start, end).readings
            case "quoted-printable":
                return [encodings.quoted_printable(self.wire, start, end)]
            case "uuencode":
                return [*uuencode_body(self.wire.text(start, end))]
            case "binhex":
                return [content for _name, content in binhexed(self._short_text(start, end)) if content]
            case _:
                return [self.wire.text(start, end)]

    def _base64(self, start: int, end: int) -> base64text.Base64:
        decoded = base64text.decode(self.wire, start, end)
        self._overlooked = self._overlooked or not decoded.complete
        return decoded

    def overlooked(self, number: str) -> Iterator[Found]:
        """That not all was decoded that programs may make of a part, if it was not."""
        if self._overlooked:
            yield Unscanned(self.path(number), "too-large", "base64 in too many pieces")
        self._overlooked = False

    def part(
        self,
        number: str,
        name: str,
        data: Content,
        charset: str = "",
        encoding: str = "",
        media: str = "",
        attached: bool = False,
    ) -> Part:
        """A part to be scanned."""
        self.plain = not name and (encoding == "identity" or (media.startswith("text/") and not attached))
        path = self.path(self._name(number, name))
        return Part(
            path,
            data,
            self.depth,
            name=base_name(name),
            charset=charset,
            media=media,
            encoding=encoding,
            attached=attached,
        )

    def _name(self, number: str, name: str) -> str:
        return f"{number}/{clean_name(name)}" if name else number

    # What lies outside the structure.

    def outside(self, start: int, end: int, number: str) -> Iterator[Found]:
        """Text before the first delimiter or after the last: clients hide it, or take it for parts."""
        self.strange = self.strange or is_strange(self.wire.raw(start, min(end, start + MIB)))
        if end - start < _LEAST_OUTSIDE:
            return
        found = False
        for item in self.hidden(start, end, number):
            found = True
            yield item
        if not found:
            for item in self._files(self._short_text(start, end), number, ""):
                found = True
                yield item
        if found:
            yield self.ambiguous(number, "a part outside the delimiters")

    def hidden(self, start: int, end: int, number: str) -> Iterator[Found]:
        """Parts whose header stands in the midst of text, as in quoted or damaged messages.

        Each reaches to the next header or hyphens. Inner structure needs no care: every header in it is met.
        """
        line = self._find_header(max(start - 1, 0), end)
        while line >= 0 and not self.budget.exhausted:
            if not self.budget.take_work():
                return
            header, body, _large = self.header(line, end)
            following = self._find_header(max(body - 1, line + 9), end)
            stop = following if following >= 0 else end
            stop = self._find_hyphens(max(line, body - 1), stop)
            early = line + header.early_end if header.early_end > 0 else body
            for begin in dict.fromkeys((body, early)):
                for encoding in header.encodings:
                    if begin < stop and self.take(begin, stop, encoding):
                        yield from self.content(header, begin, stop, encoding, number)
            line = following

    def _find_hyphens(self, start: int, end: int) -> int:
        """Where the line end stands that may belong to a delimiter; the end for none."""
        for _signature in range(_MAX_SIGNATURES):
            at = self.wire.find(b"\n--", start, end)
            if at < 0:
                return end
            if self.wire.raw(at + 3, min(end, at + 80)).split(b"\n", 1)[0].strip():
                return at
            start = at + 1
        return start - 1

    def _find_header(self, start: int, end: int) -> int:
        """Where the first Content field begins in a line after start; -1 for none."""
        size = _FIRST_WINDOW
        while start < end:
            stop = min(end, start + size)
            size = min(4 * size, _WINDOW)
            window = self.wire.raw(start, min(end, stop + 60)).lower()
            if b"content-" in window and (match := _HIDDEN.search(window)):
                return start + match.start(1)
            start = stop
        return -1

    def header(self, start: int, end: int) -> tuple[Header, int, bool]:
        """The header at start, where the body begins, and whether the header was too large to parse whole."""
        limit = self.budget.options.header_size
        for size in (_HEAD_STEP, limit):
            block = self.wire.text(start, min(end, start + size))
            if block.startswith((b"\n", b"\r\n")):
                return parse(b""), start + block.index(b"\n") + 1, False
            if match := _EMPTY_LINE.search(block):
                # Dots taken out before this place shift it; only a stuffed header line does that.
                body = self._after_empty_line(start, end, match)
                header = self._parsed(block[: match.start() + 1])
                return header, body, header.crowded
            if start + size >= end:
                header = self._parsed(block)
                return header, end, header.crowded
        body = self._after_empty_line(start + limit - 4, end, None)
        return self._parsed(block), body, True

    def _parsed(self, block: bytes) -> Header:
        header = parse(block)
        self.strange = self.strange or header.strange
        return header

    def _after_empty_line(self, start: int, end: int, match: re.Match[bytes] | None) -> int:
        if match is not None and self.wire.raw(start + match.start(), start + match.end()) == match[0]:
            return start + match.end()
        places = [
            at + len(empty)
            for empty in (b"\n\r\n", b"\n\n")
            if (at := self.wire.find(empty, start, end)) >= 0
        ]
        return min(places, default=end)


def _drained(readings: list[Content]) -> Iterator[Content]:
    """The readings, of which none is kept."""
    while readings:
        yield readings.pop(0)


def _is_binary(data: Content) -> bool:
    """Whether this is nothing that a program would show as text, to judge by how it begins."""
    head = data[:_TELLING]
    return b"\0" in head or len(head) - len(head.translate(None, _CONTROLS)) > _FEW


def _minds_lines(data: Content) -> bool:
    """Whether it makes a difference how the lines of this end."""
    return data.startswith(b"%PDF") or _is_binary(data)


def _digests(part: Part) -> tuple[bytes, bytes]:
    """Tells parts apart: by their name and content, and by content but for the octets that
    :mod:`contentfilter.message.variants` clears away. In text they make no difference to anybody; a program
    begins elsewhere without them. What runs is told by its name alone where it is text.

    Within containers they never count: readings within readings of some hundred octets would be thousands.
    """
    cleared = part.data.translate(None, b"\r\n\0")
    exact = hashlib.blake2b(cleared if part.depth else part.data, digest_size=16, person=b"exact")
    exact.update(b"\n" + part.name.encode("utf-8", "replace"))
    return exact.digest(), hashlib.blake2b(cleared, digest_size=16).digest()
