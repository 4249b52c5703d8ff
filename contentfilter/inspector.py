"""One mail from its end-of-data to the decision: ticket, scanners side by side, verdict, quarantine.

Every wait here ends before the mail's own deadline; trouble of ours ends as 451, never as a pass and never as
5xx.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.internet.interfaces import IReactorTime

from contentfilter.disposition import Answer, Deliver, Disposition
from contentfilter.envelope import Envelope
from contentfilter.metrics import Metrics, Stage
from contentfilter.quarantine import Quarantine
from contentfilter.received import Hop
from contentfilter.results import ScanFailed, ScanResult
from contentfilter.spool import Spool
from contentfilter.upstream import wants_evidence
from contentfilter.verdict import Verdict, decide, with_points
from mailbase.addresses import pack, plain_address, unpack
from mailbase.config import ListenerSettings, Settings
from mailbase.control import ControlError
from mailbase.evidence import Evidence
from mailbase.ids import IdSource, is_id
from mailbase.logs import Log
from mailbase.report import MAX_FINDINGS, Report
from mailbase.spamtraps import Spamtraps
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


class Clamd(Protocol):
    """A virus scanner."""

    async def scan(self, message: Spool, timeout: float | None = None) -> ScanResult | ScanFailed: ...


class Policyd(Protocol):
    """policyd's control socket."""

    async def request(self, verb: str, arguments: dict[str, Any], timeout: float) -> dict[str, Any]: ...


class Reporter(Protocol):
    """Tells policyd what became of a mail; see :class:`contentfilter.reporting.Reporter`."""

    def report(self, report: Report) -> None: ...


