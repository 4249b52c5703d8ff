"""The certificate that a server shows in TLS, whatever it is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cryptography import x509
from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from service_identity.cryptography import verify_certificate_hostname
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import CertificateOptions
from zope.interface import implementer

_PERIOD = frozenset({9, 10})
"""OpenSSL's X509_V_ERR for not yet and no longer valid: told by the dates."""
_REASONS = {
    18: "it is signed by itself",
    19: "a certificate of its chain is signed by itself",
    20: "its issuer is not trusted here",
    21: "its chain is not complete",
    23: "it was revoked",
    26: "it is not for servers",
}


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was seen.

    Arguments:
        begins: seconds since the epoch.
        ends: likewise.
        matches: whether it is for the server's name (RFC 6125).
        distrust: why its chain is not trusted here; empty if it is.
    """

    begins: float
    ends: float
    matches: bool
    distrust: str = ""


@implementer(IOpenSSLClientConnectionCreator)
class Inspector:
    """Makes one TLS connection and goes on whatever the certificate.

    Arguments:
        name: the server's.
        authorities: file of trusted certificates; None: the system's.
    """

    def __init__(self, name: str, authorities: str | None = None) -> None:
        self._name = name
        self._connection: SSL.Connection | None = None
        self._errors: list[int] = []
        self._context = CertificateOptions().getContext()
        self._context.set_verify(SSL.VERIFY_PEER, self._verified)
        if authorities is None:
            self._context.set_default_verify_paths()
        else:
            self._context.load_verify_locations(authorities)

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        self._connection = SSL.Connection(self._context, None)
        self._connection.set_tlsext_host_name(self._name.encode("ascii"))
        return self._connection

    def _verified(
        self, connection: SSL.Connection, certificate: object, error: int, depth: int, good: int
    ) -> bool:
        if not good:
            self._errors.append(error)
        return True

    def certificate(self) -> Certificate | None:
        """The server's; None if there was no handshake."""
        if self._connection is None:
            return None
        shown = self._connection.get_peer_certificate(as_cryptography=True)
        if not isinstance(shown, x509.Certificate):
            return None
        try:
            verify_certificate_hostname(shown, self._name)
            matches = True
        except (VerificationError, CertificateError):
            matches = False
        distrust = next((error for error in self._errors if error not in _PERIOD), None)
        return Certificate(
            shown.not_valid_before_utc.timestamp(),
            shown.not_valid_after_utc.timestamp(),
            matches,
            "" if distrust is None else _REASONS.get(distrust, f"OpenSSL says error {distrust}"),
        )
