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
        if not self._any:
            return False
        text = _without_address(name, address)
        return self._patterns.search(text) and not self._exceptions.search(name)


def _without_address(name: str, address: bytes) -> str:
    """``name`` with the client's own IPv4 address, however it is spelt, replaced by ``-ip-``."""
    if len(address) != 4:
        return name
    forms = []
    for octets in (address, address[::-1]):
        forms.append("[-._x]".join(f"0{{0,2}}{octet}" for octet in octets))
        forms.append("".join(f"{octet:03d}" for octet in octets))
    forms.append(address.hex())
    return re.sub(rf"(?<![0-9])(?:{'|'.join(forms)})(?![0-9])", "-ip-", name)
