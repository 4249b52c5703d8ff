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

from mailbase.store.errors import StoreError
from mailbase.store.redis.link import Link

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


def connector(reactor: Any, timeout: float, *, tls: bool, ca_file: Path | None) -> Connect:
    """What connects.

    Arguments:
        reactor: Twisted's.
        timeout: seconds for the TCP connection.
        tls: whether to encrypt; certificate and name are checked then.
        ca_file: who may sign the certificate; None: whom the system trusts.
    """

    def connect(host: str, port: int, make: Callable[[], Link]) -> Deferred[Link]:
        endpoint: Any = HostnameEndpoint(reactor, host, port, timeout=timeout)
        if tls:
            # Read anew each time, so that a renewed file needs no restart.
            trusted: Any = None if ca_file is None else _trust(_certificates(ca_file))
            endpoint = wrapClientTLS(optionsForClientTLS(host, trustRoot=trusted), endpoint)
        connected: Deferred[Link] = endpoint.connect(_LinkFactory(make))
        return connected

    return connect


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
