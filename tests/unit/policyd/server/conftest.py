"""Readers whose turn comes when a test says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.python import log

from policyd.server.readers import Readers

from .reading import Pair, Reactor


@pytest.fixture
def reactor() -> Reactor:
    return Reactor()


@pytest.fixture
def readers(reactor: Reactor) -> Iterator[Readers]:
    readers = Readers(reactor)
    assert reactor.reading == [readers]
    yield readers
    if reactor.reading:
        readers.close()
    assert not reactor.reading


@pytest.fixture
def pairs(readers: Readers) -> Iterator[list[Pair]]:
    pairs = [Pair(readers) for _ in range(3)]
    yield pairs
    for pair in pairs:
        pair.close()


@pytest.fixture
def faults() -> Iterator[Callable[[], list[str]]]:
    """The faults of ours that were logged."""
    seen: list[str] = []

    def observe(event: Any) -> None:
        if event.get("isError"):
            seen.append(str(event["failure"].value))

    log.addObserver(observe)
    yield lambda: seen
    log.removeObserver(observe)
