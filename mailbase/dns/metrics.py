"""What the resolver counts: plain numbers on the hot path, handed to Prometheus when it asks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from mailbase.dns.answers import RESULTS

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds."""
EVENTS = ("sent", "repeated", "over-tcp", "unanswered", "foreign", "broken", "failed", "unsent")
"""What happens to packets: sent in all; sent as a second try; sent over TCP; no answer in time; an answer
that is not to our question; one that cannot be read; a server that cannot tell; not sent, for trouble of
ours."""


@dataclass(frozen=True, slots=True)
class Now:
    """How the resolver stands at this moment."""

    in_flight: int = 0
    waiting: int = 0
    cached: int = 0
    cached_octets: int = 0
    evicted: int = 0
    servers: int = 0
    servers_down: int = 0


class DnsMetrics:
    """Everything that is counted, from zero.

    Arguments:
        consumers: who asks, as in ``ask(..., consumer=...)``; a closed set.
    """

    def __init__(self, consumers: Iterable[str]) -> None:
        self.answers = {(consumer, result): 0 for consumer in consumers for result in RESULTS}
        """Answers given, by consumer and result."""
        self.hits = 0
        """Answers out of memory."""
        self.lookups = 0
        """Questions that had to be asked of a server."""
        self.joined = 0
        """Questions that waited for somebody else's look-up."""
        self.overloads = 0
        """Questions that were turned away, since too many waited."""
        self.packets = dict.fromkeys(EVENTS, 0)
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0
        self.now: Callable[[], Now] = Now

    def observe(self, seconds: float) -> None:
        """Note how long a look-up took."""
        self.buckets[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds

    def collect(self, prefix: str) -> Iterator[Metric]:
        """All metrics, their names beginning with ``prefix`` (``policyd``)."""
        answers = CounterMetricFamily(
            f"{prefix}_dns_answers", "Answers by consumer and result.", labels=("consumer", "result")
        )
        for labels, count in self.answers.items():
            answers.add_metric(labels, count)
        yield answers
        packets = CounterMetricFamily(f"{prefix}_dns_packets", "What became of packets.", labels=("event",))
        for event, count in self.packets.items():
            packets.add_metric((event,), count)
        yield packets
        now = self.now()
        for name, text, value in (
            ("hits", "Answers out of memory.", self.hits),
            ("lookups", "Questions that had to be asked of a server.", self.lookups),
            ("joined", "Questions that waited for another's look-up.", self.joined),
            ("overloads", "Questions turned away, since too many waited.", self.overloads),
            ("evicted", "Answers forgotten before their time, for want of room.", now.evicted),
        ):
            yield CounterMetricFamily(f"{prefix}_dns_{name}", text, value=value)
        for name, text, value in (
            ("in_flight", "Look-ups under way.", now.in_flight),
            ("waiting", "Look-ups that wait for their turn.", now.waiting),
            ("cached", "Answers in memory.", now.cached),
            ("cached_bytes", "What they take, about.", now.cached_octets),
            ("servers", "Configured servers.", now.servers),
            ("servers_down", "Servers that do not answer.", now.servers_down),
        ):
            yield GaugeMetricFamily(f"{prefix}_dns_{name}", text, value=value)
        counts, total = [], 0
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), self.buckets, strict=True):
            total += count
            counts.append((bound, total))
        yield HistogramMetricFamily(
            f"{prefix}_dns_lookup_seconds", "Time of a look-up.", buckets=counts, sum_value=self.seconds
        )
