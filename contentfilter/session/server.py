"""Where Postfix hands mail over: one factory for each listener."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory

from contentfilter.disposition.disposition import Disposition
from contentfilter.disposition.splits import Splits
from contentfilter.metering import NoMeter, ProxyMeter
from contentfilter.reinjection.reinjection import ReinjectionPort
from contentfilter.session.connection import ProxyConnection
from contentfilter.session.envelope import Envelope
from contentfilter.session.intake import Intake
from contentfilter.session.session import NOT_READY, STOPPING, Profile
from contentfilter.spool.spool import Spool
from mailbase.config import ContentfilterSettings, ListenerSettings
from mailbase.logs import Log
from mailbase.replies import Reply

MAX_RECIPIENTS = 1000
"""Of one mail; Postfix's smtpd_recipient_limit."""
MAX_CONNECTIONS = 1000
"""Clients at once; Postfix's own process limit is 100 by default."""

GRACE = 5.0
"""Seconds in which a client may still bring its first mail when we are to end."""
TOO_MANY_CONNECTIONS = Reply(421, "4.3.2", "Too many connections, try again later")


class Inspector(Protocol):
    """Decides what is to happen with a mail."""

    async def inspect(
        self, envelope: Envelope, spool: Spool, listener: ListenerSettings, deadline: float
    ) -> tuple[str, Disposition]:
        """The decision id and the disposition.

        Arguments:
            spool: the message; closed by the caller as soon as this returns, fails or is cancelled and the
                mail is done with. A descriptor from ``as_fd`` outlives it.
            deadline: clock seconds; later than that the answer counts for nothing.

        Raises:
            Exception: any; the client hears 451.
        """
        ...

    def take_back(self, kept: str) -> None:
        """Delete a file of the quarantine again: the client keeps the mail, and brings it once more.

        Arguments:
            kept: its name, as the disposition had it.
        """
        ...


def filter_name(hostname: str) -> str:
    """Our name in SMTP on the gateway ``hostname``.

    It differs from Postfix's myhostname, whose client would take us for itself ("mail loops back to
    myself").
    """
    return f"filter.{hostname}"


class Connection(Protocol):
    """A client that is being served."""

    def stop(self, at_once: bool = True) -> None:
        """End when no transaction is running.

        Arguments:
            at_once: also where none has begun yet.
        """
        ...


@dataclass(frozen=True, slots=True)
class Shared:
    """What all listeners have in common.

    Arguments:
        inspector: decides.
        intake: lets mail in, or not.
        log: one line for each mail.
        meter: counts.
        delivered: told the decision id of each mail that Postfix took, and what it said.
        splits: mails whose recipients need different answers; not for LMTP.
        max_connections: clients at once, of one listener.
        max_recipients: of one mail; RFC 5321 4.5.3.1.8 asks for at least 100.
    """

    inspector: Inspector
    intake: Intake
    log: Log
    meter: ProxyMeter = field(default_factory=NoMeter)
    delivered: Callable[[str, Reply], None] | None = None
    splits: Splits | None = None
    max_connections: int = MAX_CONNECTIONS
    max_recipients: int = MAX_RECIPIENTS


class Front(Factory):
    """One listener, whatever is spoken there: who is served, and what each mail needs.

    Arguments:
        reactor: Twisted's.
        settings: the content filter's.
        listener: which of its listeners.
        shared: with the others.
    """

    noisy = False
    silence: float
    """Seconds after which a client that says nothing is looked at."""

    def __init__(
        self, reactor: Any, settings: ContentfilterSettings, listener: ListenerSettings, shared: Shared
    ) -> None:
        self.reactor = reactor
        self.listener = listener
        self.inspector = shared.inspector
        self.intake = shared.intake
        self.log = shared.log
        self.meter = shared.meter
        self.delivered = shared.delivered
        self.splits = None if listener.protocol == "lmtp" else shared.splits
        self.protocol_name: str = listener.protocol
        self.folder: Path = settings.spool.folder
        self.memory = settings.spool.memory
        self.reinject_within = settings.timeouts.reinject
        self._max_connections = shared.max_connections
        self._connections: set[Connection] = set()
        self._stopping = False
        self._timer: Any = None
        """Ends those that still have not begun anything."""
        self._drained: list[Deferred[None]] = []

    def refusal(self) -> Reply | None:
        """Why a new connection cannot be taken, if so."""
        if self._stopping:
            return STOPPING
        return TOO_MANY_CONNECTIONS if len(self._connections) >= self._max_connections else None

    def admit(self, connection: Connection) -> None:
        """A client is being served."""
        self._connections.add(connection)
        self.meter.connected(self.protocol_name)

    def release(self, connection: Connection) -> None:
        """It is gone, and its last mail done with."""
        if connection not in self._connections:
            return
        self._connections.remove(connection)
        self.meter.disconnected(self.protocol_name)
        if self._stopping and not self._connections:
            self._all_gone()

    def stop(self) -> Deferred[None]:
        """Take no more clients; fires when the transactions that are running have ended."""
        self._stopping = True
        done: Deferred[None] = Deferred()
        self._drained.append(done)
        self._ask_to_end(at_once=False)
        if not self._connections:
            self._all_gone()
        elif self._timer is None:
            self._timer = self.reactor.callLater(GRACE, self._ask_to_end, at_once=True)
        return done

    def _ask_to_end(self, at_once: bool) -> None:
        for connection in list(self._connections):
            connection.stop(at_once)

    def _all_gone(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        waiting, self._drained = self._drained, []
        for done in waiting:
            done.callback(None)


class ProxyFactory(Front):
    """A listener for SMTP or LMTP.

    Arguments:
        hostname: the gateway's name; see :func:`filter_name`.
        port: its reinjection port, started.

    The others as for :class:`Front`.
    """

    def __init__(
        self,
        reactor: Any,
        settings: ContentfilterSettings,
        listener: ListenerSettings,
        hostname: str,
        port: ReinjectionPort,
        shared: Shared,
    ) -> None:
        super().__init__(reactor, settings, listener, shared)
        self.port = port
        self.profile = Profile(
            filter_name(hostname),
            listener.protocol == "lmtp",
            settings.message_size_limit,
            shared.max_recipients,
        )
        self.command_timeout = settings.timeouts.command
        self.data_timeout = settings.timeouts.data
        self.silence = min(self.command_timeout, self.data_timeout)

    def buildProtocol(self, addr: IAddress | None) -> ProxyConnection:
        return ProxyConnection(self)

    def refusal(self) -> Reply | None:
        """Likewise while Postfix behind us does not answer."""
        return super().refusal() or (None if self.port.ready else NOT_READY)
