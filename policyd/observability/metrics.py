"""policyd's metrics: plain counters on the hot path, handed to Prometheus when it asks."""

from __future__ import annotations

import enum
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from math import inf

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from mailbase.config.evidence import DEFAULT_POINTS
from mailbase.deferral import WHYS, Why
from mailbase.dns.metrics import DnsMetrics
from mailbase.vocabulary import Action, Flow
from policyd.callout.metrics import CalloutMetrics
from policyd.callout.result import Result as Recipient
from policyd.checks import CHECKS, EVIDENCE
from policyd.end_of_data.reports import RESULTS, Result
from policyd.evidence.facts import Effect, Grey
from policyd.evidence.inquiry import TEMPORARY
from policyd.limits.limit import Limit
from policyd.protocol.delegation import REASONS
from policyd.protocol.request import Stage
from policyd.socketmap.counts import Counts

BUCKETS = (
    0.00005,
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    1.0,
    2.5,
    10.0,
)
"""Seconds; an answer from memory takes some ten microseconds, one that waits for others some seconds."""


class Times:
    """How long something took, in :data:`BUCKETS`."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.buckets = [0] * (len(BUCKETS) + 1)

    def observe(self, seconds: float) -> None:
        """Note one."""
        self.seconds += seconds
        self.buckets[bisect_left(BUCKETS, seconds)] += 1

    def cumulative(self) -> list[tuple[str, float]]:
        """Bounds and counts as Prometheus has them."""
        total, buckets = 0, []
        for bound, count in zip((*BUCKETS, inf), self.buckets, strict=True):
            total += count
            buckets.append(("+Inf" if bound == inf else repr(bound), float(total)))
        return buckets


class LimitOutcome(enum.StrEnum):
    """What asking a limit came to; a label."""

    PASSED = "passed"
    """There was enough, and it was taken."""
    WARNED = "warned"
    """Likewise, and use went beyond ``warn_at``."""
    REFUSED = "refused"
    """It was used up."""
    SHADOW = "shadow"
    """It was used up, and is a shadow."""
    REFUNDED = "refunded"
    """Something was given back."""


class Metrics(Collector):
    """Everything policyd counts, from zero.

    The attributes are incremented by recorder and server; :meth:`collect` shows them.
    """

    def __init__(self) -> None:
        self.requests = dict.fromkeys(Stage, 0)
        self.decisions = {(flow, action): 0 for flow in Flow for action in Action}
        self.greylist = dict.fromkeys(Grey, 0)
        self.exceptions = {Effect.ALLOW: 0, Effect.DENY: 0}
        self.recipients = dict.fromkeys(Recipient, 0)
        self.repeated = 0
        self.times = Times()
        self.protocol_errors = dict.fromkeys(REASONS, 0)
        self.check_failures = dict.fromkeys((*CHECKS, *EVIDENCE), 0)
        self._built_in = {
            (check, fact): 0 for check in EVIDENCE for fact in (*DEFAULT_POINTS[check], TEMPORARY)
        }
        self.facts = dict(self._built_in)
        self.check_times = {check: Times() for check in EVIDENCE}
        self.late = 0
        self.shadows = {(flow, action): 0 for flow in Flow for action in (Action.DEFER, Action.REJECT)}
        self.limits: dict[tuple[str, str, str], int] = {}
        self.limits_unavailable = 0
        self.spamtraps = dict.fromkeys(Flow, 0)
        self.reports: Mapping[Result, int] = dict.fromkeys(RESULTS, 0)
        self.mails: Mapping[Why, int] = dict.fromkeys(WHYS, 0)
        self.socketmap = Counts()
        self.dns: DnsMetrics | None = None
        self.callouts: CalloutMetrics | None = None
        self.learning: Callable[[str], Iterable[Metric]] | None = None
        self.engine_failures = 0
        self.connections = 0
        self.connections_total = 0
        self.reloads = {"ok": 0, "refused": 0}
        self.gauges: list[tuple[str, str, Callable[[], float]]] = []
        """Name, help and source of what others know."""
        self.lists: Callable[[], Iterable[Metric]] = tuple
        """How the DNS lists fare."""
        self.store: Callable[[str], Iterable[Metric]] = lambda prefix: ()
        """The metrics of the state."""
        self.journal: Callable[[], Iterable[Metric]] = lambda: ()
        """Those of the journal."""
        self.outgoing: Callable[[], Iterable[Metric]] = tuple
        """What is known of our own users and systems."""

    def count_facts(self, configured: Iterable[tuple[str, str]]) -> None:
        """Count, beside the built-in facts, these and no others; what was counted stays.

        Arguments:
            configured: check and fact; so few that they may be labels.
        """
        wanted = (*self._built_in, *configured)
        self.facts = {label: self.facts.get(label, 0) for label in wanted}

    def know_limits(self, limits: Iterable[Limit]) -> None:
        """Show these from zero; those of an earlier configuration stay."""
        for limit in limits:
            for outcome in LimitOutcome:
                self.limits.setdefault((limit.flow, limit.name, outcome), 0)

    def collect(self) -> Iterable[Metric]:
        """See :class:`prometheus_client.registry.Collector`."""
        yield _counter("requests", "Requests by protocol state.", ("stage",), self.requests)
        yield _counter("decisions", "Decisions by flow and action.", ("flow", "action"), self.decisions)
        yield _counter("greylist", "What greylisting established.", ("outcome",), self.greylist)
        yield _counter("exceptions", "Decisions to which an exception applied.", ("effect",), self.exceptions)
        yield _counter("recipients", "What recipients are known as.", ("result",), self.recipients)
        yield _counter("repeated", "Requests that were answered before.", (), {(): self.repeated})
        yield self._histogram()
        yield _counter(
            "protocol_errors", "Connections closed for what is no request.", ("reason",), self.protocol_errors
        )
        yield _counter("check_failures", "Checks that raised.", ("check",), self.check_failures)
        yield _counter("facts", "What checks established.", ("check", "fact"), self.facts)
        seconds = HistogramMetricFamily(
            "policyd_check_seconds", "Time from a request until a check was done.", labels=("check",)
        )
        for check, times in self.check_times.items():
            seconds.add_metric((check,), times.cumulative(), times.seconds)
        yield seconds
        yield _counter("late", "Times that a deadline came before all answers.", (), {(): self.late})
        yield _counter(
            "shadow", "Recipients that shadows would have kept out.", ("flow", "action"), self.shadows
        )
        yield _counter("limits", "What limits came to.", ("flow", "limit", "outcome"), self.limits)
        yield _counter(
            "limits_unavailable",
            "Requests whose limits the store could not tell.",
            (),
            {(): self.limits_unavailable},
        )
        yield _counter("spamtrap", "Mails to spamtraps.", ("flow",), self.spamtraps)
        yield _counter("reports", "What contentfilter told of mails.", ("result",), self.reports)
        yield _counter(
            "content_greylist",
            "Mails that contentfilter asked about since they look like spam: whether they have to wait.",
            ("result",),
            self.mails,
        )
        yield _counter(
            "engine_failures", "Connections closed for a fault of ours.", (), {(): self.engine_failures}
        )
        yield _counter("connections", "Connections accepted.", (), {(): self.connections_total})
        yield _gauge("open_connections", "Connections open now.", self.connections)
        yield _counter("reloads", "Reloads of the configuration.", ("result",), self.reloads)
        yield _counter(
            "socketmap_lookups",
            "Questions about the registry, by map and result.",
            ("map", "result"),
            {(name, result.lower()): count for (name, result), count in self.socketmap.lookups.items()},
        )
        yield _counter(
            "socketmap_errors",
            "Connections closed for what is no netstring.",
            ("reason",),
            self.socketmap.errors,
        )
        for name, text, source in self.gauges:
            yield _gauge(name, text, source())
        yield from self.lists()
        yield from self.store("policyd")
        yield from self.journal()
        yield from self.outgoing()
        if self.dns is not None:
            yield from self.dns.collect("policyd")
        if self.callouts is not None:
            yield from self.callouts.collect("policyd")
        if self.learning is not None:
            yield from self.learning("policyd")

    def _histogram(self) -> Metric:
        return HistogramMetricFamily(
            "policyd_request_seconds",
            "Time from a request to its answer.",
            buckets=self.times.cumulative(),
            sum_value=self.times.seconds,
        )


def _counter(name: str, text: str, labels: tuple[str, ...], values: object) -> Metric:
    family = CounterMetricFamily(f"policyd_{name}", text, labels=labels)
    assert isinstance(values, dict)
    for key, value in values.items():
        family.add_metric(key if isinstance(key, tuple) else (key,), float(value))
    return family


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"policyd_{name}", text, value=float(value))
