"""What contentfilter counts, for Prometheus. Every label is one of a small closed set and starts at 0."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from contentfilter.assessing import NAMES as PANEL
from contentfilter.assessing import Name as PanelName
from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.disposition.recipients import Share
from contentfilter.disposition.splits import EVENTS as SPLITS
from contentfilter.disposition.splits import Event as Split
from contentfilter.disposition.total import REST, Item
from contentfilter.disposition.verdict import Verdict
from contentfilter.engines.engine import Engine
from contentfilter.engines.metrics import EngineCollector
from contentfilter.engines.seat import VIRUS
from contentfilter.engines.seat import Name as EngineName
from contentfilter.engines.watch import OUTCOMES as SELF_TESTS
from contentfilter.engines.watch import Outcome as SelfTested
from contentfilter.learning.student import READINGS
from contentfilter.learning.student import Reading as LessonRead
from contentfilter.metering import STAGES, Stage
from contentfilter.origin.upstream import RESULTS as EVIDENCE
from contentfilter.origin.upstream import Result as Looked
from contentfilter.pool.metrics import PoolMetrics
from contentfilter.quarantine.metrics import QuarantineMetrics
from contentfilter.recall import RECALLED, Recalled
from contentfilter.reporting import FATES as REPORTED
from contentfilter.reporting import Fate as Reported
from contentfilter.session.metrics import SECONDS, ProxyMetrics
from mailbase.config import FINDING_NAMES
from mailbase.config.evidence import DEFAULT_POINTS
from mailbase.config.points import CLUE_POINTS
from mailbase.config.replies import POINTS
from mailbase.counting import Counter, Histogram
from mailbase.deferral import WHYS as DEFERRALS
from mailbase.dns import DnsMetrics
from mailbase.vocabulary import UNSCANNED_REASONS, Action, Finding, Flow, Unscanned

FAILURES = {
    "workers": ("crashed", "timed-out", "out-of-memory", "unavailable", "protocol", "overload"),
    "clamd": ("crashed", "timed-out", "unavailable", "protocol", "overload"),
    "command": ("crashed", "timed-out", "unavailable", "protocol", "overload"),
    "rspamd": ("crashed", "timed-out", "unavailable", "protocol", "overload"),
    "spamassassin": ("crashed", "timed-out", "unavailable", "protocol", "overload"),
}
EXAMINED = ("clean", "found", "unscanned", "failed", "spared")
"""What an engine says of a mail; what it did not look into counts as such also where it found something."""
TICKETS = ("found", "missing", "unknown", "unavailable")
"""How asking for a ticket ended: resolved, no header line, resolves to nothing, no answer."""

CLUE_SOURCES = (*CLUE_POINTS, "policyd", "finding", "other")
"""Who states something that has points; others than those with a table of points are one."""
CLUE_KINDS = ("counted", "shadow")
_POINTS = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30)


class Metrics(ProxyMetrics, PoolMetrics, QuarantineMetrics):
    """All counters of the daemon: those of its rooms, and what is counted of each decision.

    It is the ``ProxyMeter`` of the SMTP side and the ``Observer`` of the scan pool.

    Arguments:
        registry: where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        ProxyMetrics.__init__(self, registry)
        PoolMetrics.__init__(self, registry)
        QuarantineMetrics.__init__(self, registry)
        self._registry = registry
        self.messages = Counter(
            "contentfilter_messages", "Mails decided on.", {"flow": Flow, "action": Action}, registry=registry
        )
        self.message_bytes = Counter(
            "contentfilter_message_bytes", "Octets of mails decided on, un-stuffed.", registry=registry
        )
        self.findings = Counter(
            "contentfilter_findings", "Findings in mails.", {"name": sorted(FINDING_NAMES)}, registry=registry
        )
        self.unscanned = Counter(
            "contentfilter_unscanned",
            "Parts that were not scanned.",
            {"reason": sorted(UNSCANNED_REASONS)},
            registry=registry,
        )
        self.parts = Counter("contentfilter_parts", "Parts and members visited.", registry=registry)
        self.seconds = Histogram(
            "contentfilter_scan_seconds",
            "Time of each stage; total: from end-of-data to the verdict.",
            {"stage": STAGES},
            buckets=SECONDS,
            registry=registry,
        )
        self.failures = Counter(
            "contentfilter_scanner_failures",
            "Scanners that could not do their work.",
            ["scanner", "reason"],
            registry=registry,
        )
        self.engine_scans = Counter(
            "contentfilter_engine_scans",
            "Mails by what an engine said; spared: refused without it, while it had other mail.",
            {"engine": VIRUS, "result": EXAMINED},
            registry=registry,
        )
        self.panel = Counter(
            "contentfilter_panel",
            "Questions to other filters, name servers and the signer, by who was asked.",
            {"name": PANEL, "result": ("answered", "failed")},
            registry=registry,
        )
        self.panel_seconds = Histogram(
            "contentfilter_panel_seconds",
            "Time that each of them took.",
            {"name": PANEL},
            buckets=SECONDS,
            registry=registry,
        )
        self.self_tests = Counter(
            "contentfilter_engine_self_tests",
            "Tests whether an engine finds the test virus.",
            {"engine": VIRUS, "result": SELF_TESTS},
            registry=registry,
        )
        self.tickets = Counter(
            "contentfilter_tickets", "Tickets asked for at policyd.", {"result": TICKETS}, registry=registry
        )
        self.reports = Counter(
            "contentfilter_reports",
            "Mails whose outcome policyd was told.",
            {"result": REPORTED},
            registry=registry,
        )
        self.evidence = Counter(
            "contentfilter_evidence",
            "Mails of upstream relays whose client was asked about.",
            {"result": EVIDENCE},
            registry=registry,
        )
        self.by_points = Counter(
            "contentfilter_by_points",
            "Mails with which something was done for their total.",
            {"flow": Flow, "action": (Action.TAG, Action.QUARANTINE, Action.DEFER, Action.REJECT)},
            registry=registry,
        )
        self.score = Histogram(
            "contentfilter_score",
            "Points that mails came to.",
            {"flow": Flow},
            buckets=_POINTS,
            registry=registry,
        )
        self.clues = Counter(
            "contentfilter_clues",
            "What mails have points for, by who states it; shadows are not added.",
            {"source": CLUE_SOURCES, "kind": CLUE_KINDS},
            registry=registry,
        )
        self.deferrals = Counter(
            "contentfilter_deferrals",
            "Mails that were to wait for their total: told so, or taken since they have waited, need not, or "
            "policyd could not be asked.",
            {"result": DEFERRALS},
            registry=registry,
        )
        self.recipients = Counter(
            "contentfilter_recipients",
            "Recipients decided on.",
            {"flow": Flow, "action": Action},
            registry=registry,
        )
        self.unprotected = Counter(
            "contentfilter_unprotected_recipients",
            "Recipients whose domain wants no protection.",
            registry=registry,
        )
        self.splits = Counter(
            "contentfilter_splits",
            "Mails whose recipients need different answers on SMTP: told to come again, recipients put off, "
            "mails answered as one since that came to nothing.",
            {"event": SPLITS},
            registry=registry,
        )
        self.spamtraps = Counter(
            "contentfilter_spamtrap_recipients", "Spamtraps that got no mail.", registry=registry
        )
        self.reloads = Counter(
            "contentfilter_reloads",
            "Configurations put in force, or refused.",
            {"result": ("ok", "refused")},
            registry=registry,
        )
        self.scans_recalled = Counter(
            "contentfilter_scans_recalled",
            "Messages not scanned again: what is in them was known, or that they end workers.",
            {"what": RECALLED},
            registry=registry,
        )
        self.lessons = Counter(
            "contentfilter_lessons",
            "Mails that were to be learned: workers told what is seen in them, had no time, or could not.",
            {"result": READINGS},
            registry=registry,
        )
        # Nine times for each mail.
        self._took = {stage: self.seconds.labels(stage).observe for stage in STAGES}
        self._asked = {
            (name, answered): self.panel.labels(name, "answered" if answered else "failed").inc
            for name in PANEL
            for answered in (True, False)
        }
        self._answered_in = {name: self.panel_seconds.labels(name).observe for name in PANEL}
        for scanner, reasons in FAILURES.items():
            for reason in reasons:
                self.failures.labels(scanner, reason)

    # The panel's, see contentfilter.panel.Meter

    def asked(self, name: PanelName, answered: bool, seconds: float) -> None:
        self._asked[name, answered]()
        self._answered_in[name](max(0.0, seconds))

    # The inspector's

    def decided(self, verdict: Verdict, size: int) -> None:
        """A mail was decided on."""
        self.messages.labels(verdict.flow, verdict.action).inc()
        self.message_bytes.inc(size)
        if verdict.total is not None:
            self.score.labels(verdict.flow).observe(verdict.total.points)
            for item in verdict.total.items:
                self.clues.labels(_source(item), "shadow" if item.shadow else "counted").inc()
        if isinstance(verdict.cause, Finding) and verdict.cause.name == POINTS:
            self.by_points.labels(verdict.flow, verdict.action).inc()
        for fact in verdict.facts:
            match fact:
                case Finding(name) if name in FINDING_NAMES:
                    self.findings.labels(name).inc()
                case Unscanned(_, reason) if reason in UNSCANNED_REASONS:
                    self.unscanned.labels(reason).inc()
                case ScanFailed(scanner, reason) if reason in FAILURES.get(scanner, ()):
                    self.failures.labels(scanner, reason).inc()

    def recipients_decided(self, flow: Flow, shares: Sequence[Share]) -> None:
        """What a mail's decision was for its recipients."""
        for share in shares:
            self.recipients.labels(flow, share.action).inc(len(share.places))
            if not share.protected:
                self.unprotected.inc(len(share.places))

    def split(self, event: Split) -> None:
        """See :class:`contentfilter.disposition.splits.Splits`."""
        self.splits.labels(event).inc()

    def examined(self, engine: EngineName, result: ScanResult | ScanFailed) -> None:
        """An engine has said what it knows of a mail, or has not."""
        match result:
            case ScanFailed():
                said = "failed"
            case ScanResult(unscanned=gaps) if gaps:
                said = "unscanned"
            case ScanResult(findings=findings):
                said = "found" if findings else "clean"
        self.engine_scans.labels(engine, said).inc()

    def spared(self, engine: EngineName) -> None:
        """An engine was not given a mail that is refused whatever it would say."""
        self.engine_scans.labels(engine, "spared").inc()

    def took(self, stage: Stage, seconds: float) -> None:
        """A stage of deciding on a mail took so long."""
        self._took[stage](max(0.0, seconds))

    # The engines'

    def tested(self, engine: EngineName, outcome: SelfTested) -> None:
        """A self-test has ended."""
        self.self_tests.labels(engine, outcome).inc()

    def watch_engines(self, engines: Callable[[], Sequence[Engine]]) -> None:
        """Show how the engines stand, each time somebody asks.

        Arguments:
            engines: tells which are in force.
        """
        self._registry.register(EngineCollector(engines))

    # What is asked of others

    def watch_dns(self, dns: DnsMetrics) -> None:
        """Show what the resolver counts."""
        self._registry.register(_Collected(lambda: dns.collect("contentfilter")))

    def watch_url_lists(self, collect: Callable[[], Iterable[Metric]]) -> None:
        """Show how the lists of links fare."""
        self._registry.register(_Collected(collect))

    def looked_at(self, result: Looked) -> None:
        """It was tried to find out about the client of an upstream relay."""
        self.evidence.labels(result).inc()

    def reported(self, fate: Reported) -> None:
        """A report to policyd has ended."""
        self.reports.labels(fate).inc()

    # Recall's, and the student's

    def recalled(self, what: Recalled) -> None:
        """See :class:`contentfilter.recall.Recall`."""
        self.scans_recalled.labels(what).inc()

    def lesson_read(self, how: LessonRead) -> None:
        """See :class:`contentfilter.learning.student.Student`."""
        self.lessons.labels(how).inc()


class _Collected:
    """What is counted elsewhere, in the shape that prometheus_client asks for."""

    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self.collect = collect


def _source(item: Item) -> str:
    """The label of who states it."""
    if item.source in CLUE_POINTS:
        return item.source
    if item.source in DEFAULT_POINTS or item.name == REST:
        return "policyd"
    return "other" if "." in item.name else "finding"
