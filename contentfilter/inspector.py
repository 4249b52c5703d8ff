"""One mail from its end-of-data to the decision: ticket, scanners side by side, points, verdict, quarantine.

Every wait here ends before the mail's own deadline; trouble of ours ends as 451, never as a pass and never as
5xx.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from twisted.internet.interfaces import IReactorTime

from contentfilter.assessing import Mail, StampFailed
from contentfilter.backends import NOTHING, Backends, Engine
from contentfilter.content.clues import Clue
from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.disposition.account import REMEMBERED, Told
from contentfilter.disposition.deferring import Deferrals, may_wait
from contentfilter.disposition.disposition import Answer, Disposition
from contentfilter.disposition.recipients import (
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
from contentfilter.disposition.splits import Splits
from contentfilter.disposition.verdict import come_again
from contentfilter.disposition.verdict_line import verdict_line
from contentfilter.head_start import SPARED, HeadStart
from contentfilter.metering import Stage
from contentfilter.metrics import Metrics
from contentfilter.origin.origin import Origin, Origins, is_excepted
from contentfilter.panel import Panel
from contentfilter.recall import Recall
from contentfilter.reporting import report_of
from contentfilter.session.envelope import Envelope
from contentfilter.spool.spool import Spool
from contentfilter.stopwatch import Stopwatch
from contentfilter.together import Awaited, alongside, begin
from mailbase.addresses import plain_address
from mailbase.config import ListenerSettings
from mailbase.ids import IdSource
from mailbase.logs import Log
from mailbase.spamtraps import Spamtraps
from mailbase.store.recent import Recent
from mailbase.ticket import Ticket
from mailbase.vocabulary import Action, Finding, Flow

RESERVE = 2.0
"""Seconds kept free before the mail's deadline, for the verdict, the quarantine and the reinjection."""


@dataclass(slots=True)
class _Case:
    """One mail under inspection, and who is asked about it.

    Arguments:
        deadline: when everything has to be done, by the reactor's clock.
        watch: of how long its stages take.
    """

    backends: Backends
    envelope: Envelope
    spool: Spool
    listener: ListenerSettings
    deadline: float
    watch: Stopwatch


