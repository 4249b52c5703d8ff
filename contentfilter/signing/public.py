"""What everybody may know of a key. Pure, and quick to load."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Algorithm: TypeAlias = Literal["rsa-sha256", "ed25519-sha256"]
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)


class KeyProblem(Exception):
    """A key cannot be used; the text tells the operator what to do."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What everybody may know of a key.

    Arguments:
        selector: of its record.
        algorithm: as in ``a=`` of a signature.
        material: what stands in ``p=`` of its record, decoded.
        made: seconds since the epoch.
        bits: of an RSA key; 256 of the other kind.
    """

    selector: str
    algorithm: Algorithm
    material: bytes
    made: float
    bits: int

    @property
    def name(self) -> str:
        """Names the key, and not only its selector: another key may have that one day."""
        return f"{self.selector}/{hashlib.sha256(self.material).hexdigest()[:16]}"
