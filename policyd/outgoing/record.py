"""What is remembered of one user or system: two days by the hour, the most there ever was, recipients. Pure.

Several nodes may hold a record of the same one. Each counts in entries of its own (by hour and node) that
only grow, so any two versions can be merged in any order and as often as one likes: the larger figure is the
later one, and nothing counts twice. A version that was overwritten meanwhile is whole again with the next.

The most there was is what hours and days more than a day ago reached. It counts half after four weeks, so
that a monthly newsletter stays usual. It is kept as a logarithm with the fading in it: the larger of two is
then the larger at any time. An hour in which something was found odd is not learned from.
"""

from __future__ import annotations

import math
import struct
from array import array
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

from policyd.outgoing.measures import MEASURES, MESSAGES, NEW, RECIPIENTS, STRANGERS

HOUR, DAY = 3600, 86400
KEPT = 50
"""Hours that are kept one by one: what is a day old is learned, and its day with it."""
SETTLED = 25
"""Hours after which an hour is learned: what goes on today is not usual yet."""
HALF_LIFE = 28 * 86400.0
"""Seconds in which what was once the most counts half."""
GENERATION = 8_192
"""Recipients in one of two generations that are held. Of who writes to more it is not known who is new to it:
then nobody is, until there is room again."""
GENERATION_AGE = 45 * 86400.0
"""Seconds after which it becomes the old one: a recipient is known for 45 to 90 days."""
KNOWN_AFTER = 3 * 86400.0
"""Seconds until it means something that a recipient was never written to: at first nobody was."""
EXPIRES = 90 * 86400
"""Seconds that a record is kept after its last mail."""
MAX_ENTRIES = 800
"""Entries of hours: fifty hours of sixteen nodes, or starts of a node."""
MOST = 1e9
"""Of anything in one hour."""
MAX_OCTETS = 128 * 1024
"""Of a packed record; the largest that is made has some 100 KiB."""

_WIDTH: Final = len(MEASURES)
_ODD: Final = _WIDTH
"""Place of the mark that an hour was odd."""
_NEVER: Final = -1e9
"""Of no amount: the logarithm of zero."""
_VERSION = 1
_HEAD = struct.Struct("<BdddIddddI")
_PEAKS = struct.Struct(f"<{2 * _WIDTH}d")
_ENTRY = struct.Struct(f"<III{_WIDTH + 1}f")
_COUNT = struct.Struct("<I")
_entries = lru_cache(maxsize=64)(lambda count: struct.Struct("<" + f"III{_WIDTH + 1}f" * count))

Key = tuple[int, int, int]
"""Of an entry: hours since the epoch, the node, how often the record was lifted before."""
Figures = tuple[float, ...]
"""One for each of MEASURES."""


class _View(NamedTuple):
    """The sums of what lies behind, and the entries that still grow."""

    hour: int
    lifts: int
    size: int
    before: list[float]
    rest: list[float]
    current: list[list[float]]

    def with_current(self, found: list[float]) -> Figures:
        """``found``, which is changed, and the present hour."""
        for entry in self.current:
            for place in range(_WIDTH):
                found[place] += entry[place]
        return tuple(found)


