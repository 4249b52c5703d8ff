"""The quarantine's folder: who may see it, and how much is in it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from contentfilter.quarantine.entry import SUFFIX, QuarantineError, is_final

STALE = 3600.0
"""Seconds after which an unfinished file is nobody's any more."""


def prepare(folder: Path, now: float) -> None:
    """Make sure that ``folder`` can be used, and clear away what a killed daemon left unfinished.

    It is open to its owner alone (0700), or readable for a group too (0750).

    Raises:
        QuarantineError: it cannot; the text says what to do.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
        if not stat.S_ISDIR(status.st_mode):
            raise QuarantineError(f"{folder} cannot be used as quarantine: it is no folder")
        mode = stat.S_IMODE(status.st_mode)
        if mode & 0o027:
            raise QuarantineError(
                f"{folder} is open to others (mode {mode:04o}); it holds mail, so: chmod 0700 {folder}, "
                f"or 0750 if its group may read"
            )
        if status.st_uid != os.geteuid():
            raise QuarantineError(
                f"{folder} belongs to user {status.st_uid}, the daemon is {os.geteuid()}, so: "
                f"chown {os.geteuid()} {folder}"
            )
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise QuarantineError(f"{folder} cannot be written to, so: chmod u+rwx {folder}")
        for path in folder.glob(".*" + SUFFIX):
            if now - path.stat().st_mtime > STALE:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise QuarantineError(f"{folder} cannot be used as quarantine: {error.strerror}") from error


def file_mode(folder: Path) -> int:
    """The mode of new files: who may read the folder may read them."""
    return 0o640 if folder.stat().st_mode & stat.S_IRGRP else 0o600


def usage(folder: Path) -> tuple[int, int]:
    """How many messages are in the quarantine, and their octets; blocks.

    Raises:
        OSError: the folder cannot be read.
    """
    count = octets = 0
    with os.scandir(folder) as files:
        for file in files:
            if is_final(Path(file.name)):
                try:
                    octets += file.stat(follow_symlinks=False).st_size
                except FileNotFoundError:
                    continue
                count += 1
    return count, octets
