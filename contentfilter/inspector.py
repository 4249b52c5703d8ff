"""One mail from its end-of-data to the decision: ticket, scanners side by side, points, verdict, quarantine.

Every wait here ends before the mail's own deadline; trouble of ours ends as 451, never as a pass and never as
5xx.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol, cast

from twisted.internet.interfaces import IReactorTime

from contentfilter.account import REMEMBERED, Told, content
from contentfilter.assessing import Mail, StampFailed
from contentfilter.clues import Clue
from contentfilter.deferring import Deferrals, may_wait
from contentfilter.disposition import Answer, Disposition
from contentfilter.engines.seat import Name as EngineName
from contentfilter.envelope import Envelope
from contentfilter.macros.allowlist import Allowlist
from contentfilter.metering import Stage
from contentfilter.metrics import Metrics
from contentfilter.origin import Investigator, Origin, Origins, Policyd, is_excepted
from contentfilter.panel import Panel
from contentfilter.policy import Policies
from contentfilter.quarantine.keeper import Quarantine
from contentfilter.recall import Recall
from contentfilter.recipients import (
    Share,
    differ,
    dispose,
    in_one_answer,
    judge,
    overloaded,
    places_of,
    put_off,
    with_action,
)
from contentfilter.results import ScanFailed, ScanResult
from contentfilter.splits import Splits
from contentfilter.spool import Spool
from contentfilter.stopwatch import Stopwatch
from contentfilter.together import Awaited, alongside, begin
from contentfilter.total import Total
from contentfilter.verdict import come_again
from contentfilter.verdict_line import verdict_line
from mailbase.addresses import plain_address, unpack
from mailbase.config import ListenerSettings, Settings
from mailbase.ids import IdSource
from mailbase.logs import Log
from mailbase.report import MAX_FINDINGS, Report
from mailbase.spamtraps import Spamtraps
from mailbase.store.recent import Recent
from mailbase.ticket import Ticket
from mailbase.vocabulary import Action, Finding, Flow

RESERVE = 2.0
"""Seconds kept free before the mail's deadline, for the verdict, the quarantine and the reinjection."""
NOTHING: Mapping[str, Any] = {}


class Pool(Protocol):
    """The scan pool."""

    async def scan(
        self,
        message: int | bytes,
        wire_size: int,
        timeout: float | None = None,
        given: Mapping[str, Any] = NOTHING,
        dotted: bool = True,
    ) -> ScanResult | ScanFailed: ...


class Engine(Protocol):
    """A virus engine; see :class:`contentfilter.engines.engine.Engine`."""

    name: EngineName

    async def scan(self, message: Spool, timeout: float | None = None) -> ScanResult | ScanFailed: ...


class Reporter(Protocol):
    """Tells policyd what became of a mail; see :class:`contentfilter.reporting.Reporter`."""

    def report(self, report: Report) -> None: ...


