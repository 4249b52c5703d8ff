"""A daemon for commands to ask, without a socket: it keeps what it is asked, answers what it is told to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mailbase.control import ControlError


class Daemon:
    """Stands in for the daemon and for each of its answers.

    Attributes:
        asked: verbs with their arguments, in order.
        rows: what an answer lists.
        final: what its last line says beside ``ok``.
        error: why nothing is answered; empty: it is.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.rows: list[dict[str, Any]] = []
        self.final: dict[str, Any] = {}
        self.error = ""

    def ask(self, path: str, verb: str, timeout: float = 10.0, **arguments: Any) -> Daemon:
        """In place of :func:`mailbase.control.client.ask`."""
        self.asked.append((verb, arguments))
        if self.error:
            raise ControlError(self.error)
        return self

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def wait(self) -> dict[str, Any]:
        return {"ok": True, **self.final}
