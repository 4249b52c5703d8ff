"""Puts the registry's files together and finds what contradicts between them."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from mailbase.documents import Document, Location, Problem
from mailbase.documents.problems import dotted, nearest
from mailbase.networks import NetworkTable, parse_network
from mailbase.registry.file import PersonEntry, RegistryFile, ServerEntry
from mailbase.registry.model import Domain, Person, Registry, Server, System

_UPSTREAM = "an upstream relay"


class Assembly:
    """Takes files one by one; then :meth:`check` and :meth:`registry`."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._default: tuple[Document, Location, str] | None = None
        self._servers: dict[str, Server] = {}
        self._domains: dict[str, Domain] = {}
        self._hosts: dict[str, System] = {}
        self._networks: dict[tuple[bytes, int], System] = {}
        self._upstreams: dict[tuple[bytes, int], str] = {}
        self._unassigned: list[tuple[Document, Location, str]] = []
        self._backups: list[tuple[Document, Location, str, str]] = []
        self._claims: dict[object, tuple[Document, Location, str]] = {}

    def add(self, document: Document, entries: RegistryFile) -> None:
        """Take the content of one file."""
        if entries.default_server:
            location: Location = ("default_server",)
            if self._default and self._default[2] != entries.default_server:
                self._wrong(document, location, f"stands here twice; first in {_place(*self._default[:2])}")
            self._default = self._default or (document, location, entries.default_server)
        for index, text in enumerate(entries.upstreams):
            self._upstreams[parse_network(text)] = text
            self._claim(parse_network(text), _UPSTREAM, document, ("upstreams", index))
        for index, text in enumerate(entries.systems):
            self._unassigned.append((document, ("systems", index), text))
        keys = _keys(document)
        for (name, server), key in zip(entries.servers.items(), keys, strict=True):
            self._add_server(document, ("servers", key), name, server)

    def _add_server(self, document: Document, at: Location, name: str, entry: ServerEntry) -> None:
        if not self._claim(("server", name), f"server {name}", document, at, twice=True):
            return
        domains = []
        raw = document.data["servers"][at[1]].get("domains") or {} if document.data["servers"][at[1]] else {}
        for (domain_name, policy), key in zip(entry.domains.items(), raw, strict=True):
            place = (*at, "domains", key)
            if not self._claim(("domain", domain_name), f"server {name}", document, place, twice=True):
                continue
            domain = Domain(domain_name, name, policy.greylisting, policy.existing, policy.unknown)
            for field in ("existing", "unknown"):
                for address in getattr(policy, field):
                    if address.rpartition("@")[2] != domain_name:
                        self._wrong(
                            document,
                            (*place, field),
                            f"expected an address in {domain_name}, got '{address}'",
                        )
            domains.append(domain)
            self._domains[domain_name] = domain
        systems = []
        for index, text in enumerate(entry.systems):
            system = System(text, name)
            if self._add_system(document, (*at, "systems", index), system):
                systems.append(system)
        for index, text in enumerate(entry.addresses):
            self._add_system(document, (*at, "addresses", index), System(text, name))
        if entry.backup:
            self._backups.append((document, (*at, "backup"), name, entry.backup))
        self._servers[name] = Server(
            name,
            entry.addresses,
            entry.backup or "",
            _people(entry.administrators),
            _people(entry.deputies),
            tuple(domains),
            tuple(systems),
        )

    def _add_system(self, document: Document, at: Location, system: System) -> bool:
        """Register a system; False if it was already there."""
        owner = f"server {system.server}" if system.server else "no server"
        try:
            network = parse_network(system.text)
        except ValueError:
            if self._claim(("host", system.text), owner, document, at):
                return self._hosts.setdefault(system.text, system) is system
            return False
        if self._claim(network, owner, document, at):
            return self._networks.setdefault(network, system) is system
        return False

    def _claim(self, what: object, owner: str, document: Document, at: Location, twice: bool = False) -> bool:
        """Note that ``owner`` has ``what``; a problem if another has it already, or anybody if ``twice``."""
        first = self._claims.setdefault(what, (document, at, owner))
        if first[2] == owner and (first[:2] == (document, at) or not twice):
            return True
        self._wrong(document, at, f"is registered twice; first in {_place(*first[:2])} for {first[2]}")
        return False

    def check(self) -> list[Problem]:
        """Everything wrong with the registry as a whole."""
        default = self._default[2] if self._default else ""
        for document, at, text in self._unassigned:
            if default:
                self._add_system(document, at, System(text, default))
            else:
                self._wrong(document, at, "expected a default_server that systems without a server belong to")
        if self._default and default not in self._servers:
            self._wrong(
                *self._default[:2], f"'{default}' is no registered server{nearest(default, self._servers)}"
            )
        for document, at, name, backup in self._backups:
            if backup == name:
                self._wrong(document, at, "expected another server than this one")
            elif backup not in self._servers and backup not in self._hosts:
                known = nearest(backup, self._servers)
                self._wrong(
                    document, at, f"'{backup}' is neither a registered server nor a registered system{known}"
                )
        for name in self._domains.keys() & (self._hosts.keys() | self._servers.keys()):
            system = self._hosts.get(name)
            owner = system.server if system else name
            if owner != self._domains[name].server:
                document, at, _ = self._claims["domain", name]
                self._wrong(document, at, f"is also a registered host name, but of server {owner}")
        return self.problems

    def registry(self) -> Registry:
        """What all files say together; only after :meth:`check` found nothing."""
        systems: NetworkTable[System] = NetworkTable()
        for system in self._networks.values():
            systems.add(system.text, system)
        upstreams: NetworkTable[bool] = NetworkTable()
        for text in self._upstreams.values():
            upstreams.add(text, True)
        return Registry(
            MappingProxyType(self._servers),
            self._default[2] if self._default else "",
            tuple(self._upstreams.values()),
            MappingProxyType(self._domains),
            self._hosts,
            systems,
            upstreams,
            {name: System(name, name) for name in self._servers},
        )

    def _wrong(self, document: Document, at: Location, message: str) -> None:
        self.problems.append(Problem(*document.where(at), dotted(at), message))


def _keys(document: Document) -> Iterable[str]:
    """The servers' names as they stand in the file; the model has them normalised."""
    data = document.data
    return data["servers"] if isinstance(data, dict) and data.get("servers") else ()


def _place(document: Document, at: Location) -> str:
    source, line = document.where(at)
    return f"{source}:{line}"


def _people(entries: Iterable[PersonEntry]) -> tuple[Person, ...]:
    return tuple(Person(entry.name, entry.email, entry.phone) for entry in entries)
