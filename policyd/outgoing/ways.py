"""The two ways of a notice: SMTP to the local Postfix, HTTP to a webhook. Twisted's clients, with bounds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Protocol
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from mailbase import __version__
from mailbase.config.places import Tcp, Unix, parse_place


class NotTaken(Exception):
    """The other side answered, and not with yes."""


class Mailer:
    """Arguments:
    reactor: Twisted's.
    hostname: our own name.
    """

    def __init__(self, reactor: Any, hostname: str) -> None:
        self._reactor = reactor
        self.hostname = hostname

    async def __call__(self, place: str, to: Sequence[str], message: bytes, timeout: float) -> None:
        """Hand ``message`` to the Postfix at ``place``, from the null sender.

        Raises:
            Exception: nobody's mail was taken, or there is no connection.
        """
        # Only now: it takes the global reactor when it is imported.
        from twisted.mail.smtp import SMTPSenderFactory

        connectors: list[Any] = []

        def give_up(done: Deferred[Any]) -> None:
            # What the connection has to say from now on is of no interest to anybody.
            factory.sendFinished = True
            for connector in connectors:
                connector.disconnect()

        done: Deferred[Any] = Deferred(give_up)
        # It wants the line ends of files.
        text = BytesIO(message.replace(b"\r\n", b"\n"))
        people = [one.encode("ascii", "replace") for one in to]
        make: Any = SMTPSenderFactory  # it has no annotations
        factory = make("", people, text, done, retries=0, timeout=timeout)
        factory.noisy = False
        factory.domain = f"policyd.{self.hostname}".encode("ascii", "replace")
        where = parse_place(place)
        if isinstance(where, Unix):
            connectors.append(self._reactor.connectUNIX(where.path, factory, timeout))
        elif isinstance(where, Tcp):
            connectors.append(self._reactor.connectTCP(where.host, where.port, factory, timeout))
        await done


@implementer(IBodyProducer)
class _Body:
    """The octets of a request."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)

    def startProducing(self, consumer: Any) -> Deferred[None]:
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """See :class:`IBodyProducer`; all is sent at once."""

    def stopProducing(self) -> None:
        """Likewise."""

    def resumeProducing(self) -> None:
        """Likewise."""


class Poster:
    """Arguments:
    reactor: Twisted's.
    policy: checks certificates; None: against those that the system trusts.
    """

    def __init__(self, reactor: Any, policy: Any = None) -> None:
        self._reactor = reactor
        self._policy = policy
        self._agent: Any = None

    async def __call__(self, url: str, data: dict[str, Any], token: str, timeout: float) -> None:
        """Post ``data``; redirections are not followed.

        Raises:
            NotTaken: the answer is none of 200 to 299.
            Exception: there is none.
        """
        if self._agent is None:
            make_pool: Any = HTTPConnectionPool  # neither has annotations
            make: Any = Agent
            pool = make_pool(self._reactor, persistent=False)
            context = {} if self._policy is None else {"contextFactory": self._policy}
            self._agent = make(self._reactor, connectTimeout=timeout, pool=pool, **context)
        headers = Headers({"Content-Type": ["application/json"], "User-Agent": [f"postwarden/{__version__}"]})
        if token:
            headers.addRawHeader("Authorization", f"Bearer {token}")
        body = _Body(json.dumps(data).encode("ascii"))
        response = await self._agent.request(b"POST", url.encode("ascii"), headers, body)
        # What else it has to say is of no interest, however much it is.
        response.deliverBody(_Nothing(self._reactor))
        if not 200 <= response.code < 300:
            raise NotTaken(f"the webhook answers {response.code}")


class _Nothing(Protocol):
    """Reads no body: closes the connection instead, if there still is one.

    Arguments:
        reactor: Twisted's.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def connectionMade(self) -> None:
        transport: Any = self.transport
        # Whoever delivers the body goes on with the transport after this.
        self._reactor.callLater(0, transport.loseConnection)
