"""What happens to messages that nobody releases: told of once a day, deleted when their time is over."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from contentfilter.quarantine.digest import Digest, Gateway, add, compose, readers, worth_telling
from contentfilter.quarantine.entry import QuarantineError, came, locked, paths, read, sync_folder
from contentfilter.quarantine.keeper import Quarantine
from contentfilter.session.envelope import Envelope
from mailbase.config import Settings
from mailbase.logs import Log

INTERVAL = 600.0
"""Seconds between two rounds."""
FIRST = 30.0
"""Seconds until the first one after a start."""
SETTLED = 180.0
"""Seconds after which every message that came by then has its file; longer than one may take to get there."""
STATE = "digests.json"
"""In the folder: until when was told, and who still has to be."""


@dataclass(slots=True)
class State:
    """What must outlive the daemon.

    Arguments:
        until: all that came before was put into a digest, in seconds since the epoch; 0: none was made yet.
        late: domain → since when it must be told; a digest that Postfix did not take is tried again.
    """

    until: float = 0.0
    late: dict[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> State:
        """What stands in ``folder``; a file that cannot be read is none."""
        try:
            data = json.loads((folder / STATE).read_text("ascii"))
            return cls(
                float(data["until"]), {str(name): float(since) for name, since in data["late"].items()}
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def write(self, folder: Path) -> None:
        """Put it there, synced.

        Raises:
            OSError: it is not.
        """
        temporary = folder / f".{STATE}"
        with open(
            os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w", encoding="ascii"
        ) as file:
            json.dump({"until": self.until, "late": self.late}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(folder / STATE)
        sync_folder(folder)


class Meter(Protocol):
    """Counts; see :class:`contentfilter.metrics.Metrics`."""

    def expired(self, messages: int) -> None: ...
    def digested(self, sent: bool) -> None: ...


class Housekeeper:
    """Arguments:
    clock: the reactor's.
    in_thread: runs a function that blocks on the disk beside the reactor.
    now: seconds since the epoch.
    current: what is in force: the settings, and the quarantine.
    send: hands a message to Postfix; whether it took it.
    log: for what is deleted and told.
    meter: counts.
    """

    def __init__(
        self,
        clock: IReactorTime,
        in_thread: Callable[[Callable[[], Any]], Awaitable[Any]],
        now: Callable[[], float],
        current: Callable[[], tuple[Settings, Quarantine]],
        send: Callable[[Envelope, bytes], Awaitable[bool]],
        log: Log,
        meter: Meter,
    ) -> None:
        self._clock = clock
        self._in_thread = in_thread
        self._now = now
        self._current = current
        self._send = send
        self._log = log
        self._meter = meter
        self._timer: Any = None
        self._stopped = False

    def start(self) -> None:
        """Do a round soon, and then from time to time."""
        self._timer = self._clock.callLater(FIRST, self._round)

    def stop(self) -> None:
        """Begin no other round."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _round(self) -> None:
        Deferred.fromCoroutine(self.round()).addErrback(self._broken).addBoth(self._again)

    def _broken(self, failure: Any) -> None:
        self._log.exception("quarantine-housekeeping-failed", failure.value)

    def _again(self, _result: object) -> None:
        if not self._stopped:
            self._timer = self._clock.callLater(INTERVAL, self._round)

    async def round(self) -> None:
        """Delete what is over, measure what is there, and tell of it if it is time."""
        settings, quarantine = self._current()
        limits, now = settings.contentfilter.quarantine, self._now()
        try:
            gone = await self._in_thread(lambda: expire(limits.folder, limits.keep, now))
            await self._in_thread(quarantine.measure)
            for path in gone:
                self._log.info("quarantine-expired", file=path.name)
            self._meter.expired(len(gone))
            if limits.digest:
                await self._tell(settings, now)
        except (OSError, QuarantineError) as error:
            self._log.error("quarantine-housekeeping-failed", error=str(error))

    async def _tell(self, settings: Settings, now: float) -> None:
        limits = settings.contentfilter.quarantine
        state: State = await self._in_thread(lambda: State.read(limits.folder))
        until = now - SETTLED
        if not state.until:
            state.until = until
            await self._in_thread(lambda: state.write(limits.folder))
        elif until >= due(state.until, limits.digest_hour):
            found = await self._in_thread(lambda: collect(limits.folder, limits.keep, state.until, until))
            since, state.until = state.until, until
            for domain in found:
                if readers(settings.registry, domain):
                    state.late.setdefault(domain, since)
            # Before anybody is told: a daemon that is killed meanwhile goes on with those that are left.
            await self._in_thread(lambda: state.write(limits.folder))
        for domain, since in sorted(state.late.items()):
            if self._stopped:
                return
            found = await self._in_thread(partial(collect, limits.folder, limits.keep, since, state.until))
            if domain not in found or await self._tell_one(settings, domain, found[domain], now):
                del state.late[domain]
                await self._in_thread(lambda: state.write(limits.folder))

    async def _tell_one(self, settings: Settings, domain: str, digest: Digest, now: float) -> bool:
        people = readers(settings.registry, domain)
        if not people:
            return True
        identity = settings.identity
        sender = settings.contentfilter.quarantine.digest_from or f"postmaster@{identity.hostname}"
        gateway = Gateway(identity.hostname, sender, identity.contact)
        sent = await self._send(*compose(domain, digest, people, gateway, now))
        self._meter.digested(sent)
        write = self._log.info if sent else self._log.warning
        write(
            "quarantine-digest" if sent else "quarantine-digest-failed",
            domain=domain,
            new=len(digest.new),
            ending=len(digest.ending),
            readers=len(people),
        )
        return sent


def expire(folder: Path, keep: float, now: float) -> list[Path]:
    """Delete what came more than ``keep`` seconds ago; returns the files. It blocks.

    Raises:
        QuarantineError: the folder cannot be read.
    """
    gone = []
    for path in paths(folder):
        arrived = came(path)
        if arrived is None:
            continue
        if arrived + keep > now:
            # They stand in the order in which they came.
            break
        try:
            with locked(path):
                path.unlink()
        except (OSError, QuarantineError):
            # Somebody releases or deletes it just now.
            continue
        gone.append(path)
    return gone


def collect(folder: Path, keep: float, since: float, until: float) -> dict[str, Digest]:
    """The digests, by domain, of what came between ``since`` and ``until`` or ends soon. It blocks.

    Raises:
        QuarantineError: the folder cannot be read.
    """
    digests: dict[str, Digest] = {}
    for path in paths(folder):
        arrived = came(path)
        if arrived is None or not worth_telling(arrived, keep, since, until):
            continue
        try:
            add(digests, read(path), keep, since, until)
        except QuarantineError:
            continue
    return digests


def due(last: float, hour: int) -> float:
    """When the next digest is due: at ``hour`` of the local day, the first time after ``last``."""
    then = time.localtime(last)
    for days in (0, 1):
        moment = time.mktime((then.tm_year, then.tm_mon, then.tm_mday + days, hour, 0, 0, 0, 0, -1))
        if moment > last:
            return moment
    return last + 86400.0
