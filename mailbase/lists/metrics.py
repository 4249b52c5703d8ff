"""How the lists fare, for Prometheus. Labels are the lists' names: the configuration bounds them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from mailbase.lists.health import State
from mailbase.lists.roster import Watched


def collect(watched: Iterable[Watched], prefix: str) -> Iterator[Metric]:
    """The metrics of all lists, their names beginning with ``prefix`` (``policyd``)."""
    lookups = CounterMetricFamily(f"{prefix}_list_lookups", "Questions for mails.", labels=("list",))
    hits = CounterMetricFamily(f"{prefix}_list_hits", "Answers that list something.", labels=("list",))
    ends = CounterMetricFamily(
        f"{prefix}_list_switched_off", "Times that trouble ended it.", labels=("list",)
    )
    on = GaugeMetricFamily(f"{prefix}_list_on", "1 while the list is asked.", labels=("list",))
    off = 0
    for one in watched:
        label = (one.definition.name,)
        lookups.add_metric(label, one.lookups)
        hits.add_metric(label, one.hits)
        ends.add_metric(label, one.health.switched_off)
        on.add_metric(label, float(one.health.state is State.ON))
        off += one.health.state is State.OFF
    yield from (lookups, hits, ends, on)
    yield GaugeMetricFamily(f"{prefix}_lists_off", "Lists that are switched off for trouble.", value=off)
