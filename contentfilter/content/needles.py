"""Finds short byte strings in contents of any size, ten and more times as fast as ``bytes.find``.

The search is that of Rust's aho-corasick and memchr, which look at 32 octets at once. It lists all places, so
it goes window by window: whoever wants the first of many pays for no more, and content made of nothing but
needles fills no memory.
"""

from __future__ import annotations

from collections.abc import Iterator

from ahocorasick_rs import BytesAhoCorasick, MatchKind

from contentfilter.content.limits import KIB

_FIRST_WINDOW = 4 * KIB
_WINDOW = 256 * KIB


class Needles:
    """Some byte strings.

    Arguments:
        needles: any of them. Where two stand one in the other, the place of the first of them is told.
    """

    def __init__(self, *needles: bytes) -> None:
        self._overlap = max(map(len, needles)) - 1
        self._search = BytesAhoCorasick(needles, MatchKind.LeftmostFirst).find_matches_as_indexes

    def stand_in(self, data: bytes | bytearray, start: int = 0, end: int | None = None) -> bool:
        """Whether any of them stands in ``data``: in one pass, whereas ``in`` takes one for each."""
        stop = len(data) if end is None else min(end, len(data))
        if stop - start > _FIRST_WINDOW:
            return next(self.places(data, start, end), None) is not None
        with memoryview(data) as whole, whole[start:stop] as window:
            return bool(self._search(window))

    def places(self, data: bytes | bytearray, start: int = 0, end: int | None = None) -> Iterator[int]:
        """Where one of them stands between ``start`` and ``end``, the first place first."""
        stop = len(data) if end is None else min(end, len(data))
        size = _FIRST_WINDOW
        while start < stop:
            yield from self._within(data, start, min(start + size, stop), stop)
            start += size
            size = min(4 * size, _WINDOW)

    def places_from_end(self, data: bytes | bytearray) -> Iterator[int]:
        """Where one of them stands, the last place first."""
        end = stop = len(data)
        size = _FIRST_WINDOW
        while stop > 0:
            yield from reversed(self._within(data, max(0, stop - size), stop, end))
            stop -= size
            size = min(4 * size, _WINDOW)

    def _within(self, data: bytes | bytearray, start: int, stop: int, end: int) -> list[int]:
        """Where one begins from ``start`` up to ``stop``, and ends before ``end``."""
        with memoryview(data) as whole, whole[start : min(stop + self._overlap, end)] as window:
            found = self._search(window)
        size = stop - start
        return [start + place for _needle, place, _end in found if place < size] if found else []
