"""A terminal to print on."""

from __future__ import annotations

import io


class Terminal(io.StringIO):
    """Keeps what is printed on it."""

    def isatty(self) -> bool:
        return True
