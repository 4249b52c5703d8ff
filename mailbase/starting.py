"""What both daemons do before they serve: open their log, and raise the limit on open files."""

from __future__ import annotations

import os
import resource
import sys

from mailbase.config import Settings
from mailbase.logs import Log, Scheduler

DESCRIPTORS = 65536
"""Open files wanted: a few for each smtpd of a large gateway."""


def make_log(component: str, settings: Settings, scheduler: Scheduler | None = None) -> Log:
    """The log that ``settings`` ask for, on standard error.

    Arguments:
        component: name of the daemon.
        scheduler: the reactor; lines are then written at the end of its turn.

    Raises:
        OSError: the key file cannot be read.
    """
    key = None
    if settings.privacy.pseudonymise:
        path = settings.privacy.key_file
        key = (path.read_bytes().strip() if path is not None else b"") or os.urandom(32)
    return Log(
        component,
        style=settings.logging.format,
        level=settings.logging.level,
        stream=sys.stderr,
        pseudonym_key=key,
        scheduler=scheduler,
    )


def raise_descriptor_limit() -> None:
    """Allow this process as many open files as a busy gateway needs, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
