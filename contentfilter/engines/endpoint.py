"""One engine behind a socket: its connections, and whether it answers.

Connections are kept for the next message, where the engine lets them. Whatever goes wrong, it is probed
before it gets the next message: at once, then with growing pauses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.engines.dialect import OTHERWISE, Dialect, Q, Talk
from contentfilter.engines.seat import Message, Name
from mailbase.config.places import Systemd, Tcp, Unix, parse_place
from mailbase.logs import Log
from mailbase.replies import printable

IDLE = 15.0
"""Seconds after which a connection without question is closed; clamd does so after 30 (IdleTimeout)."""
REFRESH = 300.0
"""Seconds between two probes while all is well."""
PROBE = 5.0
"""Seconds for the answer to a probe."""
RETRY = 0.25
"""Seconds until the next probe after one without answer, doubled up to ``MAX_RETRY``."""
MAX_RETRY = 2.0


class Endpoint(Generic[Q]):
    """See :class:`contentfilter.engines.seat.Seat`.

    Arguments:
        reactor: for connections and time.
        place: as in ``addresses`` of the engine's settings.
        dialect: how it is spoken to.
        log: for its becoming silent and answering again.
        changed: told when it becomes usable, or no more so.
    """

    def __init__(
        self, reactor: Any, place: str, dialect: Dialect[Q], log: Log, changed: Callable[[], None]
    ) -> None:
        self.place = place
        self.blind = False
        self.busy = 0
        self.signatures = 0.0
        self._reactor = reactor
        self._dialect = dialect
        self._silent = ScanFailed(dialect.name, "unavailable", "not needed any more")
        self._log = log
        self._changed = changed
        self._answers = True
        self._told = False
        self._pause = RETRY
        self._probe: Any = None
        self._idle: dict[Talk[Q], Any] = {}
        self._closed = False

    @property
    def usable(self) -> bool:
        """Whether mail is given to it: it answered last time, and is not blind."""
        return self._answers and not self.blind

    async def look(self, message: Message, seconds: float) -> ScanResult | ScanFailed:
        """What it says of ``message``; after a failure it gets no more until it has answered.

        Raises:
            OSError: the message cannot be read, or is not what came in.
        """
        started = self._reactor.seconds()
        self.busy += 1
        try:
            answer = await self._ask(self._dialect.about(message), seconds)
            if isinstance(answer, ScanFailed) and answer.reason == OTHERWISE:
                left = seconds - (self._reactor.seconds() - started)
                answer = await self._ask(self._dialect.about(message), left)
        finally:
            self.busy -= 1
        result = answer if isinstance(answer, ScanFailed) else self._judge(answer, started)
        if isinstance(result, ScanFailed):
            self._trouble(result)
        return result

    def start(self) -> None:
        """Probe it, now and from time to time: is it there, and how old are its signatures?"""
        self._check_later(0.0)

    def close(self) -> None:
        """Close what is idle; what is under way is closed at its end."""
        self._closed = True
        if self._probe is not None and self._probe.active():
            self._probe.cancel()
        for conversation in list(self._idle):
            conversation.abandon(self._silent)

    def _judge(self, answer: bytes, started: float) -> ScanResult | ScanFailed:
        return self._dialect.judge(answer, self._reactor.seconds() - started)

    # Connections

    async def _ask(self, question: Q, seconds: float) -> bytes | ScanFailed:
        late = ScanFailed(self._dialect.name, "timed-out", f"no answer within {seconds:g} s")
        if seconds <= 0:
            return late
        asking = _Asking[Q](self._dialect.name, late)
        timer = self._reactor.callLater(seconds, asking.give_up)
        try:
            conversation = self._take()
            if conversation is None:
                factory = Factory.forProtocol(cast(Any, lambda: self._dialect.connection(self._forget)))
                opened = await asking.open(self._endpoint(seconds).connect(factory))
                if isinstance(opened, ScanFailed):
                    return opened
                conversation = opened
            asking.conversation = conversation
            answer = await conversation.ask(question)
        except Exception:
            # Nobody waits any more, or there is nothing to ask.
            asking.give_up()
            raise
        finally:
            if timer.active():
                timer.cancel()
        self._keep(conversation)
        return answer

    def _endpoint(self, seconds: float) -> IStreamClientEndpoint:
        match parse_place(self.place):
            case Unix(path):
                return UNIXClientEndpoint(self._reactor, path, timeout=seconds)  # type: ignore[no-untyped-call]
            case Tcp(host, port):
                return HostnameEndpoint(self._reactor, host or "localhost", port, timeout=seconds)
            case Systemd():
                raise ValueError(
                    f"contentfilter.{self._dialect.name}.addresses: expected an address to connect to"
                )

    def _take(self) -> Talk[Q] | None:
        """An idle connection, the one that was used last."""
        if not self._idle:
            return None
        conversation, timer = self._idle.popitem()
        timer.cancel()
        return conversation

    def _keep(self, conversation: Talk[Q]) -> None:
        if conversation.lost:
            return
        if self._closed:
            conversation.abandon(self._silent)
            return
        self._idle[conversation] = self._reactor.callLater(IDLE, conversation.abandon, self._silent)

    def _forget(self, conversation: Talk[Q]) -> None:
        timer = self._idle.pop(conversation, None)
        if timer is not None and timer.active():
            timer.cancel()
            # It has closed what was kept: perhaps it has ended. The next mail should not find that out.
            self._check_later(0.0)

    # Health

    def _trouble(self, failed: ScanFailed) -> None:
        """It gets no mail until it has answered."""
        self._log.warning("engine-trouble", engine=self._dialect.name, place=self.place, detail=failed.detail)
        if self._answers:
            self._answers = False
            self._pause = RETRY
            # A refused connection will be refused again at once.
            self._check_later(0.0 if failed.reason != "unavailable" else RETRY)
            self._changed()

    def _check_later(self, seconds: float) -> None:
        if self._probe is not None and self._probe.active():
            self._probe.cancel()
        if not self._closed:
            self._probe = self._reactor.callLater(seconds, self._begin_check)

    def _begin_check(self) -> None:
        Deferred.fromCoroutine(self._check())

    async def _check(self) -> None:
        answer = await self._ask(self._dialect.probe(), PROBE)
        made = None if isinstance(answer, ScanFailed) else self._dialect.alive(answer)
        if made is not None:
            self.signatures = made
            self._check_later(REFRESH)
            if self._told:
                self._log.info("engine-answers", engine=self._dialect.name, place=self.place)
                self._told = False
            if not self._answers:
                self._answers = True
                self._changed()
            return
        detail = (
            answer.detail
            if isinstance(answer, ScanFailed)
            else f"not {self._dialect.name}: {printable(answer, 100)}"
        )
        if not self._told:
            self._log.error("engine-down", engine=self._dialect.name, place=self.place, detail=detail)
            self._told = True
        self._answers = False
        self._check_later(self._pause)
        self._pause = min(2 * self._pause, MAX_RETRY)
        self._changed()


class _Asking(Generic[Q]):
    """One question, from the connection to the answer, that can be given up at any time."""

    def __init__(self, name: Name, late: ScanFailed) -> None:
        self._name = name
        self._late = late
        self._over = False
        self._connecting: Deferred[Any] | None = None
        self.conversation: Talk[Q] | None = None

    async def open(self, connecting: Deferred[Any]) -> Talk[Q] | ScanFailed:
        self._connecting = connecting
        try:
            conversation: Talk[Q] = await connecting
        except ConnectingCancelledError:
            if self._over:
                return self._late
            raise
        except (ConnectError, OSError) as error:
            slow = isinstance(error, ConnectTimeout)
            return ScanFailed(self._name, "timed-out" if slow else "unavailable", printable(str(error)))
        return conversation

    def give_up(self) -> None:
        self._over = True
        if self.conversation is not None:
            self.conversation.abandon(self._late)
        elif self._connecting is not None:
            self._connecting.cancel()