class Student(Protocol):
    """Learns mail by itself; see :class:`contentfilter.learning.student.Student`."""

    def graded(self, flow: Flow, spool: Spool, total: Total | None, trapped: bool) -> None: ...


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
        panel: others who are asked about each mail, and write lines for its top; None: nobody.
        traps: dummy addresses, where policyd does not tell.
        allowed: the macros that the postmaster allows; None: none.
        student: learns mail by itself; None: nobody does.
        policies: of ``settings``.
    """

    settings: Settings
    pool: Pool
    engines: Sequence[Engine]
    policyd: Policyd
    quarantine: Quarantine
    reporter: Reporter
    investigator: Investigator
    panel: Panel | None = None
    traps: Spamtraps = field(default_factory=Spamtraps)
    allowed: Allowlist | None = None
    student: Student | None = None
    policies: Policies = field(init=False)

    def __post_init__(self) -> None:
        self.policies = Policies(self.settings)


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
        self._origins = Origins(metrics, log)
        self._deferrals = Deferrals(metrics, log)
        self._ids = IdSource()
        self.recent: Recent[str, Told | None] = Recent(REMEMBERED)

    async def inspect(
        self, envelope: Envelope, spool: Spool, listener: ListenerSettings, deadline: float
    ) -> tuple[str, Disposition]:
        """See :class:`contentfilter.server.Inspector`."""
        backends = self.backends
        watch = Stopwatch(self._clock, self._metrics)
        # The scanners need no ticket and the ticket no scanner, so they run side by side. The results stand
        # in the order of the scanners, whoever is first.
        flow_of: Awaited[Flow | None] = Awaited()
        asking = self._ask(backends, envelope, spool, listener, deadline, watch, flow_of)
        started: list[Any] = [begin(asking)]
        started += [
            begin(watch.of(cast(Stage, engine.name), self._examine(engine, spool, deadline)))
            for engine in backends.engines
        ]
        scanning = watch.of("workers", self._scan(backends, spool, deadline, watch, flow_of))
        scanned, ((origin, mail, clues, failures), *examined) = await alongside(scanning, started)
        results: list[ScanResult | ScanFailed] = [scanned, *examined]
        ticket, flow, decision = origin.ticket, origin.flow, mail.id
        if backends.panel is not None:
            mail = mail.read(results[0] if isinstance(results[0], ScanResult) else None)
            if backends.panel.after:
                asked = backends.panel.assess(backends.panel.after, mail, self._left(deadline))
                more, missing = await watch.of("assessment", asked)
                clues += more
                failures += missing
        stated = tuple(Finding(clue.finding, "", clue.detail) for clue in clues if clue.finding)
        clues = [clue for result in results[:1] for clue in _clues(result)] + clues
        if stated:
            results = [*results, ScanResult(stated)]
        traps = spamtraps(envelope, ticket, backends.traps)
        judged = partial(
            judge,
            decision,
            flow,
            backends.policies,
            envelope,
            traps,
            [*results, *failures],
            origin.evidence,
            backends.allowed,
            None if is_excepted(ticket) else clues,
        )
        shares = judged(may_wait(mail, listener))
        if any(share.verdict.waits for share in shares):
            waiting = self._deferrals.ask(backends.policyd, mail, self._left(deadline))
            wait = await watch.of("greylist", waiting)
            shares = put_off(shares, wait) if wait else judged(False)
        apart = not envelope.lmtp and differ(shares)
        if apart and (flow is Flow.UPSTREAM or overloaded(shares) or not self._part(envelope, shares)):
            shares, apart = in_one_answer(shares), False
        stamps, kept = b"", ""
        if backends.panel is not None and backends.panel.stampers and not apart:
            stamping = self._stamp(backends.panel, mail, shares, deadline)
            shares, stamps = await watch.of("stamps", stamping)
        if not apart and any(share.action is Action.QUARANTINE for share in shares):
            shares, kept = await watch.of(
                "quarantine", self._keep(backends, shares, envelope, spool, listener)
            )
        if apart:
            shares = [with_action(share, Action.DEFER) for share in shares]
            disposition: Disposition = Answer(come_again(decision))
        else:
            content, contact = backends.settings.contentfilter, backends.settings.identity.contact
            disposition = dispose(shares, traps, content.tag_header, contact, kept, stamps)
            if shares[0].action is not Action.DEFER:
                self._splits.answered(envelope)
        verdict = shares[0].verdict
        self._metrics.decided(verdict, spool.size)
        self._metrics.recipients_decided(flow, shares)
        self._metrics.spamtraps.inc(len(traps))
        taken = watch.finish()
        line = verdict_line(shares, envelope, spool.size, origin, disposition, taken, len(traps))
        self._log.info("verdict", **line)
        parts = sum(result.parts for result in results if isinstance(result, ScanResult))
        reply = str(disposition.reply) if isinstance(disposition, Answer) else ""
        self._metrics.parts.inc(parts)
        told = Told(self._now(), flow, shares, reply, parts, taken)
        self.recent.put(decision, told)
        if backends.student is not None and isinstance(results[0], ScanResult):
            backends.student.graded(flow, spool, verdict.total, bool(traps))
        if ticket is not None:
            backends.reporter.report(_report(ticket, told, spool.size, origin))
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

    async def _ask(
        self,
        backends: Backends,
        envelope: Envelope,
        spool: Spool,
        listener: ListenerSettings,
        deadline: float,
        watch: Stopwatch,
        flow_of: Awaited[Flow | None],
    ) -> tuple[Origin, Mail, list[Clue], list[ScanFailed]]:
        """Where the mail comes from, and what those say of it who need no scan."""

        def left() -> float:
            return self._left(deadline)

        try:
            origin = await self._origins.find(backends, envelope, spool, listener, left, watch)
            flow_of.tell(origin.flow)
        finally:
            flow_of.tell(None)
        ticket = origin.ticket
        mail = Mail(
            ticket.id if ticket else self._ids.next(),
            envelope,
            spool,
            origin.flow,
            ticket,
            origin.client,
            origin.evidence,
            unasked=origin.unasked,
        )
        panel = backends.panel
        clues: list[Clue] = []
        failures: list[ScanFailed] = []
        if panel is not None and panel.beside:
            clues, failures = await watch.of("beside", panel.assess(panel.beside, mail, left()))
        return origin, mail, clues, failures

    async def _stamp(
        self, panel: Panel, mail: Mail, shares: list[Share], deadline: float
    ) -> tuple[list[Share], bytes]:
        """Lines for the top; if they cannot be had, the mail stays the client's."""
        if not any(share.action in (Action.ACCEPT, Action.TAG) for share in shares):
            return shares, b""
        try:
            return shares, await panel.stamp(mail, shares, self._left(deadline))
        except StampFailed as error:
            self._log.error("not-stamped", id=mail.id, error=str(error))
            return _waiting(shares, ScanFailed("stamps", "unavailable", str(error))), b""

    def _left(self, deadline: float) -> float:
        return deadline - RESERVE - self._clock.seconds()

    async def _examine(self, engine: Engine, spool: Spool, deadline: float) -> ScanResult | ScanFailed:
        result = await engine.scan(spool, self._left(deadline))
        self._metrics.examined(engine.name, result)
        return result

    async def _scan(
        self,
        backends: Backends,
        spool: Spool,
        deadline: float,
        watch: Stopwatch,
        flow_of: Awaited[Flow | None],
    ) -> ScanResult | ScanFailed:
        panel, given = backends.panel, NOTHING
        try:
            key = self._recall.key(spool)
            if (known := self._recall.answer(key)) is not None:
                return known
            if panel is not None and panel.preparers:
                preparing = panel.prepare(spool.head(), flow_of, self._left(deadline))
                given = await watch.of("preparation", preparing)
            # Another time more may be known, or looked at.
            lasting = panel is None or len(given) == len(panel.preparers)
            if panel is not None and (spared := panel.spared()):
                given, lasting = {**given, **spared}, False
            message = spool.small() or spool.as_fd()
        except OSError as error:
            return ScanFailed("workers", "unavailable", f"the message cannot be read: {error.strerror}")
        began = self._clock.seconds()
        dotted = spool.wire_size != spool.size
        result = await backends.pool.scan(message, spool.wire_size, self._left(deadline), given, dotted)
        if isinstance(result, ScanResult):
            watch.note("wait", max(0.0, self._clock.seconds() - began - result.seconds))
        if not lasting and isinstance(result, ScanResult):
            return result
        try:
            self._recall.note(key, spool, result)
        except (OSError, ValueError) as error:
            self._log.warning("scan-not-remembered", error=str(error))
        return result

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
            shares = _waiting(shares, failed, (Action.QUARANTINE,))
            return shares if envelope.lmtp else in_one_answer(shares), ""
        self._log.info("quarantined", id=verdict.id, file=path.name, recipients=len(places))
        return shares, path.name


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


