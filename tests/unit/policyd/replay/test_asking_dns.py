"""A replay that asks DNS ends quietly, however it ends."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import twisted.internet
from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.python.failure import Failure

from mailbase.config import Settings
from policyd.replay import app


class Reactor:
    """One that was told to stop while the last answer came."""

    def __init__(self) -> None:
        self.faults: list[Failure] = []

    def callWhenRunning(self, work: Callable[[], Deferred[None]]) -> None:
        self.run = lambda: work().addErrback(self.faults.append)

    def stop(self) -> None:
        raise ReactorNotRunning


def test_ctrl_c_at_the_very_end_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    reactor = Reactor()
    monkeypatch.setattr(twisted.internet, "reactor", reactor, raising=False)
    resolver = SimpleNamespace(stop=lambda: None)
    monkeypatch.setattr(app, "LiveDns", lambda *_: SimpleNamespace(resolver=resolver))

    async def work(_: app.LiveDns) -> None:
        pass

    app.run(Settings(), work)
    assert not reactor.faults
