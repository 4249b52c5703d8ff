"""Walks a message's structure (RFC 2046) and hands out its decoded leaf parts, one at a time.

Union scanning: where a message can be read in several ways (headers that stand twice, several boundaries,
parts before the first or after the last delimiter, a missing end), every reading is handed out and the
entity is found ``mime-ambiguous``. Names and declared types never decide what a part is.

Time is linear in the message: levels, parts, header sizes and the number of passes over it are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from contentfilter.limits import KIB, MIB, Budget
from contentfilter.message import encodings
from contentfilter.message.header import Header, boundaries, parse
from contentfilter.message.wire import BytesWire, Wire
from contentfilter.part import Content, Found, Part, base_name, clean_name
from mailbase.vocabulary import Finding, Unscanned

AMBIGUOUS = "mime-ambiguous"

_EMPTY_LINE = re.compile(rb"\n\r?\n")
_HEAD_STEP = 8 * 1024
_HIDDEN = re.compile(rb"[\r\n]content-(?:type|transfer-encoding|disposition)[ \t]*:")
_MESSAGES = frozenset({"message/rfc822", "message/global", "message/news", "message/x-rfc822"})
_FIRST_WINDOW, _WINDOW = 4 * KIB, MIB
_LINE_WORK = 4 * KIB
"""What a line that looks like structure counts for, against the bound on work."""


class MessageReader:
    """Reads one message.

    Arguments:
        wire: where its octets are.
        budget: bounds; parts are counted here.
        path: what stands before the part numbers, ``2/mail.eml``; empty for the mail itself.
        depth: containers around this message, for the parts handed out.
    """

    def __init__(self, wire: Wire, budget: Budget, path: str = "", depth: int = 0) -> None:
        self._wire = wire
        self._budget = budget
        self._prefix = path + "/" if path else ""
        self._root = path
        self._depth = depth
        self._seen: set[tuple[int, int, str]] = set()

    def read(self) -> Iterator[Found]:
        """The leaf parts in their order, with what is odd about the structure.

        A part's path is its number (``2.1``: first part of the second), followed by its file name. The next
        part is decoded when it is asked for, so only one is in memory.
        """
        yield from self._entity(0, self._wire.length, "", 0, message=True)
        if self._budget.exhausted and not self._depth:
            yield Finding("too-large", self._root, "structure")
            yield Unscanned(self._root, "too-large", "too many ways to read this message")

    # One entity: header, body, and the readings of it.

    def _entity(
        self, start: int, end: int, number: str, level: int, message: bool = False
    ) -> Iterator[Found]:
        if not self._take(start, end, "message" if message else "entity"):
            return
        header, body, too_large = self._header(start, end)
        if too_large:
            yield Finding("too-large", self._path(number), "header block")
            yield Unscanned(self._path(number), "too-large", "header block")
        yield from self._body(header, body, end, number, level, message)

    def _take(self, start: int, end: int, reading: str) -> bool:
        """Whether this reading of this stretch is new and there is work left to spend on it."""
        if (start, end, reading) in self._seen:
            return False
        self._seen.add((start, end, reading))
        return self._budget.take_work(end - start)

    def _header(self, start: int, end: int) -> tuple[Header, int, bool]:
        """The header at start, where the body begins, and whether the header was too large to parse whole."""
        limit = self._budget.options.header_size
        for size in (_HEAD_STEP, limit):
            block = self._wire.text(start, min(end, start + size))
            if block.startswith((b"\n", b"\r\n")):
                return parse(b""), start + block.index(b"\n") + 1, False
            if match := _EMPTY_LINE.search(block):
                # Dots taken out before this place shift it; only a stuffed header line does that.
                body = self._after_empty_line(start, end, match)
                return parse(block[: match.start() + 1]), body, False
            if start + size >= end:
                return parse(block), end, False
        body = self._after_empty_line(start + limit - 4, end, None)
        return parse(block), body, True

    def _after_empty_line(self, start: int, end: int, match: re.Match[bytes] | None) -> int:
        if match is not None and self._wire.raw(start + match.start(), start + match.end()) == match[0]:
            return start + match.end()
        places = [
            at + len(empty)
            for empty in (b"\n\r\n", b"\n\n")
            if (at := self._wire.find(empty, start, end)) >= 0
        ]
        return min(places, default=end)

    def _body(
        self, header: Header, start: int, end: int, number: str, level: int, message: bool
    ) -> Iterator[Found]:
        path = self._path(number)
        if level > self._budget.options.mime_depth:
            yield Finding("too-deep", path)
            yield Unscanned(path, "too-deep", f"more than {self._budget.options.mime_depth} levels of MIME")
            return
        for oddity in header.oddities:
            yield Finding(AMBIGUOUS, path, oddity)
        leaf = not header.types
        for value, kind in zip(header.types, header.media_types, strict=True):
            if kind.startswith("multipart/") or (b"boundary" in value.lower() and "/" not in kind):
                yield from self._multipart(header, value, start, end, number, level)
            elif kind in _MESSAGES:
                yield from self._attached(header, start, end, number, level)
            elif kind == "message/partial":
                yield Unscanned(path, "unsupported", "message/partial: a piece of a message")
            else:
                leaf = True
        if leaf:
            if message:
                number = f"{number}.1" if number else "1"
            yield from self._leaf(header, start, end, number)

    def _attached(self, header: Header, start: int, end: int, number: str, level: int) -> Iterator[Found]:
        for encoding in header.encodings:
            if encoding == "identity":
                yield from self._entity(start, end, number, level + 1, message=True)
                continue
            # RFC 2046 5.2.1 forbids to encode an attached message; clients decode it all the same.
            for data in self._decode(start, end, encoding):
                inner = MessageReader(BytesWire(data), self._budget, self._path(number), self._depth)
                yield from inner._entity(0, len(data), "", level + 1, message=True)

    # Multipart.

    def _multipart(
        self, header: Header, value: bytes, start: int, end: int, number: str, level: int
    ) -> Iterator[Found]:
        path = self._path(number)
        wire = self._wire
        present = [boundary for boundary in boundaries(value) if wire.find(b"--" + boundary, start, end) >= 0]
        present = [b for b in present if next(self._delimiters(b, start, end), None) is not None]
        if not present and (guess := self._guess(start, end)):
            yield Finding(AMBIGUOUS, path, "multipart whose boundary is not declared")
            present = [guess]
        if len(present) > 1:
            yield Finding(AMBIGUOUS, path, "several boundaries")
        for boundary in present:
            if self._take(start, end, "multipart:" + boundary.decode("latin-1")):
                yield from self._parts(boundary, start, end, number, level)
        encoded = False
        for encoding in header.encodings:
            # RFC 2045 6.4 allows only identity encodings here; a client may decode first.
            for data in self._decode(start, end, encoding) if encoding != "identity" else ():
                if b"\n--" in data or data.startswith(b"--"):
                    encoded = True
                    yield Finding(AMBIGUOUS, path, "multipart that is encoded")
                    inner = MessageReader(BytesWire(data), self._budget, path, self._depth)
                    plain = Header(types=[value], encodings=["identity"])
                    yield from inner._body(plain, 0, len(data), "", level + 1, message=False)
        if not present and not encoded and wire.raw(start, min(end, start + 200)).strip():
            yield Finding(AMBIGUOUS, path, "multipart without a delimiter")
            yield from self._leaf(header, start, end, f"{number}.1" if number else "1")

    def _parts(self, boundary: bytes, start: int, end: int, number: str, level: int) -> Iterator[Found]:
        path, count, opened, closed = self._path(number), 0, -1, False
        prefix = number + "." if number else ""
        outside = start
        for line, after, closing in self._delimiters(boundary, start, end):
            stop = max(outside, self._before_line_end(line, max(outside, opened)))
            if opened >= 0:
                count += 1
                yield from self._entity(opened, max(opened, stop), f"{prefix}{count}", level + 1)
            else:
                yield from self._outside(outside, stop, f"{prefix}{count + 1 if closed else 0}")
            if closed and not closing:
                yield Finding(AMBIGUOUS, path, "a part after the closing delimiter")
            if closing:
                opened, closed, outside = -1, True, after
            else:
                opened = after
            if self._budget.exhausted:
                return
        if opened >= 0:
            if not closed:
                yield Finding(AMBIGUOUS, path, "no closing delimiter")
            count += 1
            yield from self._entity(opened, end, f"{prefix}{count}", level + 1)
        else:
            yield from self._outside(outside, end, f"{prefix}{count + 1}")

    def _delimiters(self, boundary: bytes, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
        """Delimiter lines (RFC 2046 5.1.1): where each and its next line begin, whether it closes."""
        wire, dashed = self._wire, b"--" + boundary
        needle = b"\n" + dashed
        size = len(dashed)
        line = start if wire.raw(start, start + size) == dashed else -1
        if line < 0:
            at = wire.find(needle, start, end)
            line = at + 1 if at >= 0 else -1
        while line >= 0 and self._budget.take_work(least=_LINE_WORK):
            rest = wire.raw(line + size, min(end, line + size + 1000))
            stop = rest.find(b"\n")
            tail = rest[:stop] if stop >= 0 else rest
            after = line + size + (stop + 1 if stop >= 0 else len(rest))
            if tail.startswith(b"--"):
                yield line, after, True
            elif not tail.strip(b" \t\r\0"):
                yield line, after, False
            at = wire.find(needle, max(line, after - 1), end)
            line = at + 1 if at >= 0 else -1

    def _before_line_end(self, line: int, floor: int) -> int:
        """The line end before a delimiter belongs to the delimiter."""
        if line - 1 < floor:
            return line
        return line - 2 if self._wire.raw(line - 2, line) == b"\r\n" and line - 2 >= floor else line - 1

    def _guess(self, start: int, end: int) -> bytes:
        """The boundary of a multipart that declares none: the first line that begins with two hyphens."""
        at = start if self._wire.raw(start, start + 2) == b"--" else self._wire.find(b"\n--", start, end) + 1
        if at < start or (at == start and self._wire.raw(start, start + 2) != b"--"):
            return b""
        line = self._wire.raw(at + 2, min(end, at + 202)).split(b"\n")[0]
        line = line.rstrip(b" \t\r").removesuffix(b"--")
        return line if line.strip(b"-_=* ") and b" " not in line else b""

    def _outside(self, start: int, end: int, number: str) -> Iterator[Found]:
        """Text before the first delimiter or after the last: clients hide it, or take it for parts."""
        if end - start < 40:
            return
        found = False
        for item in self._hidden(start, end, number):
            found = True
            yield item
        if not found and end - start <= 4 * MIB:
            for name, content in self._old_encodings(self._wire.text(start, end)):
                found = True
                yield self._part(number, name, content)
        if found:
            yield Finding(AMBIGUOUS, self._path(number), "a part outside the delimiters")

    # Leaves.

    def _leaf(self, header: Header, start: int, end: int, number: str) -> Iterator[Found]:
        for encoding in header.encodings:
            if not self._take(start, end, encoding):
                continue
            yield from self._content(header.name, start, end, encoding, number)
            # A colon is in no base64: then no header hides in it.
            if encoding == "base64" and self._wire.find(b":", start, end) < 0:
                continue
            found = False
            for item in self._hidden(start, end, number):
                found = True
                yield item
            if found and encoding == "base64":
                yield Finding(AMBIGUOUS, self._path(number), "a part inside base64")

    def _content(self, name: str, start: int, end: int, encoding: str, number: str) -> Iterator[Found]:
        if 0 < self._budget.options.leaf_size < end - start:
            yield self._part(number, name, b"")
            return
        if encoding == "base64":
            readings, complete = encodings.base64_readings(self._wire, start, end)
            if len(readings) > 1:
                yield Finding(AMBIGUOUS, self._path(number), "base64 that goes on after its padding")
            if not complete:
                yield Unscanned(self._path(number), "malformed", "base64 in too many pieces")
        else:
            readings = self._decode(start, end, encoding)
        while readings:
            data = readings.pop(0)
            yield self._part(number, name, data)
            for inner_name, content in self._old_encodings(data):
                yield self._part(self._name(number, name), inner_name, content)
            del data

    def _hidden(self, start: int, end: int, number: str) -> Iterator[Found]:
        """Parts whose header stands in the midst of text, as in quoted or damaged messages.

        Each reaches to the next header or hyphens. Inner structure needs no care: every header in it is met.
        """
        line = self._find_header(max(start - 1, 0), end)
        while line >= 0 and not self._budget.exhausted:
            if not self._budget.take_work():
                return
            header, body, _large = self._header(line, end)
            following = self._find_header(max(body - 1, line + 9), end)
            stop = following if following >= 0 else end
            hyphens = self._wire.find(b"\n--", max(line, body - 1), stop)
            stop = hyphens if hyphens >= 0 else stop
            for encoding in header.encodings:
                if body < stop and self._take(body, stop, encoding):
                    yield from self._content(header.name, body, stop, encoding, number)
            line = following

    def _find_header(self, start: int, end: int) -> int:
        """Where the first line after start begins that is a Content field; -1 for none."""
        size = _FIRST_WINDOW
        while start < end:
            stop = min(end, start + size)
            size = min(4 * size, _WINDOW)
            window = self._wire.raw(start, min(end, stop + 40)).lower()
            if b"content-" in window and (match := _HIDDEN.search(window)):
                return start + match.start() + 1
            start = stop
        return -1

    def _decode(self, start: int, end: int, encoding: str) -> list[bytes | bytearray]:
        match encoding:
            case "base64":
                return encodings.base64_readings(self._wire, start, end)[0]
            case "quoted-printable":
                return [encodings.quoted_printable(self._wire, start, end)]
            case "uuencode":
                return [encodings.uuencode_body(self._wire.text(start, end))]
            case _:
                return [self._wire.text(start, end)]

    def _old_encodings(self, data: Content) -> Iterator[tuple[str, bytes]]:
        """Files that stand inside text the way it was before MIME."""
        for needle, decode in ((b"begin", encodings.uuencoded), (b"=ybegin ", encodings.yencoded)):
            if needle in data:
                for name, content in decode(data):
                    if not self._budget.take_work(least=_LINE_WORK):
                        return
                    if content:
                        yield name.strip().decode("utf-8", "replace"), content

    def _part(self, number: str, name: str, data: Content) -> Part:
        return Part(self._path(self._name(number, name)), data, self._depth, name=base_name(name))

    def _name(self, number: str, name: str) -> str:
        return f"{number}/{clean_name(name)}" if name else number

    def _path(self, number: str) -> str:
        return self._prefix + number if number else self._root
