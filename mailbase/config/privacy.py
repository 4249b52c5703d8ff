"""``privacy`` and ``logging``: what is kept about people, and how the log looks."""

from __future__ import annotations

from typing import Annotated, Literal

from mailbase.config.places import FilePath
from mailbase.config.units import Duration, between
from mailbase.documents import Flag, Section


class PrivacySettings(Section):
    pseudonymise: Flag = False
    """Whether addresses and names in the log are replaced by a keyed hash."""
    key_file: FilePath | None = None
    """Holds the hash's key; without one the key is drawn at start."""
    retention: Annotated[Duration, between("1h", "400d")] = 7 * 86400.0
    """Seconds that traces of decisions are kept."""


class LoggingSettings(Section):
    format: Literal["kv", "json"] = "kv"
    level: Literal["debug", "info", "warning", "error"] = "info"
