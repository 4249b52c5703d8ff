"""What is counted of Redis: plain numbers on the hot path, handed to Prometheus when it asks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

BUCKETS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Seconds."""
RESULTS = ("ok", "error", "timeout", "lost", "refused", "overload")
"""What became of commands: answered; answered with an error; no reply in time; connection lost meanwhile; not
sent, as there is no connection; not sent, as too many wait."""


@dataclass(frozen=True, slots=True)
class Now:
    """How things stand at this moment."""

    up: bool = False
    in_flight: int = 0


class RedisMetrics:
    """Everything that is counted, from zero."""

    def __init__(self) -> None:
        self.commands = dict.fromkeys(RESULTS, 0)
        self.connections = 0
        """Connections made."""
        self.failures = 0
        """Connections lost or not made."""
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0
        self.now: Callable[[], Now] = Now

    def observe(self, seconds: float) -> None:
        """Note a command that was answered, and how long it took."""
        self.commands["ok"] += 1
        self.buckets[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds

    def collect(self, prefix: str) -> Iterator[Metric]:
        """All metrics, their names beginning with ``prefix`` (``policyd``)."""
        name = f"{prefix}_redis"
        commands = CounterMetricFamily(f"{name}_commands", "What became of commands.", labels=("result",))
        for result, count in self.commands.items():
            commands.add_metric((result,), count)
        yield commands
        now = self.now()
        yield GaugeMetricFamily(f"{name}_up", "1 while there is a connection.", value=float(now.up))
        yield GaugeMetricFamily(f"{name}_in_flight", "Commands without a reply.", value=now.in_flight)
        yield CounterMetricFamily(f"{name}_connections", "Connections made.", value=self.connections)
        yield CounterMetricFamily(f"{name}_failures", "Connections lost or not made.", value=self.failures)
        counts, total = [], 0
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), self.buckets, strict=True):
            total += count
            counts.append((bound, total))
        yield HistogramMetricFamily(
            f"{name}_seconds",
            "Time from a command to its reply.",
            buckets=counts,
            sum_value=self.seconds,
        )
