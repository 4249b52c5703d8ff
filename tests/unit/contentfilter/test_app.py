"""How the daemon is wired, as far as that can be seen without running it."""

from __future__ import annotations

import time

import pytest
from twisted.internet.testing import MemoryReactorClock

from contentfilter.app import serve


def test_deadlines_do_not_follow_the_wall_clock(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting the clock back by a minute must not let an end of data out a minute late."""
    reactor = MemoryReactorClock()
    seen: list[float] = []
    monkeypatch.setattr("contentfilter.app.install", lambda: reactor)
    monkeypatch.setattr("contentfilter.app.hide_memory", lambda: True)
    monkeypatch.setattr("contentfilter.app.gc.freeze", lambda: None)
    monkeypatch.setattr("mailbase.service.Service.run", lambda _self: seen.append(reactor.seconds()))
    config = tmp_path / "postwarden.yaml"
    config.write_text(
        "contentfilter:\n"
        "  control: control.sock\n"
        "  spool: {folder: spool}\n"
        "  quarantine: {folder: quarantine}\n"
    )
    before = time.monotonic()
    assert serve(config, [], {}) == 0
    assert before <= seen[0] <= time.monotonic()
