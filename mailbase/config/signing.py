"""``contentfilter.signing``: DKIM signatures for the mail of registered systems and users."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator

from mailbase.config.places import FilePath
from mailbase.config.units import Duration, between
from mailbase.documents import Count, Section
from mailbase.documents.problems import shown

MIN_LINE_LENGTH = 80


def _line_length(value: int) -> int:
    if value and not MIN_LINE_LENGTH <= value <= 1_000_000:
        raise ValueError(f"expected 0 (no limit) or {MIN_LINE_LENGTH} to 1000000, got {shown(value)}")
    return value


class SigningSettings(Section):
    keys: FilePath = Path("/var/lib/postwarden/dkim")
    """Folder of the private keys; ``postwarden dkim new`` makes them."""
    state: FilePath = Path("/var/spool/postwarden/dkim-seen.json")
    """Remembers which domain's records have been seen in DNS."""
    signers: Annotated[Count, between(1, 16)] = 1
    """Processes that sign."""
    deadline: Annotated[Duration, between("1s", "60s")] = 8.0
    """Seconds for one message, waiting included."""
    backlog: Annotated[Count, between(0, 100_000)] = 1000
    """Messages that may wait for a signer."""
    check_every: Annotated[Duration, between("1s", "1d")] = 600.0
    """Seconds until each domain's records are looked at again."""
    settle: Annotated[Duration, between("0s", "7d")] = 3600.0
    """Seconds that a record must have been seen before its key is used."""
    keep: Annotated[Duration, between("0s", "400d")] = 7 * 86400.0
    """Seconds that a key's record stays in DNS after the last mail signed with it."""
    line_length: Annotated[Count, AfterValidator(_line_length)] = 0
    """Postfix's ``smtp_line_length_limit``: where it will break lines; 0: nowhere."""
    stray_cr: Literal["blank", "kept"] = "blank"
    """What Postfix makes of a carriage return within a line (``cleanup_replace_stray_cr_lf``)."""
