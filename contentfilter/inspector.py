"""One mail from its end-of-data to the decision: ticket, scanners side by side, verdict, quarantine.

Every wait here ends before the mail's own deadline; trouble of ours ends as 451, never as a pass and never as
5xx.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.internet.interfaces import IReactorTime

from contentfilter.account import REMEMBERED, Told, brief, content
from contentfilter.disposition import Answer, Disposition
from contentfilter.engines.seat import Name as EngineName
from contentfilter.envelope import Envelope
from contentfilter.macros.allowlist import Allowlist
from contentfilter.metering import Stage
from contentfilter.metrics import Metrics
from contentfilter.policy import Policies
from contentfilter.quarantine.keeper import Quarantine
from contentfilter.recall import Recall
from contentfilter.received import Hop
from contentfilter.recipients import Share, differ, dispose, in_one_answer, judge, places_of, with_action
from contentfilter.results import ScanFailed, ScanResult
from contentfilter.splits import Splits
from contentfilter.spool import Spool
from contentfilter.upstream import wants_evidence
from contentfilter.verdict import Verdict, come_again
from mailbase.addresses import pack, plain_address, unpack
from mailbase.config import ListenerSettings, Settings
from mailbase.control import ControlError
from mailbase.evidence import Evidence
from mailbase.ids import IdSource, is_id
from mailbase.logs import Log
from mailbase.report import MAX_FINDINGS, Report
from mailbase.spamtraps import Spamtraps
from mailbase.store.recent import Recent
from mailbase.ticket import HEADER, Ticket
from mailbase.vocabulary import Action, Finding, Flow, Unscanned

TICKET_TIMEOUT = 2.0
"""Seconds for policyd to answer; without it the mail goes on with what we know ourselves."""
RESERVE = 2.0
"""Seconds kept free before the mail's deadline, for the verdict, the quarantine and the reinjection."""
MAX_LOGGED = 20
"""Facts in the log line."""

_ID_LINE = re.compile(rb"(?im)^" + HEADER.encode() + rb":[ \t]*([0-9a-z]{1,32})[ \t]*\r?$")
T = TypeVar("T")


class Pool(Protocol):
    """The scan pool."""

    async def scan(
        self, fd: int, wire_size: int, timeout: float | None = None
    ) -> ScanResult | ScanFailed: ...


class Engine(Protocol):
    """A virus engine; see :class:`contentfilter.engines.engine.Engine`."""

    name: EngineName

    async def scan(self, message: Spool, timeout: float | None = None) -> ScanResult | ScanFailed: ...


class Policyd(Protocol):
    """policyd's control socket."""

    async def request(self, verb: str, arguments: dict[str, Any], timeout: float) -> dict[str, Any]: ...


class Reporter(Protocol):
    """Tells policyd what became of a mail; see :class:`contentfilter.reporting.Reporter`."""

    def report(self, report: Report) -> None: ...


class Investigator(Protocol):
    """Looks at clients of upstream relays; see :class:`contentfilter.upstream.Investigator`."""

    async def look(
        self, settings: Settings, envelope: Envelope, head: bytes, ticket_id: str, patience: float
    ) -> tuple[Hop | None, Evidence | None]: ...


