"""Events reach those whom they are for, whatever becomes of the others."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mailbase.reactor import Reactor


class Poller:
    """An epoll whose events are told by the test."""

    def __init__(self) -> None:
        self.events: list[tuple[int, int]] = []
        self.timeouts: list[float | None] = []

    def poll(self, timeout: float | None, most: int) -> list[tuple[int, int]]:
        self.timeouts.append(timeout)
        return self.events


class Reader:
    """Somebody with a descriptor."""

    def __init__(self, descriptor: int, act: Callable[[], object] = lambda: None) -> None:
        self.descriptor = descriptor
        self.reads = 0
        self.lost: list[Any] = []
        self._act = act

    def fileno(self) -> int:
        return self.descriptor

    def logPrefix(self) -> str:
        raise AssertionError("nobody asks in whose name something might be logged")

    def doRead(self) -> object:
        self.reads += 1
        return self._act()

    def connectionLost(self, reason: Any) -> None:
        self.lost.append(reason)


@pytest.fixture
def reactor() -> Iterator[Any]:
    one: Any = Reactor()
    real, one._poller = one._poller, Poller()
    yield one
    real.close()


def watched(reactor: Any, *readers: Reader) -> None:
    for reader in readers:
        reactor._selectables[reader.descriptor] = reader
        reactor._reads.add(reader.descriptor)
    reactor._poller.events = [(reader.descriptor, select.EPOLLIN) for reader in readers]


def remove(reactor: Any, reader: Reader) -> None:
    reactor._selectables.pop(reader.descriptor)
    reactor._reads.discard(reader.descriptor)


def test_who_can_be_read_is_read(reactor: Any) -> None:
    first, second = Reader(1001), Reader(1002)
    watched(reactor, first, second)
    reactor.doIteration(2.5)
    assert (first.reads, second.reads) == (1, 1)
    assert reactor._poller.timeouts == [2.5]


def test_without_a_timer_the_first_event_is_waited_for(reactor: Any) -> None:
    reactor.doIteration(None)
    assert reactor._poller.timeouts == [None]


def test_one_that_another_has_closed_is_left_alone(reactor: Any) -> None:
    second = Reader(1002)
    first = Reader(1001, lambda: remove(reactor, second))
    watched(reactor, first, second)
    reactor.doIteration(0)
    assert (first.reads, second.reads) == (1, 0)


@pytest.mark.parametrize("unclosable", [False, True])
def test_a_fault_costs_its_connection_and_no_other(
    reactor: Any, unclosable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a fault")

    # Twisted ends the connection, which takes a real descriptor; that may fail as well.
    ended: list[Any] = []
    disconnect = fail if unclosable else lambda selectable, why, read: ended.append((selectable, why))
    monkeypatch.setattr(reactor, "_disconnectSelectable", disconnect)
    first, second = Reader(1001, fail), Reader(1002)
    watched(reactor, first, second)
    reactor.doIteration(0)
    assert second.reads == 1
    if not unclosable:
        ((selectable, why),) = ended
        assert selectable is first
        assert isinstance(why, RuntimeError)
