"""Watches what users and registered systems send, and acts on what is odd.

The edge of :mod:`policyd.outgoing`: engine and reports tell it in passing, it counts when they are answered.
Diagnostics: ``outgoing-jump`` once an hour for each thing that is odd, ``outgoing-suspended`` and
``outgoing-not-suspended`` with the reason, ``outgoing-lifted``.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Protocol

from prometheus_client.core import Metric

from mailbase.ids import IdSource
from mailbase.logs import Log
from mailbase.report import Report
from mailbase.store import StoreError
from mailbase.ticket import Ticket
from mailbase.vocabulary import Action, Flow
from policyd.engine.decision import Decision
from policyd.evidence.facts import Effect, Named, OutgoingFact
from policyd.evidence.flow import Origin
from policyd.exceptions.book import Book
from policyd.exceptions.rule import SUSPENDED_BY, Rule, client_form, rule_of
from policyd.outgoing.books import Books, Held
from policyd.outgoing.counts import Counts
from policyd.outgoing.judging import Against, Finding, Terms, judge, thresholds
from policyd.outgoing.measures import FAILED, POINTS, REFUSED, Kind, Whose, whose
from policyd.outgoing.notice import Notice
from policyd.outgoing.record import HOUR, Record, fingerprint
from policyd.outgoing.words import in_short, notice
from policyd.protocol.request import Request, request_of
from policyd.reputation.outcomes import HAM_POINTS, score_of

SAVING = 2.0
"""Seconds between two rounds of saving: what kill -9 may forget."""
MAX_PENDING = 10_000
"""Events that wait to be counted; more are lost, and counted as that."""
MAX_RECIPIENTS = 5_000
"""Recipients of one mail that are looked at; all are counted."""
_BAD = frozenset({Action.REJECT, Action.QUARANTINE})


class Clock(Protocol):
    """The part of a reactor that is needed."""

    def seconds(self) -> float: ...
    def callLater(self, delay: float, function: Callable[..., Any], *args: Any) -> Any: ...


class Watch:
    """Arguments:
    clock: the reactor; seconds since the epoch.
    books: the records.
    rules: where suspensions are put.
    terms: in force; replaced at a reload. None: nobody is watched.
    log: see the module's diagnostics.
    tell: gives a notice to whom it concerns.
    behind: runs a coroutine that nobody waits for.
    key: secret by which recipients are hashed; may be empty.

    Attributes:
        counts: for the metrics.
        journal: gets an entry for each thing that is odd; None: there is none.
    """

    def __init__(
        self,
        clock: Clock,
        books: Books,
        rules: Book,
        terms: Terms | None,
        log: Log,
        tell: Callable[[Notice], None],
        behind: Callable[[Coroutine[Any, Any, None]], object],
        key: bytes = b"",
    ) -> None:
        self._clock = clock
        self.books = books
        self._rules = rules
        self.terms = terms
        self._log = log
        self._tell = tell
        self._behind = behind
        self._key = key
        self._ids = IdSource()
        self._pending: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._saving: Any = None
        self._suspending: set[Whose] = set()
        self.counts = Counts()
        self.journal: Callable[[Request, Decision, float], None] | None = None

    # Told in passing

    def mailed(self, origin: Origin, request: Request, recipients: tuple[str, ...]) -> None:
        """A mail was accepted at DATA. Costs a microsecond; the rest comes when it is answered."""
        if self.terms is not None:
            self._later(self._mailed, origin, request, recipients)

    def unknown(self, origin: Origin, request: Request) -> None:
        """A recipient was refused that its server does not know."""
        if self.terms is not None:
            self._later(self._unknown, origin, request)

    def reported(self, ticket: Ticket, report: Report, first: bool) -> None:
        """See :data:`policyd.end_of_data.reports.Hook`."""
        if first and self.terms is not None and ticket.flow is not Flow.INBOUND:
            self._later(self._reported, ticket, report)

    def _later(self, work: Callable[..., None], *about: Any) -> None:
        pending = self._pending
        if len(pending) >= MAX_PENDING:
            self.books.lost += 1
            return
        pending.append((work, about))
        if len(pending) == 1:
            self._clock.callLater(0, self._work)

    def _work(self) -> None:
        pending, self._pending = self._pending, []
        for work, about in pending:
            try:
                work(*about)
            except Exception as error:  # noqa: BLE001 - the boundary: one event must not cost the others
                self.books.lost += 1
                self._log.exception("outgoing-failed", error)
        if self._saving is None:
            self._saving = self._clock.callLater(SAVING, self._save)

    def _save(self) -> None:
        self._saving = None
        self.books.save()
        if self.books.unsaved:
            self._saving = self._clock.callLater(SAVING, self._save)

    async def finish(self) -> None:
        """Count and save what is there; return when the store has it."""
        self._work()
        if self._saving is not None:
            self._saving.cancel()
            self._saving = None
        await self.books.finish()

    # Counting

    def _mailed(self, origin: Origin, request: Request, recipients: tuple[str, ...]) -> None:
        about = whose(origin.flow, request.sasl_username, "" if origin.system is None else origin.system.text)
        if about is None:
            return
        many = max(len(recipients), request.number("recipient_count"), 1)
        self.counts.mails[about.kind] += 1
        self.counts.recipients[about.kind] += many
        known = [fingerprint(recipient, self._key) for recipient in recipients[:MAX_RECIPIENTS]]

        def count(held: Held, record: Record) -> None:
            now = self._clock.seconds()
            held.client = request.client_address
            record.mail(self.books.node, now, many, known)
            self._judge(held, record, now)

        self.books.use(about, count)

    def _unknown(self, origin: Origin, request: Request) -> None:
        system = "" if origin.system is None else origin.system.text
        self._count(whose(origin.flow, request.sasl_username, system), {FAILED: 1.0}, request.client_address)

    def _reported(self, ticket: Ticket, report: Report) -> None:
        points = points_of(ticket, report)
        # A little is said of most mails, and would be much of many.
        found = {POINTS: points if points >= HAM_POINTS else 0.0}
        if report.action in _BAD:
            found[REFUSED] = 1.0
        if ticket.spamtraps:
            found[FAILED] = float(len(ticket.spamtraps))
        self._count(whose(ticket.flow, ticket.user, ticket.system), found, ticket.client)

    def _count(self, about: Whose | None, found: dict[int, float], client: str) -> None:
        found = {place: amount for place, amount in found.items() if amount}
        if about is None or not found:
            return

        def count(held: Held, record: Record) -> None:
            now = self._clock.seconds()
            held.client = client
            for place, amount in found.items():
                record.add(self.books.node, now, place, amount)
            self._judge(held, record, now)

        self.books.use(about, count)

    # Judging

    def _judge(self, held: Held, record: Record, now: float) -> None:
        self.books.changed(held)
        terms = self.terms
        if terms is None or terms.is_exempt(held.whose):
            return
        as_of = (int(now) // HOUR, terms, record.lifts)
        if held.limits is None or held.limits_of != as_of:
            held.limits, held.limits_of = thresholds(record, held.whose.kind, terms, now), as_of
        finding = judge(record, held.limits, now)
        if finding is not None and (finding.against is Against.LIMIT or now >= record.accepted):
            self._odd(held, record, finding, terms, now)

    def _odd(self, held: Held, record: Record, finding: Finding, terms: Terms, now: float) -> None:
        record.mark(self.books.node, now)
        about = held.whose
        if finding.against is Against.LIMIT and self._may_suspend(held, record, now):
            self._suspending.add(about)
            self._behind(self._suspend(held, record, finding, terms, now))
            return
        hour, said = int(now) // HOUR, (finding.measure.value, finding.window.value)
        if held.said.get(said) == hour:
            return
        held.said[said] = hour
        self.counts.jumps[about.kind, finding.measure, finding.against] += 1
        decision_id = self._note("outgoing-jump", held, finding, suspended=False)
        if record.told <= now < record.told + terms.every:
            self.counts.held_back += 1
            return
        record.told = now
        self._tell(
            notice(
                about,
                finding,
                record,
                terms,
                now,
                suspended=False,
                decision_id=decision_id,
                client=held.client,
            )
        )

    def _may_suspend(self, held: Held, record: Record, now: float) -> bool:
        """Whether a suspension is due: it is not there, and nobody has allowed him."""
        if held.whose in self._suspending:
            return False
        rule = self.rule_of(held.whose)
        if rule is None:
            return False
        there = self._rules.rules.all.get(rule.key)
        if there is not None and there.until > now:
            if there.effect is Effect.ALLOW:
                self._say_not_suspended(held, "allowed by policyd allow", now)
            elif there.suspends:
                # It may have been another node.
                record.suspended = max(record.suspended, float(there.added))
            return False
        if self.terms is not None and now < record.suspended + self.terms.suspend_for:
            # It was taken back in another way than by "outgoing lift", or on another node.
            record.lift(now)
            return False
        return True

    def _say_not_suspended(self, held: Held, reason: str, now: float) -> None:
        hour = int(now) // HOUR
        if held.said.get(("", reason)) != hour:
            held.said["", reason] = hour
            self._log.warning("outgoing-not-suspended", **personal(held.whose), reason=reason)

    @staticmethod
    def rule_of(about: Whose, until: float = 0, added: float = 0, why: str = "") -> Rule | None:
        """The rule that suspends him; None where none can."""
        named = Named.USER if about.kind is Kind.USER else Named.CLIENT
        what = about.name if about.kind is Kind.USER else client_form(about.name)
        try:
            return rule_of(what, Effect.DENY, named, until=until, added=added, by=SUSPENDED_BY, why=why)
        except ValueError:
            return None

    async def _suspend(self, held: Held, record: Record, finding: Finding, terms: Terms, now: float) -> None:
        about = held.whose
        rule = self.rule_of(about, now + terms.suspend_for, now, f"{finding.measure}: {in_short(finding)}")
        assert rule is not None
        try:
            await self._rules.put(rule)
        except StoreError as error:
            # The next mail tries again.
            self._say_not_suspended(held, str(error), now)
            return
        finally:
            self._suspending.discard(about)
        record.suspended = record.told = now
        self.books.changed(held)
        self.counts.suspended[about.kind] += 1
        self.counts.jumps[about.kind, finding.measure, finding.against] += 1
        # Mails that were under way are no news.
        held.said[finding.measure.value, finding.window.value] = int(now) // HOUR
        decision_id = self._note("outgoing-suspended", held, finding, suspended=True)
        self._tell(
            notice(
                about,
                finding,
                record,
                terms,
                now,
                suspended=True,
                decision_id=decision_id,
                client=held.client,
            )
        )

    def _note(self, event: str, held: Held, finding: Finding, *, suspended: bool) -> str:
        """Log and journal; returns the id of the entry."""
        about = held.whose
        decision_id = self._ids.next()
        self._log.warning(
            event,
            id=decision_id,
            **personal(about),
            client=held.client,
            measure=finding.measure.value,
            window=finding.window.value,
            against=finding.against.value,
            seen=round(finding.seen, 1),
            threshold=round(finding.threshold, 1),
            usual=round(finding.usual, 1),
        )
        fact = OutgoingFact(finding.measure.value, in_short(finding), suspended)
        self._journal(event, about, held.client, fact, decision_id)
        return decision_id

    def _journal(self, event: str, about: Whose, client: str, fact: OutgoingFact, decision_id: str) -> None:
        if self.journal is None:
            return
        is_user = about.kind is Kind.USER
        name = about.name if is_user else ""
        # Without a client's address a system is found by its own, if it is registered by one.
        client = client or ("" if is_user else about.name)
        request = request_of({"client_address": client, "sasl_username": name})
        flow = Flow.SUBMISSION if is_user else Flow.OUTBOUND
        decision = Decision(decision_id, flow, Action.ACCEPT, "", event, (fact,))
        self.journal(request, decision, 0.0)

    # By command

    async def lift(self, about: Whose, *, usual: bool, by: str = "") -> bool:
        """All is well with him: end the suspension, and judge nothing of what was.

        Arguments:
            usual: whether what he sent is what is to be expected from now on.

        Returns:
            Whether he was suspended.

        Raises:
            StoreError: cannot be done now.
        """
        now = self._clock.seconds()
        rule = self.rule_of(about)
        there = self._rules.rules.all.get(rule.key) if rule is not None else None
        suspended = there is not None and there.suspends and there.until > now
        if there is not None and suspended:
            await self._rules.remove(there)

        def lift(held: Held, record: Record) -> None:
            record.lift(now, usual=usual)
            held.said.clear()
            held.limits_of = None
            self.books.changed(held)

        self.books.use(about, lift)
        decision_id = self._ids.next()
        self._log.info(
            "outgoing-lifted", id=decision_id, **personal(about), usual=usual, suspended=suspended, by=by
        )
        words = "taken for usual" if usual else "judged anew"
        self._journal("outgoing-lifted", about, "", OutgoingFact("lifted", words), decision_id)
        if self._saving is None:
            self._saving = self._clock.callLater(SAVING, self._save)
        return suspended

    def collect(self) -> Iterator[Metric]:
        """The metrics."""
        return self.counts.collect(self.suspended(), self.books.lost, len(self.books))

    def suspended(self) -> dict[Kind, int]:
        """How many are suspended now."""
        now = self._clock.seconds()
        found = dict.fromkeys(Kind, 0)
        for rule in self._rules.rules.all.values():
            if rule.suspends and rule.until > now:
                found[Kind.USER if rule.named is Named.USER else Kind.SYSTEM] += 1
        return found


def personal(about: Whose) -> dict[str, str]:
    """Him, as the log has people and machines."""
    return {"kind": about.kind.value, "user" if about.kind is Kind.USER else "network": about.name}


def points_of(ticket: Ticket, report: Report) -> float:
    """What a mail has in all; what policyd itself gave it where contentfilter does not tell."""
    score = score_of(report)
    return ticket.points if score is None else score
