"""Addresses as header fields name them, read the way people do: quickly, and whatever the syntax."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailbase.once import once

MAX_FIELD = 4000
"""Characters of a field that are looked at."""
_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"@\\]{1,100}@[^\s<>()\[\],;:\"@\\]{1,255}")


@dataclass(frozen=True)
class Mailbox:
    """Arguments:
    name: the display name, without quotes; empty if there is none.
    address: local part and domain as they stand; empty if there is none.
    """

    name: str = ""
    address: str = ""

    @once
    def local(self) -> str:
        return self.address.rpartition("@")[0]

    @once
    def domain(self) -> str:
        """Small letters; empty if there is none."""
        return self.address.rpartition("@")[2].rstrip(".").lower() if "@" in self.address else ""


def mailbox_of(field: str) -> Mailbox:
    """The first address in the decoded value of a field such as From (RFC 5322 3.4)."""
    field = field[:MAX_FIELD]
    opening = field.find("<")
    # A display name may hold an address, or an angle bracket in quotes.
    if field.startswith('"') and (closing := field.find('"', 1)) > 0:
        opening = field.find("<", closing)
    if opening >= 0:
        end = field.find(">", opening)
        address = field[opening + 1 : end if end >= 0 else None].strip()
        return Mailbox(_unquoted(field[:opening]), address)
    found = _ADDRESS.search(field)
    if found is None:
        return Mailbox(_unquoted(field))
    rest = (field[: found.start()] + field[found.end() :]).strip()
    if rest.startswith("(") and rest.endswith(")"):
        rest = rest[1:-1]
    return Mailbox(_unquoted(rest), found[0])


def addresses_in(text: str, limit: int = 100) -> list[str]:
    """The first ``limit`` addresses that stand in ``text``, small letters."""
    found = []
    for match in _ADDRESS.finditer(text[: 4 * MAX_FIELD]):
        found.append(match[0].lower())
        if len(found) >= limit:
            break
    return found


def _unquoted(text: str) -> str:
    return text.strip().strip("\"'").strip()
