"""ASN.1 values in BER (X.690): elements of definite and indefinite length, and strings in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from contentfilter.content.part import Content

MAX_DEPTH = 16
"""Constructions within constructions, where an end must be searched."""
MAX_ELEMENTS = 200_000
"""Elements that are looked at in one value."""

OCTET_STRING, OID, SEQUENCE, SET = 0x04, 0x06, 0x30, 0x31
CONSTRUCTED_STRING = 0x24
CONTEXT_0 = 0xA0
CONTEXT_0_PRIMITIVE = 0x80


class BerError(ValueError):
    """No BER, or more of it than is looked at."""


@dataclass(frozen=True, slots=True)
class Element:
    """Arguments:
    tag: identifier octet.
    start: where its content begins.
    stop: where its content ends.
    after: where the next element begins.
    """

    tag: int
    start: int
    stop: int
    after: int


class Ber:
    """Reads elements of ``data``; one account of the work for all of them."""

    def __init__(self, data: Content) -> None:
        self.data = data
        self._left = MAX_ELEMENTS

    def element(self, at: int, end: int, depth: int = 0) -> Element:
        """The element at that place.

        Arguments:
            end: of what it lies in. An element that reaches beyond is cut off there, as forgiving readers do.

        Raises:
            BerError: there is none.
        """
        self._left -= 1
        if self._left < 0:
            raise BerError(f"more than {MAX_ELEMENTS} elements")
        data = self.data
        if at + 2 > end:
            raise BerError("cut off")
        tag, size = data[at], data[at + 1]
        at += 2
        if tag & 31 == 31:
            raise BerError("a tag of several octets")
        if size == 0x80:
            return self._indefinite(tag, at, end, depth)
        if size & 0x80:
            count = size & 0x7F
            if count > 8 or at + count > end:
                raise BerError("a length of too many octets")
            size = int.from_bytes(data[at : at + count], "big")
            at += count
        stop = min(at + size, end)
        return Element(tag, at, stop, stop)

    def _indefinite(self, tag: int, start: int, end: int, depth: int) -> Element:
        """An element that goes on to two NUL (X.690 8.1.3.6)."""
        if not tag & 0x20 or depth >= MAX_DEPTH:
            raise BerError("an indefinite length where none may be")
        at = start
        while at < end:
            if self.data[at : at + 2] == b"\0\0":
                return Element(tag, start, at, at + 2)
            at = self.element(at, end, depth + 1).after
        return Element(tag, start, end, end)

    def children(self, parent: Element) -> Iterator[Element]:
        """The elements in a constructed one."""
        at = parent.start
        while at < parent.stop:
            child = self.element(at, parent.stop)
            yield child
            at = child.after

    def string(self, element: Element, depth: int = 0) -> bytes:
        """The octets of a string that may be in pieces, and the pieces in pieces (X.690 8.7.3)."""
        if not element.tag & 0x20:
            return bytes(self.data[element.start : element.stop])
        if depth >= MAX_DEPTH:
            raise BerError("pieces of pieces of a string")
        return b"".join(self.string(child, depth + 1) for child in self.children(element))
