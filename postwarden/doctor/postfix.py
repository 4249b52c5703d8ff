"""What Postfix is set to, by postconf: its own values, not those of a file that it may not read."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mailbase.addresses import pack
from mailbase.config.places import Systemd, Tcp, Unix, parse_place

TIMEOUT = 20.0
_PATHS = "/usr/sbin:/usr/local/sbin:/usr/bin"
_POLICY = re.compile(r"check_policy_service[\s,{]+(inet:\S+?|unix:\S+?|\S+?:\S+?)(?=[\s,{}]|$)")
_TRANSPORT = re.compile(r"[^:\s]+:\[?(?P<host>[^\]\s]+?)\]?:(?P<port>[0-9]+)")
"""Of content_filter: the transport's name, and where it leads."""
_UNIX_TRANSPORT = re.compile(r"[^:\s]+:(unix:\S+)")
_WORDS = re.compile(r"[\s,{}]+")
ANY = frozenset({"", "*", "0.0.0.0", "::"})
"""Where a listener says that it takes all addresses."""
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class NoPostfix(Exception):
    """postconf is not here, or does not answer."""


@dataclass(frozen=True, slots=True)
class Service:
    """A line of master.cf.

    Arguments:
        name: first field: a port, or where it listens.
        type: inet, unix ...
        command: program.
        options: overrides (``-o``).
    """

    name: str
    type: str
    command: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Postfix:
    """Arguments:
    main: every parameter with its value in force, references expanded.
    services: of master.cf.
    """

    main: Mapping[str, str]
    services: Sequence[Service]

    def value(self, name: str, service: Service | None = None) -> str:
        """A parameter as a service sees it; empty where this Postfix does not know it."""
        if service is not None and name in service.options:
            return service.options[name]
        return self.main.get(name, "")

    @property
    def public(self) -> Service | None:
        """The smtpd of port 25, or the one behind its postscreen."""
        for one in self.services:
            port = one.name.rpartition(":")[2]
            if one.command == "smtpd" and (one.type == "pass" or port in ("smtp", "25")):
                return one
        return None

    def restrictions(self, name: str) -> Iterator[str]:
        """As :meth:`values`, with what the classes in them stand for (RESTRICTION_CLASS_README).

        An access table may name any class.
        """
        for value in self.values(name):
            left = {*_WORDS.split(self.value("smtpd_restriction_classes"))} - {""}
            found, further = [], [value]
            while further:
                text = further.pop()
                found.append(text)
                classes = left if "_access" in text else left.intersection(_WORDS.split(text))
                left = left - classes
                further += map(self.value, sorted(classes))
            yield ", ".join(found)

    def values(self, name: str) -> Iterator[str]:
        """A parameter in main.cf and of each service that has it otherwise."""
        yield self.value(name)
        yield from (one.options[name] for one in self.services if name in one.options)


def ask_postconf(folder: Path | None) -> Postfix:
    """What Postfix says of itself.

    Arguments:
        folder: its configuration directory; None: the usual one.

    Raises:
        NoPostfix: it cannot be asked.
    """
    program = shutil.which("postconf") or shutil.which("postconf", path=_PATHS)
    if program is None:
        raise NoPostfix("postconf is not installed here")
    where = [] if folder is None else ["-c", str(folder)]

    def ask(*arguments: str) -> list[str]:
        try:
            done = subprocess.run(
                [program, *where, *arguments],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=TIMEOUT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NoPostfix(f"postconf does not answer: {error}") from error
        if done.returncode != 0:
            raise NoPostfix(f"postconf: {done.stderr.strip() or 'failed'}")
        return done.stdout.splitlines()

    return parse(ask("-x"), ask("-M"), ask("-Px"))


def parse(main: Sequence[str], services: Sequence[str], options: Sequence[str]) -> Postfix:
    """From the lines of ``postconf -x``, ``postconf -M`` and ``postconf -Px``."""
    overrides: dict[tuple[str, str], dict[str, str]] = {}
    for key, value in _pairs(options):
        name, _, parameter = key.rpartition("/")
        service, _, kind = name.rpartition("/")
        overrides.setdefault((service, kind), {})[parameter] = value
    found = []
    for line in services:
        words = line.split()
        if len(words) >= 8:
            name, kind, command = words[0], words[1], words[7]
            found.append(Service(name, kind, command, overrides.get((name, kind), {})))
    return Postfix(dict(_pairs(main)), found)


def _pairs(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, equals, value = line.partition("=")
        if equals:
            yield name.strip(), value.strip()


def policy_places(restrictions: str) -> list[str]:
    """The servers that restrictions ask (check_policy_service), as Postfix writes them."""
    return _POLICY.findall(restrictions)


def leads_to(text: str, place: str) -> bool:
    """Whether what Postfix connects to (``inet:host:port``, ``host:port``, ``port``) is a daemon's place.

    Arguments:
        place: as in our configuration. What systemd opens for us may be anywhere.

    Names are not looked up: they may be ours.
    """
    ours = parse_place(place)
    if isinstance(ours, Systemd):
        return True
    kind, colon, rest = text.partition(":")
    if kind == "unix":
        # Below Postfix's queue directory, where a chroot begins as well.
        return isinstance(ours, Unix) and f"/{ours.path}".endswith("/" + rest.lstrip("/"))
    return isinstance(ours, Tcp) and _same(rest if kind == "inet" and colon else text, ours)


def filter_place(text: str) -> str:
    """Where a content_filter leads, as ``host:port`` or ``unix:path``; empty where that is told otherwise."""
    if found := _UNIX_TRANSPORT.fullmatch(text.strip()):
        return found[1]
    found = _TRANSPORT.fullmatch(text.strip())
    return f"{found['host']}:{found['port']}" if found else ""


def _same(text: str, ours: Tcp) -> bool:
    host, _, port = text.rpartition(":")
    return port_number(port) == ours.port and reaches(host or "localhost", ours.host)


def port_number(text: str) -> int:
    """The number of a port that may be named as in ``/etc/services``; -1 where nobody knows."""
    try:
        return int(text) if text.isdecimal() else socket.getservbyname(text, "tcp")
    except OSError:
        return -1


def reaches(host: str, listener: str) -> bool:
    """Whether who connects to a host may find one who listens at an address or name."""
    host, listener = host.strip("[]").lower(), listener.strip("[]").lower()
    if host == listener or listener in ANY:
        return True
    if "localhost" in (host, listener) and host in LOCAL and listener in LOCAL:
        return True
    return any(name not in LOCAL and pack(name) is None for name in (host, listener))