@dataclass(slots=True)
class Backends:
    """Who is asked; replaced as a whole when the configuration is reloaded.

    Arguments:
        settings: in force.
        pool: of scan workers.
        engines: that look for viruses.
        policyd: for the ticket.
        quarantine: for what must be kept.
        reporter: told what became of each mail with a ticket.
        investigator: looks at the clients of upstream relays.
        traps: dummy addresses, where policyd does not tell.
        allowed: the macros that the postmaster allows; None: none.
        policies: of ``settings``.
    """

    settings: Settings
    pool: Pool
    engines: Sequence[Engine]
    policyd: Policyd
    quarantine: Quarantine
    reporter: Reporter
    investigator: Investigator
    traps: Spamtraps = field(default_factory=Spamtraps)
    allowed: Allowlist | None = None
    policies: Policies = field(init=False)

    def __post_init__(self) -> None:
        self.policies = Policies(self.settings)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a mail beside its content: from policyd, and of the client of an upstream relay."""

    ticket: Ticket | None
    flow: Flow
    client: Hop | None
    evidence: Evidence | None


class MailInspector:
    """Decides on mails.

    Arguments:
        clock: the reactor's.
        backends: who is asked; the attribute may be replaced between two mails.
        log: gets one line a mail.
        metrics: counts.
        now: seconds since the epoch.
        splits: remembers mails whose recipients need different answers.
        recall: remembers what the workers said; None: nothing does.

    Attributes:
        recent: the latest decisions, by id.
    """

    def __init__(
        self,
        clock: IReactorTime,
        backends: Backends,
        log: Log,
        metrics: Metrics,
        now: Callable[[], float],
        splits: Splits | None = None,
        recall: Recall | None = None,
    ) -> None:
        self._recall = recall if recall is not None else Recall(clock.seconds, 0.0, metrics)
        self.backends = backends
        self._clock = clock
        self._log = log
        self._metrics = metrics
        self._now = now
        self._splits = splits if splits is not None else Splits(clock.seconds)
        self._ids = IdSource()
        self.recent: Recent[str, Told | None] = Recent(REMEMBERED)

    async def inspect(
        self, envelope: Envelope, spool: Spool, listener: ListenerSettings, deadline: float
    ) -> tuple[str, Disposition]:
        """See :class:`contentfilter.server.Inspector`."""
        backends = self.backends
        watch = _Stopwatch(self._clock, self._metrics)
        # The scanners need no ticket and the ticket no scanner, so they run side by side. The results stand
        # in the order of this list, whoever is first.
        scans = [watch.of("workers", self._scan(backends.pool, spool, deadline, watch))]
        scans += [
            watch.of(engine.name, self._examine(engine, spool, deadline)) for engine in backends.engines
        ]
        asking = self._known(envelope, spool, listener, deadline, watch)
        known, results = await _both(asking, scans)
        ticket, flow = known.ticket, known.flow
        decision = ticket.id if ticket else self._ids.next()
        traps = spamtraps(envelope, ticket, backends.traps)
        shares = judge(
            decision, flow, backends.policies, envelope, traps, results, known.evidence, backends.allowed
        )
        apart = not envelope.lmtp and differ(shares)
        if apart and (flow is Flow.UPSTREAM or not self._part(envelope, shares)):
            shares, apart = in_one_answer(shares), False
        kept = ""
        if not apart and any(share.action is Action.QUARANTINE for share in shares):
            shares, kept = await watch.of(
                "quarantine", self._keep(backends, shares, envelope, spool, listener)
            )
        if apart:
            shares = [with_action(share, Action.DEFER) for share in shares]
            disposition: Disposition = Answer(come_again(decision))
        else:
            content, contact = backends.settings.contentfilter, backends.settings.identity.contact
            disposition = dispose(shares, traps, content.tag_header, contact, kept)
            if shares[0].action is not Action.DEFER:
                self._splits.answered(envelope)
        verdict = shares[0].verdict
        self._metrics.decided(verdict, spool.size)
        self._metrics.recipients_decided(flow, shares)
        self._metrics.spamtraps.inc(len(traps))
        taken = watch.finish()
        self._log_verdict(shares, envelope, spool.size, known, disposition, taken, len(traps))
        parts = sum(result.parts for result in results if isinstance(result, ScanResult))
        reply = str(disposition.reply) if isinstance(disposition, Answer) else ""
        self._metrics.parts.inc(parts)
        told = Told(self._now(), flow, shares, reply, parts, taken)
        self.recent.put(decision, told)
        if ticket is not None:
            backends.reporter.report(_report(ticket, told, spool.size, known))
        return decision, disposition

    def take_back(self, kept: str) -> None:
        """See :class:`contentfilter.server.Inspector`."""
        try:
            self.backends.quarantine.take_back(kept)
        except OSError as error:
            # Then its recipients get it twice, at worst.
            self._log.warning("quarantine-not-taken-back", file=kept, error=str(error))
        else:
            self._log.info("quarantine-taken-back", file=kept)

    def _part(self, envelope: Envelope, shares: list[Share]) -> bool:
        """Whether the recipients will come one after another, by what they are answered."""
        labels = dict.fromkeys(range(len(envelope.recipients)), shares[0].reply_class)
        for share in shares:
            labels |= dict.fromkeys(share.places, share.reply_class)
        return self._splits.remember(envelope, labels)

    async def _known(
        self, envelope: Envelope, spool: Spool, listener: ListenerSettings, deadline: float, watch: _Stopwatch
    ) -> _Known:
        """What is known of the mail beside its content."""
        backends = self.backends
        ticket = await watch.of("ticket", self._ticket(backends.policyd, envelope, spool))
        flow = ticket.flow if ticket else without_ticket(backends.settings, envelope, listener)
        client, evidence = None, None
        if wants_evidence(backends.settings, flow):
            name = ticket.id if ticket else ""
            looking = backends.investigator.look(
                backends.settings, envelope, spool.head(), name, self._left(deadline)
            )
            client, evidence = await watch.of("evidence", looking)
        elif ticket is not None:
            evidence = Evidence(ticket.points, tuple(finding.name for finding in ticket.findings))
        return _Known(ticket, flow, client, evidence)

    def _left(self, deadline: float) -> float:
        return deadline - RESERVE - self._clock.seconds()

    async def _examine(self, engine: Engine, spool: Spool, deadline: float) -> ScanResult | ScanFailed:
        result = await engine.scan(spool, self._left(deadline))
        self._metrics.examined(engine.name, result)
        return result

    async def _scan(
        self, pool: Pool, spool: Spool, deadline: float, watch: _Stopwatch
    ) -> ScanResult | ScanFailed:
        try:
            key = self._recall.key(spool)
            if (known := self._recall.answer(key)) is not None:
                return known
            descriptor = spool.as_fd()
        except OSError as error:
            return ScanFailed("workers", "unavailable", f"the message cannot be read: {error.strerror}")
        began = self._clock.seconds()
        result = await pool.scan(descriptor, spool.wire_size, self._left(deadline))
        if isinstance(result, ScanResult):
            watch.note("wait", max(0.0, self._clock.seconds() - began - result.seconds))
        try:
            self._recall.note(key, spool, result)
        except (OSError, ValueError) as error:
            self._log.warning("scan-not-remembered", error=str(error))
        return result

    async def _ticket(self, policyd: Policyd, envelope: Envelope, spool: Spool) -> Ticket | None:
        """What policyd knows of the mail; None if it knows nothing, or does not answer."""
        name = ticket_id(spool.head())
        if not name:
            self._metrics.tickets.labels("missing").inc()
            return None
        about = {"id": name, "client": envelope.client.address, "sender": envelope.sender.address}
        try:
            answer = await policyd.request("ticket", about, TICKET_TIMEOUT)
            ticket = Ticket.from_dict({**about, **answer}) if answer.get("found") is True else None
        except (ControlError, ValueError) as error:
            self._metrics.tickets.labels("unavailable").inc()
            self._log.warning("ticket-unavailable", id=name, error=str(error))
            return None
        if ticket is None or ticket.id != name:
            self._metrics.tickets.labels("unknown").inc()
            return None
        self._metrics.tickets.labels("found").inc()
        return ticket

    async def _keep(
        self,
        backends: Backends,
        shares: list[Share],
        envelope: Envelope,
        spool: Spool,
        listener: ListenerSettings,
    ) -> tuple[list[Share], str]:
        """Put the mail into the quarantine, for those who don't get it; if that fails it stays the client's.

        Returns:
            What is done now, and the file's name.
        """
        places = frozenset(places_of(shares, Action.QUARANTINE))
        others = [place for place in range(len(envelope.recipients)) if place not in places]
        verdict = next(share.verdict for share in shares if share.action is Action.QUARANTINE)
        try:
            theirs = envelope.without(others)
            path = await backends.quarantine.keep(verdict, theirs, spool, self._now(), listener.reinject)
        except OSError as error:
            self._metrics.quarantine_failures.inc()
            self._log.error("quarantine-failed", id=verdict.id, error=str(error))
            failed = ScanFailed("quarantine", "unavailable", str(error))
            waiting = replace(verdict, action=Action.DEFER, cause=failed, facts=(*verdict.facts, failed))
            shares = [
                replace(share, verdict=waiting) if share.action is Action.QUARANTINE else share
                for share in shares
            ]
            return shares if envelope.lmtp else in_one_answer(shares), ""
        self._log.info("quarantined", id=verdict.id, file=path.name, recipients=len(places))
        return shares, path.name

    def _log_verdict(
        self,
        shares: list[Share],
        envelope: Envelope,
        size: int,
        known: _Known,
        disposition: Disposition,
        taken: Mapping[Stage, float],
        traps: int,
    ) -> None:
        verdict, ticket, evidence = shares[0].verdict, known.ticket, known.evidence
        found: dict[str, str | float] = {}
        if evidence is not None and evidence.facts:
            found = {"points": evidence.points, "facts": ",".join(evidence.facts)}
        if known.client is not None:
            found["address"] = unpack(known.client.address)
        if len(shares) > 1:
            found["actions"] = ",".join(f"{share.action}:{len(share.places)}" for share in shares)
        unprotected = sum(len(share.places) for share in shares if not share.protected)
        if unprotected:
            found["unprotected"] = unprotected
        seconds = {f"seconds_{stage}": number for stage, number in taken.items()}
        self._log.info(
            "verdict",
            id=verdict.id,
            flow=verdict.flow,
            action=verdict.action,
            cause=None if verdict.cause is None else brief(verdict.cause),
            client=envelope.client.address,
            sender=envelope.sender.address,
            user=ticket.user if ticket else "",
            ticket=ticket is not None,
            recipients=len(envelope.recipients),
            spamtraps=traps,
            size=size,
            findings=_listed(verdict, Finding),
            unscanned=_listed(verdict, Unscanned),
            failures=_listed(verdict, ScanFailed),
            reply=str(disposition.reply) if isinstance(disposition, Answer) else None,
            **found,
            **seconds,
        )


def ticket_id(head: bytes) -> str:
    """The id in the topmost ticket line of a message's header; empty if there is none.

    Arguments:
        head: the beginning of the message.
    """
    # policyd's line stands above everything that came from outside.
    header, _, _ = head.partition(b"\r\n\r\n")
    found = _ID_LINE.search(header)
    name = found[1].decode("ascii").lower() if found else ""
    return name if is_id(name) else ""


def without_ticket(settings: Settings, envelope: Envelope, listener: ListenerSettings) -> Flow:
    """The flow of a mail that policyd knows nothing of: by the client's address, else by the listener."""
    packed = pack(envelope.client.address)
    if packed is not None:
        if settings.registry.is_upstream(packed):
            return Flow.UPSTREAM
        if settings.registry.system_of(packed, envelope.client.name) is not None:
            return Flow.OUTBOUND
    return listener.flow or Flow.INBOUND


