"""Counters and histograms for Prometheus, for who counts a hundred times a second and is asked once a minute.

They are used as those of prometheus_client are, and say the same when asked. Those take a lock for each of
some fifty numbers that a mail moves, and look at every label and every bound; here only the thread of the
reactor counts.
"""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Generic, TypeAlias, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

C = TypeVar("C")
Labels: TypeAlias = "Sequence[str] | Mapping[str, Iterable[str]]"
"""Names; or names with the values that each may have: then every series is there from the start, at 0."""


class Count:
    """A number that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1) -> None:
        """Add ``amount``, which is not negative."""
        self.value += amount


class Times:
    """How many were how large.

    Arguments:
        bounds: upper ones, ascending.
    """

    __slots__ = ("_bounds", "numbers", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.numbers = [0] * (len(bounds) + 1)
        """Within each bound and above the one before it; at last those above all."""
        self.total = 0.0

    def observe(self, amount: float) -> None:
        """Note one."""
        self.numbers[bisect_left(self._bounds, amount)] += 1
        self.total += amount


class _Family(Collector, Generic[C]):
    """All series of one name.

    Arguments:
        name: without suffix.
        text: its help.
        labels: none for a single series.
        registry: that shows it.
    """

    def __init__(self, name: str, text: str, labels: Labels, registry: CollectorRegistry) -> None:
        self._name = name
        self._text = text
        self._label_names = tuple(labels)
        self._children: dict[tuple[str, ...], C] = {}
        if isinstance(labels, Mapping):
            for values in product(*labels.values()):
                self.labels(*values)
        elif not labels:
            self.labels()
        registry.register(self)

    def labels(self, *values: str) -> C:
        """The series of these values, in the order of the names; it is shown from now on."""
        child = self._children.get(values)
        if child is None:
            if len(values) != len(self._label_names):
                raise ValueError(f"{self._name} has other labels than {values}")
            # The texts of enumerations are the same keys, but print as what they are.
            child = self._children[tuple(map(str, values))] = self._new()
        return child

    @abstractmethod
    def _new(self) -> C:
        """A series in which nothing is counted yet."""

    @abstractmethod
    def describe(self) -> Iterator[Metric]:
        """For the registry, which wants each name once."""


class Counter(_Family[Count]):
    """See :class:`_Family`."""

    def __init__(self, name: str, text: str, labels: Labels = (), *, registry: CollectorRegistry) -> None:
        super().__init__(name, text, labels, registry)

    def inc(self, amount: float = 1) -> None:
        """Count in the single series of a counter without labels."""
        self._children[()].inc(amount)

    def collect(self) -> Iterator[Metric]:
        """What is counted so far."""
        family = CounterMetricFamily(self._name, self._text, labels=self._label_names)
        for values, child in self._children.items():
            family.add_metric(values, child.value)
        yield family

    def describe(self) -> Iterator[Metric]:
        yield CounterMetricFamily(self._name, self._text)

    def _new(self) -> Count:
        return Count()


class Histogram(_Family[Times]):
    """See :class:`_Family`.

    Arguments:
        buckets: upper bounds, ascending, the last of them finite.
    """

    def __init__(
        self,
        name: str,
        text: str,
        labels: Labels = (),
        *,
        buckets: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._bounds = tuple(buckets)
        self._names = [*(repr(float(bound)) for bound in buckets), "+Inf"]
        super().__init__(name, text, labels, registry)

    def observe(self, amount: float) -> None:
        """Note one in the single series of a histogram without labels."""
        self._children[()].observe(amount)

    def collect(self) -> Iterator[Metric]:
        """What was noted so far."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._label_names)
        for values, child in self._children.items():
            reached, buckets = 0, []
            for name, number in zip(self._names, child.numbers, strict=True):
                reached += number
                buckets.append((name, float(reached)))
            family.add_metric(values, buckets, child.total)
        yield family

    def describe(self) -> Iterator[Metric]:
        yield HistogramMetricFamily(self._name, self._text)

    def _new(self) -> Times:
        return Times(self._bounds)
