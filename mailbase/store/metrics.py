"""How the store is doing, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from mailbase.store.store import Store


def collect(store: Store, prefix: str) -> Iterable[Metric]:
    """The metrics of a store, their names beginning with ``prefix`` (``policyd``)."""
    status = store.status
    for name, text, value in (
        ("broken", "1 while the store cannot write.", float(status.broken)),
        ("pending", "Entries that are not on disk yet.", store.pending),
        ("learning", "1 while look-ups of absent keys still need the disk, after the start.", store.learning),
    ):
        yield GaugeMetricFamily(f"{prefix}_store_{name}", text, value=value)
    for name, text, value in (
        ("commits", "Groups written.", status.commits),
        ("purged", "Expired entries deleted.", status.purged),
        ("damaged", "Damaged files moved aside.", status.moved_aside),
    ):
        yield CounterMetricFamily(f"{prefix}_store_{name}", text, value=value)
    failures = CounterMetricFamily(
        f"{prefix}_store_failures", "Failures of the store.", labels=("operation",)
    )
    failures.add_metric(("read",), status.read_failures)
    failures.add_metric(("write",), status.commit_failures)
    yield failures
    lost = CounterMetricFamily(f"{prefix}_store_lost", "Entries that could not be kept.", labels=("reason",))
    lost.add_metric(("full",), store.refused)
    lost.add_metric(("unwritable",), status.dropped)
    yield lost
