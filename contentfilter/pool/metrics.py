"""What is counted of the workers, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

from contentfilter.content.results import ScanResult
from contentfilter.pool.member import Fate
from contentfilter.pool.pool import Pool
from mailbase.counting import Counter

FATES: tuple[Fate, ...] = ("recycled", "failed", "killed", "crashed")


class PoolMetrics:
    """The scan pool's; see :class:`contentfilter.pool.crew.Observer`.

    Arguments:
        registry: where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.workers_ended = Counter(
            "contentfilter_workers_ended", "Worker processes that ended.", {"fate": FATES}, registry=registry
        )

    def watch(self, pool: Pool[ScanResult]) -> None:
        """Show how the pool stands, each time somebody asks."""
        tasks = Gauge("contentfilter_workers", "Worker processes.", ["state"], registry=self._registry)
        tasks.labels("busy").set_function(lambda: pool.busy)
        tasks.labels("idle").set_function(lambda: pool.idle)
        waiting = Gauge("contentfilter_workers_queue", "Mails waiting for a worker.", registry=self._registry)
        waiting.set_function(lambda: pool.waiting)

    def worker_ended(self, fate: Fate) -> None:
        """See :class:`contentfilter.pool.crew.Observer`."""
        self.workers_ended.labels(fate).inc()
