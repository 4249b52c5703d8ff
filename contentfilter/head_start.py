"""When the virus engines are asked: after the scan workers, and not about mail that is refused anyway."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.together import Awaited

HEAD_START = 2.0
"""Seconds that the workers have for a mail before the virus engines are asked as well: what the workers
refuse need not be looked at by an engine that has other mail in hand."""
SPARED = ScanResult()
"""Of an engine that was not asked; told from others by what it is, not by what it says."""

Scanned = ScanResult | ScanFailed


class Engine(Protocol):
    """See :class:`contentfilter.engines.engine.Engine`."""

    @property
    def idle(self) -> bool: ...


class HeadStart:
    """That of the workers before the engines, for one mail.

    Arguments:
        clock: the reactor's.
        refuses: whether what the workers say has the mail refused for everybody, so that nothing else counts.
    """

    __slots__ = ("_clock", "_refused", "_refuses")

    def __init__(self, clock: IReactorTime, refuses: Callable[[Scanned], Awaitable[bool]]) -> None:
        self._clock = clock
        self._refuses = refuses
        self._refused: Awaited[bool] = Awaited()

    async def of(self, scan: Awaitable[Scanned]) -> Scanned:
        """What the workers say; if they take long, the engines do not wait for it."""
        patience = self._clock.callLater(HEAD_START, self._refused.tell, False)
        try:
            scanned = await scan
            self._refused.tell(await self._refuses(scanned))
        finally:
            if patience.active():
                patience.cancel()
        return scanned

    async def spares(self, engine: Engine) -> bool:
        """Whether an engine has better things to do than to look at what is refused already. Waits until it
        is its turn."""
        return await self._refused.get() and not engine.idle
