"""The daemon's side of the quarantine: takes messages in, as long as there is room."""

from __future__ import annotations

import errno
import math
import os
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from contentfilter.disposition.verdict import Verdict
from contentfilter.quarantine.folder import usage
from contentfilter.quarantine.storing import Wire, describe, store
from contentfilter.session.envelope import Envelope
from mailbase.config import QuarantineSettings
from mailbase.config.units import format_size
from mailbase.vocabulary import Flow

MAX_WAITING = 100
"""Messages on their way to the disk. One that hangs must not take memory and descriptors without end, long
after their clients have given up."""
RESERVED = 0.1
"""Share of the room for mail of upstream relays, which can be refused nothing. Strangers may fill the rest,
by writing malware to abuse@."""
AGAIN = 5.0
"""Seconds at least between two looks into a full folder: many messages may wait for room."""
HEAD = 16 * 1024
"""Octets set aside for what stands before a message in its file."""


class Message(Protocol):
    """What of a spooled message is needed."""

    wire_size: int

    @property
    def digest(self) -> bytes: ...
    def as_fd(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Usage:
    """What is in the quarantine, as far as the daemon knows; commands take out behind its back.

    Arguments:
        messages: how many.
        octets: of their files.
        filled: share of the room that they take, by number or octets, whichever is more.
    """

    messages: int = 0
    octets: int = 0
    filled: float = 0.0


class Quarantine:
    """Takes messages in.

    Arguments:
        settings: folder and bounds; the attribute may be changed, but for the folder.
        in_thread: runs a function that blocks on the disk beside the reactor.
        seconds: a clock.
    """

    def __init__(
        self,
        settings: QuarantineSettings,
        in_thread: Callable[[Callable[[], Path]], Awaitable[Path]],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.usage = Usage()
        self._in_thread = in_thread
        self._turns = threading.Semaphore(MAX_WAITING)
        self._lock = threading.Lock()
        self._seconds = seconds
        self._measured = -math.inf

    async def keep(
        self, verdict: Verdict, envelope: Envelope, message: Message, now: float, reinject: str = ""
    ) -> Path:
        """Store a message; on return it is safe on disk.

        Arguments:
            now: seconds since the epoch.
            reinject: where it would have gone.

        Raises:
            OSError: it is not; also when the quarantine is full.
        """
        metadata = describe(verdict, envelope, now, reinject)
        if not self._turns.acquire(blocking=False):
            raise OSError(errno.EBUSY, f"{MAX_WAITING} messages wait for the disk already")
        try:
            # Taken here, where the spool lives; the thread's descriptor outlives the spool.
            wire = Wire(message.as_fd(), message.wire_size, message.digest)
        except OSError:
            self._turns.release()
            raise
        folder, octets = self.settings.folder, message.wire_size + HEAD
        share = 1.0 if verdict.flow is Flow.UPSTREAM else 1.0 - RESERVED

        def work() -> Path:
            try:
                self._take(octets, share)
                try:
                    return store(folder, verdict.id, now, metadata, wire)
                except BaseException:
                    self._give(octets)
                    raise
            finally:
                os.close(wire.descriptor)
                self._turns.release()

        return await self._in_thread(work)

    def take_back(self, name: str) -> None:
        """Delete what was kept a moment ago; nobody was told that we have it.

        Arguments:
            name: of the file.

        Raises:
            OSError: it stays; its recipients get it twice, at worst.
        """
        path = self.settings.folder / name
        octets = path.stat().st_size
        path.unlink()
        self._give(octets)

    def measure(self) -> None:
        """Find out what is in the folder; blocks.

        Raises:
            OSError: it cannot be read.
        """
        self._measured = self._seconds()
        messages, octets = usage(self.settings.folder)
        with self._lock:
            self.usage = self._used(messages, octets)

    def _take(self, octets: int, share: float) -> None:
        """Set room aside, if no more than a share of all of it is in use then.

        Raises:
            OSError: there is none.
        """
        if not self._fits(octets, share):
            # Somebody may have made room.
            if self._seconds() - self._measured >= AGAIN:
                self.measure()
            if not self._fits(octets, share):
                used, limits = self.usage, self.settings
                raise OSError(
                    errno.EDQUOT,
                    f"the quarantine is full: {used.messages} messages of at most {limits.max_messages} "
                    f"and {used.octets} octets of at most {format_size(limits.max_size)}",
                )

    def _fits(self, octets: int, share: float) -> bool:
        with self._lock:
            then = self._used(self.usage.messages + 1, self.usage.octets + octets)
            if then.filled > share:
                return False
            self.usage = then
            return True

    def _give(self, octets: int) -> None:
        with self._lock:
            used = self.usage
            self.usage = self._used(max(0, used.messages - 1), max(0, used.octets - octets))

    def _used(self, messages: int, octets: int) -> Usage:
        limits = self.settings
        return Usage(messages, octets, max(messages / limits.max_messages, octets / limits.max_size))
