"""A Lua script that the server runs as one step."""

from __future__ import annotations

import hashlib

from mailbase.store.redis.wire import bulk


class Script:
    """Arguments:
    source: Lua 5.1, as Redis runs it.
    """

    __slots__ = ("digest", "source")

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.digest = hashlib.sha1(source, usedforsecurity=False).hexdigest().encode("ascii")
        """The name by which a server knows it."""

    def known(self, words: int, keys: int) -> bytes:
        """The command to run it, where the server knows it, up to its keys and arguments.

        Arguments:
            words: keys and arguments that follow.
            keys: how many of them are keys.
        """
        return b"*%d\r\n$7\r\nEVALSHA\r\n%b%b" % (words + 3, bulk(self.digest), bulk(keys))

    def unknown(self, words: int, keys: int) -> bytes:
        """The same with the script itself."""
        return b"*%d\r\n$4\r\nEVAL\r\n%b%b" % (words + 3, bulk(self.source), bulk(keys))
