"""Spamtraps: dummy addresses that nobody ever gave away, so that only spammers write to them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailbase.addresses import plain_address, split_mailbox


class Spamtraps:
    """Knows which recipients are spamtraps.

    Arguments:
        patterns: ``user@example.org`` (with any ``+extension``), ``@example.org`` (every address of the
            domain, not of those below it), or ``/regular expression/``, searched in the lower case address.

    Raises:
        ValueError: a pattern that cannot be understood, with the message for the operator.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._addresses: set[tuple[str, str]] = set()
        self._domains: set[str] = set()
        self._expressions: list[re.Pattern[str]] = []
        for pattern in patterns:
            self._add(pattern)

    def _add(self, pattern: str) -> None:
        if len(pattern) > 2 and pattern[0] == pattern[-1] == "/":
            try:
                self._expressions.append(re.compile(pattern[1:-1]))
            except re.error as error:
                raise ValueError(f"not a regular expression: {error}") from error
            return
        mailbox = split_mailbox(f"x{pattern}" if pattern[:1] == "@" else pattern)
        if mailbox is None or not mailbox.domain:
            raise ValueError("expected an address, @ and a domain, or /regular expression/")
        if pattern[0] == "@":
            self._domains.add(mailbox.domain)
        else:
            self._addresses.add((plain_address(mailbox.local), mailbox.domain))

    def __bool__(self) -> bool:
        return bool(self._addresses or self._domains or self._expressions)

    def match(self, recipient: str) -> bool:
        """Whether ``recipient`` is a spamtrap.

        Arguments:
            recipient: as Postfix gave it, or as it stood on the wire.
        """
        plain = plain_address(recipient).removesuffix(".")
        mailbox = split_mailbox(plain)
        if mailbox is not None:
            domain = mailbox.domain
            if domain in self._domains or (mailbox.local, domain) in self._addresses:
                return True
            if (mailbox.local.partition("+")[0], domain) in self._addresses:
                return True
        return any(expression.search(plain) for expression in self._expressions)
