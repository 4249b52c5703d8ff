"""Makes the journal that the configuration asks for."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mailbase.config import Settings
from mailbase.config.store import MEMORY
from mailbase.logs import Log
from mailbase.store.database import Database
from policyd.journal.file import JournalFile
from policyd.journal.journal import Journal, Terms
from policyd.journal.masks import Masks

NAME = "journal.sqlite"
FOLDER = Path("/var/lib/postwarden")
"""Where it is when the store is on another machine."""


def build_journal(settings: Settings, reactor: Any, log: Log) -> Journal | None:
    """The journal of this node; None where none is wanted. Not started yet.

    Arguments:
        log: its pseudonyms are the journal's too.
    """
    if not settings.policyd.journal.enabled:
        return None
    pseudonym: Callable[[str], str] | None = log.pseudonym if settings.privacy.pseudonymise else None
    file = JournalFile(Database(_path(settings), ()), Masks(pseudonym))
    return Journal(file, reactor, log, terms_of(settings))


def terms_of(settings: Settings) -> Terms:
    """What a reload may change."""
    journal = settings.policyd.journal
    return Terms(journal.rate, settings.privacy.retention, journal.max_size)


def _path(settings: Settings) -> Path:
    if settings.policyd.journal.path is not None:
        return settings.policyd.journal.path
    _, _, path = settings.store.url.partition("sqlite:")
    if path == MEMORY:
        # A file that goes with the process, as the store's.
        folder = tempfile.mkdtemp(prefix="policyd-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return Path(folder) / NAME
    return Path(path).parent / NAME if path else FOLDER / NAME
