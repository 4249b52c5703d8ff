"""Names that a provider gives to its customers' machines, as no mail server should have one.

A file has one pattern a line, ``/a Perl regular expression/``, searched for in the name without regard to
case; ``!`` before it makes an exception, which outweighs every pattern. ``#`` begins a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailbase.documents import ConfigError, Problem
from mailbase.documents.problems import shown
from policyd.greylist.allowlist import Line
from policyd.greylist.patterns import Patterns, translate

_PATTERN = re.compile(r"(!?)/(\S+)/")
_FOUR = re.compile(
    r"(?<![0-9])(?=(?:"
    r"([0-9]{1,5})[-._x]([0-9]{1,5})[-._x]([0-9]{1,5})[-._x]([0-9]{1,5})"
    r"|([0-9]{3})([0-9]{3})([0-9]{3})([0-9]{3}))(?![0-9]))"
)
"""Four numbers, with something between or three digits each; only looked for, so that they may overlap."""


class DynamicNames:
    """Arguments:
    lines: of all files, in order.

    Raises:
        ConfigError: a line that is no pattern.
    """

    def __init__(self, lines: Iterable[Line] = ()) -> None:
        patterns: list[str] = []
        exceptions: list[str] = []
        problems: list[Problem] = []
        for line in lines:
            found = _PATTERN.fullmatch(line.text)
            if found is None:
                problems.append(
                    line.problem(f"expected /regular expression/ or !/exception/, got {shown(line.text)}")
                )
                continue
            try:
                (exceptions if found[1] else patterns).append(translate(found[2]))
            except re.error as error:
                problems.append(line.problem(f"not a regular expression: {error}"))
        if problems:
            raise ConfigError(problems)
        self._patterns, self._exceptions = Patterns(patterns), Patterns(exceptions)
        self._any = bool(patterns)

    def matches(self, name: str, address: bytes) -> bool:
        """Whether ``name`` is one of those.

        Arguments:
            address: the machine's, 4 or 16 octets: a name that spells out the last two octets of an IPv4
                address in front of its domain is looked at as ``-ip-`` in their place.
        """
        return self._any and self._match(name, _without_address(name, address))

    def _match(self, name: str, text: str) -> bool:
        # The name of a mail server is found at once; that it is no customer's, only when all of it was tried.
        return not self._exceptions.search(name) and self._patterns.search(text)

    def names_organisation(self, name: str, address: bytes) -> bool:
        """Whether ``name`` tells who runs the machine: none of those, and without the address.

        Arguments:
            name: lower case.
            address: as for :meth:`matches`.
        """
        text = _without_address(name, address)
        if text != name or (self._any and self._match(name, text)):
            return False
        # Of an IPv6 address the half that is the machine's own, without regard to what stands between.
        return len(address) == 4 or address[8:].hex() not in re.sub(r"[^0-9a-f]", "", name)


def _without_address(name: str, address: bytes) -> str:
    """``name`` with the client's own IPv4 address, however it is spelt, replaced by ``-ip-``."""
    if len(address) != 4:
        return name
    text = name
    # Most names have not even one of the numbers: then there is nothing to look for.
    if str(address[3]) in name and str(address[0]) in name:
        text = _without_decimal(name, tuple(address))
    hexadecimal = address.hex()
    if hexadecimal in text:
        text = re.sub(rf"(?<![0-9]){hexadecimal}(?![0-9])", "-ip-", text)
    return text


def _without_decimal(name: str, octets: tuple[int, ...]) -> str:
    """``name`` with the address in decimal numbers, in order or reversed, replaced by ``-ip-``."""
    wanted = (octets, octets[::-1])
    text, end = "", 0
    for found in _FOUR.finditer(name):
        numbers = found.groups()
        spelt = numbers[:4] if numbers[0] else numbers[4:]
        if tuple(map(int, spelt)) in wanted and found.start() >= end:
            text += name[end : found.start()] + "-ip-"
            end = found.end(4 if numbers[0] else 8)
    return text + name[end:]
