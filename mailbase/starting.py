"""What both daemons do before they serve: open their log, and raise the limit on open files."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Mapping
from typing import TextIO

from mailbase.config import ConfigError, Settings
from mailbase.documents import Problem
from mailbase.logs import Log, Scheduler

DESCRIPTORS = 65536
"""Open files wanted: a few for each smtpd of a large gateway."""
LEAST_KEY = 16
"""Octets of a key for pseudonyms."""


def make_log(component: str, settings: Settings, scheduler: Scheduler | None = None) -> Log:
    """The log that ``settings`` ask for, on standard error.

    Arguments:
        component: name of the daemon.
        scheduler: the reactor; lines are then written at the end of its turn.

    Raises:
        ConfigError: see :func:`pseudonym_key`.
    """
    return Log(
        component,
        style=settings.logging.format,
        level=settings.logging.level,
        stream=sys.stderr,
        pseudonym_key=pseudonym_key(settings),
        scheduler=scheduler,
        priorities=is_journal(sys.stderr, os.environ),
    )


def pseudonym_key(settings: Settings) -> bytes | None:
    """The key of the hashes in log and journal; None where addresses stay readable.

    Raises:
        ConfigError: its file cannot be read, or holds too little.
    """
    path = settings.privacy.key_file
    if not settings.privacy.pseudonymise:
        return None
    if path is None:
        return os.urandom(32)
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise ConfigError(
            [Problem(str(path), 0, "privacy.key_file", f"cannot be read: {error.strerror}")]
        ) from error
    if len(key) < LEAST_KEY:
        # Addresses are few: whoever guesses the key has them all.
        message = (
            f"expected a key of {LEAST_KEY} octets or more, got {len(key)}; "
            f"head -c 32 /dev/urandom | base64 > {path}"
        )
        raise ConfigError([Problem(str(path), 0, "privacy.key_file", message)])
    return key


def is_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether systemd has connected ``stream`` with its journal (systemd.exec(5), ``JOURNAL_STREAM``).

    The variable is inherited by whatever a service starts, so it has to name this very stream.
    """
    try:
        status = os.fstat(stream.fileno())
    except OSError:
        # Closed, or no file at all.
        return False
    return environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def raise_descriptor_limit() -> None:
    """Allow this process as many open files as a busy gateway needs, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
