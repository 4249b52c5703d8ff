"""Received lines (RFC 5321 4.4), as far as rules need them: from whom a server had the mail, as it says."""

from __future__ import annotations

import re
from functools import cached_property

from contentfilter.rules.dates import Moment, moment_of

MAX_LINE = 2000
"""Characters of a line that are looked at."""
_FROM = re.compile(r"\s*from\s{1,20}(\S{1,255})", re.IGNORECASE)
_BY = re.compile(r"\bby\s{1,20}([^\s;()]{1,255})", re.IGNORECASE)
_WITH = re.compile(r"\bwith\s{1,20}([A-Za-z]{1,20})", re.IGNORECASE)
_ADDRESS = re.compile(
    r"[\[(]((?:\d{1,3}\.){3}\d{1,3}|(?:IPv6:)?[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7})[\])]"
)
_NAME = re.compile(r"\(\s{0,5}(?:\S{1,80}@)?([A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63}){1,20})\.?\s{1,5}\[")
_HELO = re.compile(r"\b(?:helo|ehlo)[=\s]\s{0,5}([^\s()]{1,255})", re.IGNORECASE)
_DOUBTFUL = re.compile(r"\bunknown\b|may be forged|unverified", re.IGNORECASE)


class Hop:
    """One Received line. What it says is looked for when somebody asks.

    Arguments:
        line: unfolded.
    """

    def __init__(self, line: str) -> None:
        front, _, when = line[:MAX_LINE].rpartition(";")
        self._front = front or line[:MAX_LINE]
        self._when = when

    @cached_property
    def _server(self) -> re.Match[str] | None:
        return _BY.search(self._front)

    @cached_property
    def _about(self) -> str:
        """What is said of the client: what stands behind "by" is about the server."""
        return self._front[: self._server.start()] if self._server else self._front

    @cached_property
    def _named(self) -> tuple[str, str]:
        about = self._about
        origin, helo, name = _FROM.match(about), _HELO.search(about), _NAME.search(about)
        called = helo[1] if helo else origin[1] if origin else ""
        known = name[1] if name else origin[1] if helo and origin else ""
        return called.strip("[]()").rstrip(".").lower(), known.strip("[]()").lower()

    @property
    def helo(self) -> str:
        """What the client called itself, small letters; empty where the line does not tell."""
        return self._named[0]

    @property
    def name(self) -> str:
        """The client's name in DNS, verified or not, small letters; empty where the line does not tell."""
        return self._named[1]

    @cached_property
    def address(self) -> str:
        """The client's IP address; empty where the line does not tell."""
        found = _ADDRESS.search(self._about)
        return found[1].lower() if found else ""

    @property
    def by(self) -> str:
        """The server that wrote the line, by its own account, small letters."""
        return self._server[1].rstrip(".").lower() if self._server else ""

    @property
    def protocol(self) -> str:
        """``ESMTP`` and the like, capitals; empty where the line does not tell."""
        found = _WITH.search(self._front)
        return found[1].upper() if found else ""

    @cached_property
    def moment(self) -> Moment | None:
        """When; None where it cannot be read."""
        return moment_of(self._when.strip())

    @property
    def doubtful(self) -> bool:
        """Whether the line says itself that the client's name cannot be believed."""
        return _DOUBTFUL.search(self._about) is not None
