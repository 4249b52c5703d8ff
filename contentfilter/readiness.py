"""Whether mail can be taken: for ``/readyz`` and the control socket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from contentfilter.engines.assembly import Engines, missing
from contentfilter.pool.pool import Pool
from contentfilter.reinjection.reinjection import ReinjectionPort
from contentfilter.signing.service import Signing
from mailbase.config import Settings
from mailbase.vocabulary import Action, Flow


class Readiness:
    """Arguments:
    pool: of scan workers.
    signing: of outgoing mail.
    engines: that look at mail.
    ports: to which mail goes on; what comes to a milter stays with Postfix.
    settings: those in force.
    """

    def __init__(
        self,
        pool: Pool[Any],
        signing: Signing,
        engines: Engines,
        ports: Sequence[ReinjectionPort],
        settings: Callable[[], Settings],
    ) -> None:
        self._pool = pool
        self._signing = signing
        self._engines = engines
        self._ports = ports
        self._settings = settings

    def problem(self) -> str:
        """Why no mail can be taken now; empty if it can."""
        if not self._pool.able:
            return "no scan worker is ready"
        if why := self._signing.problem():
            return why
        for port in self._ports:
            if not port.ready:
                return f"the reinjection port {port.address} has not answered yet"
        gone = missing(self._engines.active)
        if gone and self._all_waits("engine-failed"):
            return f"the virus engine {gone} does not answer, or misses the test virus"
        gone = missing(self._engines.spam)
        if gone and self._all_waits("spam-engine-failed"):
            return f"the spam engine {gone} does not answer"
        return ""

    def _all_waits(self, reason: str) -> bool:
        """Whether mail that an engine could not look at, so ``reason``, is deferred in every flow."""
        flows = self._settings().flows
        return all(flows.of(flow).unscanned[reason] is Action.DEFER for flow in Flow)
