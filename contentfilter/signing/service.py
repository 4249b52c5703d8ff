"""Signing in the daemon, put together: keys, the processes that hold them, and who may sign with which."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from contentfilter.assessing import Stamper
from contentfilter.pool.process import Launcher, ProgramLauncher
from contentfilter.signing.entitlement import signing_domains
from contentfilter.signing.messages import Result, decode
from contentfilter.signing.metrics import KeyState, SigningMetrics
from contentfilter.signing.public import Algorithm, KeyProblem, PublicKey
from contentfilter.signing.signer import SignerSettings
from contentfilter.signing.signers import Limits, Signers
from contentfilter.signing.stamper import SigningStamper
from contentfilter.signing.state import load, write
from contentfilter.signing.watch import Watch
from mailbase.config import Settings
from mailbase.config.identity import IdentitySettings
from mailbase.config.signing import SigningSettings
from mailbase.dns import Resolver
from mailbase.logs import Log

MEMORY = 512 << 20
"""Octets of address space of a signer; it reads mail piece by piece."""
MAX_TASKS = 100_000
"""Messages until a signer is replaced by a fresh one."""
RESCAN = 60.0
"""Seconds, at most, until a new key is noticed."""
T = TypeVar("T")


class InThread(Protocol):
    """Runs what waits for the disk."""

    def __call__(self, work: Callable[[], T]) -> Deferred[T]: ...


class Launch(Protocol):
    """Makes a launcher of signers that have these keys."""

    def __call__(
        self, reactor: Any, signing: SigningSettings, keys: Sequence[PublicKey], log: Log
    ) -> Launcher[Result]: ...


def selectors(identity: IdentitySettings) -> list[tuple[str, Algorithm]]:
    """The configured selectors, each with the kind of its key."""
    rsa: list[tuple[str, Algorithm]] = [(name, "rsa-sha256") for name in identity.dkim_selectors]
    return rsa + [(name, "ed25519-sha256") for name in identity.dkim_ed25519_selectors]


def read_keys(settings: Settings, owner: int | None = None) -> tuple[PublicKey, ...]:
    """The keys that are there; none without ``contentfilter.signing``.

    Arguments:
        owner: user id that they must belong to; None: this process's.

    Raises:
        KeyProblem: one cannot be used, or there is none.
    """
    signing = settings.contentfilter.signing
    if signing is None:
        return ()
    from contentfilter.signing.keys import public_keys  # with it comes all of OpenSSL

    owner = os.geteuid() if owner is None else owner
    keys = public_keys(signing.keys, selectors(settings.identity), owner)
    if not keys:
        raise KeyProblem(
            f"{signing.keys} has no key for any of {', '.join(settings.identity.all_selectors)}: "
            "'postwarden dkim new' makes one"
        )
    return keys


def signer_launcher(
    reactor: Any, signing: SigningSettings, keys: Sequence[PublicKey], log: Log
) -> Launcher[Result]:
    """Starts real signers; see :class:`Launch`."""
    settings = SignerSettings(
        os.getpid(),
        str(signing.keys.absolute()),
        os.geteuid(),
        tuple(key.selector for key in keys),
        MEMORY,
        signing.deadline,
        signing.line_length,
        signing.stray_cr == "kept",
    )
    return ProgramLauncher(reactor, "contentfilter.signing.signer", settings.encode(), decode, log)


class Signing:
    """Arguments:
        reactor: for processes and time.
        resolver: for the domains' records.
        log: for everything.
        registry: for the metrics.
        in_thread: runs what waits for the disk.
        now: seconds since the epoch.
        launch: starts signers; tests put another in its place.

    Attributes:
        stampers: sign; empty if nothing is signed.
    """

    def __init__(
        self,
        reactor: Any,
        resolver: Resolver,
        log: Log,
        registry: CollectorRegistry,
        in_thread: InThread,
        now: Callable[[], float],
        launch: Launch = signer_launcher,
    ) -> None:
        self.stampers: Sequence[Stamper] = ()
        self._reactor = reactor
        self._resolver = resolver
        self._log = log
        self._in_thread = in_thread
        self._now = now
        self._launch = launch
        self._metrics = SigningMetrics(registry, self._states)
        self._signers = Signers(reactor, log, self._metrics)
        self._settings: Settings | None = None
        self._keys: tuple[PublicKey, ...] = ()
        self._watch: Watch | None = None
        self._running = False
        self._rescan: IDelayedCall | None = None
        self._said = ""

    def start(self) -> None:
        """Start the processes, and look at the records."""
        self._running = True
        self._signers.start()
        if self._watch is not None:
            self._watch.start()
        self._rescan_later()

    async def stop(self) -> None:
        """Finish what is being signed, and end."""
        self._running = False
        if self._rescan is not None and self._rescan.active():
            self._rescan.cancel()
        if self._watch is not None:
            self._watch.stop()
            await self._remember()
        await self._signers.stop()

    def problem(self) -> str:
        """Why nothing can be signed now; empty if it can, or need not."""
        return "" if self._signers.able else "no signer is ready"

    def configure(self, settings: Settings, keys: tuple[PublicKey, ...]) -> None:
        """Put a configuration in force.

        Arguments:
            keys: as :func:`read_keys` gives them.
        """
        old, self._settings = self._settings, settings
        signing = settings.contentfilter.signing
        if signing is None:
            self._signers.remove()
            if self._watch is not None:
                self._watch.stop()
            self._watch, self._keys, self.stampers = None, (), ()
            return
        before = None if old is None else old.contentfilter.signing
        if self._watch is None or before is None or before.state != signing.state:
            if self._watch is not None:
                self._watch.stop()
            self._watch = self._new_watch(signing)
        watch = self._watch
        watch.standings.settle = signing.settle

        def in_force() -> None:
            self._keys = keys
            watch.configure(keys, signing_domains(settings.registry), signing.check_every)

        names = [key.name for key in keys]
        if (
            before is None
            or _process(before) != _process(signing)
            or names != [key.name for key in self._keys]
        ):
            limits = Limits(signing.signers, MAX_TASKS, signing.deadline, signing.backlog)
            launcher = self._launch(self._reactor, signing, keys, self._log)
            self._signers.replace(limits, launcher, in_force)
        else:
            in_force()
        self.stampers = (
            SigningStamper(settings.registry, watch, self._signers, self._metrics, self._now, self._used),
        )

    def _new_watch(self, signing: SigningSettings) -> Watch:
        standings = load(signing.state, signing.settle, self._log)
        watch = Watch(
            self._reactor, self._resolver, self._now, self._log, self._metrics, standings, self._round_over
        )
        if self._running:
            watch.start()
        return watch

    def _used(self, keys: Sequence[PublicKey]) -> None:
        if self._watch is not None:
            self._watch.standings.used(keys, self._now())

    def _states(self) -> list[KeyState]:
        if self._settings is None:
            return []
        counts = {} if self._watch is None else self._watch.counts()
        ages = {key.selector: max(0.0, self._now() - key.made) for key in self._keys}
        domains = {key.selector: count for key, count in counts.items()}
        return [
            KeyState(selector, ages.get(selector, 0.0), domains.get(selector, 0))
            for selector in self._settings.identity.all_selectors
        ]

    # What lies on the disk

    def _round_over(self) -> None:
        Deferred.fromCoroutine(self._remember())

    async def _remember(self) -> None:
        if self._watch is None or self._settings is None or self._settings.contentfilter.signing is None:
            return
        path, data = self._settings.contentfilter.signing.state, self._watch.standings.to_dict()
        try:
            await self._in_thread(partial(write, path, data))
        except OSError as error:
            self._log.warning("signing-state-not-written", file=str(path), error=str(error))

    def _rescan_later(self) -> None:
        signing = self._settings.contentfilter.signing if self._settings is not None else None
        pause = RESCAN if signing is None else min(RESCAN, signing.check_every)
        if self._running:
            self._rescan = self._reactor.callLater(pause, self._look_for_keys)

    def _look_for_keys(self) -> None:
        settings = self._settings
        if settings is None or settings.contentfilter.signing is None:
            self._rescan_later()
            return
        looking = self._in_thread(partial(read_keys, settings))
        looking.addCallbacks(partial(self._found, settings), self._not_found)
        looking.addBoth(lambda _result: self._rescan_later())

    def _found(self, settings: Settings, keys: tuple[PublicKey, ...]) -> None:
        self._said = ""
        if self._signers.replacing or not self._running or settings is not self._settings:
            return
        if keys != self._keys:
            self._log.info("signing-keys-changed", selectors=", ".join(key.selector for key in keys))
            self.configure(settings, keys)

    def _not_found(self, failure: Failure) -> None:
        text = failure.getErrorMessage()
        if not isinstance(failure.value, KeyProblem):
            self._log.exception("signing-keys-not-read", failure.value or RuntimeError("no cause"))
        elif text != self._said:
            # What was read before stays in force.
            self._log.error("signing-keys-unusable", error=text)
        self._said = text


def _process(signing: SigningSettings) -> tuple[object, ...]:
    """What of the settings a signer has from its start."""
    return (
        signing.keys,
        signing.signers,
        signing.deadline,
        signing.backlog,
        signing.line_length,
        signing.stray_cr,
    )
