"""A client on a Redis server without a socket, in simulated time."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailbase.logs import Log
from mailbase.store.redis.client import Fixed, RedisClient, Whereabouts
from mailbase.store.redis.script import Script

from .server import Server


class Setup:
    """A client, and what it was told and has told."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_790_000_000.0)
        self.server = Server(self.clock)
        self.stream = io.StringIO()
        self.log = Log("policyd", stream=self.stream)

    def client(
        self,
        where: Whereabouts | None = None,
        credentials: tuple[str, str] = ("", ""),
        scripts: tuple[Script, ...] = (),
        database: int = 0,
    ) -> RedisClient:
        return RedisClient(
            self.clock,
            self.server.connect,
            where or Fixed("redis.example", 6379),
            self.log,
            credentials=lambda: credentials,
            database=database,
            scripts=scripts,
            timeout=0.25,
        )

    def started(self, **options: Any) -> RedisClient:
        client = self.client(**options)
        client.start()
        self.pass_time()
        return client

    def pass_time(self, seconds: float = 0.0, step: float = 0.01) -> None:
        """In steps, so that what follows from something has its turn."""
        end = self.clock.seconds() + seconds
        for _ in range(10):
            self.clock.advance(0)
        while self.clock.seconds() < end - 1e-6:
            self.clock.advance(min(step, end - self.clock.seconds()))
        for _ in range(10):
            self.clock.advance(0)

    def logged(self, event: str) -> list[str]:
        return [line for line in self.stream.getvalue().splitlines() if f"event={event}" in line]


@pytest.fixture
def setup() -> Setup:
    return Setup()


def outcome(deferred: Deferred[Any]) -> list[Any]:
    """Where the result, or the exception, of a Deferred will be."""
    results: list[Any] = []
    deferred.addCallbacks(results.append, lambda failure: results.append(failure.value))
    return results


@pytest.fixture
def outcome_of() -> Callable[[Deferred[Any]], list[Any]]:
    return outcome
