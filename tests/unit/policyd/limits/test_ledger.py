"""Limits in the store: all or nothing, shadows, giving back, restarts, and a store that takes no more."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailbase.store import StoreError
from policyd.limits.bucket import Rate, Standing
from policyd.limits.ledger import Ask, StoreLimits, bucket_keys

RATE = Rate(2, 3600.0, 2)


def ask(subject: str, cost: int = 1, *, take: bool = True, shadow: bool = False) -> Ask:
    key = bucket_keys("inbound", "few", "client", "messages")(subject)
    return Ask(key, RATE, cost, take, shadow, "inbound.few", subject)


class Book:
    def __init__(self, bench: Any) -> None:
        self.bench = bench

    @property
    def limits(self) -> StoreLimits:
        return StoreLimits(self.bench.store)

    def take(self, *asks: Ask) -> tuple[Standing, ...]:
        return self.limits.take(asks, self.bench.clock.seconds())

    def passed(self, *asks: Ask) -> list[bool]:
        return [standing.passed for standing in self.take(*asks)]

    def rows(self) -> list[Any]:
        async def collect() -> list[Any]:
            return [row async for page in self.limits.pages(self.bench.clock.seconds()) for row in page]

        found: list[Any] = []
        Deferred.fromCoroutine(collect()).addCallback(found.extend)
        return found

    def used(self, subject: str) -> int:
        (standing,) = self.take(ask(subject, 1, take=False, shadow=True))
        return round(standing.used) - standing.passed


@pytest.fixture
def book(bench: Any) -> Book:
    return Book(bench)


def test_each_subject_has_its_own_bucket(book: Book) -> None:
    assert [book.passed(ask("a"))[0] for _ in range(3)] == [True, True, False]
    assert book.passed(ask("b")) == [True]


def test_all_or_nothing(book: Book) -> None:
    book.take(ask("a", 2))
    assert book.passed(ask("b"), ask("a")) == [True, False]
    assert book.used("b") == 0


def test_what_is_only_looked_at_is_not_taken(book: Book) -> None:
    for _ in range(5):
        assert book.passed(ask("a", take=False)) == [True]
    assert book.passed(ask("a", 2), ask("b", take=False)) == [True, True]
    assert book.passed(ask("a", take=False), ask("b", 1)) == [False, True]
    assert book.used("b") == 1


def test_a_shadow_stops_nobody_and_is_filled_like_any_other(book: Book) -> None:
    book.take(ask("a", 2, shadow=True))
    assert book.passed(ask("a", shadow=True), ask("b")) == [False, True]
    assert (book.used("a"), book.used("b")) == (2, 1)


def test_what_was_given_back_is_there_again(book: Book) -> None:
    book.take(ask("a", 2))
    book.limits.give_back([ask("a", 1), ask("never seen")], book.bench.clock.seconds())
    assert book.used("a") == 1
    book.limits.give_back([ask("a", 2)], book.bench.clock.seconds())
    assert book.rows() == []


def test_buckets_survive_a_restart_and_expire_when_they_are_full(book: Book) -> None:
    book.take(ask("a", 2))
    book.bench.restart()
    assert book.passed(ask("a")) == [False]
    ((key, row),) = book.rows()
    assert (key, row[1:3]) == (ask("a").key, ("inbound.few", "a"))
    book.bench.clock.advance(3601)
    assert book.rows() == []


def test_an_operator_can_fill_a_bucket(book: Book) -> None:
    book.take(ask("a", 2))
    book.limits.forget(ask("a").key)
    assert book.used("a") == 0


def test_a_store_that_takes_no_more_takes_nothing(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailbase.store.table.MAX_PENDING", 1)
    with pytest.raises(StoreError):
        book.take(ask("a"), ask("b"))
    monkeypatch.undo()
    assert (book.used("a"), book.used("b")) == (0, 0)
