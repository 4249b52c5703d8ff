"""A quarantined message's file, and finding it again.

A file is a line ``postwarden-quarantine 1 LENGTH``, then LENGTH octets of JSON (envelope, client, facts,
written to be read by a person), then the message as its recipient would have got it, octet for octet. Its
name begins with the moment when it came.
"""

from __future__ import annotations

import calendar
import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUFFIX = ".mail"
MAGIC = b"postwarden-quarantine 1 "
MAX_HEAD = 16 << 20
"""Octets of metadata; a thousand recipients with long parameters make two million."""

_CHUNK = 256 * 1024
_STAMP = re.compile(r"([0-9]{8}T[0-9]{6})(\.[0-9]{6})?Z-")


class QuarantineError(Exception):
    """The folder or a file is not as it must be; the text is for the operator."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One message in the quarantine.

    Arguments:
        path: its file.
        offset: where in it the message begins.
        metadata: what is known of it; ``id``, ``time``, ``flow``, ``sender``, ``recipients``, ….
    """

    path: Path
    offset: int
    metadata: dict[str, Any]

    def message(self) -> Iterator[bytes]:
        """The message's octets, in pieces."""
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            while chunk := file.read(_CHUNK):
                yield chunk

    @property
    def intact(self) -> bool:
        """Whether the message is the one that was stored."""
        digest = hashlib.sha256()
        for piece in self.message():
            digest.update(piece)
        return digest.hexdigest() == self.metadata.get("sha256")


def paths(folder: Path) -> list[Path]:
    """The files of what is in the quarantine, oldest first.

    Raises:
        QuarantineError: the folder cannot be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if is_final(path))
    except FileNotFoundError as error:
        raise QuarantineError(
            f"there is no folder {folder}; contentfilter makes it when it starts. Does --config name its "
            "configuration?"
        ) from error
    except OSError as error:
        raise QuarantineError(_why_not(folder, error)) from error


def entries(
    folder: Path, complain: Callable[[QuarantineError], None] = lambda problem: None
) -> Iterator[Entry]:
    """What is in the quarantine, oldest first.

    Arguments:
        complain: told of files that are no entries; they are passed over.

    Raises:
        QuarantineError: the folder cannot be read.
    """
    for path in paths(folder):
        try:
            yield read(path)
        except QuarantineError as problem:
            # Else somebody released or deleted it meanwhile.
            if path.exists():
                complain(problem)


def find(folder: Path, decision: str) -> list[Entry]:
    """The entries of one decision; a mail that came in several transactions has several.

    Raises:
        QuarantineError: there is none, or it cannot be read.
    """
    found = [path for path in paths(folder) if path.name.endswith(f"-{decision}{SUFFIX}")]
    if not found:
        raise QuarantineError(f"nothing in {folder} has the id {decision}")
    return [read(path) for path in found]


def read(path: Path) -> Entry:
    """One entry.

    Raises:
        QuarantineError: the file is none, or damaged, or cannot be read.
    """
    try:
        with open(path, "rb") as file:
            first = file.readline(len(MAGIC) + 12)
            length = first.removeprefix(MAGIC).strip()
            if not first.startswith(MAGIC) or not length.isdigit() or int(length) > MAX_HEAD:
                raise QuarantineError(f"{path} is no quarantined message")
            metadata = json.loads(file.read(int(length)))
    except OSError as error:
        raise QuarantineError(_why_not(path, error)) from error
    except (ValueError, RecursionError) as error:
        raise QuarantineError(f"{path} is damaged: {error}") from error
    if not isinstance(metadata, dict):
        raise QuarantineError(f"{path} is damaged: no JSON object")
    return Entry(path, len(first) + int(length), metadata)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else releases, deletes or expires the message in ``path`` meanwhile.

    Raises:
        QuarantineError: somebody else is at it, or was, so that it is no more.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise QuarantineError(_why_not(path, error)) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # It may have gone between the opening and the lock.
            gone = os.fstat(descriptor).st_ino != os.stat(path).st_ino
        except BlockingIOError as error:
            raise QuarantineError(f"{path.name} is being released or deleted by somebody else") from error
        except OSError:
            gone = True
        if gone:
            raise QuarantineError(f"{path.name} was released or deleted meanwhile")
        yield
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Delete the file, for good; hold the lock.

    Raises:
        QuarantineError: it cannot be deleted.
    """
    try:
        path.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise QuarantineError(_why_not(path, error)) from error


def sync_folder(folder: Path) -> None:
    """Wait until what was done in ``folder`` is on disk.

    Raises:
        OSError: that is not known.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def stamp(moment: float) -> str:
    """How the name of a file begins that came at ``moment``, seconds since the epoch."""
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime(moment)) + f".{int(moment % 1 * 1e6):06d}Z"


def came(path: Path) -> float | None:
    """When a file came, in seconds since the epoch, by its name; None if that does not tell."""
    found = _STAMP.match(path.name)
    try:
        if found is None:
            return None
        return calendar.timegm(time.strptime(found[1], "%Y%m%dT%H%M%S")) + float(found[2] or 0)
    except ValueError:
        return None


def is_final(path: Path) -> bool:
    """Whether a file of the folder is an entry, by its name, and not one that is being written."""
    return path.name.endswith(SUFFIX) and not path.name.startswith(".")


def _why_not(path: Path, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"{path}: not allowed; run this as the user of the daemon, or with sudo"
    return f"{path}: {error.strerror}"