def _report(ticket: Ticket, told: Told, size: int, origin: Origin) -> Report:
    verdict = told.shares[0].verdict
    names = [fact.name for fact in verdict.facts if isinstance(fact, Finding)]
    if origin.client is not None and origin.evidence is not None:
        # policyd has it on no ticket, and whoever asks why should find it.
        names += origin.evidence.facts
    found = tuple(dict.fromkeys(names))[:MAX_FINDINGS]
    whence = unpack(origin.client.address) if origin.client is not None else ""
    return Report(
        ticket.id,
        ticket.client,
        ticket.sender,
        # Of several the mildest: what anybody gets was not refused, and keeps what it took from limits.
        told.shares[-1].action,
        found,
        size,
        whence,
        told.reply,
        content(told),
    )


def _clues(result: ScanResult | ScanFailed) -> Sequence[Clue]:
    return result.clues if isinstance(result, ScanResult) else ()


def _waiting(
    shares: Sequence[Share],
    failed: ScanFailed,
    instead_of: Sequence[Action] = (Action.ACCEPT, Action.TAG, Action.QUARANTINE),
) -> list[Share]:
    """The shares, of which those wait with whom one of these actions would be done."""
    return [
        replace(
            share,
            verdict=replace(
                share.verdict, action=Action.DEFER, cause=failed, facts=(*share.verdict.facts, failed)
            ),
        )
        if share.action in instead_of
        else share
        for share in shares
    ]
