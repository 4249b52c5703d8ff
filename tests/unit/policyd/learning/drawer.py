"""What is learned, kept in a dict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mailbase.store import Row


class Drawer:
    """Shelf and token table in a dict."""

    def __init__(self) -> None:
        self.rows: dict[bytes, Row] = {}

    def load(self, now: float) -> dict[bytes, Row]:
        return dict(self.rows)

    def put(self, *arguments: Any) -> None:
        if len(arguments) == 2:
            self.rows[arguments[0]] = arguments[1]
        else:
            self.rows |= arguments[0]

    def get(self, key: bytes, now: float) -> Row | None:
        return self.rows.get(key)

    def delete(self, keys: Any) -> None:
        for key in [keys] if isinstance(keys, bytes) else list(keys):
            self.rows.pop(key, None)

    def watch(self, changed: Callable[[], object]) -> None: ...
