"""A Lua script that the server runs as one step."""

from __future__ import annotations

import hashlib


class Script:
    """Arguments:
    source: Lua 5.1, as Redis runs it.
    """

    __slots__ = ("digest", "source")

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.digest = hashlib.sha1(source, usedforsecurity=False).hexdigest().encode("ascii")
        """The name by which a server knows it."""
