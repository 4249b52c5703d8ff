"""SQLite on a disk that fails as told."""

from __future__ import annotations

import sqlite3
from typing import Any


class Disk:
    """Stands in for sqlite3.connect: fails as told."""

    def __init__(self) -> None:
        self.error: sqlite3.Error | None = None
        self.read_error: sqlite3.Error | None = None
        self.reads = 0

    def connect(self, *arguments: Any, **options: Any) -> Any:
        if self.error is not None and not options.get("uri"):
            raise self.error
        options["factory"] = type("Failing", (FailingConnection,), {"disk": self})
        return sqlite3.connect(*arguments, **options)


class FailingConnection(sqlite3.Connection):
    disk: Disk

    def cursor(self, *arguments: Any) -> Any:
        return super().cursor(type("Cursor", (FailingCursor,), {"disk": self.disk}))


class FailingCursor(sqlite3.Cursor):
    disk: Disk

    def execute(self, sql: str, *arguments: Any) -> Any:
        if sql.startswith(("INSERT", "WITH")) and self.disk.error is not None:
            raise self.disk.error
        if sql.startswith("SELECT"):
            self.disk.reads += 1
            if self.disk.read_error is not None:
                raise self.disk.read_error
        return super().execute(sql, *arguments)


def sqlite_error(code: int, text: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


FULL = sqlite_error(sqlite3.SQLITE_FULL, "database or disk is full")
