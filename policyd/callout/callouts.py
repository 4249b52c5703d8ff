"""Asks servers for recipients, each once at a time, and remembers what they said.

Interface: :meth:`Callouts.ask` for the check, :meth:`Callouts.forget` for the operator. A callout that has
begun goes on to its end behind the request that began it, so that the next one is answered from memory.

Diagnostics: a warning when a server counts as down, with what it failed by, and an info when it answers
again; a warning when a registered server must not be called, and when it refuses all addresses that are
registered as existing, or the first of several, with an info when it takes one again. A result is used for as
long as it lives and no longer, also while its server is down: a positive one would else let mail through to
an account that was closed.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

from twisted.internet.defer import Deferred

from mailbase.config import Settings
from mailbase.dns.resolver import Resolver
from mailbase.logs import Log
from mailbase.store import StoreError
from policyd.callout.breaker import BreakerTerms
from policyd.callout.conversation import Outcome, Script
from policyd.callout.dialling import Dial
from policyd.callout.lane import Lane
from policyd.callout.metrics import CalloutMetrics, Now
from policyd.callout.path import MAX_PATH, forward_path
from policyd.callout.result import Result, Target, result_of
from policyd.callout.results import Known, Results
from policyd.callout.servers import Place, Servers
from policyd.greylist.keys import client_network
from policyd.limits.bucket import Rate
from policyd.limits.ledger import Ask, Limits, bucket_key

MAX_FLIGHTS = 5_000
"""Callouts under way, those that wait included."""
MINUTE = 60.0
PLAIN = 600.0
"""Seconds for which a server with which TLS failed is called without."""
NETWORK = (24, 64)
"""Prefix lengths of the client networks that have a budget."""

_NOTHING = Known(None)


class Callouts:
    """Arguments:
    clock: the reactor; seconds since the epoch.
    settings: in force; :meth:`configure` replaces them at a reload.
    resolver: for the names of servers.
    results: what is remembered.
    limits: keeps the budgets.
    dial: opens connections.
    log: see the module's diagnostics.
    made_up: makes the local part of an address that does not exist.
    own: whether a packed address is this machine's; None asks the kernel.
    """

    def __init__(
        self,
        clock: Any,
        settings: Settings,
        resolver: Resolver,
        results: Results,
        limits: Limits,
        dial: Dial,
        log: Log,
        *,
        made_up: Callable[[], str] = lambda: f"no-such-user-{secrets.token_hex(8)}",
        own: Callable[[bytes], bool] | None = None,
    ) -> None:
        self._clock = clock
        self._resolver = resolver
        self._results = results
        self._limits = limits
        self._dial = dial
        self._log = log
        self._made_up = made_up
        self._own = own
        self._lanes: dict[str, Lane] = {}
        self._flights: dict[tuple[str, str], _Flight] = {}
        self._in_flight = 0
        self._refusing: set[str] = set()
        """Domains whose existing addresses were refused when they were asked for last."""
        self._closed: set[str] = set()
        """Domains with an existing address that was refused while another one was not."""
        self.metrics = CalloutMetrics()
        self.metrics.now = self._now
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        """Go on with other settings; what is under way ends by the old ones where it has them already."""
        self._terms = terms = settings.policyd.callout
        self._breaker = BreakerTerms(terms.failures, terms.failure_time, terms.pause)
        self._results.lives = {
            Result.KNOWN: terms.positive,
            Result.CATCH_ALL: terms.positive,
            Result.UNKNOWN: terms.negative,
            Result.UNFIT: terms.negative,
            Result.TEMPORARY: terms.temporary,
        }
        self._hello = settings.identity.hostname
        own = {} if self._own is None else {"own": self._own}
        self._servers = Servers(settings, self._resolver, **own)
        for name, lane in list(self._lanes.items()):
            if name not in self._servers and not lane.in_use:
                del self._lanes[name]
        for name, place in terms.test_targets.items():
            self._log.warning("callout-test-target", server=name, place=place, advice="for tests alone")

    def ask(
        self, target: Target, client: bytes | None, deadline: float, *, trace: bool = True
    ) -> Result | Awaitable[Result]:
        """See :class:`policyd.checks.recipient.Callout`."""
        if len(target.local) > MAX_PATH:
            return Result.UNFIT
        try:
            known = self._results.find(*target.key, self._clock.seconds())
        except StoreError:
            known = _NOTHING
        if isinstance(known, Known):
            return self._go_on(known, target, client, deadline, trace)
        return self._ask_later(known, target, client, deadline, trace)

    async def _ask_later(
        self, waiting: Awaitable[Known], target: Target, client: bytes | None, deadline: float, trace: bool
    ) -> Result:
        try:
            known = await waiting
        except StoreError:
            known = _NOTHING
        result = self._go_on(known, target, client, deadline, trace)
        return result if isinstance(result, Result) else await result

    def _go_on(
        self, known: Known, target: Target, client: bytes | None, deadline: float, trace: bool
    ) -> Result | Awaitable[Result]:
        if known.result is not None:
            if trace:
                self.metrics.hits += 1
            return known.result
        flight = self._flights.get(target.key)
        if flight is None:
            if self._in_flight >= MAX_FLIGHTS:
                self.metrics.ended(Result.BUSY, None)
                return Result.BUSY
            flight = self._flights[target.key] = _Flight(target, known, self._clock.seconds())
            self._in_flight += 1
            Deferred.fromCoroutine(self._fly(flight, client if trace else None))
        elif trace:
            self.metrics.joined += 1
        return flight.result or cast("Awaitable[Result]", self._wait(flight, deadline))

    def _wait(self, flight: _Flight, deadline: float) -> Deferred[Result]:
        """Fires when the flight ends or at ``deadline``."""
        waiter: Deferred[Result] = Deferred()

        def give_up() -> None:
            flight.waiters.remove(waiter)
            self.metrics.late += 1
            waiter.callback(Result.TEMPORARY)

        timer = self._clock.callLater(max(0.0, deadline - self._clock.seconds()), give_up)

        def stop(result: Result) -> Result:
            if timer.active():
                timer.cancel()
            return result

        waiter.addCallback(stop)
        flight.waiters.append(waiter)
        return waiter

    async def _fly(self, flight: _Flight, client: bytes | None) -> None:
        try:
            result = await self._callout(flight, client)
        except Exception as error:  # noqa: BLE001 - the boundary of a callout: logged, and nothing is known
            self._log.exception("callout-failed", error, server=flight.target.server)
            result = Result.TEMPORARY
        self._in_flight -= 1
        if self._flights.get(flight.target.key) is flight:
            del self._flights[flight.target.key]
        self.metrics.ended(result, self._clock.seconds() - flight.began if flight.called else None)
        flight.result = result
        waiters, flight.waiters = flight.waiters, []
        for waiter in waiters:
            waiter.callback(result)

    async def _callout(self, flight: _Flight, client: bytes | None) -> Result:
        target = flight.target
        names = self._servers.names(target.server)
        if not names:
            return Result.UNASKABLE
        path = forward_path(target.local, target.domain)
        if path is None:
            return Result.UNFIT
        if all(self._lane(name).breaker.refuses(self._clock.seconds()) for name in names):
            return Result.TEMPORARY
        of_server, of_client = self._budgets(target.server, client)
        # A client is charged for recipients that do not exist, once that is known; the server's budget is for
        # callouts that are made alone, or whoever has used up his own would use up everybody's.
        if of_client is not None and not await self._take(of_client._replace(take=False)):
            return Result.OVER_BUDGET
        if not await self._take(of_server):
            return Result.OVER_BUDGET
        existing = [forward_path(*one) for one in self._servers.existing(target)]
        controls = [one for one in existing if one is not None]
        result = Result.TEMPORARY
        until = flight.began + self._terms.deadline
        for position, name in enumerate(names):
            # Only the server itself is tested: what its backup takes says nothing about it.
            probe = None
            if position == 0 and self._terms.catch_all and not flight.known.tested:
                probe = forward_path(self._made_up(), target.domain)
            script = Script(self._hello, (path,), probe or b"", not path.isascii(), controls=controls)
            flight.called = True
            said = await self._ask_server(name, script, self._share(until, len(names) - position - 1))
            if isinstance(said, Outcome):
                result = await self._learn(flight, said)
                break
            result = said
            if said is Result.BUSY:
                # It is there; its backup is not for more of the same.
                break
        if result in (Result.UNKNOWN, Result.UNFIT) and of_client is not None:
            await self._take(of_client)
        return result

    async def _ask_server(self, name: str, script: Script, until: float) -> Outcome | Result:
        """What a server said; without an answer, why there is none."""
        lane, terms, clock = self._lane(name), self._terms, self._clock
        if lane.breaker.refuses(clock.seconds()):
            return Result.TEMPORARY
        found = await self._servers.places(name, until)
        if found.forbidden:
            self.metrics.forbidden += found.forbidden
            if not lane.warned:
                lane.warned = True
                self._log.warning("callout-forbidden", server=name, addresses=found.forbidden)
            if not found.places:
                return Result.UNASKABLE
        entered = lane.enter(terms.concurrency, terms.backlog, until)
        if not (entered if isinstance(entered, bool) else await entered):
            return Result.BUSY
        answered: Outcome | None = None
        failure = found.detail
        try:
            if clock.seconds() >= until:
                return Result.BUSY
            if not lane.breaker.begin(clock.seconds()):
                return Result.TEMPORARY
            try:
                for number, place in enumerate(found.places):
                    share = self._share(until, len(found.places) - number - 1)
                    outcome = await self._talk(lane, name, place, script, share)
                    if outcome.replies or outcome.lacks_smtputf8:
                        answered = outcome
                        break
                    self.metrics.failures += 1
                    failure = f"{place.host}: {outcome.failure} (at {outcome.stage})"
            finally:
                self._judge(lane, name, answered is not None, failure)
        finally:
            lane.leave()
        return answered or Result.TEMPORARY

    def _share(self, until: float, after: int) -> float:
        """Until when one of several may take: it leaves time for a connection to each ``after`` it."""
        now: float = self._clock.seconds()
        left = until - now
        return now + max(left / (after + 1), left - after * self._terms.connect_timeout)

    async def _talk(self, lane: Lane, name: str, place: Place, script: Script, until: float) -> Outcome:
        """One address; once more without TLS if that is what fails, or for who exists if it hung up."""
        clock, connect = self._clock, self._terms.connect_timeout
        if 0.0 <= clock.seconds() - lane.tls_failed < PLAIN:
            script = _plain(script)
        outcome = await self._dial(place.host, place.port, script, name, connect=connect, until=until)
        if outcome.handshake_failed:
            lane.tls_failed = clock.seconds()
            if clock.seconds() < until:
                script = _plain(script)
                outcome = await self._dial(place.host, place.port, script, name, connect=connect, until=until)
        if _hung_up_early(script, outcome) and clock.seconds() < until:
            # Many do behind a refusal, above all those that refuse us and not the recipient.
            rest = replace(script, recipients=script.controls[:1], controls=script.controls[1:], probe=b"")
            more = await self._dial(place.host, place.port, rest, name, connect=connect, until=until)
            outcome = replace(outcome, replies=outcome.replies + more.replies)
        return outcome

    def _judge(self, lane: Lane, name: str, answered: bool, failure: str) -> None:
        """Tell the breaker how a call ended."""
        if answered:
            if lane.breaker.succeeded():
                self._log.info("callout-server-up", server=name)
        elif lane.breaker.failed(self._clock.seconds(), self._breaker):
            self._log.warning("callout-server-down", server=name, error=failure)
        else:
            self._log.debug("callout-server-fails", server=name, error=failure)

    async def _learn(self, flight: _Flight, outcome: Outcome) -> Result:
        """What an answer says, remembered."""
        terms, target = self._terms, flight.target
        result = Result.UNFIT if outcome.lacks_smtputf8 else result_of(outcome.replies[0])
        if result is Result.UNKNOWN and len(outcome.replies) > 1 and self._refuses_all(target, outcome):
            result = Result.TEMPORARY
        life = terms.positive
        if result is Result.UNKNOWN or result is Result.UNFIT:
            life = terms.negative
        elif result is Result.TEMPORARY:
            life = terms.temporary
        now, generation = self._clock.seconds(), flight.known.generation
        catch_all: bool | None = None
        if result is Result.KNOWN and len(outcome.replies) > 1:
            probe = result_of(outcome.replies[1])
            if probe is not Result.TEMPORARY:
                catch_all = probe is Result.KNOWN
            if catch_all:
                result = Result.CATCH_ALL
        if flight.forgotten:
            return result
        try:
            kept = self._results.keep(*target.key, result, generation, now + life)
            if kept is not None:
                await kept
            if catch_all is not None:
                life = terms.positive if catch_all else terms.negative
                kept = self._results.keep_server(target.domain, catch_all, generation, now + life)
                if kept is not None:
                    await kept
        except StoreError as error:
            self._log.debug("callout-not-kept", error=str(error))
        return result

    def _refuses_all(self, target: Target, outcome: Outcome) -> bool:
        """Whether the server refused who exists as well: its word on the recipient is then worth nothing."""
        reply, domain = outcome.replies[-1], target.domain
        several = len(outcome.replies) > 2
        # Behind one that is refused, one that it cannot tell of now proves nothing.
        if reply.code < (300 if several else 500):
            if domain in self._refusing and reply.code < 300:
                self._refusing.discard(domain)
                self._log.info("callout-existing-accepted", server=target.server, domain=domain)
            self._note_closed(target, closed=several)
            return False
        self.metrics.existing_refused += 1
        if domain not in self._refusing:
            self._refusing.add(domain)
            self._log.warning(
                "callout-existing-refused",
                server=target.server,
                domain=domain,
                error=str(outcome.replies[1]),
                advice="as long as it refuses whom the registration calls existing, its word is not believed",
            )
        return True

    def _note_closed(self, target: Target, closed: bool) -> None:
        """Of several addresses that should exist, the first is refused, or is not."""
        if not closed:
            self._closed.discard(target.domain)
        elif target.domain not in self._closed:
            self._closed.add(target.domain)
            self._log.warning(
                "callout-existing-closed",
                server=target.server,
                domain=target.domain,
                advice="it refuses one that the registration calls existing and takes another: register one "
                "that is not closed; postwarden registry check names it",
            )

    def _budgets(self, server: str, client: bytes | None) -> tuple[Ask, Ask | None]:
        """The server's budget, and the client's if it has one."""
        terms = self._terms
        rate = Rate(terms.server_budget, MINUTE, terms.server_budget)
        key = bucket_key("callout", "server", server)
        of_server = Ask(key, rate, 1, True, False, "callout.server", server)
        if client is None:
            return of_server, None
        network = client_network(client, *NETWORK, exact=False)
        rate = Rate(terms.client_budget, MINUTE, terms.client_budget)
        key = bucket_key("callout", "client", network)
        return of_server, Ask(key, rate, 1, True, False, "callout.client", network)

    async def _take(self, ask: Ask) -> bool:
        try:
            standings = self._limits.take((ask,), self._clock.seconds())
            if isinstance(standings, Awaitable):
                standings = await standings
        except StoreError:
            # Nobody can count; the queue of each server bounds it all the same.
            return True
        return standings[0].passed

    async def forget(self, domain: str, local: str | None) -> bool:
        """Forget a recipient, or all of a domain; whether anything was there to be forgotten.

        Arguments:
            domain: normalised.
            local: as :func:`policyd.callout.result.folded` gives it; None: the whole domain, of which it is
                always said that something was there.

        Raises:
            StoreError: cannot be forgotten now.
        """
        for key, flight in list(self._flights.items()):
            if key[0] == domain and local in (None, key[1]):
                # It goes on for those who wait for it already; who comes now begins another.
                flight.forgotten = True
                del self._flights[key]
        now = self._clock.seconds()
        if local is not None:
            return await self._results.forget_address(domain, local, now)
        await self._results.forget_domain(domain, now)
        return True

    def _lane(self, name: str) -> Lane:
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane(self._clock)
        return lane

    def _now(self) -> Now:
        lanes = self._lanes.values()
        return Now(
            self._in_flight,
            sum(lane.waiting for lane in lanes),
            sum(lane.breaker.is_open for lane in lanes),
        )


class _Flight:
    """One callout under way, for all who wait for it."""

    __slots__ = ("began", "called", "forgotten", "known", "result", "target", "waiters")

    def __init__(self, target: Target, known: Known, began: float) -> None:
        self.target = target
        self.known = known
        self.began = began
        self.result: Result | None = None
        self.called = False
        self.forgotten = False
        self.waiters: list[Deferred[Result]] = []


def _hung_up_early(script: Script, outcome: Outcome) -> bool:
    """Whether a server that refused a recipient said nothing of those who exist."""
    replies = outcome.replies
    return (
        bool(script.controls)
        and bool(outcome.failure)
        and len(replies) == len(script.recipients)
        and result_of(replies[-1]) is Result.UNKNOWN
    )


def _plain(script: Script) -> Script:
    return replace(script, tls=False)
