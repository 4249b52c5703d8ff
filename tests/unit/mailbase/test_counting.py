"""Our counters and histograms say what those of prometheus_client say of the same events."""

from __future__ import annotations

import enum
from typing import Any

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from mailbase.counting import Counter, Histogram

BOUNDS = (0, 0.001, 0.25, 1, 30)
COLOURS = ("red", "green", "blue")


class Colour(enum.StrEnum):
    RED = "red"
    GREEN = "green"


@pytest.fixture(autouse=True)
def _no_second_series() -> Any:
    prometheus_client.disable_created_metrics()
    yield
    prometheus_client.enable_created_metrics()


def shown(registry: CollectorRegistry) -> str:
    return generate_latest(registry).decode()


@given(st.lists(st.tuples(st.sampled_from(COLOURS), st.integers(0, 1000))))
def test_counters_say_the_same(events: list[tuple[str, int]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    for registry, kind in ((ours, Counter), (theirs, prometheus_client.Counter)):
        counter: Any = kind("x_mails", "Mails.", ["colour", "kind"], registry=registry)
        plain: Any = kind("x_octets", "Octets.", registry=registry)
        counter.labels("red", "first")
        for colour, number in events:
            counter.labels(colour, "other").inc(number)
            plain.inc(number)
            plain.inc()
    assert shown(ours) == shown(theirs)


@given(st.lists(st.tuples(st.sampled_from(COLOURS), st.sampled_from((0, 0.0005, 0.001, 0.3, 1, 29, 30, 31)))))
def test_histograms_say_the_same(events: list[tuple[str, float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    for registry, kind in ((ours, Histogram), (theirs, prometheus_client.Histogram)):
        histogram: Any = kind("x_seconds", "Time.", ["colour"], buckets=BOUNDS, registry=registry)
        plain: Any = kind("x_score", "Points.", buckets=BOUNDS, registry=registry)
        for colour, number in events:
            histogram.labels(colour).observe(number)
            plain.observe(number)
    assert shown(ours) == shown(theirs)


def test_what_was_not_moved_is_shown_from_zero_once_it_is_named() -> None:
    registry = CollectorRegistry()
    counter = Counter("x_mails", "Mails.", ["colour"], registry=registry)
    counter.labels("red")
    assert registry.get_sample_value("x_mails_total", {"colour": "red"}) == 0
    assert registry.get_sample_value("x_mails_total", {"colour": "blue"}) is None


def test_with_the_values_of_its_labels_every_series_is_shown_from_the_start() -> None:
    registry = CollectorRegistry()
    counter = Counter("x_mails", "Mails.", {"colour": Colour, "kind": iter("ab")}, registry=registry)
    for colour in Colour:
        for kind in "ab":
            assert registry.get_sample_value("x_mails_total", {"colour": colour, "kind": kind}) == 0
    counter.labels("red", "b").inc(2)
    assert registry.get_sample_value("x_mails_total", {"colour": "red", "kind": "b"}) == 2


def test_a_member_of_an_enumeration_is_its_text() -> None:
    registry = CollectorRegistry()
    counter = Counter("x_mails", "Mails.", ["colour"], registry=registry)
    counter.labels(Colour.RED).inc()
    counter.labels("red").inc()
    counter.labels("green").inc()
    counter.labels(Colour.GREEN).inc()
    assert registry.get_sample_value("x_mails_total", {"colour": "red"}) == 2
    assert registry.get_sample_value("x_mails_total", {"colour": "green"}) == 2
    assert "Colour" not in shown(registry)


def test_labels_are_as_many_as_there_are_names() -> None:
    counter = Counter("x_mails", "Mails.", ["colour"], registry=CollectorRegistry())
    for values in ((), ("red", "green")):
        with pytest.raises(ValueError, match="x_mails has other labels"):
            counter.labels(*values)


def test_each_name_is_registered_once() -> None:
    registry = CollectorRegistry()
    Counter("x_mails", "Mails.", registry=registry)
    with pytest.raises(ValueError, match="Duplicated"):
        Counter("x_mails", "Mails.", registry=registry)
    Histogram("x_seconds", "Time.", buckets=BOUNDS, registry=registry)
    with pytest.raises(ValueError, match="Duplicated"):
        Histogram("x_seconds", "Time.", buckets=BOUNDS, registry=registry)
