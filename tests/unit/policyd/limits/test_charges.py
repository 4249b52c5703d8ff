"""What a mail took comes back once, also where several nodes share it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailbase.store import Row
from mailbase.vocabulary import Action
from policyd.limits.bucket import Rate
from policyd.limits.charges import Charges
from policyd.limits.ledger import Ask
from policyd.protocol.request import Stage

TICKET = "0123456789abc"
ASK = Ask(bytes(16), Rate(10, 3600.0, 10), 1, True, False, "submission.few", "anna")


class Shared:
    """A table on another machine: commands are run in the order in which they come, replies take a while."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.rows: dict[bytes, Row] = {}

    def later(self, reply: Any) -> Deferred[Any]:
        told: Deferred[Any] = Deferred()
        self.clock.callLater(1, told.callback, reply)
        return told

    def get(self, key: bytes, now: float) -> Deferred[Row | None]:
        return self.later(self.rows.get(key))

    def put(self, key: bytes, row: Row) -> Deferred[None]:
        self.rows[key] = row
        return self.later(None)

    def delete(self, key: bytes) -> Deferred[bool]:
        return self.later(self.rows.pop(key, None) is not None)


class Limits:
    def __init__(self) -> None:
        self.given: list[Ask] = []

    def give_back(self, asks: list[Ask], now: float) -> None:
        self.given += asks


def test_two_who_report_at_once_get_it_back_once() -> None:
    clock, limits, refunded = Clock(), Limits(), list[str]()
    table: Any = Shared(clock)
    nodes = [
        Charges(table, limits, Deferred.fromCoroutine, refunded.append)  # type: ignore[arg-type]
        for _ in range(2)
    ]
    nodes[0].settle(TICKET, Stage.DATA, Action.ACCEPT, [ASK], 0.0)
    clock.advance(1)
    told: list[bool] = []
    for node in nodes:
        Deferred.fromCoroutine(node.close(TICKET, True, 0.0)).addCallback(told.append)
    clock.pump([1, 1, 1])
    assert sorted(told) == [False, True]
    assert limits.given == [ASK._replace(take=True)]
    assert refunded == ["submission.few"]
