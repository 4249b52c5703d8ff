"""From an address to a connection, encrypted where that is asked for."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.python.failure import Failure

from mailbase.store.errors import StoreError
from mailbase.store.redis.link import Clock, Link

Connect: TypeAlias = Callable[[str, int, Callable[[], Link]], "Deferred[Link]"]
"""Host, port and what makes a :class:`Link`, to a connected one."""

_trust: Any = trustRootFromCertificates  # it has no annotations
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class _LinkFactory(Factory):
    noisy = False

    def __init__(self, make: Callable[[], Link]) -> None:
        self._make = make

    def buildProtocol(self, addr: object) -> Any:
        return self._make()


def connector(reactor: Any, *, tls: bool, ca_file: Path | None) -> Connect:
    """What connects; see :func:`within` for its end.

    Arguments:
        reactor: Twisted's.
        tls: whether to encrypt; certificate and name are checked then.
        ca_file: who may sign the certificate; None: whom the system trusts.
    """

    def connect(host: str, port: int, make: Callable[[], Link]) -> Deferred[Link]:
        endpoint: Any = HostnameEndpoint(reactor, host, port)
        if tls:
            # Read anew each time, so that a renewed file needs no restart.
            trusted: Any = None if ca_file is None else _trust(_certificates(ca_file))
            endpoint = wrapClientTLS(optionsForClientTLS(host, trustRoot=trusted), endpoint)
        connected: Deferred[Link] = endpoint.connect(_LinkFactory(make))
        return connected

    return connect


def within(seconds: float, connecting: Deferred[Link], clock: Clock) -> Deferred[Link]:
    """A connection that is there after ``seconds``, or not at all; may be cancelled.

    Raises (when awaited):
        StoreError: not in time, or cancelled.
        Exception: it could not be made.
    """

    timers: list[Any] = []

    def expired() -> None:
        # If it was this process that could not go on, the connection may have been made: one look.
        timers.append(clock.callLater(0, give_up, "no connection in time"))

    def give_up(why: str) -> None:
        # First the answer: Twisted leaves a Deferred without any when its canceller raises.
        waiting.errback(StoreError(why))
        connecting.cancel()

    def stop() -> None:
        for timer in timers:
            if timer.active():
                timer.cancel()

    def done(result: Link | Failure) -> None:
        if waiting.called:
            if isinstance(result, Link):
                result.drop("too late")
            return
        stop()
        waiting.callback(result)

    def cancel(_: object) -> None:
        stop()
        give_up("cancelled")

    waiting: Deferred[Any] = Deferred(cancel)
    timers.append(clock.callLater(seconds, expired))
    connecting.addBoth(done)
    return waiting


def _certificates(path: Path) -> list[Certificate]:
    try:
        found = _PEM.findall(path.read_bytes())
        if not found:
            raise StoreError(f"{path}: expected certificates in PEM form")
        return [Certificate.loadPEM(pem) for pem in found]
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error


def secret(path: Path | None, otherwise: str) -> str:
    """The password in a file, without what ends its line; ``otherwise`` where there is no file.

    Raises:
        StoreError: it cannot be read.
    """
    if path is None:
        return otherwise
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: {getattr(error, 'strerror', None) or 'expected text in UTF-8'}") from error