def spamtraps(envelope: Envelope, ticket: Ticket | None, traps: Spamtraps) -> frozenset[int]:
    """Positions of the recipients that are spamtraps: for policyd, or by our own configuration."""
    named = frozenset(map(plain_address, ticket.spamtraps)) if ticket is not None else frozenset()
    if not named and not traps:
        return frozenset()
    return frozenset(
        place
        for place, path in enumerate(envelope.recipients)
        if plain_address(path.address) in named or traps.match(path.address)
    )


def _report(ticket: Ticket, told: Told, size: int, known: _Known) -> Report:
    verdict = told.shares[0].verdict
    names = [fact.name for fact in verdict.facts if isinstance(fact, Finding)]
    if known.client is not None and known.evidence is not None:
        # policyd has it on no ticket, and whoever asks why should find it.
        names += known.evidence.facts
    found = tuple(dict.fromkeys(names))[:MAX_FINDINGS]
    origin = unpack(known.client.address) if known.client is not None else ""
    return Report(
        ticket.id,
        ticket.client,
        ticket.sender,
        # Of several the mildest: what anybody gets was not refused, and keeps what it took from limits.
        told.shares[-1].action,
        found,
        size,
        origin,
        told.reply,
        content(told),
    )


class _Stopwatch:
    """How long each stage took."""

    def __init__(self, clock: IReactorTime, metrics: Metrics) -> None:
        self._clock = clock
        self._metrics = metrics
        self._started = clock.seconds()
        self._taken: dict[Stage, float] = {}

    async def of(self, stage: Stage, work: Awaitable[T]) -> T:
        started = self._clock.seconds()
        try:
            return await work
        finally:
            self.note(stage, self._clock.seconds() - started)

    def note(self, stage: Stage, seconds: float) -> None:
        self._taken[stage] = seconds
        self._metrics.took(stage, seconds)

    def finish(self) -> dict[Stage, float]:
        total = self._clock.seconds() - self._started
        self._metrics.took("total", total)
        return {**self._taken, "total": total}


async def _both(
    asking: Coroutine[Any, Any, _Known],
    scans: Sequence[Coroutine[Any, Any, ScanResult | ScanFailed]],
) -> tuple[_Known, list[ScanResult | ScanFailed]]:
    """Run all at once; one that raises cancels the others, and so does the one who waits."""
    started: list[Deferred[Any]] = [Deferred.fromCoroutine(work) for work in (*scans, asking)]
    try:
        *results, known = await gatherResults(started, consumeErrors=True)
    except FirstError as error:
        for other in started:
            other.cancel()
        error.subFailure.raiseException()
    return known, results


def _listed(verdict: Verdict, kind: type[Finding | Unscanned | ScanFailed]) -> str:
    facts = [brief(fact) for fact in verdict.facts if isinstance(fact, kind)]
    return ", ".join(facts[:MAX_LOGGED]) + (
        f" and {len(facts) - MAX_LOGGED} more" if facts[MAX_LOGGED:] else ""
    )
