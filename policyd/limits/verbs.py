"""The control socket's verbs for limits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any

from twisted.internet.interfaces import IReactorTime

from mailbase.control import ControlError
from mailbase.control.server import Handler
from mailbase.networks import network_named, parse_network
from mailbase.store import Row, StoreError
from policyd.control.pausing import pause
from policyd.engine.account import clean
from policyd.limits.bucket import stand
from policyd.limits.ledger import Limits
from policyd.limits.limit import Limit

MAX_FORGOTTEN = 10_000
"""Buckets that are set free at once; it is said when there are more."""


class LimitVerbs:
    """Arguments:
    ledger: remembers how much is used.
    limits: those in force.
    clock: the reactor; seconds since the epoch.
    """

    def __init__(self, ledger: Limits, limits: Callable[[], Iterable[Limit]], clock: IReactorTime) -> None:
        self._ledger = ledger
        self._limits = limits
        self._clock = clock

    def table(self) -> dict[str, Handler]:
        """Verb → handler."""
        return {"limits.list": self.listing, "limits.show": self.show, "limits.forget": self.forget}

    def listing(self, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Every bucket that something was taken from."""
        return self._rows(lambda described: True)

    def show(self, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """``term``: an address, network, user, domain or limit. What of it is in use."""
        return self._rows(_matcher(_term(request)))

    async def forget(self, request: dict[str, Any]) -> dict[str, Any]:
        """``term``: as for limits.show. Sets free what that shows."""
        found = []
        async for key, _ in self._buckets(_matcher(_term(request))):
            found.append(key)
            if len(found) >= MAX_FORGOTTEN:
                break
        try:
            for key in found:
                done = self._ledger.forget(key)
                if isinstance(done, Awaitable):
                    await done
        except StoreError as error:
            raise ControlError(f"forgotten in part: {error}") from error
        return {"forgotten": len(found), "more": len(found) >= MAX_FORGOTTEN}

    async def _rows(self, wanted: Callable[[Mapping[str, Any]], bool]) -> AsyncIterator[dict[str, Any]]:
        async for _, described in self._buckets(wanted):
            yield described

    async def _buckets(
        self, wanted: Callable[[Mapping[str, Any]], bool]
    ) -> AsyncIterator[tuple[bytes, dict[str, Any]]]:
        now = self._clock.seconds()
        limits = {limit.label: limit for limit in self._limits()}
        try:
            async for page in self._ledger.pages(now):
                for key, row in page:
                    described = _describe(row, limits, now)
                    if wanted(described):
                        yield key, described
                # Postfix's requests get their turn.
                await pause(self._clock)
        except StoreError as error:
            raise ControlError(str(error)) from error


def _describe(row: Row, limits: Mapping[str, Limit], now: float) -> dict[str, Any]:
    full_at, label, subject, _ = row
    limit = limits.get(str(label))
    described = {"limit": label, "subject": subject, "of": None, "used": None, "allowed": None}
    if limit is not None:
        # As who asks for something would find it, also where the clock was set back.
        used = stand(float(full_at), 0, limit.rate, now).used
        described |= {"of": limit.of.value, "used": round(used), "allowed": limit.rate.burst}
    return {**described, "expires": int(full_at)}


def _term(request: Mapping[str, Any]) -> str:
    term = request.get("term")
    if not isinstance(term, str) or not term:
        raise ControlError("expected an address, network, user, domain or limit, got nothing")
    return clean(term)


def _matcher(term: str) -> Callable[[Mapping[str, Any]], bool]:
    """Says whether a bucket has to do with ``term``."""
    text = term.strip().lower()
    try:
        network = network_named(text)
    except ValueError as error:
        raise ControlError(str(error)) from error

    def matches(described: Mapping[str, Any]) -> bool:
        subject, label = str(described["subject"]).lower(), str(described["limit"])
        if text in (subject, label, label.partition(".")[2]):
            return True
        other = _network(subject) if network is not None else None
        if network is None or other is None or len(other[0]) != len(network[0]):
            return False
        shift = 8 * len(other[0]) - min(other[1], network[1])
        return int.from_bytes(other[0]) >> shift == int.from_bytes(network[0]) >> shift

    return matches


def _network(text: str) -> tuple[bytes, int] | None:
    try:
        return parse_network(text)
    except ValueError:
        return None
