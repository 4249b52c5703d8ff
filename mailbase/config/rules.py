"""``contentfilter.rules``: which rules mail is judged by."""

from __future__ import annotations

from pathlib import Path

from mailbase.config.places import FilePath
from mailbase.documents import Flag, Section


class RuleSettings(Section):
    shipped: Flag = True
    """Whether the rules that come with the program are in force."""
    file: FilePath = Path("/etc/postwarden/rules.yaml")
    """The operator's own rules, laid over those; need not exist."""
