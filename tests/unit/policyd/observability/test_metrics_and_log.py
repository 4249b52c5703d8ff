"""The counters and the log line of each decision."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.utils import floatToGoString

from mailbase.store.metrics import collect
from mailbase.vocabulary import Action, Flow
from policyd.observability.metrics import BUCKETS, Metrics
from policyd.observability.recorder import Recorder


class Book:
    def __init__(self, bench: Any) -> None:
        self.bench = bench
        self.metrics = Metrics()
        self.metrics.store = lambda prefix: collect(bench.store, prefix)
        self.recorder = Recorder(bench.log, self.metrics)
        self.registry = CollectorRegistry()
        self.registry.register(self.metrics)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    def record(self, seconds: float = 0.0001, **attributes: str) -> None:
        request = self.bench.request(**attributes)
        self.recorder.decision(request, self.bench.engine.decide(request), seconds)


@pytest.fixture
def book(bench: Any) -> Book:
    return Book(bench)


def test_everything_is_there_from_zero(book: Book) -> None:
    text = generate_latest(book.registry).decode()
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(line.endswith(" 0.0") for line in samples), [
        line for line in samples if not line.endswith(" 0.0")
    ]
    for stage in ("RCPT", "END-OF-MESSAGE", "other"):
        assert book.value("policyd_requests_total", stage=stage) == 0
    for flow in Flow:
        for action in Action:
            assert book.value("policyd_decisions_total", flow=flow, action=action) == 0
    assert book.value("policyd_protocol_errors_total", reason="nul") == 0
    assert book.value("policyd_greylist_total", outcome="new") == 0
    assert book.value("policyd_check_failures_total", check="relay") == 0
    assert book.value("policyd_store_broken") == 0


def test_decisions_are_counted(book: Book) -> None:
    book.record()
    book.record(recipient="a@elsewhere.example")
    book.record(client_address="198.51.100.1")
    book.record(protocol_state="DATA")
    assert book.value("policyd_requests_total", stage="RCPT") == 3
    assert book.value("policyd_requests_total", stage="DATA") == 1
    assert book.value("policyd_decisions_total", flow="inbound", action="defer") == 1
    assert book.value("policyd_decisions_total", flow="inbound", action="reject") == 1
    assert book.value("policyd_decisions_total", flow="outbound", action="accept") == 1
    assert book.value("policyd_greylist_total", outcome="new") == 1
    assert book.value("policyd_store_pending") == 2


def test_a_repetition_counts_as_such_alone(book: Book) -> None:
    for _ in range(3):
        book.record(instance="i")
    assert book.value("policyd_requests_total", stage="RCPT") == 3
    assert book.value("policyd_repeated_total") == 2
    assert book.value("policyd_decisions_total", flow="inbound", action="defer") == 1
    assert book.value("policyd_greylist_total", outcome="new") == 1
    assert book.bench.stream.getvalue().count("event=decision") == 1


@pytest.mark.parametrize("seconds", [0.0, BUCKETS[0], BUCKETS[3], 0.3, 1e6])
def test_the_time_falls_into_its_buckets(book: Book, seconds: float) -> None:
    book.record(seconds)
    for bound in BUCKETS:
        expected = 1 if seconds <= bound else 0
        assert book.value("policyd_request_seconds_bucket", le=floatToGoString(bound)) == expected
    assert book.value("policyd_request_seconds_bucket", le="+Inf") == 1
    assert book.value("policyd_request_seconds_count") == 1
    assert book.value("policyd_request_seconds_sum") == seconds


def test_failures_are_counted_and_logged(book: Book) -> None:
    book.recorder.check_failed("relay", RuntimeError("private cause"))
    book.recorder.engine_failed(book.bench.request(), RuntimeError("bug"))
    book.recorder.protocol_error("nul", "127.0.0.1")
    assert book.value("policyd_check_failures_total", check="relay") == 1
    assert book.value("policyd_engine_failures_total") == 1
    assert book.value("policyd_protocol_errors_total", reason="nul") == 1
    log = book.bench.stream.getvalue()
    assert "event=check-failed" in log
    assert "private cause" in log
    assert "event=engine-failed" in log


def test_one_line_a_decision(book: Book) -> None:
    book.record(0.25, sender="", instance="i")
    line = book.bench.stream.getvalue().splitlines()[-1]
    for field in (
        "event=decision",
        "flow=inbound",
        "stage=RCPT",
        "client=192.0.2.1",
        "sender=<>",
        "recipient=person@inst.example",
        "action=defer",
        "reason=greylist-new",
        "seconds=0.25",
    ):
        assert f" {field}" in line
    assert " id=" in line


def test_the_stores_troubles_are_shown(book: Book) -> None:
    status = book.bench.store.status
    status.broken, status.read_failures, status.commit_failures, status.moved_aside = True, 3, 2, 1
    status.dropped, status.purged = 5, 7
    assert book.value("policyd_store_broken") == 1
    assert book.value("policyd_store_failures_total", operation="read") == 3
    assert book.value("policyd_store_failures_total", operation="write") == 2
    assert book.value("policyd_store_damaged_total") == 1
    assert book.value("policyd_store_lost_total", reason="unwritable") == 5
    assert book.value("policyd_store_purged_total") == 7


def test_the_journal_is_told_of_each_decision_once(book: Book) -> None:
    told: list[tuple[str, float]] = []
    book.recorder.journal = lambda request, decision, seconds: told.append((decision.reason, seconds))
    for _ in range(2):
        book.record(0.25, instance="i")
    book.record(0.5, recipient="a@elsewhere.example")
    assert told == [("greylist-new", 0.25), ("relay-foreign-domain", 0.5)]
