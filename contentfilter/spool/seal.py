"""Whether octets are still those that came in, at a third of the price of SHA-256.

A seal is Poly1305 (RFC 8439 2.5) under a key that is made at start and never leaves the process. Two messages
of 50 MiB have the same with a chance of less than one in 2**80, and who does not know the key can make it no
larger. To another process a seal means nothing.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.poly1305 import Poly1305

_KEY = os.urandom(32)


class Seal:
    """The seal of octets that come piece by piece."""

    __slots__ = ("_digest", "_sum")

    def __init__(self) -> None:
        self._sum = _sum()
        self._digest = b""

    def update(self, data: bytes | bytearray) -> None:
        """Take the next piece.

        Raises:
            ValueError: the seal was read already.
        """
        if self._digest:
            raise ValueError("nothing can be added behind a seal")
        self._sum.update(data)

    @property
    def digest(self) -> bytes:
        """The seal of all pieces; there can be no more of them from now on."""
        if not self._digest:
            self._digest = self._sum.finalize()
        return self._digest


class _Sha256:
    """In place of Poly1305 where OpenSSL runs in FIPS mode, which has none."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256(_KEY)
        self.update = self._hash.update
        self.finalize = self._hash.digest


def _sum() -> Poly1305 | _Sha256:
    try:
        return Poly1305(_KEY)
    except UnsupportedAlgorithm:
        return _Sha256()


def seal(data: bytes) -> bytes:
    """The seal of octets that are there as a whole."""
    made = Seal()
    made.update(data)
    return made.digest


def intact(pieces: Iterable[bytes], digest: bytes) -> Iterator[bytes]:
    """``pieces``, and an error at their end unless ``digest`` is their seal.

    What was looked at is what goes on, whatever became of memory, disk or file in between.

    Raises:
        OSError: they differ.
    """
    seen = Seal()
    for piece in pieces:
        seen.update(piece)
        yield piece
    if seen.digest != digest:
        raise OSError(errno.EIO, "spooled bytes differ from received bytes")
