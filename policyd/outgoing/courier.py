"""Brings notices to people: by mail through Postfix behind the filter, and to a webhook.

Diagnostics: ``notice-sent``, ``notice-failed`` when the last attempt failed, ``notices-dropped`` when there
are more than anybody would read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from mailbase.config import Settings
from mailbase.logs import Log
from policyd.outgoing.counts import Result, Way
from policyd.outgoing.notice import Notice, compose, readers

PAUSES = (15.0, 120.0, 900.0)
"""Seconds between attempts; after them a notice is given up."""
AN_HOUR = 3600.0
MAX_AN_HOUR = 60
"""Notices in an hour. Whoever gets more of them needs the dashboard."""

Send = Callable[[str, "Sequence[str]", bytes, float], Awaitable[None]]
"""Hands a mail to the Postfix at a place (``host:port``); raises where it is not taken. Last: seconds."""
Post = Callable[[str, dict[str, Any], str, float], Awaitable[None]]
"""Posts JSON to a URL with a token, which may be empty; raises unless it is taken. Last: seconds."""


class Courier:
    """Arguments:
    clock: the reactor.
    settings: those in force.
    log: see the module's diagnostics.
    counted: told how each notice fared.
    send: hands a mail to Postfix.
    post: posts to the webhook.
    """

    def __init__(
        self,
        clock: Any,
        settings: Callable[[], Settings],
        log: Log,
        counted: Callable[[Way, Result], None],
        send: Send,
        post: Post,
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._log = log
        self._counted = counted
        self._send = send
        self._post = post
        self._times: list[float] = []
        self._timers: set[Any] = set()
        self._stopped = False

    def tell(self, notice: Notice) -> None:
        """Bring it on its way; nobody waits for it."""
        terms = self._settings().policyd.outgoing.notices
        now = self._clock.seconds()
        self._times = [at for at in self._times if at <= now < at + AN_HOUR]
        if len(self._times) >= MAX_AN_HOUR:
            self._log.warning("notices-dropped", notice=notice.event, id=notice.id)
            if terms.mail:
                self._counted("mail", "failed")
            if terms.webhook is not None:
                self._counted("webhook", "failed")
            return
        self._times.append(now)
        if terms.mail:
            self._attempt("mail", notice, partial(self._mail, notice), PAUSES)
        if terms.webhook is not None:
            self._attempt("webhook", notice, partial(self._webhook, notice), PAUSES)

    def stop(self) -> None:
        """Try nothing again."""
        self._stopped = True
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _attempt(
        self, way: Way, notice: Notice, go: Callable[[], Awaitable[None]], pauses: Sequence[float]
    ) -> None:
        async def attempt() -> None:
            try:
                await self._in_time(go())
            except Exception as error:  # noqa: BLE001 - the boundary: whatever keeps it from its readers
                self._failed(way, notice, go, pauses, error)
            else:
                self._counted(way, "sent")
                self._log.info("notice-sent", way=way, notice=notice.event, id=notice.id)

        Deferred.fromCoroutine(attempt())

    async def _in_time(self, work: Awaitable[None]) -> None:
        async def do() -> None:
            await work

        seconds = self._settings().policyd.outgoing.notices.timeout
        doing = Deferred.fromCoroutine(do())
        late = self._clock.callLater(seconds, doing.cancel)
        try:
            await doing
        except CancelledError as error:
            raise TimeoutError(f"not done in {seconds:g} s") from error
        finally:
            if late.active():
                late.cancel()

    def _failed(
        self,
        way: Way,
        notice: Notice,
        go: Callable[[], Awaitable[None]],
        pauses: Sequence[float],
        error: Exception,
    ) -> None:
        last = not pauses or self._stopped
        self._log.warning(
            "notice-failed",
            way=way,
            notice=notice.event,
            id=notice.id,
            error=f"{type(error).__name__}: {error}",
            next_attempt=None if last else pauses[0],
        )
        if last:
            self._counted(way, "failed")
            return

        def again() -> None:
            self._timers.discard(timer)
            self._attempt(way, notice, go, pauses[1:])

        timer = self._clock.callLater(pauses[0], again)
        self._timers.add(timer)

    async def _mail(self, notice: Notice) -> None:
        settings = self._settings()
        terms, identity = settings.policyd.outgoing.notices, settings.identity
        to = readers(notice, settings.registry, terms.to, identity.hostname)
        message = compose(notice, to, identity.hostname, identity.contact)
        await self._send(terms.smtp or way_back(settings), to, message, terms.timeout)

    async def _webhook(self, notice: Notice) -> None:
        settings = self._settings()
        terms = settings.policyd.outgoing.notices
        assert terms.webhook is not None
        # Read anew each time, so that a renewed file needs no restart.
        token = "" if terms.token_file is None else terms.token_file.read_text("ascii").strip()
        await self._post(terms.webhook, notice.to_dict(settings.identity.hostname), token, terms.timeout)


def way_back(settings: Settings) -> str:
    """Where Postfix takes mail that was filtered: as for contentfilter's own mail."""
    listeners = settings.contentfilter.listeners
    return next((one.reinject for one in listeners if one.protocol == "smtp"), listeners[0].reinject)
