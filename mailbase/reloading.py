"""Reloads the configuration of a running daemon: all or nothing, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from twisted.internet.defer import Deferred

from mailbase.config import ConfigError
from mailbase.logs import Log

Result: TypeAlias = Literal["ok", "refused"]
"""What a reload came to, in the metrics."""
T = TypeVar("T")


class Reloading(Generic[T]):
    """To be called at SIGHUP. A call while a reload is under way makes another one follow.

    Arguments:
        log: told why a configuration is refused, and what of a new one needs a restart.
        in_thread: runs something in a thread.
        read: reads all that is to be in force, and changes nothing; in a thread, since a large registry takes
            seconds, and Postfix waits.
        put_in_force: takes what was read.
        fixed: what a reload does not change, of the settings in force, by its name in the configuration.
        counted: told what each reload came to.
        refusals: what ``read`` raises for what cannot be used, beside ConfigError.
    """

    def __init__(
        self,
        log: Log,
        in_thread: Callable[[Callable[[], T]], Deferred[T]],
        read: Callable[[], T],
        put_in_force: Callable[[T], None],
        fixed: Callable[[], Mapping[str, Any]],
        counted: Callable[[Result], None],
        refusals: tuple[type[Exception], ...] = (),
    ) -> None:
        self._log = log
        self._in_thread = in_thread
        self._read = read
        self._put_in_force = put_in_force
        self._fixed = fixed
        self._counted = counted
        self._refusals: tuple[type[Exception], ...] = (ConfigError, *refusals)
        self._at_start = fixed()
        self._running = False
        self._again = False

    def __call__(self) -> None:
        if self._running:
            self._again = True
            return
        self._running = True
        Deferred.fromCoroutine(self._reload())

    async def _reload(self) -> None:
        result: Result = "refused"
        try:
            self._put_in_force(await self._in_thread(self._read))
            result = "ok"
        except self._refusals as error:
            for problem in getattr(error, "problems", [error]):
                self._log.error("reload-refused", problem=str(problem))
        except Exception as error:  # noqa: BLE001 - the boundary: what was in force stays in force
            self._log.exception("reload-refused", error)
        self._counted(result)
        changed = [name for name, value in self._fixed().items() if value != self._at_start[name]]
        if changed and result == "ok":
            self._log.warning("restart-needed", changed=", ".join(changed))
        self._running = False
        if self._again:
            self._again = False
            self()
