"""The journal's metrics."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from policyd.journal.journal import Journal

LOST = ("flood", "unwritable")


def collect(journal: Journal) -> Iterable[Metric]:
    """As Prometheus has them."""
    status = journal.status
    yield _counter("written", "Entries written to the journal.", status.written)
    lost = CounterMetricFamily(
        "policyd_journal_lost", "Decisions that the journal does not have.", labels=("reason",)
    )
    for reason, count in zip(LOST, (status.dropped, status.unwritable), strict=True):
        lost.add_metric((reason,), float(count))
    yield lost
    yield _counter("failures", "Failures to write the journal or to forget from it.", status.failures)
    yield _counter("purged", "Entries forgotten.", status.purged)
    yield _counter("damaged", "Damaged files moved aside.", status.moved_aside)
    yield _gauge("broken", "1 while the journal cannot be written.", status.broken)
    yield _gauge("pending", "Entries that wait to be written.", journal.pending)
    yield _gauge("bytes", "Size of what the journal holds.", status.octets)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"policyd_journal_{name}", text, value=float(value))


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"policyd_journal_{name}", text, value=float(value))
