"""What can go wrong with the store, and how bad it is."""

from __future__ import annotations

import sqlite3


class StoreError(Exception):
    """The store cannot answer, or cannot take an entry, now; it may again later.

    Whoever asked decides what that means: greylisting has ``store.on_error``.
    """


def is_corrupt(error: sqlite3.Error) -> bool:
    """Whether ``error`` says that the file itself is damaged, so that trying again cannot help."""
    code = getattr(error, "sqlite_errorcode", 0)
    # Extended codes carry the primary one in their low byte (https://www.sqlite.org/rescode.html).
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def describe(error: BaseException) -> str:
    """The error with SQLite's own name for it, for the log."""
    name = getattr(error, "sqlite_errorname", "")
    return f"{error} ({name})" if name else f"{type(error).__name__}: {error}"
