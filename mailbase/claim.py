"""One process at a time on a store's file: what each remembers of it would be wrong for the other."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path


class StoreInUse(Exception):
    """Another process has the store's file."""


def claim(path: Path) -> int | None:
    """Take a store's file for this process, until it ends; whatever its end, the claim ends with it.

    Arguments:
        path: of the file; beside it lies one that ends in ``.lock``.

    Returns:
        What has to stay open; None where nothing can be claimed, of which the store itself will complain.

    Raises:
        StoreInUse: another process has it; the message is for the operator.
    """
    lock = path.with_name(path.name + ".lock")
    try:
        held = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(held, 20, 0).decode("ascii", "replace").strip()
        os.close(held)
        raise StoreInUse(
            f"{path} is in use by another process ({owner or 'unknown'}): give each policyd a store.url of "
            "its own, or let them share one on Redis"
        ) from None
    except OSError:
        # A file system that knows no locks.
        os.close(held)
        return None
    # On a full disk the lock holds, and nobody learns whose it is.
    with suppress(OSError):
        os.ftruncate(held, 0)
        os.pwrite(held, b"%d\n" % os.getpid(), 0)
    return held
