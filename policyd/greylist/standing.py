"""How triplets stand, in sixteen octets each: most mail is then judged without asking the disk.

Only what is needed to know the same caller again, with the same sender and recipient. All else, and whatever
has given its place to another, is in the store.
"""

from __future__ import annotations

from mmap import mmap

from policyd.greylist.terms import REFRESH, Entry

PLACES = 1 << 18
"""For as many triplets: 4 MiB."""
_BITS = 31
_WHOSE = (1 << _BITS) - 1
"""What is left, beside a time, to tell callers who bring the same sender and recipient apart. No outsider can
choose it, and who has another's by accident is spared a wait."""
_LATEST = 1 << 32


class Standing:
    """When triplets were first seen that have not passed yet, and when those were last seen that have.

    Each key has one place, which another may take: of a flood a part stays.

    Arguments:
        places: a power of two.
    """

    __slots__ = ("_cells", "_places")

    def __init__(self, places: int = PLACES) -> None:
        # Of these the system gives what is written to: two cells a place, one for the key, one for the rest.
        self._cells = memoryview(mmap(-1, 16 * places)).cast("q")
        self._places = 2 * places - 2
        """Takes the number of a key's first cell out of its hash: an even one."""

    def note(self, key: bytes, whose: str, entry: Entry, expires: int, asked: bool = False) -> None:
        """A triplet's row says so now.

        Arguments:
            key: its key in the table of triplets.
            whose: the identities in its row.
            entry: likewise.
            expires: when the row is gone, seconds since the epoch.
            asked: whether the disk was asked for it. One that just passed leaves another's place alone: that
                one may soon pass as well, and this one may never come again.
        """
        mark = hash(key)
        place = mark & self._places
        cells = self._cells
        first, passed, last = entry
        # What no clock has is left to the store; so is a row that is gone while it would still be current.
        if passed:
            if not asked and cells[place] != mark and cells[place]:
                return
            time = -last if 0 < last < _LATEST and last + REFRESH <= expires else 0
        else:
            time = first if 0 < first < _LATEST else 0
        cells[place] = mark
        cells[place + 1] = time << _BITS | hash(whose) & _WHOSE

    def of(self, key: bytes, whose: str) -> int:
        """When it was first seen, if it waits; less than 0, when it was last seen, if it has passed.

        0 where neither is known, or somebody else has brought it too.
        """
        mark = hash(key)
        place = mark & self._places
        if self._cells[place] != mark:
            return 0
        cell = self._cells[place + 1]
        return cell >> _BITS if cell & _WHOSE == hash(whose) & _WHOSE else 0

    def drop(self, key: bytes) -> None:
        """Its row says something else now."""
        mark = hash(key)
        place = mark & self._places
        if self._cells[place] == mark:
            self._cells[place] = 0