class Record:
    """Arguments:
    now: seconds since the epoch.

    Attributes:
        first: when it was begun.
        told: when a notice was last sent.
        suspended: when it was last suspended.
        accepted: until when what is sent is taken for usual, whatever it is; an operator said so.
        lifts: how often an operator said that all is well: what was counted before is not judged any more.
        entries: what was counted, by :data:`Key`: a figure for each measure, and whether the hour was odd.
        last: when the last mail was counted.
    """

    __slots__ = (
        "_full",
        "_old",
        "_since",
        "_view",
        "_young",
        "accepted",
        "day_peaks",
        "entries",
        "first",
        "hour_peaks",
        "last",
        "learned",
        "lifts",
        "suspended",
        "told",
    )

    def __init__(self, now: float) -> None:
        self.first = now
        self.last = now
        self.told = 0.0
        self.suspended = 0.0
        self.accepted = 0.0
        self.lifts = 0
        self.learned = 0
        """The last hour that was learned from."""
        self.entries: dict[Key, list[float]] = {}
        self.hour_peaks = [_NEVER] * _WIDTH
        self.day_peaks = [_NEVER] * _WIDTH
        self._young: set[int] = set()
        self._old: set[int] = set()
        self._since = now
        self._full = 0.0
        self._view: _View | None = None

    def add(self, node: int, now: float, place: int, amount: float) -> None:
        """Count ``amount`` of the measure at ``place``."""
        entry = self._entry(node, now)
        entry[place] = min(entry[place] + amount, MOST)

    def mail(self, node: int, now: float, recipients: int, known: list[int]) -> None:
        """Count a mail.

        Arguments:
            recipients: how many it has.
            known: :func:`fingerprint` of each that was seen.
        """
        entry = self._entry(node, now)
        entry[MESSAGES] += 1
        entry[RECIPIENTS] = min(entry[RECIPIENTS] + recipients, MOST)
        # Whom a thief writes to is nobody that the owner knows.
        new = self._get_to_know(known, now, learning=not entry[_ODD])
        if new and self.knows_strangers(now):
            entry[NEW] += new
            if 2 * new >= len(known):
                entry[STRANGERS] += 1
        self.last = max(self.last, now)

    def knows_strangers(self, now: float) -> bool:
        """Whether it means something that a recipient was never written to before."""
        return now - self.first >= KNOWN_AFTER and not self._full <= now < self._full + GENERATION_AGE

    def _get_to_know(self, known: list[int], now: float, *, learning: bool) -> int:
        """How many of them are new."""
        new = 0
        for one in known:
            if one in self._young:
                continue
            new += one not in self._old
            if not learning:
                continue
            full = len(self._young) >= GENERATION
            if full or now - self._since > GENERATION_AGE:
                if full:
                    self._full = now
                self._old, self._young, self._since = self._young, set(), now
            self._young.add(one)
        return new

    def _entry(self, node: int, now: float) -> list[float]:
        key = (int(now) // HOUR, node, self.lifts)
        entry = self.entries.get(key)
        if entry is None:
            self.learn(now)
            entry = self.entries[key] = [0.0] * (_WIDTH + 1)
        return entry

    def mark(self, node: int, now: float) -> None:
        """Something is odd in this hour: it is not learned from."""
        self._entry(node, now)[_ODD] = 1.0

    def lift(self, now: float, *, usual: bool = False) -> None:
        """All is well: what was counted so far is not judged any more.

        Arguments:
            usual: whether it is what is to be expected from now on, with all that comes within a day: a
                newsletter is often not through when somebody says so.
        """
        if usual:
            self.accepted = now + DAY
            for peaks, figures in ((self.hour_peaks, self.hour(now)), (self.day_peaks, self.day(now))):
                _raise(peaks, figures, now)
        self.lifts += 1
        self.told = self.suspended = 0.0

    def hour(self, now: float) -> Figures:
        """What was counted in the last hour: all of this one, and of the one before what its share is."""
        view = self._look(now)
        share = 1 - (now - view.hour * HOUR) / HOUR
        found = [figure * share for figure in view.before]
        return view.with_current(found)

    def day(self, now: float) -> Figures:
        """What was counted in the last 24 hours, this one included."""
        view = self._look(now)
        return view.with_current(list(view.rest))

    def _look(self, now: float) -> _View:
        """What is judged, made ready: most mails change nothing but the present hour."""
        this, view = int(now) // HOUR, self._view
        if view is None or view.hour != this or view.lifts != self.lifts or view.size != len(self.entries):
            before, rest, current = [0.0] * _WIDTH, [0.0] * _WIDTH, []
            for (hour, _node, lifts), entry in self.entries.items():
                if lifts != self.lifts or not this - 24 < hour <= this:
                    continue
                if hour == this:
                    current.append(entry)
                    continue
                for place in range(_WIDTH):
                    rest[place] += entry[place]
                    if hour == this - 1:
                        before[place] += entry[place]
            view = self._view = _View(this, self.lifts, len(self.entries), before, rest, current)
        return view

    def _sum(self, until: int) -> Figures:
        """What was counted in the 24 hours until that one, the odd ones left out."""
        found = [0.0] * _WIDTH
        for (hour, _node, _lifts), entry in self.entries.items():
            if until - 24 < hour <= until and not entry[_ODD]:
                for place in range(_WIDTH):
                    found[place] += entry[place]
        return tuple(found)

    def usual(self, now: float) -> tuple[Figures, Figures]:
        """The most there was in an hour, and in a day, before."""
        return _faded(self.hour_peaks, now), _faded(self.day_peaks, now)

    def learn(self, now: float) -> None:
        """Learn from the hours that are a day old, and forget those that are two."""
        this = int(now) // HOUR
        by_hour: dict[int, list[float]] = {}
        for (hour, _node, _lifts), entry in self.entries.items():
            if self.learned < hour <= this - SETTLED:
                whole = by_hour.setdefault(hour, [0.0] * (_WIDTH + 1))
                for place in range(_WIDTH + 1):
                    whole[place] += entry[place]
        for hour, whole in sorted(by_hour.items()):
            if not whole[_ODD]:
                _raise(self.hour_peaks, whole, hour * HOUR)
                _raise(self.day_peaks, self._sum(hour), hour * HOUR)
            self.learned = hour
        gone = [key for key in self.entries if not this - KEPT < key[0] <= this + 1]
        for key in gone:
            del self.entries[key]
        if len(self.entries) >= MAX_ENTRIES:
            for key in sorted(self.entries)[: len(self.entries) - MAX_ENTRIES + 1]:
                del self.entries[key]

    @property
    def recipients(self) -> int:
        """How many recipients are remembered."""
        return len(self._young) + len(self._old)

    def merge(self, other: Record) -> None:
        """Take in another version of this record."""
        self.first = min(self.first, other.first)
        self.last = max(self.last, other.last)
        if other.lifts > self.lifts:
            # What was told before it was lifted is over.
            self.told, self.suspended, self.lifts = other.told, other.suspended, other.lifts
        elif other.lifts == self.lifts:
            self.told = max(self.told, other.told)
            self.suspended = max(self.suspended, other.suspended)
        self.learned = max(self.learned, other.learned)
        self._full = max(self._full, other._full)
        self.accepted = max(self.accepted, other.accepted)
        for mine, theirs in ((self.hour_peaks, other.hour_peaks), (self.day_peaks, other.day_peaks)):
            mine[:] = map(max, mine, theirs)
        for key, entry in other.entries.items():
            mine_there = self.entries.get(key)
            if mine_there is None:
                self.entries[key] = list(entry)
            else:
                mine_there[:] = map(max, mine_there, entry)
        self._view = None
        self._old |= other._old - self._young
        room = GENERATION - len(self._young)
        self._young.update(sorted(other._young - self._young)[:room])
        while len(self._old) > GENERATION:
            self._old.pop()

    def pack(self) -> bytes:
        """As octets; :func:`unpack` is the reverse."""
        head = _HEAD.pack(
            _VERSION,
            self.first,
            self.last,
            self.told,
            self.lifts,
            self.suspended,
            self._since,
            self._full,
            self.accepted,
            self.learned,
        )
        flat = [value for key, entry in self.entries.items() for value in (*key, *entry)]
        entries = _entries(len(self.entries)).pack(*flat)
        young, old = array("I", self._young), array("I", self._old)
        return b"".join(
            (
                head,
                _PEAKS.pack(*self.hour_peaks, *self.day_peaks),
                _COUNT.pack(len(self.entries)),
                entries,
                _COUNT.pack(len(young)),
                young.tobytes(),
                _COUNT.pack(len(old)),
                old.tobytes(),
            )
        )


def unpack(packed: bytes) -> Record:
    """The record in these octets.

    Raises:
        ValueError: there is none.
    """
    if len(packed) > MAX_OCTETS:
        raise ValueError("not a record: too long")
    try:
        version, *times, learned = _HEAD.unpack_from(packed)
        if version != _VERSION or not all(map(math.isfinite, times)):
            raise ValueError("not a record of this version")
        place = _HEAD.size
        peaks = _PEAKS.unpack_from(packed, place)
        place += _PEAKS.size
        record = Record(times[0])
        _, record.last, record.told, lifts, record.suspended, *others = times
        record._since, record._full, record.accepted = others
        record.lifts, record.learned = int(lifts), learned
        record.hour_peaks, record.day_peaks = list(peaks[:_WIDTH]), list(peaks[_WIDTH:])
        (count,) = _COUNT.unpack_from(packed, place)
        place += _COUNT.size
        if count > MAX_ENTRIES + 1:
            raise ValueError("not a record: too many hours")
        for _ in range(count):
            hour, node, lifted, *figures = _ENTRY.unpack_from(packed, place)
            place += _ENTRY.size
            record.entries[hour, node, lifted] = figures
        record._young, place = _fingerprints(packed, place)
        record._old, place = _fingerprints(packed, place)
    except struct.error as error:
        raise ValueError(f"not a record: {error}") from error
    figures_there = (*peaks, *(figure for entry in record.entries.values() for figure in entry))
    if place != len(packed) or not all(map(math.isfinite, figures_there)):
        raise ValueError("not a record")
    return record


def fingerprint(recipient: str, key: bytes) -> int:
    """32 bits that stand for a recipient: enough to know it again, and shared by many others.

    Arguments:
        key: secret, at most 64 octets; empty where names need not be hidden.
    """
    hashed = blake2b(recipient.lower().encode("utf-8", "replace"), digest_size=4, key=key)
    return int.from_bytes(hashed.digest())


def _fingerprints(packed: bytes, place: int) -> tuple[set[int], int]:
    (count,) = _COUNT.unpack_from(packed, place)
    place += _COUNT.size
    end = place + 4 * count
    if count > GENERATION or end > len(packed):
        raise ValueError("not a record: too many recipients")
    found = array("I")
    found.frombytes(packed[place:end])
    return set(found), end


def _raise(peaks: list[float], figures: Figures | list[float], at: float) -> None:
    fading = at / HALF_LIFE
    for place in range(_WIDTH):
        if figures[place] > 0:
            peaks[place] = max(peaks[place], math.log2(figures[place]) + fading)


def _faded(peaks: list[float], now: float) -> Figures:
    fading = now / HALF_LIFE
    # What lies in the future (a clock that was set back) is no more than it was then.
    return tuple(2 ** min(peak - fading, 60.0) if peak > _NEVER else 0.0 for peak in peaks)
