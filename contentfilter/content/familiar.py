"""Pieces of documents that are alike in many of them: which kinds of part there are, what belongs to what,
fonts, settings, themes. One in which nothing was found is known again by its digest and not searched again.

A worker keeps this from mail to mail: digests, and no octet of anybody's mail.
"""

from __future__ import annotations

from hashlib import blake2b

from contentfilter.content.limits import KIB, Budget
from contentfilter.content.part import Part

LARGEST = 8 * KIB
"""Octets of a piece that is remembered; larger ones are mostly somebody's own."""
KEPT = 1000
"""Pieces that are remembered: those that were met last."""


class Familiar:
    """Pieces in which nothing was found.

    What is found depends on the bounds as well, so all scans that share one must have the same options.
    """

    def __init__(self) -> None:
        self._digests: dict[bytes, None] = {}

    def key(self, part: Part) -> bytes:
        """What ``part`` is known by; empty for what is not remembered.

        It covers all that scanners look at: a piece of a document has no more than these.
        """
        data = part.data
        if not part.inside or len(data) > LARGEST:
            return b""
        # Quoted as strings are, so that no name runs into the other or into the data.
        digest = blake2b(f"{part.inside!r}{part.name!r}".encode("utf-8", "surrogatepass"))
        digest.update(data)
        return digest.digest()

    def __contains__(self, key: bytes) -> bool:
        if key not in self._digests:
            return False
        self._remember(key)
        return True

    def add(self, key: bytes) -> None:
        """Remember a piece in which nothing was found."""
        self._remember(key)
        if len(self._digests) > KEPT:
            del self._digests[next(iter(self._digests))]

    def _remember(self, key: bytes) -> None:
        """As the last that was met."""
        self._digests.pop(key, None)
        self._digests[key] = None


def spent(budget: Budget) -> tuple[int, ...]:
    """What scanners have used up so far: looking at a piece again must not cost less than it would."""
    return budget.parts, budget.expanded, budget.work, budget.passwords, budget.password_cost
