"""Keys and rows as they stand in Redis. Pure.

A key's name is ``PREFIX:TABLE:`` and a hash, so that no address of a person stands in the names of keys,
which Redis shows in many places (``MONITOR``, ``SLOWLOG``, key listings). A row is a JSON array: the key,
where the name does not tell it, the columns, ``expires``; octets are base64 text in an array of its own.
"""

from __future__ import annotations

import json
from base64 import b64decode
from binascii import Error, b2a_base64
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
        return self._start + b2a_base64(shown, newline=False).rstrip(b"=")

    def key_in_row(self, key: bytes) -> bytes:
        """A key that is not opaque, as it stands in its row: for scripts, which write rows themselves."""
        return b'["%b"]' % b2a_base64(key, newline=False)

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
                return b64decode(text + b"=" * (-len(text) % 4), validate=True), row
        except (ValueError, TypeError, KeyError, RecursionError, Error):
            return None
        key, *rest = row if row else (None,)
        return (key, tuple(rest)) if isinstance(key, bytes) and rest else None


def text_in_row(text: str) -> str:
    """``text`` as it stands in a row between its quotes, without a quote in it: for scripts, likewise."""
    return json.dumps(text)[1:-1].replace('\\"', "\\u0022")


def _plain(value: Value) -> Any:
    return [b2a_base64(value, newline=False).decode("ascii")] if isinstance(value, bytes) else value


def _value(value: Any) -> Value:
    if isinstance(value, list):
        return b64decode(value[0], validate=True)
    if not isinstance(value, int | float | str):
        raise TypeError(f"no value of a column: {value!r}")
    return value
