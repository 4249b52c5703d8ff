"""What callouts count: plain numbers, handed to Prometheus when it asks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from policyd.callout.result import Result

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Now:
    """How callouts stand at this moment."""

    in_flight: int = 0
    waiting: int = 0
    servers_down: int = 0


class CalloutMetrics:
    """Everything that is counted, from zero."""

    def __init__(self) -> None:
        self.results = dict.fromkeys(Result, 0)
        """How callouts ended."""
        self.hits = 0
        """Recipients that were known from before."""
        self.joined = 0
        """Recipients that waited for somebody else's callout."""
        self.late = 0
        """Recipients that were answered before their callout had ended."""
        self.failures = 0
        """Connections that told nothing of the recipient."""
        self.forbidden = 0
        """Addresses that must not be called."""
        self.existing_refused = 0
        """Callouts in which an address that is registered as existing was refused as well."""
        self.seconds = 0.0
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.now: Callable[[], Now] = Now

    def ended(self, result: Result, seconds: float | None) -> None:
        """Note a callout.

        Arguments:
            seconds: that it took; None if no server was asked.
        """
        self.results[result] += 1
        if seconds is None:
            return
        self.seconds += seconds
        self.buckets[bisect_left(BUCKETS, seconds)] += 1

    def collect(self, prefix: str) -> Iterator[Metric]:
        """All metrics, their names beginning with ``prefix`` (``policyd``)."""
        results = CounterMetricFamily(f"{prefix}_callouts", "Callouts by result.", labels=("result",))
        for result, count in self.results.items():
            results.add_metric((result,), count)
        yield results
        for name, text, value in (
            ("hits", "Recipients known from before.", self.hits),
            ("joined", "Recipients that waited for another's callout.", self.joined),
            ("late", "Recipients answered before their callout had ended.", self.late),
            ("failures", "Connections that told nothing of the recipient.", self.failures),
            ("forbidden", "Addresses that must not be called.", self.forbidden),
            ("existing_refused", "Callouts whose server refused who exists, too.", self.existing_refused),
        ):
            yield CounterMetricFamily(f"{prefix}_callout_{name}", text, value=value)
        now = self.now()
        for name, text, number in (
            ("in_flight", "Callouts under way.", now.in_flight),
            ("waiting", "Callouts that wait for their turn.", now.waiting),
            ("servers_down", "Servers that are left alone for a while, since they failed.", now.servers_down),
        ):
            yield GaugeMetricFamily(f"{prefix}_callout_{name}", text, value=number)
        counts, total = [], 0
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), self.buckets, strict=True):
            total += count
            counts.append((bound, total))
        yield HistogramMetricFamily(
            f"{prefix}_callout_seconds", "Time of a callout.", buckets=counts, sum_value=self.seconds
        )
