"""The SQLite file: opened with the right pragmas, brought to our schema, moved aside when it is damaged."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from mailbase.store.tables import TableSpec

APPLICATION_ID = 0x50574431
"""Tells file(1), and us, whose database it is: "PWD1"."""
READ_CACHE = 4 * 1024
WRITE_CACHE = 8 * 1024
"""KiB of SQLite's own page cache in each connection. A reader's is worth little: each commit empties it."""
BUSY = 5.0
"""Seconds the writer waits for another process (a backup) that holds the file."""
CHECKPOINT_PAGES = 60_000
"""Pages in the write-ahead log after which a commit itself copies them into the database: only when the
thread that does it did not keep up."""
WAL_LIMIT = 64 * 1024 * 1024
"""Octets the log's file keeps after a peak."""

Connect = Callable[..., sqlite3.Connection]


class Database:
    """One SQLite file.

    Arguments:
        path: of the file; its folder must exist.
        tables: that it must have.
        connect: stands in for :func:`sqlite3.connect` in tests.
    """

    def __init__(self, path: Path, tables: Sequence[TableSpec], connect: Connect = sqlite3.connect) -> None:
        self.path = path
        self.tables = tuple(tables)
        self._connect = connect

    def open_writer(self) -> sqlite3.Connection:
        """A connection that may write, with all tables there.

        Raises:
            sqlite3.Error: cannot be opened, read-only, full, damaged, or somebody else's.
        """
        self._create()
        connection = self._connect(
            str(self.path), timeout=BUSY, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        try:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            if application not in (0, APPLICATION_ID):
                raise sqlite3.OperationalError(f"{self.path} is another program's database")
            connection.execute("PRAGMA journal_mode = WAL")
            # A commit survives the death of the process at once, a power cut after the next checkpoint.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA cache_size = -{WRITE_CACHE}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
            connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT}")
            self._bring_to_schema(connection)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _create(self) -> None:
        """Make the file for its owner alone: it holds who writes to whom. SQLite's other files follow it."""
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            return
        except OSError as error:
            raise sqlite3.OperationalError(f"cannot create {self.path}: {error.strerror}") from error

    def open_reader(self) -> sqlite3.Connection:
        """A connection for point look-ups; it never waits for a lock.

        Raises:
            sqlite3.Error: as for the writer.
        """
        connection = self._connect(
            f"{self.path.absolute().as_uri()}?mode=ro",
            uri=True,
            timeout=0.0,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.execute(f"PRAGMA cache_size = -{READ_CACHE}")
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def checkpoint(self) -> None:
        """Copy the write-ahead log into the database; nobody waits for it, neither readers nor the writer.

        Raises:
            sqlite3.Error: not now.
        """
        connection = self._connect(str(self.path), timeout=0.0, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        finally:
            connection.close()

    def _bring_to_schema(self, connection: sqlite3.Connection) -> None:
        wanted = [statement for table in self.tables for statement in _lacking(connection, table)]
        if not wanted:
            # Nothing is written when there is nothing to do: a full disk must not keep us from starting.
            return
        connection.execute("BEGIN IMMEDIATE")
        for statement in wanted:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")

    def move_aside(self, stamp: str) -> Path:
        """Rename the file and its log, so that a new one can be begun; nothing is deleted.

        Arguments:
            stamp: makes the new name unique.

        Raises:
            OSError: the folder is read-only or gone.
        """
        aside = self.path.with_name(f"{self.path.name}.damaged-{stamp}")
        for suffix in ("-wal", "-shm", ""):
            try:
                os.replace(f"{self.path}{suffix}", f"{aside}{suffix}")
            except FileNotFoundError:
                continue
        return aside


def _lacking(connection: sqlite3.Connection, table: TableSpec) -> list[str]:
    """Statements that bring what is in the file to the description of a table."""
    present = {name for _, name, *_ in connection.execute(f"PRAGMA table_info({table.name})")}
    if not present:
        return [table.create()]
    # Earlier versions had an index of when rows expire.
    indexes = {name for _, name, *_ in connection.execute(f"PRAGMA index_list({table.name})")}
    former = f"{table.name}_expires"
    return [*table.add_missing(present), *([f"DROP INDEX {former}"] if former in indexes else [])]