@dataclass(slots=True)
class _Known:
    """What everybody said of a mail.

    Arguments:
        scanned: by the workers.
        examined: by the virus engines.
        clues: of policyd and the panel; those of the workers are in ``scanned``.
        failures: who was asked in vain.
    """

    origin: Origin
    mail: Mail
    scanned: ScanResult | ScanFailed
    examined: Sequence[ScanResult | ScanFailed]
    clues: list[Clue]
    failures: list[ScanFailed]


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
        """See :class:`contentfilter.session.server.Inspector`."""
        watch = Stopwatch(self._clock, self._metrics)
        case = _Case(self.backends, envelope, spool, listener, deadline, watch)
        known = await self._gather(case)
        traps = spamtraps(envelope, known.origin.ticket, case.backends.traps)
        shares = await self._judge(case, known, traps)
        shares, disposition = await self._dispose(case, known, traps, shares)
        self._record(case, known, traps, shares, disposition)
        return known.mail.id, disposition

    def take_back(self, kept: str) -> None:
        """See :class:`contentfilter.session.server.Inspector`."""
        try:
            self.backends.quarantine.take_back(kept)
        except OSError as error:
            # Then its recipients get it twice, at worst.
            self._log.warning("quarantine-not-taken-back", file=kept, error=str(error))
        else:
            self._log.info("quarantine-taken-back", file=kept)

    async def _gather(self, case: _Case) -> _Known:
        """What everybody says of the mail.

        The scanners need no ticket and the ticket no scanner, so they run side by side; the engines follow
        when it is known whether the scanners leave them anything to decide. The results stand in the order of
        the scanners, whoever is first.
        """
        backends, watch = case.backends, case.watch
        flow_of: Awaited[Flow | None] = Awaited()
        started: list[Any] = [begin(self._ask(case, flow_of))]
        scanning = self._scan(case, flow_of)
        if backends.engines:
            head_start = HeadStart(self._clock, partial(self._refuses, case, flow_of))
            started += [begin(self._examine(case, engine, head_start)) for engine in backends.engines]
            scanning = head_start.of(scanning)
        scanned, ((origin, mail, clues, failures), *examined) = await alongside(scanning, started)
        if backends.panel is not None:
            mail = mail.read(scanned if isinstance(scanned, ScanResult) else None)
            if backends.panel.after:
                asked = backends.panel.assess(backends.panel.after, mail, self._left(case))
                more, missing = await watch.of("assessment", asked)
                clues += more
                failures += missing
        return _Known(origin, mail, scanned, examined, clues, failures)

    async def _judge(self, case: _Case, known: _Known, traps: frozenset[int]) -> list[Share]:
        """What becomes of each recipient's mail, by the policy that counts for him."""
        backends, mail = case.backends, known.mail
        stated = tuple(Finding(clue.finding, "", clue.detail) for clue in known.clues if clue.finding)
        facts = [known.scanned, *known.examined, *([ScanResult(stated)] if stated else ()), *known.failures]
        clues = [*_clues(known.scanned), *known.clues]
        judged = partial(
            judge,
            mail.id,
            known.origin.flow,
            backends.policies,
            case.envelope,
            traps,
            facts,
            known.origin.evidence,
            backends.allowed,
            None if is_excepted(known.origin.ticket) else clues,
        )
        shares = judged(may_wait(mail, case.listener))
        if any(share.verdict.waits for share in shares):
            waiting = self._deferrals.ask(backends.policyd, mail, self._left(case))
            wait = await case.watch.of("greylist", waiting)
            shares = put_off(shares, wait) if wait else judged(False)
        for engine, result in zip(backends.engines, known.examined, strict=True):
            if result is SPARED:
                # Refused it was, when that was asked; meanwhile somebody may have allowed its macro.
                shares = _waiting(shares, ScanFailed(engine.name, "overload", "spared what is refused"))
        return shares

    async def _dispose(
        self, case: _Case, known: _Known, traps: frozenset[int], shares: list[Share]
    ) -> tuple[list[Share], Disposition]:
        """What is done now, once what has to be kept or put on top is there; the shares as they are then."""
        backends, envelope, watch = case.backends, case.envelope, case.watch
        if not envelope.lmtp and differ(shares):
            if (
                known.origin.flow is not Flow.UPSTREAM
                and not overloaded(shares)
                and self._part(envelope, shares)
            ):
                shares = [with_action(share, Action.DEFER) for share in shares]
                return shares, Answer(come_again(known.mail.id))
            shares = in_one_answer(shares)
        stamps, kept = b"", ""
        if backends.panel is not None and backends.panel.stampers:
            shares, stamps = await watch.of("stamps", self._stamp(case, backends.panel, known.mail, shares))
        if any(share.action is Action.QUARANTINE for share in shares):
            shares, kept = await watch.of("quarantine", self._keep(case, shares))
        content, contact = backends.settings.contentfilter, backends.settings.identity.contact
        disposition = dispose(shares, traps, content.tag_header, contact, kept, stamps, content.replies)
        if shares[0].action is not Action.DEFER:
            self._splits.answered(envelope)
        return shares, disposition

    def _record(
        self,
        case: _Case,
        known: _Known,
        traps: frozenset[int],
        shares: list[Share],
        disposition: Disposition,
    ) -> None:
        """The decision is counted, logged, remembered, learned from, and reported."""
        origin, size, verdict = known.origin, case.spool.size, shares[0].verdict
        self._metrics.decided(verdict, size)
        self._metrics.recipients_decided(origin.flow, shares)
        self._metrics.spamtraps.inc(len(traps))
        taken = case.watch.finish()
        hidden = self._log.hides
        line = verdict_line(
            shares, case.envelope, size, origin, disposition, taken, len(traps), hidden=hidden
        )
        self._log.info("verdict", **line)
        results = [result for result in (known.scanned, *known.examined) if isinstance(result, ScanResult)]
        parts = sum(result.parts for result in results)
        reply = str(disposition.reply) if isinstance(disposition, Answer) else ""
        self._metrics.parts.inc(parts)
        told = Told(self._now(), origin.flow, shares, reply, parts, taken)
        self.recent.put(known.mail.id, told)
        if case.backends.student is not None and isinstance(known.scanned, ScanResult):
            case.backends.student.graded(origin.flow, case.spool, verdict.total, bool(traps))
        if origin.ticket is not None:
            case.backends.reporter.report(report_of(origin.ticket, told, size, origin))

    def _part(self, envelope: Envelope, shares: list[Share]) -> bool:
        """Whether the recipients will come one after another, by what they are answered."""
        labels = dict.fromkeys(range(len(envelope.recipients)), shares[0].reply_class)
        for share in shares:
            labels |= dict.fromkeys(share.places, share.reply_class)
        return self._splits.remember(envelope, labels)

    async def _ask(
        self, case: _Case, flow_of: Awaited[Flow | None]
    ) -> tuple[Origin, Mail, list[Clue], list[ScanFailed]]:
        """Where the mail comes from, and what those say of it who need no scan."""
        backends, envelope, spool = case.backends, case.envelope, case.spool

        def left() -> float:
            return self._left(case)

        try:
            origin = await self._origins.find(backends, envelope, spool, case.listener, left, case.watch)
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
            clues, failures = await case.watch.of("beside", panel.assess(panel.beside, mail, left()))
        return origin, mail, clues, failures

    async def _stamp(
        self, case: _Case, panel: Panel, mail: Mail, shares: list[Share]
    ) -> tuple[list[Share], bytes]:
        """Lines for the top; if they cannot be had, the mail stays the client's."""
        if not any(share.action in (Action.ACCEPT, Action.TAG) for share in shares):
            return shares, b""
        try:
            return shares, await panel.stamp(mail, shares, self._left(case))
        except StampFailed as error:
            self._log.error("not-stamped", id=mail.id, error=str(error))
            return _waiting(shares, ScanFailed("stamps", "unavailable", str(error))), b""

    def _left(self, case: _Case) -> float:
        return case.deadline - RESERVE - self._clock.seconds()

    async def _examine(self, case: _Case, engine: Engine, head_start: HeadStart) -> ScanResult | ScanFailed:
        if await head_start.spares(engine):
            self._metrics.spared(engine.name)
            return SPARED
        looking = engine.scan(case.spool, self._left(case))
        result = await case.watch.of(cast(Stage, engine.name), looking)
        self._metrics.examined(engine.name, result)
        return result

    async def _refuses(
        self, case: _Case, flow_of: Awaited[Flow | None], scanned: ScanResult | ScanFailed
    ) -> bool:
        """Whether a scan alone has the mail refused for everybody, which nothing else can change."""
        if not isinstance(scanned, ScanResult) or not (scanned.findings or scanned.unscanned):
            return False
        flow = await flow_of.get()
        if flow is None:
            return False
        backends, nobody = case.backends, frozenset[int]()
        facts, allowed = [scanned], backends.allowed
        shares = judge("", flow, backends.policies, case.envelope, nobody, facts, None, allowed, None)
        return all(share.action is Action.REJECT for share in shares)

    async def _scan(self, case: _Case, flow_of: Awaited[Flow | None]) -> ScanResult | ScanFailed:
        return await case.watch.of("workers", self._ask_workers(case, flow_of))

    async def _ask_workers(self, case: _Case, flow_of: Awaited[Flow | None]) -> ScanResult | ScanFailed:
        backends, spool, watch = case.backends, case.spool, case.watch
        panel, given = backends.panel, NOTHING
        try:
            key = self._recall.key(spool)
            if (known := self._recall.answer(key)) is not None:
                return known
            if panel is not None and panel.preparers:
                preparing = panel.prepare(spool.head(), flow_of, self._left(case))
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
        result = await backends.pool.scan(message, spool.wire_size, self._left(case), given, dotted)
        if isinstance(result, ScanResult):
            watch.note("wait", max(0.0, self._clock.seconds() - began - result.seconds))
        if not lasting and isinstance(result, ScanResult):
            return result
        try:
            self._recall.note(key, spool, result)
        except (OSError, ValueError) as error:
            self._log.warning("scan-not-remembered", error=str(error))
        return result

    async def _keep(self, case: _Case, shares: list[Share]) -> tuple[list[Share], str]:
        """Put the mail into the quarantine, for those who don't get it; if that fails it stays the client's.

        Returns:
            What is done now, and the file's name.
        """
        envelope, reinject = case.envelope, case.listener.reinject
        places = frozenset(places_of(shares, Action.QUARANTINE))
        others = [place for place in range(len(envelope.recipients)) if place not in places]
        verdict = next(share.verdict for share in shares if share.action is Action.QUARANTINE)
        try:
            theirs = envelope.without(others)
            path = await case.backends.quarantine.keep(verdict, theirs, case.spool, self._now(), reinject)
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
