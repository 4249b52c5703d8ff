"""Bounds on the work that one message may cause, and the account of what it has used.

A message is an attack until proven otherwise: ten megabytes of ZIP can hold ten gigabytes of zeros, and a
few kilobytes of MIME can nest ten thousand levels deep. Every reader asks here before it goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

KIB = 1024
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """What scanning one message may cost.

    Arguments:
        mime_depth: levels of multipart and message nesting.
        depth: containers within containers (archives, documents, attached messages).
        parts: leaf parts and container members in the whole message.
        members: members looked at in one container.
        member_size: bytes that one member may expand to.
        expanded: bytes that all members together may expand to.
        ratio: expanded size over packed size from which on a member is a bomb; small ones never are.
        header_size: bytes of one header block that are parsed.
        work: bytes of structure that are read over. A message with several readings is read several times;
            an honest one as often as it has levels.
        code_size: bytes of macro source that are judged in one project.
        passwords: attempts to open what is locked, in the whole message.
        password_cost: microseconds of processor time that these attempts may take, as their kinds of lock are
            known to; so what is tried does not depend on how busy the machine is.
        told_passwords: words of the message that are tried as passwords.
        leaf_size: bytes of a leaf part, as it is encoded, beyond which it is handed out empty; for who reads
            a message for its texts alone; 0 for no such limit.
        listed: findings, and unscanned parts, that are listed of one kind.
        seconds: wall-clock time after which the rest of the message ends unscanned; 0 for no such limit
            (a scan worker has a harder one of its own).
    """

    mime_depth: int = 32
    depth: int = 12
    parts: int = 10_000
    members: int = 10_000
    member_size: int = 64 * MIB
    expanded: int = 512 * MIB
    ratio: int = 300
    header_size: int = 256 * KIB
    work: int = 2048 * MIB
    code_size: int = 8 * MIB
    passwords: int = 2000
    password_cost: int = 3_000_000
    told_passwords: int = 200
    leaf_size: int = 0
    listed: int = 50
    seconds: float = 0.0


class Budget:
    """What is left of the options' bounds while one message is scanned.

    Arguments:
        options: the bounds.
        clock: monotonic seconds.
    """

    BOMB_FLOOR = 16 * MIB
    """Below this expanded size no ratio makes a bomb: harmless spreadsheets reach a few hundred."""

    LEAST_WORK = 64 * KIB
    """What a reading counts at least: many small ones cost time as well."""

    __slots__ = ("_clock", "_deadline", "expanded", "options", "parts", "password_cost", "passwords", "work")

    def __init__(self, options: ScanOptions, clock: Callable[[], float] = time.perf_counter) -> None:
        self.options = options
        self.parts = 0
        self.expanded = 0
        self.passwords = 0
        self.password_cost = 0
        self.work = 0
        self._clock = clock
        self._deadline = clock() + options.seconds if options.seconds else 0.0

    def take_part(self) -> bool:
        """Count one more part; false when there may be no more."""
        self.parts += 1
        return self.parts <= self.options.parts

    def take_work(self, size: int = 0, least: int = LEAST_WORK) -> bool:
        """Count one more reading of ``size`` bytes of structure; false when there may be no more."""
        self.work += max(size, least)
        return self.work <= self.options.work

    @property
    def exhausted(self) -> bool:
        """Whether a reader may as well stop."""
        return self.parts > self.options.parts or self.work > self.options.work or self.late

    def allowance(self) -> int:
        """Bytes that the next member may expand to."""
        return max(0, min(self.options.member_size, self.options.expanded - self.expanded))

    def spend(self, size: int) -> None:
        """Count ``size`` bytes that came out of a container."""
        self.expanded += size

    def take_password(self, cost: int) -> bool:
        """Count one more attempt to open something locked; false when there may be no more.

        Arguments:
            cost: microseconds of processor time that it takes, roughly.
        """
        if (
            self.passwords >= self.options.passwords
            or self.password_cost + cost > self.options.password_cost
            or self.late
        ):
            return False
        self.passwords += 1
        self.password_cost += cost
        return True

    def is_bomb(self, packed: int, expanded: int) -> bool:
        """Whether ``expanded`` bytes out of ``packed`` are beyond any honest compression."""
        return expanded >= self.BOMB_FLOOR and expanded > self.options.ratio * max(packed, 1)

    @property
    def late(self) -> bool:
        """Whether the wall-clock time is used up."""
        return self._deadline > 0 and self._clock() > self._deadline
