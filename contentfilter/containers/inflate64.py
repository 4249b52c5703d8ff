"""Deflate64 (APPNOTE 5.8, "Enhanced Deflating"), which Windows' Explorer opens and zlib does not.

It is deflate with a window of 64 KiB, two more distance codes, and a last length code that has sixteen extra
bits. In Python a megabyte takes a good part of a second, so more than :data:`MAX_SIZE` is not expanded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from contentfilter.containers.zipmember import Expanded
from contentfilter.content.limits import MIB

Content: TypeAlias = bytes | bytearray | memoryview
_Table: TypeAlias = tuple[list[int], int]

MAX_SIZE = 8 * MIB
"""Octets that may come out."""
_END_OF_BLOCK = 256
_STEP = 8
"""Octets that are taken in at once; Python is slow with longer numbers."""
_SPARE = 16
_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
_LENGTHS = [
    *((base, 0) for base in range(3, 11)),
    *((3 + ((4 + low) << extra), extra) for extra in range(1, 6) for low in range(4)),
    (3, 16),
]
"""Base and extra bits of the symbols from 257 on."""
_DISTANCES = [
    *((base, 0) for base in range(1, 5)),
    *((1 + ((2 + low) << extra), extra) for extra in range(1, 15) for low in range(2)),
]
_MAX_BITS = 15
_LONGEST = 15 + 16 + 15 + 14
"""Bits of a length and a distance with all that belongs to them."""
_LAST_LENGTH = 285


class _Damaged(Exception):
    """No such stream."""


class _Full(Exception):
    """More comes out than is wanted."""


def inflate64(data: Content, limit: int, late: Callable[[], bool]) -> Expanded:
    """A Deflate64 stream; what came out before damage is kept.

    Arguments:
        limit: octets that may come out.
        late: whether to stop, asked for each block.
    """
    limit = min(limit, MAX_SIZE)
    bits, out, problem = _Bits(data), bytearray(), ""
    try:
        last = 0
        while not last and not problem:
            last, kind = bits.take(1), bits.take(2)
            if kind == 0:
                _stored(bits, out)
            elif kind == 1:
                _block(bits, out, *_FIXED, limit)
            elif kind == 2:
                _block(bits, out, *_tables(bits), limit)
            else:
                problem = "malformed"
            if bits.beyond:
                problem = "malformed"
            elif len(out) > limit:
                problem = "too-large"
            elif late():
                problem = "timed-out"
    except _Damaged:
        problem = "malformed"
    except _Full:
        problem = "too-large"
    return Expanded(out[:limit], problem, bits.used())


class _Bits:
    """Takes a stream apart, the lowest bit of each octet first."""

    def __init__(self, data: Content) -> None:
        # Behind the end there are zeros, as many as a code may look at; who takes them has taken too much.
        self.data = bytes(data) + bytes(_SPARE)
        self.at = 0
        self.value = 0
        self.count = 0

    def take(self, count: int) -> int:
        while self.count < count:
            self.refill()
        value = self.value & ((1 << count) - 1)
        self.value >>= count
        self.count -= count
        return value

    def refill(self) -> None:
        if self.at >= len(self.data):
            raise _Damaged
        step = self.data[self.at : self.at + _STEP]
        self.value |= int.from_bytes(step, "little") << self.count
        self.count += 8 * len(step)
        self.at += len(step)

    def octets(self, size: int) -> bytes:
        """Octets from the next whole one on."""
        start = self.at - self.count // 8
        self.value = self.count = 0
        self.at = start + size
        if self.at > len(self.data) - _SPARE:
            raise _Damaged
        return self.data[start : self.at]

    @property
    def beyond(self) -> bool:
        """Whether more was taken than there is."""
        return self.at - self.count // 8 > len(self.data) - _SPARE

    def used(self) -> int:
        return max(0, min(self.at - self.count // 8, len(self.data) - _SPARE))


def _stored(bits: _Bits, out: bytearray) -> None:
    sizes = bits.octets(4)
    size, complement = int.from_bytes(sizes[:2], "little"), int.from_bytes(sizes[2:], "little")
    if size ^ complement != 0xFFFF:
        raise _Damaged
    out += bits.octets(size)


def _block(bits: _Bits, out: bytearray, literals: _Table, distances: _Table, limit: int) -> None:
    # The state is held in local names: this loop is where the time goes.
    (table, width), (far_table, far_width) = literals, distances
    mask, far_mask = (1 << width) - 1, (1 << far_width) - 1
    data, at, value, count = bits.data, bits.at, bits.value, bits.count
    end = len(data)
    while True:
        if count < _LONGEST:
            if at >= end:
                raise _Damaged
            if len(out) > limit:
                raise _Full
            value |= int.from_bytes(data[at : at + _STEP], "little") << count
            count += 8 * min(_STEP, end - at)
            at += _STEP
        entry = table[value & mask]
        value >>= entry & 15
        count -= entry & 15
        symbol = entry >> 4
        if symbol < _END_OF_BLOCK:
            if not entry:
                raise _Damaged
            out.append(symbol)
            continue
        if symbol == _END_OF_BLOCK:
            break
        if symbol > _LAST_LENGTH:
            raise _Damaged
        base, extra = _LENGTHS[symbol - 257]
        length = base + (value & ((1 << extra) - 1))
        value >>= extra
        count -= extra
        entry = far_table[value & far_mask]
        if not entry:
            raise _Damaged
        value >>= entry & 15
        base, extra = _DISTANCES[entry >> 4]
        distance = base + (value & ((1 << extra) - 1))
        value >>= extra
        count -= (entry & 15) + extra
        start = len(out) - distance
        if start < 0 or count < 0:
            raise _Damaged
        if length <= distance:
            out += out[start : start + length]
        else:
            out += (out[start:] * (length // distance + 1))[:length]
        if len(out) > limit:
            raise _Full
    if count < 0 or len(out) > limit:
        raise _Damaged if count < 0 else _Full
    bits.at, bits.value, bits.count = min(at, end), value, count


def _tables(bits: _Bits) -> tuple[_Table, _Table]:
    literals, distances, codes = bits.take(5) + 257, bits.take(5) + 1, bits.take(4) + 4
    lengths = [0] * 19
    for place in _ORDER[:codes]:
        lengths[place] = bits.take(3)
    table, width = _table(lengths)
    lengths = []
    while len(lengths) < literals + distances:
        while bits.count < _MAX_BITS:
            bits.refill()
        entry = table[bits.value & ((1 << width) - 1)]
        if not entry:
            raise _Damaged
        bits.take(entry & 15)
        symbol = entry >> 4
        if symbol < 16:
            lengths.append(symbol)
        elif symbol == 16:
            if not lengths:
                raise _Damaged
            lengths += lengths[-1:] * (3 + bits.take(2))
        else:
            lengths += [0] * (3 + bits.take(3) if symbol == 17 else 11 + bits.take(7))
    if len(lengths) > literals + distances:
        raise _Damaged
    return _table(lengths[:literals]), _table(lengths[literals:])


def _table(lengths: list[int]) -> _Table:
    """For each number that the next bits can be: the symbol and the length of its code; 0 for none."""
    width = max(lengths, default=0) or 1
    table = [0] * (1 << width)
    code = 0
    for length in range(1, width + 1):
        for symbol, its in enumerate(lengths):
            if its == length:
                if code >= 1 << length:
                    raise _Damaged
                start = int(f"{code:0{length}b}"[::-1], 2)
                table[start :: 1 << length] = [symbol << 4 | length] * (1 << width - length)
                code += 1
        code <<= 1
    return table, width


_FIXED = _table([8] * 144 + [9] * 112 + [7] * 24 + [8] * 8), _table([5] * 32)
