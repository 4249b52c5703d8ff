"""Walks a message's structure (RFC 2046) and hands out its decoded leaf parts, one at a time.

Union scanning: where a message can be read in several ways (headers that stand twice, several boundaries,
parts before the first or after the last delimiter), every reading is handed out and the entity is found
``mime-ambiguous``. Oddities that make no difference to what clients show are no finding. Names and declared
types never decide what a part is.

Time is linear in the message: levels, parts, header sizes and the number of passes over it are bounded.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from contentfilter.content.limits import Budget
from contentfilter.content.part import Found
from contentfilter.message.boundary import boundaries
from contentfilter.message.delimiters import Kind, before_line_end, dash_lines, delimiters, opens
from contentfilter.message.header import Header, parse
from contentfilter.message.leaves import AMBIGUOUS, Leaves
from contentfilter.message.variants import MAX_SIZE, in_structure, variants
from contentfilter.message.wire import BytesWire, Wire
from mailbase.vocabulary import Finding, Unscanned

__all__ = ["AMBIGUOUS", "MessageReader"]

_MESSAGES = frozenset({"message/rfc822", "message/global", "message/news", "message/x-rfc822"})
_AFTER_BLANK = re.compile(rb"\s*([!-9;-~]{1,60}:)")
_DIGEST = "message/rfc822"


class MessageReader:
    """Reads one message.

    Arguments:
        wire: where its octets are.
        budget: bounds; parts are counted here.
        path: what stands before the part numbers, ``2/mail.eml``; empty for the mail itself.
        depth: containers around this message, for the parts handed out.
        known: digests of contents that are known from another reading of the same message.
    """

    def __init__(
        self,
        wire: Wire,
        budget: Budget,
        path: str = "",
        depth: int = 0,
        known: list[set[bytes]] | None = None,
    ) -> None:
        self._wire = wire
        self._budget = budget
        self._root = path
        self._depth = depth
        self._leaves = Leaves(wire, budget, path, depth, known or [set()])

    def read(self) -> Iterator[Found]:
        """The leaf parts in their order, with what is odd about the structure.

        A part's path is its number (``2.1``: first part of the second), followed by its file name. The next
        part is decoded when it is asked for, so only one is in memory.
        """
        yield from self._entity(0, self._wire.length, "", 0, message=True)
        if self._leaves.strange:
            yield from self._strange()
        if self._budget.exhausted and not self._depth:
            yield Finding("too-large", self._root, "structure")
            yield Unscanned(self._root, "too-large", "too many ways to read this message")

    def _strange(self, level: int = 0) -> Iterator[Found]:
        """What a message with NUL or bare CR is for those who clear them away."""
        if self._wire.length > MAX_SIZE:
            yield Finding(AMBIGUOUS, self._root, "NUL or bare CR")
            yield Unscanned(self._root, "malformed", "too large to be read without its NUL and bare CR")
            return
        whole = self._wire.text(0, self._wire.length)
        if in_structure(whole):
            yield Finding(AMBIGUOUS, self._root, "NUL or bare CR in the structure")
        # Once more, to know what has been handed out: mails like this are rare.
        again = self._reader(BytesWire(whole), self._root)
        for _item in again._leaves.noting(again._entity(0, len(whole), "", level, message=True)):
            pass
        for data in variants(whole):
            inner = self._reader(BytesWire(data), self._root)
            items = inner._entity(0, len(data), "", level, message=True)
            yield from inner._leaves.doubted(items, "", "NUL or bare CR in the structure")

    def _reader(self, wire: Wire, path: str) -> MessageReader:
        """For another form of this message, or one in it."""
        return MessageReader(wire, self._budget, path, self._depth, self._leaves.known)

    # One entity: header, body, and the readings of it.

    def _entity(
        self, start: int, end: int, number: str, level: int, message: bool = False, default: str = ""
    ) -> Iterator[Found]:
        if not self._leaves.take(start, end, "message" if message else "entity"):
            return
        header, body, too_large = self._leaves.header(start, end)
        if too_large:
            yield Finding("too-large", self._leaves.path(number), "header block")
            yield Unscanned(self._leaves.path(number), "too-large", "header block")
        items = self._body(header, body, end, number, level, message, default)
        other: Iterator[Found] | None = None
        if header.early_end >= 0:
            early = parse(header.block[: header.early_end])
            if not early.agrees(header):
                yield self._leaves.ambiguous(number, "MIME fields after a line that is no header field")
            # The line may count to the body, or part it from the header.
            first = start + header.early_end
            second = self._wire.find(b"\n", first, end) + 1
            other = itertools.chain.from_iterable(
                self._body(early, at, end, number, level, message, default)
                for at in ((first, second) if second else (first,))
            )
        elif message and not header.block and (blank := self._blank(body, end)):
            other = self._entity(blank, end, number, level, message)
        if other is None:
            yield from items
        else:
            yield from self._leaves.noting(items)
            if header.early_end < 0:
                yield self._leaves.ambiguous(number, "an empty line before the header")
            yield from self._leaves.doubted(other, number, "a line in the header that is none of it")

    def _blank(self, body: int, end: int) -> int:
        """Where a message begins that has empty lines in front of its header; 0 if there is none."""
        head = self._wire.raw(body, min(end, body + 2000))
        found = _AFTER_BLANK.match(head)
        return body + found.start(1) if found and b"\ncontent-" in head.lower() else 0

    def _body(
        self, header: Header, start: int, end: int, number: str, level: int, message: bool, default: str
    ) -> Iterator[Found]:
        path = self._leaves.path(number)
        if level > self._budget.options.mime_depth:
            yield Finding("too-deep", path)
            yield Unscanned(path, "too-deep", f"more than {self._budget.options.mime_depth} levels of MIME")
            return
        for oddity in header.oddities:
            yield Finding(AMBIGUOUS, path, oddity)
        kinds = list(zip(header.types, header.media_types, strict=True)) or [(b"", default)]
        leaf = False
        for value, kind in kinds:
            if kind.startswith("multipart/"):
                if start >= end < self._wire.length and not message:
                    # An attached message may well be cut off after its header; a part is not.
                    yield self._leaves.ambiguous(number, "a multipart that ends in its header")
                yield from self._multipart(header, value, kind, start, end, number, level)
            elif kind in _MESSAGES:
                yield from self._attached(header, start, end, number, level)
            elif kind in ("message/partial", "message/external-body"):
                yield from self._elsewhere(header, kind, value, start, end, number, level)
            else:
                leaf = True
                if "multi" in kind or b"boundary" in value.lower():
                    yield from self._perhaps_multipart(header, value, kind, start, end, number, level)
        if leaf:
            if message:
                number = f"{number}.1" if number else "1"
            yield from self._leaves.leaf(header, start, end, number)

    def _elsewhere(
        self, header: Header, kind: str, value: bytes, start: int, end: int, number: str, level: int
    ) -> Iterator[Found]:
        """A piece of a message (RFC 2046 5.2.2), or where to fetch one (5.2.3)."""
        path = self._leaves.path(number)
        if kind == "message/partial":
            yield Finding("message-partial", path)
            yield Unscanned(path, "unsupported", "message/partial: a piece of a message")
        else:
            yield Finding("external-body", path, value[:200].decode("ascii", "replace"))
            if header.names or header.encodings != ["identity"]:
                # Written like a file, it may be given to people as one.
                yield from self._leaves.leaf(header, start, end, number)
        yield from self._attached(header, start, end, number, level)

    def _attached(self, header: Header, start: int, end: int, number: str, level: int) -> Iterator[Found]:
        for encoding in header.encodings:
            if encoding == "identity":
                yield from self._entity(start, end, number, level + 1, message=True)
                continue
            # RFC 2046 5.2.1 forbids to encode an attached message; clients decode it all the same.
            for data in self._leaves.decode(start, end, encoding):
                inner = self._reader(BytesWire(data), self._leaves.path(number))
                yield from inner._entity(0, len(data), "", level + 1, message=True)
                if inner._leaves.strange:
                    yield from inner._strange(level + 1)
            yield from self._leaves.overlooked(number)

    # Multipart.

    def _perhaps_multipart(
        self, header: Header, value: bytes, kind: str, start: int, end: int, number: str, level: int
    ) -> Iterator[Found]:
        """What is declared in other words, and has a boundary all the same."""
        found = boundaries(value, header.block).candidates
        if any(opens(self._wire, self._budget, boundary, start, end) for boundary in found):
            yield self._leaves.ambiguous(number, "a boundary that belongs to no multipart")
            yield from self._multipart(header, value, kind, start, end, number, level)

    def _multipart(
        self, header: Header, value: bytes, kind: str, start: int, end: int, number: str, level: int
    ) -> Iterator[Found]:
        leaves = self._leaves
        declared = boundaries(value, header.block)
        present = [b for b in declared.candidates if opens(self._wire, self._budget, b, start, end)]
        if declared.doubtful or not present:
            strict = present
            present = list(dict.fromkeys((*present, *dash_lines(self._wire, start, end))))
            if present and not (strict and not declared.doubtful):
                yield leaves.ambiguous(number, "multipart whose boundary is doubtful")
        default = _DIGEST if kind == "multipart/digest" else ""
        for boundary in present:
            if leaves.take(start, end, "multipart:" + boundary.decode("latin-1")):
                items = self._parts(boundary, start, end, number, level, default)
                yield from items if header.encodings == ["identity"] else leaves.noting(items)
        encoded = False
        for encoding in header.encodings:
            # RFC 2045 6.4 allows only identity encodings here; a client may decode first.
            for data in leaves.decode(start, end, encoding) if encoding != "identity" else ():
                if b"\n--" in data or data.startswith(b"--"):
                    encoded = True
                    plain = Header(types=[value], encodings=["identity"])
                    inner = self._reader(BytesWire(data), leaves.path(number))
                    items = inner._body(plain, 0, len(data), "", level + 1, False, "")
                    if not present:
                        yield leaves.ambiguous(number, "multipart that is encoded")
                        yield from items
                    else:
                        # Many programs declare for the whole what they mean for the parts.
                        yield from inner._leaves.doubted(items, "", "multipart that is encoded")
            yield from leaves.overlooked(number)
        if not present and not encoded and self._wire.raw(start, min(end, start + 200)).strip():
            items = leaves.leaf(header, start, end, f"{number}.1" if number else "1")
            yield from leaves.unless_plain(items, number, "multipart without a delimiter")

    def _parts(
        self, boundary: bytes, start: int, end: int, number: str, level: int, default: str
    ) -> Iterator[Found]:
        leaves, count, opened, closed, resembling = self._leaves, 0, -1, False, False
        prefix = number + "." if number else ""
        outside = start
        for delimiter in delimiters(self._wire, self._budget, boundary, start, end):
            leaves.strange = leaves.strange or delimiter.strange
            if delimiter.kind is Kind.RESEMBLES:
                resembling = resembling or self._starts_part(delimiter.line, delimiter.after, start, end)
                continue
            line, after, closing = delimiter.line, delimiter.after, delimiter.kind is Kind.CLOSES
            stop = max(outside, before_line_end(self._wire, line, max(outside, opened)))
            if opened >= 0:
                count += 1
                yield from self._entity(
                    opened, max(opened, stop), f"{prefix}{count}", level + 1, default=default
                )
            else:
                yield from leaves.outside(outside, stop, f"{prefix}{count + 1 if closed else 0}")
            if closed and not closing:
                yield leaves.ambiguous(number, "a part after the closing delimiter")
            if closing:
                opened, closed, outside = -1, True, after
            else:
                opened = after
            if self._budget.exhausted:
                return
        if resembling:
            yield leaves.ambiguous(number, "a delimiter with text after it")
        if opened >= 0:
            # Every client shows a last part that nothing closes, as old programs and size limits leave it.
            # If it is but text, nobody is deceived.
            count += 1
            items = self._entity(opened, end, f"{prefix}{count}", level + 1, default=default)
            yield from items if closed else leaves.unless_plain(items, number, "no closing delimiter")
        else:
            yield from leaves.outside(outside, end, f"{prefix}{count + 1}")
        if not closed and end < self._wire.length:
            yield from self._beyond(boundary, start, end, number, level, default)

    def _starts_part(self, line: int, after: int, start: int, end: int) -> bool:
        """Whether a line that begins like a delimiter is in front of a header, and not of a part within."""
        if b"content-" not in self._wire.raw(after, min(end, after + 200)).lower():
            return False
        # The boundary of a part within is declared before.
        text = self._wire.raw(line + 2, after).rstrip().removesuffix(b"--")
        return self._budget.take_work(line - start) and all(
            self._wire.find(mark + text, start, line) < 0 for mark in (b'"', b"=")
        )

    def _beyond(
        self, boundary: bytes, start: int, end: int, number: str, level: int, default: str
    ) -> Iterator[Found]:
        """A multipart that goes on behind the part it lies in, for clients that look for its own end."""
        closing = b"\n--" + boundary + b"--"
        at = self._wire.find(closing, max(start, end - len(closing)), self._wire.length)
        if at < 0 or not self._leaves.take(start, at, "beyond:" + boundary.decode("latin-1")):
            return
        items = self._parts(boundary, start, at + len(closing), number, level, default)
        yield from self._leaves.doubted(items, number, "a multipart that goes on behind the part it lies in")
