"""One macro that the postmaster allows: its digest, for whom, until when, by whom and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from contentfilter.macros.digest import LENGTH, is_digest
from mailbase.addresses import normal_domain
from mailbase.replies import printable

MAX_TEXT = 320
"""Characters of a name or a reason that are kept."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Made by :func:`entry_of`, which checks it.

    Arguments:
        macro: digest of its code, see :mod:`contentfilter.macros.digest`.
        to: domain of the recipients that may get it; empty for any.
        sender: domain of the envelope sender from which it may come; empty for any.
        expires: seconds since the epoch; None: never.
        added: seconds since the epoch.
        by: who set it.
        why: for whoever wonders later.
    """

    macro: str
    to: str
    sender: str
    expires: int | None = None
    added: int = 0
    by: str = ""
    why: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """There is one entry for each."""
        return self.macro, self.to, self.sender

    def permits(self, sender: str, recipient: str, now: float) -> bool:
        """Whether it lets the macro through.

        Arguments:
            sender: domain of the envelope sender, normalised; empty if there is none.
            recipient: domain of one recipient, likewise.
            now: seconds since the epoch.
        """
        return (
            (self.expires is None or now < self.expires)
            and self.to in ("", recipient)
            and self.sender in ("", sender)
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        fields = asdict(self)
        fields["from"] = fields.pop("sender")
        return fields


def entry_of(
    macro: str,
    to: str = "",
    sender: str = "",
    *,
    expires: float | None = None,
    added: float = 0,
    by: str = "",
    why: str = "",
) -> Entry:
    """The entry that the operator means.

    Raises:
        ValueError: cannot be understood, or would allow the macro to everybody from everybody; the message is
            for the operator.
    """
    digest = macro.strip().lower().removeprefix("#")
    if not is_digest(digest):
        raise ValueError(
            f"expected {LENGTH} hexadecimal digits, as the log and contentfilter scan show them behind the "
            f"finding, got '{printable(macro, 60)}'"
        )
    if not to and not sender:
        raise ValueError("expected the domain of recipients or of senders for which the macro is allowed")
    whole = None if expires is None else int(expires)
    texts = (by.strip()[:MAX_TEXT], why.strip()[:MAX_TEXT])
    return Entry(digest, _domain(to), _domain(sender), whole, int(added), *texts)


def entry_from(fields: Mapping[str, Any]) -> Entry:
    """The reverse of :meth:`Entry.to_dict`.

    Raises:
        ValueError: a field is missing or wrong.
    """
    texts = {name: fields.get(name, "") for name in ("macro", "to", "from", "by", "why")}
    added, expires = fields.get("added", 0), fields.get("expires")
    for name, text in texts.items():
        if not isinstance(text, str):
            raise ValueError(f"{name}: expected a text")
    if not _is_time(added) or not (expires is None or _is_time(expires)):
        raise ValueError("added, expires: expected seconds since 1970")
    return entry_of(
        texts["macro"],
        texts["to"],
        texts["from"],
        expires=expires,
        added=added,
        by=texts["by"],
        why=texts["why"],
    )


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12


def _domain(text: str) -> str:
    if not text:
        return ""
    domain = normal_domain(text.strip().removeprefix("@"))
    if domain is None:
        raise ValueError(f"expected a domain, got '{printable(text, 60)}'")
    return domain
