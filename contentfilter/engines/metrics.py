"""How the engines stand, for Prometheus, each time somebody asks.

A seat is named by its place in the configuration, 1 and up; the log has its address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from contentfilter.engines.engine import Engine
from contentfilter.engines.seat import NAMES


class EngineCollector:
    """Arguments:
    engines: those in force.
    """

    def __init__(self, engines: Callable[[], Sequence[Engine]]) -> None:
        self._engines = engines
        self._moved: dict[str, int] = dict.fromkeys(NAMES, 0)
        self._seen: dict[Engine, int] = {}

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client.registry.Collector."""
        engines = self._engines()
        up = GaugeMetricFamily(
            "contentfilter_engine_up",
            "Whether mail is given to the engine there: it answers, and found the test virus if it must.",
            labels=["engine", "seat"],
        )
        busy = GaugeMetricFamily(
            "contentfilter_engine_busy", "Mails that the engine looks at there.", labels=["engine", "seat"]
        )
        signatures = GaugeMetricFamily(
            "contentfilter_engine_signatures_timestamp_seconds",
            "When its signatures were made; 0 where it does not tell.",
            labels=["engine", "seat"],
        )
        waiting = GaugeMetricFamily(
            "contentfilter_engine_waiting", "Mails that wait for an engine.", labels=["engine"]
        )
        waits: dict[str, int] = dict.fromkeys(NAMES, 0)
        for engine in engines:
            waits[engine.name] = engine.waiting
            for number, seat in enumerate(engine.seats, 1):
                labels = [engine.name, str(number)]
                up.add_metric(labels, float(seat.usable))
                busy.add_metric(labels, seat.busy)
                signatures.add_metric(labels, seat.signatures)
        for name, count in waits.items():
            waiting.add_metric([name], count)
        moved = CounterMetricFamily(
            "contentfilter_engine_moved",
            "Mails given to another seat of an engine, or again, since it had not answered.",
            labels=["engine"],
        )
        for name, count in self._count_moved(engines).items():
            moved.add_metric([name], count)
        yield from (up, busy, signatures, waiting, moved)

    def _count_moved(self, engines: Sequence[Engine]) -> dict[str, int]:
        """Of all engines that there were: those of now, and what others had counted when they were last
        seen."""
        for engine in engines:
            self._moved[engine.name] += engine.moved - self._seen.get(engine, 0)
        self._seen = {engine: engine.moved for engine in engines}
        return dict(self._moved)
