"""How a daemon ends; what needs sockets and signals is in tests/integration/test_service_sockets.py."""

from __future__ import annotations

import io
from typing import Any

from twisted.internet.task import Clock

from mailbase.logs import Log
from mailbase.service import Service


class Reactor(Clock):
    running = False


def test_what_is_lost_behind_the_reactor_is_told() -> None:
    async def drain() -> None:
        pass

    stream = io.StringIO()
    reactor: Any = Reactor()
    log = Log("policyd", stream=stream, scheduler=reactor)
    Service(reactor, log, drain=drain, reload=lambda: None).stop("SIGTERM")
    assert "event=stopped" in stream.getvalue()
    log.error("store-closed-unwritten", entries=1)
    assert "event=store-closed-unwritten" in stream.getvalue()
