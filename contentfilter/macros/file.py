"""The file of allowed macros: one JSON object a line, written by the command, read by the daemon.

It is not policyd's store, since contentfilter must know its exceptions without policyd; and it changes a few
times a year, so one small file that is replaced as a whole is enough. Several nodes: copy it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from contentfilter.macros.entry import Entry, entry_from
from mailbase.replies import printable

MAX_SIZE = 4 << 20
"""Octets of the file."""
MAX_ENTRIES = 10_000
_MODE = 0o640


class AllowlistError(Exception):
    """The file cannot be used; the text says what to do."""


def read(path: Path) -> list[Entry]:
    """All entries, in their order; none if there is no file.

    Raises:
        AllowlistError: it cannot be read, or holds something else.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_SIZE + 1)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise AllowlistError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > MAX_SIZE:
        raise AllowlistError(f"{path} is larger than {MAX_SIZE >> 20} MiB")
    entries: dict[tuple[str, str, str], Entry] = {}
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            fields = _object(line)
            entry = entry_from(fields)
        except ValueError as error:
            raise AllowlistError(f"{path}:{number}: {printable(str(error), 200)}") from error
        entries[entry.key] = entry
        if len(entries) > MAX_ENTRIES:
            raise AllowlistError(f"{path} has more than {MAX_ENTRIES} entries")
    return list(entries.values())


def _object(line: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise ValueError("expected a line as 'contentfilter macros allow' writes it; take it out")
    return fields


def change(path: Path, work: Callable[[list[Entry]], Iterable[Entry]]) -> None:
    """Replace the entries by what ``work`` makes of them; on return the file is on disk.

    Two commands at the same time take turns; a reader sees the old file or the new one.

    Arguments:
        work: may raise, and then nothing changes.

    Raises:
        AllowlistError: it cannot be read or written.
    """
    try:
        with _lock(path):
            entries = list(work(read(path)))
            if len(entries) > MAX_ENTRIES:
                raise AllowlistError(f"{path} has {MAX_ENTRIES} entries already; remove some")
            _replace(path, "".join(json.dumps(entry.to_dict()) + "\n" for entry in entries).encode("ascii"))
    except FileNotFoundError as error:
        raise AllowlistError(
            f"there is no folder {path.parent}; make it first, for the user that contentfilter runs as, "
            f"such as: install -d -o postwarden -g postwarden {path.parent}"
        ) from error
    except OSError as error:
        who = (
            "; run this as the user of the daemon, or with sudo" if isinstance(error, PermissionError) else ""
        )
        raise AllowlistError(f"{path} cannot be written: {error.strerror}{who}") from error


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        # The name is in the folder, so that must be on disk as well.
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(path: Path, data: bytes) -> None:
    folder = path.parent.stat()
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(descriptor, "wb") as stream:
            stream.write(data)
            os.fchmod(descriptor, _MODE)
            if os.geteuid() == 0:
                # The daemon's user owns the folder, and must be able to read what root writes.
                os.fchown(descriptor, folder.st_uid, folder.st_gid)
            stream.flush()
            os.fsync(descriptor)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
