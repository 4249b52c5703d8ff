"""Where the state is, by the configuration: in SQLite, or on a Redis server."""

from __future__ import annotations

from typing import Any

from mailbase.config import Settings
from mailbase.logs import Log
from mailbase.store.worker import Worker
from policyd.state.sqlite import in_sqlite
from policyd.state.state import State


def open_state(settings: Settings, reactor: Any, log: Log, worker: Worker | None = None) -> State:
    """The state that ``store`` of the configuration describes; not started yet.

    Arguments:
        worker: writes to the disk in place of the store's own threads (SQLite).
    """
    redis = settings.store.redis
    if redis is None:
        return in_sqlite(settings, reactor, log, worker)
    # Only then: txredisapi takes the global reactor when it is imported.
    from policyd.state.redis import in_redis

    return in_redis(settings, redis, reactor, log)