class Allowlist(Protocol):
    """See :class:`contentfilter.macros.allowlist.Allowlist`."""

    def excuse(
        self, results: Sequence[ScanResult | ScanFailed], sender: str, recipients: Iterable[str]
    ) -> list[ScanResult | ScanFailed]: ...


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
        clamd: None if none is configured.
        policyd: for the ticket.
        quarantine: for what must be kept.
        reporter: told what became of each mail with a ticket.
        investigator: looks at the clients of upstream relays.
        traps: dummy addresses, where policyd does not tell.
        allowed: the macros that the postmaster allows; None: none.
    """

    settings: Settings
    pool: Pool
    clamd: Clamd | None
    policyd: Policyd
    quarantine: Quarantine
    reporter: Reporter
    investigator: Investigator
    traps: Spamtraps = field(default_factory=Spamtraps)
    allowed: Allowlist | None = None


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
    """

    def __init__(
        self, clock: IReactorTime, backends: Backends, log: Log, metrics: Metrics, now: Callable[[], float]
    ) -> None:
        self.backends = backends
        self._clock = clock
        self._log = log
        self._metrics = metrics
        self._now = now
        self._ids = IdSource()

    async def inspect(
        self, envelope: Envelope, spool: Spool, listener: ListenerSettings, deadline: float
    ) -> tuple[str, Disposition]:
        """See :class:`contentfilter.server.Inspector`."""
        backends = self.backends
        watch = _Stopwatch(self._clock, self._metrics)
        # The scanners need no ticket and the ticket no scanner, so they run side by side. The results stand
        # in the order of this list, whoever is first.
        scans = [watch.of("workers", self._scan(backends.pool, spool, deadline))]
        if backends.clamd is not None:
            scans.append(watch.of("clamd", backends.clamd.scan(spool, self._left(deadline))))
        asking = self._known(envelope, spool, listener, deadline, watch)
        known, results = await _both(asking, scans)
        ticket, flow = known.ticket, known.flow
        decision = ticket.id if ticket else self._ids.next()
        policy = backends.settings.flows.of(flow)
        if backends.allowed is not None:
            addresses = [path.address for path in envelope.recipients]
            results = backends.allowed.excuse(results, envelope.sender.address, addresses)
        verdict = decide(decision, flow, policy, results)
        spared = self._spared(envelope)
        if known.evidence is not None and spared < len(envelope.recipients):
            # Complaints must get through, so a mail that goes to abuse@ as well is not held back.
            hold = None if spared else policy.quarantine_at
            verdict = with_points(verdict, known.evidence, policy.tag_at, hold)
        traps = spamtraps(envelope, ticket, backends.traps)
        if traps and len(traps) == len(envelope.recipients):
            # There is nobody else who could be told, or miss anything.
            verdict = replace(verdict, action=Action.DISCARD, cause=None)
        if verdict.action is Action.QUARANTINE:
            kept = self._keep(backends.quarantine, verdict, envelope.without(traps), spool)
            verdict = await watch.of("quarantine", kept)
        disposition = dispose(verdict, backends.settings, traps)
        self._metrics.decided(verdict, spool.size)
        self._metrics.parts.inc(sum(result.parts for result in results if isinstance(result, ScanResult)))
        self._metrics.spamtraps.inc(len(traps))
        self._log_verdict(verdict, envelope, spool.size, known, disposition, watch, len(traps))
        if ticket is not None:
            backends.reporter.report(_report(ticket, verdict, spool.size, known))
        return decision, disposition

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

    def _spared(self, envelope: Envelope) -> int:
        """How many of the recipients get no points: abuse@ and the like."""
        exempt = self.backends.settings.policyd.greylist.exempt
        return sum(
            plain_address(path.address).partition("@")[0].partition("+")[0] in exempt
            for path in envelope.recipients
        )

    def _left(self, deadline: float) -> float:
        return deadline - RESERVE - self._clock.seconds()

    async def _scan(self, pool: Pool, spool: Spool, deadline: float) -> ScanResult | ScanFailed:
        try:
            descriptor = spool.as_fd()
        except OSError as error:
            return ScanFailed("workers", "unavailable", f"no descriptor: {error.strerror}")
        return await pool.scan(descriptor, spool.wire_size, self._left(deadline))

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
        self, quarantine: Quarantine, verdict: Verdict, envelope: Envelope, spool: Spool
    ) -> Verdict:
        """Put the mail into the quarantine; if that fails the mail stays the client's."""
        try:
            path = await quarantine.keep(verdict, envelope, spool, self._now())
        except OSError as error:
            self._metrics.quarantine_failures.inc()
            self._log.error("quarantine-failed", id=verdict.id, error=str(error))
            failed = ScanFailed("quarantine", "unavailable", str(error))
            return replace(verdict, action=Action.DEFER, cause=failed, facts=(*verdict.facts, failed))
        self._log.info("quarantined", id=verdict.id, file=path.name)
        return verdict

    def _log_verdict(
        self,
        verdict: Verdict,
        envelope: Envelope,
        size: int,
        known: _Known,
        disposition: Disposition,
        watch: _Stopwatch,
        traps: int,
    ) -> None:
        ticket, evidence = known.ticket, known.evidence
        found: dict[str, str | float] = {}
        if evidence is not None and evidence.facts:
            found = {"points": evidence.points, "facts": ",".join(evidence.facts)}
        if known.client is not None:
            found["address"] = unpack(known.client.address)
        seconds = {f"seconds_{stage}": taken for stage, taken in watch.finish().items()}
        self._log.info(
            "verdict",
            id=verdict.id,
            flow=verdict.flow,
            action=verdict.action,
            cause=None if verdict.cause is None else _brief(verdict.cause),
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


def dispose(verdict: Verdict, settings: Settings, left_out: frozenset[int] = frozenset()) -> Disposition:
    """What the proxy is to do.

    Arguments:
        left_out: positions of the recipients that do not get the mail.
    """
    match verdict.action:
        case Action.ACCEPT | Action.TAG:
            return Deliver(verdict.header(settings.contentfilter.tag_header), left_out)
        case Action.QUARANTINE | Action.DEFER | Action.REJECT:
            return Answer(verdict.reply(settings.identity.contact), left_out)
        case Action.DISCARD:
            return Answer(verdict.reply())


def _report(ticket: Ticket, verdict: Verdict, size: int, known: _Known) -> Report:
    names = [fact.name for fact in verdict.facts if isinstance(fact, Finding)]
    if known.client is not None and known.evidence is not None:
        # policyd has it on no ticket, and whoever asks why should find it.
        names += known.evidence.facts
    found = tuple(dict.fromkeys(names))[:MAX_FINDINGS]
    origin = unpack(known.client.address) if known.client is not None else ""
    return Report(ticket.id, ticket.client, ticket.sender, verdict.action, found, size, origin)


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
            self._taken[stage] = self._clock.seconds() - started
            self._metrics.took(stage, self._taken[stage])

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


def _brief(fact: Finding | Unscanned | ScanFailed) -> str:
    match fact:
        case Finding(name, part, detail) | Unscanned(part, name, detail) | ScanFailed(part, name, detail):
            text = f"{name}:{part}" if part else name
            text = f"{text}({detail})" if detail else text
            return f"{text}#{fact.digest}" if isinstance(fact, Finding) and fact.digest else text


def _listed(verdict: Verdict, kind: type[Finding | Unscanned | ScanFailed]) -> str:
    facts = [_brief(fact) for fact in verdict.facts if isinstance(fact, kind)]
    return ", ".join(facts[:MAX_LOGGED]) + (
        f" and {len(facts) - MAX_LOGGED} more" if facts[MAX_LOGGED:] else ""
    )
