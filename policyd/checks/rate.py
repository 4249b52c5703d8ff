"""Limits: how much may come from whom, or go where (P6).

Each limit is counted where it can be known, so that none can stand at a wrong place: connections at the
first request of each, messages and recipients at DATA, octets at the end of the message. Whether a limit is
used up is seen at each recipient already, without taking anything, so that the client hears of it as early
as can be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, inf
from typing import Protocol

from mailbase.addresses import domain_of
from mailbase.config.limits import Of, Per
from mailbase.store import StoreError
from mailbase.vocabulary import Action, Flow
from policyd.evidence.context import Context
from policyd.evidence.facts import Limited, LimitFact, Named
from policyd.limits.bucket import Standing
from policyd.limits.ledger import Ask, Limits
from policyd.limits.limit import NO_DOMAIN, Limit, subject_of
from policyd.limits.seen import Seen
from policyd.protocol.request import Request, Stage

LONGEST_WAIT = 100 * 86400
"""Seconds; a wait beyond is told as this."""

_SPARED = frozenset({Named.CLIENT, Named.USER})
"""Whom ``policyd allow`` spares: who cannot be forged."""

_RCPT, _DATA, _END = Stage.RCPT, Stage.DATA, Stage.END_OF_MESSAGE
_FREE = LimitFact(Limited.FREE)
_UNAVAILABLE = LimitFact(Limited.UNAVAILABLE)


class LimitWatch(Protocol):
    """Is told how limits are used."""

    def limit_passed(self, limit: Limit) -> None:
        """Something was taken."""

    def limit_refused(self, limit: Limit, subject: str, standing: Standing, tell: bool) -> None:
        """It was used up; ``tell``: the log should say so."""

    def limit_warned(self, limit: Limit, subject: str, standing: Standing, tell: bool) -> None:
        """Taking went beyond the threshold for warning; likewise."""

    def limits_unavailable(self) -> None:
        """The store could not say, so nobody was stopped."""


@dataclass(frozen=True, slots=True)
class _Limits:
    """The limits of one flow, by where they are taken from."""

    connections: tuple[Limit, ...]
    mails: tuple[Limit, ...]
    sizes: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class Limiting:
    """What limits need beside the configuration, and what outlives a reload.

    Arguments:
        ledger: remembers how much is used.
        seen: what was counted already.
        accepted: the recipients of a request's transaction that were accepted so far.
        watch: told of what counts.
    """

    ledger: Limits
    seen: Seen
    accepted: Callable[[Request], tuple[str, ...]]
    watch: LimitWatch


class RateCheck:
    """Arguments:
    limits: of each flow that has any.
    limiting: what they are counted with.
    prefixes: lengths of a client network, IPv4 and IPv6.
    """

    name = "rate"

    def __init__(
        self,
        limits: Mapping[Flow, Sequence[Limit]],
        limiting: Limiting,
        prefixes: tuple[int, int] = (24, 64),
    ) -> None:
        self._limits = {
            flow: _Limits(
                tuple(limit for limit in those if limit.of is Of.CONNECTIONS),
                tuple(limit for limit in those if limit.of in (Of.MESSAGES, Of.RECIPIENTS)),
                tuple(limit for limit in those if limit.of is Of.BYTES),
            )
            for flow, those in limits.items()
            if those
        }
        self._ledger = limiting.ledger
        self._seen = limiting.seen
        self._accepted = limiting.accepted
        self._watch = limiting.watch
        self._prefixes = prefixes
        stages = {_RCPT}
        for those in self._limits.values():
            stages |= {_DATA} if those.mails else set()
            stages |= {_END} if those.sizes else set()
            stages |= {stage for stage in Stage if stage is not Stage.OTHER} if those.connections else set()
        self.stages = frozenset(stages)

    def check(self, request: Request, context: Context) -> LimitFact | Awaitable[LimitFact]:
        """Whether a limit is used up; what was taken stands in ``context.taken``."""
        limits = self._limits.get(context.origin.flow)
        if limits is None or context.allowed in _SPARED:
            return _FREE
        connection = self._seen.connection(request) if limits.connections else ""
        if connection and self._seen.has_connection(connection, request):
            if context.trace:
                self._seen.note_connection(connection, request)
            connection = ""
        asked = self._ask(limits, request, context, connection)
        if not asked:
            return _FREE
        try:
            standings = self._ledger.take([ask for _, ask in asked], context.now)
        except StoreError:
            return self._unavailable(context)
        if isinstance(standings, tuple):
            return self._conclude(asked, standings, request, context, connection)
        return self._wait(standings, asked, request, context, connection)

    async def _wait(
        self,
        waiting: Awaitable[tuple[Standing, ...]],
        asked: list[tuple[Limit, Ask]],
        request: Request,
        context: Context,
        connection: str,
    ) -> LimitFact:
        try:
            standings = await waiting
        except StoreError:
            return self._unavailable(context)
        return self._conclude(asked, standings, request, context, connection)

    def _unavailable(self, context: Context) -> LimitFact:
        if context.trace:
            self._watch.limits_unavailable()
        return _UNAVAILABLE

    def _ask(
        self, limits: _Limits, request: Request, context: Context, connection: str
    ) -> list[tuple[Limit, Ask]]:
        """What is asked of which limit."""
        asked: list[tuple[Limit, Ask]] = []
        trace = context.trace
        if connection:
            self._add(asked, limits.connections, request, context, take=trace)
        match request.stage:
            case Stage.RCPT:
                self._add(asked, limits.mails, request, context, take=False)
                self._add(asked, limits.sizes, request, context, take=False)
            case Stage.DATA if not self._seen.has_counted(request):
                self._add(asked, limits.mails, request, context, take=trace)
            case Stage.END_OF_MESSAGE if not self._seen.has_counted(request):
                self._add(asked, limits.sizes, request, context, take=trace)
        return asked

    def _add(
        self,
        asked: list[tuple[Limit, Ask]],
        limits: tuple[Limit, ...],
        request: Request,
        context: Context,
        *,
        take: bool,
    ) -> None:
        for limit in limits:
            if limit.per is Per.RECIPIENT_DOMAIN:
                costs = self._by_domain(limit, request)
            else:
                subject = subject_of(limit.per, request, context.origin, self._prefixes)
                costs = {} if subject is None else {subject: self._cost(limit, request)}
            asked += [(limit, limit.ask(subject, cost, take=take)) for subject, cost in costs.items()]

    def _cost(self, limit: Limit, request: Request) -> int:
        match limit.of:
            case Of.RECIPIENTS if request.stage is _RCPT:
                return len(self._so_far(request))
            case Of.RECIPIENTS:
                return max(1, request.number("recipient_count"))
            case Of.BYTES:
                # At RCPT what the client says, if it does.
                return max(1, request.number("size"))
            case _:
                return 1

    def _so_far(self, request: Request) -> tuple[str, ...]:
        """A mail's recipients with the one that is asked about, who may have been accepted for relaying."""
        return tuple(dict.fromkeys((*self._accepted(request), request.recipient)))

    def _by_domain(self, limit: Limit, request: Request) -> Mapping[str, int]:
        """Units for each domain of the recipients; at RCPT for the one that is asked about."""
        recipients = self._accepted(request)
        if request.stage is _RCPT or not recipients:
            recipients = self._so_far(request) if request.recipient else recipients
        domains = Counter(domain_of(recipient) or NO_DOMAIN for recipient in recipients)
        if limit.of is not Of.RECIPIENTS:
            domains = Counter(dict.fromkeys(domains, self._cost(limit, request)))
        if request.stage is _RCPT:
            domain = domain_of(request.recipient) or NO_DOMAIN
            return {domain: domains[domain]}
        return domains

    def _conclude(
        self,
        asked: list[tuple[Limit, Ask]],
        standings: tuple[Standing, ...],
        request: Request,
        context: Context,
        connection: str,
    ) -> LimitFact:
        both = list(zip(asked, standings, strict=True))
        lacking: list[tuple[Limit, float]] = []
        stopped = False
        for (limit, ask), standing in both:
            if not standing.passed and not limit.shadow:
                lacking.append((limit, _wait(limit, ask, standing, request)))
                stopped = stopped or ask.take
        if context.trace:
            self._tell(both, stopped, context.now)
            if not stopped:
                self._note(request, connection)
        if request.stage is _DATA or request.stage is _END:
            # A connection is not given back with the mail that it carried.
            context.taken = tuple(
                ask
                for (limit, ask), standing in both
                if ask.take and standing.passed and not stopped and limit.of is not Of.CONNECTIONS
            )
        if not lacking:
            return _FREE
        # Whoever waits for the longest wait, waits for all.
        limit, wait = max(lacking, key=lambda one: one[1])
        if wait == inf:
            return limit_fact(Limited.NEVER, limit.name, limit.per, limit.of, Action.REJECT, 0)
        seconds = min(ceil(wait), LONGEST_WAIT)
        return limit_fact(Limited.USED_UP, limit.name, limit.per, limit.of, limit.action, seconds)

    def _note(self, request: Request, connection: str) -> None:
        """What must not be counted again."""
        if connection:
            self._seen.note_connection(connection, request)
        if request.stage is _DATA or request.stage is _END:
            self._seen.note_counted(request)

    def _tell(self, both: list[tuple[tuple[Limit, Ask], Standing]], stopped: bool, now: float) -> None:
        for (limit, ask), standing in both:
            if standing.passed and ask.take and not stopped:
                self._watch.limit_passed(limit)
                if standing.used - ask.cost < limit.warn_at <= standing.used:
                    tell = self._seen.tell(ask.key, "warned", limit.rate.within, now)
                    self._watch.limit_warned(limit, ask.subject, standing, tell)
            elif not standing.passed and (ask.take or not limit.shadow):
                tell = self._seen.tell(ask.key, "refused", limit.rate.within, now)
                self._watch.limit_refused(limit, ask.subject, standing, tell)


def _wait(limit: Limit, ask: Ask, standing: Standing, request: Request) -> float:
    """Seconds until what lacks is there; infinite if it never will be."""
    if standing.wait == inf and request.stage is _RCPT and limit.of is Of.RECIPIENTS:
        # One more than ever goes into one mail can still be sent to with the next.
        return (standing.used + ask.cost - limit.rate.burst) * limit.rate.interval
    return standing.wait


@lru_cache(maxsize=4096)
def limit_fact(limited: Limited, limit: str, per: Per, of: Of, action: Action, wait: int) -> LimitFact:
    """The fact, always the same object for the same arguments."""
    return LimitFact(limited, limit, per, of, action, wait)
