"""Who a decision is about, in the form in which the journal keeps and finds it: readable, or as keyed hashes.

A mailbox is kept with its domain first, so that all of a domain stand together in an index.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from mailbase.addresses import pack, split_mailbox, unpack

REMEMBERED = 4_000
"""Mailboxes whose form is remembered."""
MAX_TEXT = 320
"""Characters of a name or an address that are kept."""
_BETWEEN = " "
"""Stands between domain and local part; sorts before everything that a domain may hold."""
_BEHIND = "!"
"""The next character: the end of what a domain has."""


class Masks:
    """Arguments:
    pseudonym: makes a keyed hash of a text; None leaves everything readable.
    """

    def __init__(self, pseudonym: Callable[[str], str] | None = None) -> None:
        self._pseudonym = pseudonym
        self._remembered = lru_cache(maxsize=REMEMBERED)(self._mailbox)

    @property
    def hidden(self) -> bool:
        """Whether personal data are kept as hashes."""
        return self._pseudonym is not None

    def text(self, text: str) -> str:
        """A name of a person or machine."""
        text = text[:MAX_TEXT]
        return self._pseudonym(text) if self._pseudonym is not None and text else text

    def client(self, address: str) -> bytes | str:
        """A client's address: its octets, or what stands for it."""
        packed = pack(address)
        if self._pseudonym is None:
            return address[:MAX_TEXT] if packed is None else packed
        return self.text(address if packed is None else unpack(packed))

    def mailbox(self, address: str) -> str:
        """An envelope address; empty for the null sender."""
        return self._remembered(address) if len(address) <= MAX_TEXT else self._mailbox(address)

    def _mailbox(self, address: str) -> str:
        if not address:
            return ""
        mailbox = split_mailbox(address)
        local, domain = (address, "") if mailbox is None else mailbox
        local = local.lower()
        if self._pseudonym is not None:
            local, domain = self.text(f"{local}@{domain}" if domain else local), self.text(domain)
        return f"{domain}{_BETWEEN}{local[:MAX_TEXT]}"

    def domain(self, domain: str) -> tuple[str, str]:
        """Bounds of the mailboxes of a domain: from the first on, and less than the second."""
        kept = self.text(domain)
        return kept + _BETWEEN, kept + _BEHIND


def client_text(kept: bytes | str) -> str:
    """The reverse of :meth:`Masks.client`, as far as there is one."""
    return unpack(kept) if isinstance(kept, bytes) else kept


def mailbox_text(kept: str, hidden: bool) -> str:
    """The reverse of :meth:`Masks.mailbox`, as far as there is one."""
    domain, _, local = kept.partition(_BETWEEN)
    return f"{local}@{domain}" if domain and not hidden else local
