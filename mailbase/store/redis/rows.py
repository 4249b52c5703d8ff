"""Keys and rows as they stand in Redis. Pure.

A key's name is ``PREFIX:TABLE:`` and a hash, so that no address of a person stands in the names of keys,
which Redis shows in many places (``MONITOR``, ``SLOWLOG``, key listings). A row is a JSON array: the key,
where the name does not tell it, the columns, ``expires``; octets are base64 text in an array of its own.
"""

from __future__ import annotations

import json
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from hashlib import blake2b
from typing import Any

from mailbase.store.tables import Row, Value

KEY_SIZE = 16
"""Octets of a key's hash. Two keys that share one by accident would share a row."""


class Naming:
    """Arguments:
    prefix: of all our keys.
    table: name of the table.
    opaque: whether keys are hashes or random already, and stand in the name as they are.
    """

    __slots__ = ("_opaque", "_start", "pattern")

    def __init__(self, prefix: str, table: str, *, opaque: bool = False) -> None:
        self._start = f"{prefix}:{table}:".encode("ascii")
        self._opaque = opaque
        self.pattern = self._start + b"*"
        """What SCAN takes for all keys of the table."""

    def name(self, key: bytes) -> bytes:
        """The name of the Redis key for ``key``."""
        shown = key if self._opaque else blake2b(key, digest_size=KEY_SIZE).digest()
        return self._start + urlsafe_b64encode(shown).rstrip(b"=")

    def key_in_row(self, key: bytes) -> bytes:
        """A key that is not opaque, as it stands in its row: for scripts, which write rows themselves."""
        return b'["%b"]' % urlsafe_b64encode(key)

    def encode(self, key: bytes, row: Row) -> bytes:
        """A row as the value of that key."""
        values = row if self._opaque else (key, *row)
        return json.dumps([_plain(value) for value in values], separators=(",", ":")).encode("ascii")

    def decode(self, name: bytes, value: bytes) -> tuple[bytes, Row] | None:
        """Key and row; None for what is none of ours."""
        try:
            values: Any = json.loads(value)
            row: Row = tuple(map(_value, values))
            if self._opaque:
                text = name[len(self._start) :]
                return urlsafe_b64decode(text + b"=" * (-len(text) % 4)), row
        except (ValueError, TypeError, KeyError, RecursionError, Error):
            return None
        key, *rest = row if row else (None,)
        return (key, tuple(rest)) if isinstance(key, bytes) and rest else None


def text_in_row(text: str) -> str:
    """``text`` as it stands in a row between its quotes, without a quote in it: for scripts, likewise."""
    return json.dumps(text)[1:-1].replace('\\"', "\\u0022")


def _plain(value: Value) -> Any:
    return [urlsafe_b64encode(value).decode("ascii")] if isinstance(value, bytes) else value


def _value(value: Any) -> Value:
    if isinstance(value, list):
        return b64decode(value[0], altchars=b"-_", validate=True)
    if not isinstance(value, int | float | str):
        raise TypeError(f"no value of a column: {value!r}")
    return value
