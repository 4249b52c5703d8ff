"""The file that remembers what has been seen of the domains' records."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contentfilter.signing.standing import Standings
from mailbase.logs import Log

MAX_FILE = 256 << 20
"""Octets; a registry of a million domains has less."""


def load(path: Path, settle: float, log: Log) -> Standings:
    """What was remembered; nothing if there is no such file, or it cannot be read, which is logged."""
    try:
        return read(path, settle)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        log.warning("signing-state-unreadable", file=str(path), error=str(error))
    return Standings(settle)


def read(path: Path, settle: float) -> Standings:
    """What was remembered.

    Raises:
        OSError: there is no file, or it cannot be read.
        ValueError: not such a file.
    """
    if path.stat().st_size > MAX_FILE:
        raise ValueError("larger than any that we write")
    try:
        data = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {type(error).__name__}") from error
    return Standings.from_dict(data, settle)


def write(path: Path, data: Mapping[str, Any]) -> None:
    """Put ``data`` in the file's place, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    try:
        with open(descriptor, "wb") as file:
            file.write(json.dumps(data).encode("ascii"))
            file.flush()
            os.fsync(descriptor)
        os.replace(beside, path)
    except OSError:
        os.unlink(beside)
        raise
