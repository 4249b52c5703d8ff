"""ESMTP extensions: what a server announces in its answer to EHLO, and what a transaction needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CARRIED = ("8BITMIME", "SMTPUTF8", "DSN")
"""Extensions that we carry through as long as the reinjection port has them."""

PARAMETERS: Mapping[str, str] = {
    "BODY": "8BITMIME",
    "SMTPUTF8": "SMTPUTF8",
    "RET": "DSN",
    "ENVID": "DSN",
    "NOTIFY": "DSN",
    "ORCPT": "DSN",
    "SIZE": "SIZE",
    "AUTH": "AUTH",
}
"""Parameters of MAIL and RCPT that we know, and the extension each belongs to (RFC 6152, 6531, 3461, 1870,
4954)."""


@dataclass(frozen=True, slots=True)
class Offer:
    """The extensions a server announced.

    Arguments:
        keywords: EHLO keyword in upper case, and its arguments in upper case.
    """

    keywords: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __contains__(self, keyword: str) -> bool:
        return keyword in self.keywords

    @property
    def xforward(self) -> frozenset[str]:
        """The XFORWARD attributes it takes."""
        return frozenset(self.keywords.get("XFORWARD", ()))

    @property
    def carried(self) -> tuple[str, ...]:
        """Those of ``CARRIED`` that it has, in that order."""
        return tuple(keyword for keyword in CARRIED if keyword in self.keywords)

    @classmethod
    def read(cls, lines: list[bytes]) -> Offer:
        """The offer in the lines of an EHLO reply; the first line is the greeting (RFC 5321 4.1.1.1)."""
        keywords: dict[str, tuple[str, ...]] = {}
        for line in lines[1:]:
            words = line[4:].decode("latin-1").upper().split()
            if words:
                keywords[words[0]] = tuple(words[1:])
        return cls(keywords)
