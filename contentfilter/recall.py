"""What the workers found in a message before, so that the same one need not be scanned again.

A message that ended a worker would end one with every retry; one that is told to come again, or comes to many
recipients one by one, would be scanned each time. Both are known again by a digest of what the worker reads,
which is taken here: a worker can say nothing about any message but the one it was given.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol, get_args

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.spool.spool import Spool

KEPT = 10_000
"""Messages remembered; those that were asked for last."""
MAX_FACTS = 20
"""Findings and gaps of a result that is kept; an ordinary message has none."""
LARGE = 1 << 20
"""Octets above which only what ended a worker is remembered: the digest of a large message takes the
reactor's time, and the same one hardly comes twice."""
DEADLY = frozenset({"crashed", "out-of-memory", "timed-out"})
"""Failures that are the message's own doing."""
FLEETING = frozenset({"timed-out", "failed"})
"""Gaps that another attempt may not have."""
UNCERTAIN = (".temperror", ".failed")
"""Ends of the names of clues that tell of a failure; likewise."""
PATIENCE = 2
"""Times a message may run out of time, or lose its worker to a SIGKILL, until that is taken for its own doing
and not for that of a busy machine, of a kernel short of memory, or of an operator."""

Recalled = Literal["result", "failure"]
"""What was known of a message: what there is in it, or that it ends workers."""
RECALLED: tuple[Recalled, ...] = get_args(Recalled)

_TRACE = re.compile(
    rb"(?:(?:X-Postwarden-Id|Received):[\t\x20-\x7e]*\r\n(?:[\t ][\t\x20-\x7e]*\r\n)*){0,4}", re.IGNORECASE
)
"""Lines at the top that differ each time that Postfix takes the message."""
_NO_TRACE = re.compile(rb"content-|mime-", re.IGNORECASE)
"""Has no place in them. Only lines that every program reads alike are left out of the digest, since what they
hold must change nothing about the rest."""


class Meter(Protocol):
    """Counts what was recalled."""

    def recalled(self, what: Recalled) -> None:
        """A message was not scanned, since it was known."""


@dataclass(frozen=True, slots=True)
class Key:
    """A message, as the workers read it.

    Arguments:
        size: octets of the wire form, below the trace lines.
        digest: their seal (:mod:`contentfilter.spool.seal`); empty if none was taken.
    """

    size: int
    digest: bytes


@dataclass(slots=True)
class _Known:
    answer: ScanResult | ScanFailed
    until: float
    times: int = 1


class Recall:
    """Arguments:
    seconds: the clock.
    lifetime: seconds that something is remembered; 0: nothing is. May be changed.
    meter: counts.
    """

    def __init__(self, seconds: Callable[[], float], lifetime: float, meter: Meter) -> None:
        self.lifetime = lifetime
        self._seconds = seconds
        self._meter = meter
        self._known: OrderedDict[Key, _Known] = OrderedDict()
        self._large: dict[int, int] = {}
        """Sizes of the large messages that are remembered, and how many have each."""

    def key(self, spool: Spool) -> Key:
        """The key of a message.

        Raises:
            OSError: the spool cannot be read.
        """
        offset = self._below_trace(spool)
        size = spool.wire_size - offset
        if not self.lifetime or (size > LARGE and size not in self._large):
            return Key(size, b"")
        return Key(size, spool.seal_from(offset))

    def answer(self, key: Key) -> ScanResult | ScanFailed | None:
        """What the workers would say again; None if it is not known, and they must be asked."""
        known = self._known.get(key)
        if known is None:
            return None
        if known.until <= self._seconds():
            self._forget(key)
            return None
        self._known.move_to_end(key)
        match known.answer:
            case ScanFailed() as failure if _by_chance(failure) and known.times < PATIENCE:
                return None
            case ScanFailed(scanner, reason, detail):
                self._meter.recalled("failure")
                return ScanFailed(scanner, reason, f"not tried again: {detail}")
            case ScanResult() as result:
                self._meter.recalled("result")
                return replace(result, parts=0, seconds=0.0)

    def note(self, key: Key, spool: Spool, answer: ScanResult | ScanFailed) -> None:
        """Remember what the workers said.

        Arguments:
            key: of :meth:`key`.
            spool: the message.

        Raises:
            OSError: the spool cannot be read.
            ValueError: the spool is closed.
        """
        if not self.lifetime or not _is_lasting(answer):
            return
        if not key.digest:
            if isinstance(answer, ScanResult):
                return
            key = Key(key.size, spool.seal_from(self._below_trace(spool)))
        known = self._known.get(key)
        times = 1 if known is None else known.times + 1
        self._forget(key)
        while len(self._known) >= KEPT:
            self._forget(next(iter(self._known)))
        self._known[key] = _Known(answer, self._seconds() + self.lifetime, times)
        if key.size > LARGE:
            self._large[key.size] = self._large.get(key.size, 0) + 1

    def clear(self) -> None:
        """Forget everything: messages are scanned by other rules from now on."""
        self._known.clear()
        self._large.clear()

    def __len__(self) -> int:
        return len(self._known)

    def _forget(self, key: Key) -> None:
        if self._known.pop(key, None) is not None and key.size > LARGE:
            self._large[key.size] -= 1
            if not self._large[key.size]:
                del self._large[key.size]

    @staticmethod
    def _below_trace(spool: Spool) -> int:
        match = _TRACE.match(spool.head())
        return match.end() if match and not _NO_TRACE.search(match[0]) else 0


def _by_chance(failure: ScanFailed) -> bool:
    """Whether it may have been another's doing."""
    return failure.reason == "timed-out" or failure.detail.endswith("SIGKILL")


def _is_lasting(answer: ScanResult | ScanFailed) -> bool:
    """Whether another scan would say the same."""
    if isinstance(answer, ScanFailed):
        return answer.reason in DEADLY
    if len(answer.findings) + len(answer.unscanned) > MAX_FACTS:
        return False
    if any(clue.name.endswith(UNCERTAIN) for clue in answer.clues):
        return False
    authentication = answer.traits.authentication
    if authentication is not None and not authentication.lasting:
        return False
    return not any(gap.reason in FLEETING for gap in answer.unscanned)
