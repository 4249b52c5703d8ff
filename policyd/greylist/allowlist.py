"""Allowlist files in postgrey's own syntax, matched as postgrey 1.37 matches them.

Clients, one a line: a name (it and all below it), an IPv4 or IPv6 address or network, three or two octets
of an IPv4 address (postgrey reads both as /24), or ``/regular expression/`` for the client's name.
Recipients: an address (with any ``+extension``), ``user@`` for every domain, a domain (and all below it),
or ``/regular expression/``. ``#`` begins a comment.

A line that postgrey skips, with a warning or silently, is skipped here with a warning that names file and
line; a file that cannot be read and a regular expression that cannot be understood are errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from mailbase.documents import ConfigError, Problem
from mailbase.documents.problems import shown
from mailbase.networks import NetworkTable
from policyd.greylist.patterns import Patterns, translate

SHIPPED = "data:"
"""Prefix of a file that comes with the product."""
OPTIONAL = ".local"
"""A file whose name ends so may be missing, as with postgrey."""

_REGEX = re.compile(r"/(\S+)/")
_IPV4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}(/[0-9]{1,2})?")
_PARTIAL = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){1,2}")
_COMMENT = re.compile(r"#.*")


@dataclass(frozen=True, slots=True)
class Line:
    """A line that says something."""

    source: str
    number: int
    text: str

    def problem(self, message: str) -> Problem:
        return Problem(self.source, self.number, "", message)


class ClientList:
    """Which clients are spared.

    Arguments:
        lines: of all files, in order.

    Raises:
        ConfigError: a regular expression that cannot be understood.
    """

    def __init__(self, lines: Iterable[Line]) -> None:
        self.warnings: list[Problem] = []
        self._names = _Names()
        self._networks: NetworkTable[bool] = NetworkTable()
        self._count = 0
        patterns, problems = [], []
        for line in lines:
            self._count += 1
            try:
                if found := _REGEX.fullmatch(line.text):
                    patterns.append(translate(found[1]))
                elif _IPV4.fullmatch(line.text) or _PARTIAL.fullmatch(line.text) or line.text.count(":") > 1:
                    self._add_network(line)
                elif " " in line.text or "\t" in line.text:
                    self.warnings.append(line.problem(f"skipped: not a host name: {shown(line.text)}"))
                else:
                    self._names.add(line.text.lower())
            except re.error as error:
                problems.append(line.problem(f"not a regular expression: {error}"))
        if problems:
            raise ConfigError(problems)
        self._patterns = Patterns(patterns)
        self._networks.prepare()

    def __len__(self) -> int:
        return self._count

    def _add_network(self, line: Line) -> None:
        text = line.text
        if _PARTIAL.fullmatch(text):
            if text.count(".") == 1:
                self.warnings.append(
                    line.problem(f"taken as {text}.0.0/24, as postgrey does; write {text}.0.0/16")
                )
            text += ".0" * (3 - text.count(".")) + "/24"
        try:
            self._networks.add(_first_address(text), True)
        except ValueError as error:
            self.warnings.append(line.problem(f"skipped: {error}"))

    def matches(self, packed: bytes | None, name: str) -> bool:
        """Whether a client is on the list.

        Arguments:
            packed: its address, 4 or 16 octets; None if it has none.
            name: its verified name, lower case, or ``unknown``.
        """
        if packed is not None and self._networks.lookup(packed):
            return True
        if not self._names and not self._patterns:
            return False
        return self._names.have(name) or self._patterns.search(name)


class RecipientList:
    """Which recipients are spared; arguments and errors as for :class:`ClientList`."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self.warnings: list[Problem] = []
        self._addresses: set[tuple[str, str]] = set()
        self._users: set[str] = set()
        self._domains = _Names()
        self._count = 0
        patterns, problems = [], []
        for line in lines:
            self._count += 1
            user, at, domain = line.text.lower().partition("@")
            try:
                if found := _REGEX.fullmatch(line.text):
                    patterns.append(translate(found[1]))
                elif " " in line.text or "\t" in line.text:
                    self.warnings.append(line.problem(f"skipped: not an address: {shown(line.text)}"))
                elif domain:
                    self._addresses.add((user, domain))
                elif at:
                    self._users.add(user)
                else:
                    self._domains.add(user)
            except re.error as error:
                problems.append(line.problem(f"not a regular expression: {error}"))
        if problems:
            raise ConfigError(problems)
        self._patterns = Patterns(patterns)

    def __len__(self) -> int:
        return self._count

    def matches(self, recipient: str) -> bool:
        """Whether a recipient is on the list."""
        local, at, domain = recipient.lower().partition("@")
        if at and (self._users or self._addresses):
            for user in _without_extensions(local):
                if user in self._users or (user, domain) in self._addresses:
                    return True
        # Without @ there must be a dot before the domain, as postgrey has it.
        above = domain.rpartition("@")[2] if at else local.partition(".")[2]
        if self._domains and above and self._domains.have(above):
            return True
        return self._patterns.search(recipient)


def read_lines(names: Iterable[str]) -> Iterator[Line]:
    """The lines of allowlist files that say something.

    Arguments:
        names: paths, or ``data:NAME`` for what comes with the product.

    Raises:
        ConfigError: a file that cannot be read; not for a missing ``*.local``.
    """
    for name in names:
        for number, text in enumerate(_content(name).split("\n"), 1):
            if stripped := _COMMENT.sub("", text).strip():
                yield Line(name, number, stripped)


def _content(name: str) -> str:
    try:
        if name.startswith(SHIPPED):
            return resources.files("policyd").joinpath("data", name.removeprefix(SHIPPED)).read_text("utf-8")
        return Path(name).read_text("utf-8", "replace")
    except FileNotFoundError as error:
        if name.endswith(OPTIONAL):
            return ""
        raise ConfigError([Problem(name, 0, "", f"cannot be read: {error.strerror}")]) from error
    except OSError as error:
        raise ConfigError([Problem(name, 0, "", f"cannot be read: {error.strerror}")]) from error


def _first_address(text: str) -> str:
    """A network with its host bits cleared; postgrey lets them stand."""
    address, slash, _ = text.partition("/")
    if not slash:
        return address
    import ipaddress  # only here, at start

    return str(ipaddress.ip_network(text, strict=False))


class _Names:
    """Domain names, asked whether one of them is another name or a domain above it."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._ends: set[str] = set()
        """The last two labels of each, so that most other names need only one look."""
        self._tops: set[str] = set()
        """Those that have one label only."""

    def __len__(self) -> int:
        return len(self._names)

    def add(self, name: str) -> None:
        self._names.add(name)
        self._ends.add(_end(name))
        if "." not in name:
            self._tops.add(name)

    def have(self, name: str) -> bool:
        """Whether ``name`` (lower case) is one of the names or below one."""
        # As _end has it; most names get no further.
        dot = name.rfind(".")
        end = name[name.rfind(".", 0, dot) + 1 :] if dot > 0 else name
        if end not in self._ends and (not self._tops or end[end.rfind(".") + 1 :] not in self._tops):
            return False
        while name not in self._names:
            dot = name.find(".")
            if dot < 0:
                return False
            name = name[dot + 1 :]
        return True


def _end(name: str) -> str:
    """The last two labels of ``name``."""
    before = name.rfind(".", 0, max(0, name.rfind(".")))
    return name[before + 1 :]


def _without_extensions(local: str) -> Iterator[str]:
    """The local part, and what stands before each ``+`` of it with something behind."""
    yield local
    position = local.find("+")
    while 0 <= position < len(local) - 1:
        yield local[:position]
        position = local.find("+", position + 1)
