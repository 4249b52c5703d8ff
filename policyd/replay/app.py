"""A replay that asks DNS: beside the daemon's own, the only place with the global reactor."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ReactorNotRunning
from twisted.python.failure import Failure

from mailbase.config import Settings
from mailbase.dns import build_resolver
from policyd.checks import EVIDENCE
from policyd.evidence.facts import Evidence
from policyd.evidence.gathering import Gatherer
from policyd.evidence.inquiry import Gather


class LiveDns:
    """See :class:`policyd.replay.world.Dns`.

    Arguments:
        reactor: Twisted's.
        settings: how DNS is asked.
    """

    def __init__(self, reactor: Any, settings: Settings) -> None:
        self._reactor = reactor
        self.resolver = build_resolver(reactor, settings.dns, EVIDENCE)
        self._gatherer = Gatherer(self.resolver, self.seconds, self, time.perf_counter)
        self.failures: dict[str, int] = {}
        """How often each check raised."""

    @property
    def gather(self) -> Gather:
        """Asks for the checks."""
        return self._gatherer.gather

    def seconds(self) -> float:
        """The reactor's clock."""
        now: float = self._reactor.seconds()
        return now

    def established(self, evidence: Sequence[Evidence], times: Mapping[str, float]) -> None:
        """See :class:`policyd.evidence.gathering.Watch`."""

    def late(self) -> None:
        """Likewise."""

    def check_failed(self, check: str, error: Exception) -> None:
        """Likewise."""
        self.failures[check] = self.failures.get(check, 0) + 1


async def together(waiting: Iterable[Awaitable[object]]) -> None:
    """Wait for all of them."""
    await gatherResults([Deferred.fromCoroutine(_await(one)) for one in waiting], consumeErrors=True)


async def _await(one: Awaitable[object]) -> object:
    return await one


def run(settings: Settings, work: Callable[[LiveDns], Coroutine[Any, Any, None]]) -> None:
    """Run ``work`` with DNS at hand; returns when it is done.

    Raises:
        KeyboardInterrupt: the user had enough.
    """
    from twisted.internet import reactor as imported

    reactor: Any = imported
    dns = LiveDns(reactor, settings)
    ended: list[Failure | None] = []

    def end(result: Failure | None) -> None:
        ended.append(result)
        # Who pressed Ctrl-C at the very end has stopped it already.
        with suppress(ReactorNotRunning):
            reactor.stop()

    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(work(dns)).addBoth(end))
    reactor.run()
    dns.resolver.stop()
    if not ended:
        raise KeyboardInterrupt
    if isinstance(ended[0], Failure):
        ended[0].raiseException()
