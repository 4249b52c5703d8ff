"""Puts the registry's files together and finds what contradicts between them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from types import MappingProxyType

from mailbase.documents import Document, Location, Problem
from mailbase.documents.problems import MAX_PROBLEMS, dotted, nearest
from mailbase.networks import NetworkTable, parse_network
from mailbase.registry.file import (
    DomainEntry,
    PersonEntry,
    RegistryFile,
    ServerEntry,
    domain_name,
    host_name,
)
from mailbase.registry.model import FLOW, Domain, Person, Registry, Server, System


@dataclass(frozen=True, slots=True)
class _Place:
    """Where something stands."""

    document: Document
    location: Location

    def __str__(self) -> str:
        source, line = self.document.where(self.location)
        return f"{source}:{line}"

    def below(self, *steps: str | int) -> _Place:
        return _Place(self.document, (*self.location, *steps))


class Assembly:
    """Takes files one by one; then :meth:`check` and :meth:`registry`."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._default = ""
        self._default_place: _Place | None = None
        self._servers: dict[str, Server] = {}
        self._domains: dict[str, Domain] = {}
        self._hosts: dict[str, System] = {}
        self._networks: dict[tuple[bytes, int], System] = {}
        self._upstreams: dict[tuple[bytes, int], str] = {}
        self._users: dict[str, str] = {}
        self._unassigned: list[tuple[_Place, str]] = []
        self._backups: list[tuple[_Place, str, str]] = []
        self._claims: dict[object, tuple[_Place, str]] = {}

    def add(self, document: Document, entries: RegistryFile) -> None:
        """Take the content of one file."""
        top = _Place(document, ())
        if entries.default_server:
            place = top.below("default_server")
            if self._default_place and self._default != entries.default_server:
                self._wrong(place, f"stands here twice; first in {self._default_place}")
            else:
                self._default, self._default_place = entries.default_server, place
        for index, text in enumerate(entries.upstreams):
            if self._claim(parse_network(text), "the upstream relays", top.below("upstreams", index)):
                self._upstreams[parse_network(text)] = text
        self._unassigned += [
            (top.below("systems", index), text) for index, text in enumerate(entries.systems)
        ]
        for key, entry in entries.servers.items():
            name = host_name(key)
            place = top.below("servers", key)
            if self._claim(("server", name), name, place, once=True):
                self._servers[name] = self._server(name, entry, place)

    def _server(self, name: str, entry: ServerEntry, place: _Place) -> Server:
        domains = [
            self._domain(key, name, policy, place.below("domains", key))
            for key, policy in entry.domains.items()
        ]
        for index, text in enumerate(entry.addresses):
            self._add_system(System(text, name), place.below("addresses", index))
        systems = [System(text, name) for text in entry.systems]
        for index, system in enumerate(systems):
            self._add_system(system, place.below("systems", index))
        for index, login in enumerate(entry.users):
            if self._claim(("user", login), name, place.below("users", index)):
                self._users[login] = name
        if entry.backup:
            self._backups.append((place.below("backup"), name, entry.backup))
        return Server(
            name,
            entry.addresses,
            entry.backup or "",
            _people(entry.administrators),
            _people(entry.deputies),
            tuple(domains),
            tuple(systems),
            entry.users,
        )

    def _domain(self, key: str, server: str, entry: DomainEntry, place: _Place) -> Domain:
        domain = Domain(
            domain_name(key),
            server,
            entry.greylisting,
            entry.existing,
            entry.unknown,
            entry.defer_at if "defer_at" in entry.model_fields_set else FLOW,
            entry.reject_at if "reject_at" in entry.model_fields_set else FLOW,
            entry.callout,
            entry.protection,
            MappingProxyType(entry.actions),
            MappingProxyType(entry.unscanned),
            entry.tag_at if "tag_at" in entry.model_fields_set else FLOW,
            entry.quarantine_at if "quarantine_at" in entry.model_fields_set else FLOW,
            entry.authentication,
        )
        if self._claim(("domain", domain.name), server, place, once=True):
            self._domains[domain.name] = domain
        for field, addresses in (("existing", domain.existing), ("unknown", domain.unknown)):
            for address in addresses:
                if address.rpartition("@")[2] != domain.name:
                    self._wrong(place.below(field), f"expected an address in {domain.name}, got '{address}'")
        existing = {address.lower() for address in domain.existing}
        for address in domain.unknown:
            if address.lower() in existing:
                # Its server, which refuses it, would be taken for one that refuses everybody.
                self._wrong(place.below("unknown"), f"'{address}' stands under existing, too")
        return domain

    def _add_system(self, system: System, place: _Place) -> None:
        try:
            network = parse_network(system.text)
        except ValueError:
            if self._claim(("host", system.text), system.server, place):
                self._hosts.setdefault(system.text, system)
        else:
            if self._claim(network, system.server, place):
                self._networks.setdefault(network, system)

    def _claim(self, what: object, owner: str, place: _Place, once: bool = False) -> bool:
        """Note that ``owner`` has ``what``; a problem if another has it already, or anybody if ``once``."""
        first, first_owner = self._claims.setdefault(what, (place, owner))
        if first is place or (first_owner == owner and not once):
            return True
        self._wrong(place, f"is registered twice; first in {first} for {first_owner}")
        return False

    def check(self) -> list[Problem]:
        """Everything wrong with the registry as a whole."""
        if self._default_place and self._default not in self._servers:
            known = nearest(self._default, self._servers)
            self._wrong(self._default_place, f"'{self._default}' is no registered server{known}")
        for place, text in self._unassigned:
            if self._default:
                self._add_system(System(text, self._default, assigned=False), place)
            else:
                self._wrong(place, "systems without a server need a default_server, and none is named")
        for place, name, backup in self._backups:
            if backup == name:
                self._wrong(place, "expected another server than this one")
            elif backup not in self._servers and backup not in self._hosts:
                known = nearest(backup, self._servers)
                self._wrong(
                    place, f"'{backup}' is neither a registered server nor a registered system{known}"
                )
        self._check_names()
        return self.problems

    def _check_names(self) -> None:
        """A name has one server, whether it is registered as domain, as system or as server."""
        for name in sorted(self._hosts.keys() & self._servers.keys()):
            if self._hosts[name].server != name:
                first = self._claims["server", name][0]
                self._wrong(self._claims["host", name][0], f"is a registered server itself, in {first}")
        for name, domain in self._domains.items():
            host = self._hosts.get(name)
            owner = host.server if host else name if name in self._servers else domain.server
            if owner != domain.server:
                self._wrong(self._claims["domain", name][0], f"is also a registered host name, of {owner}")

    def registry(self) -> Registry:
        """What all files say together; only after :meth:`check` found nothing."""
        if self._unassigned:
            default = self._servers[self._default]
            more = tuple(System(text, default.name, assigned=False) for _, text in self._unassigned)
            self._servers[default.name] = replace(default, systems=default.systems + more)
        systems = NetworkTable((system.text, system) for system in self._networks.values())
        upstreams = NetworkTable((text, True) for text in self._upstreams.values())
        systems.prepare()
        upstreams.prepare()
        return Registry(
            MappingProxyType(self._servers),
            self._default,
            tuple(self._upstreams.values()),
            MappingProxyType(self._domains),
            self._hosts,
            systems,
            upstreams,
            {name: System(name, name) for name in self._servers},
            self._users,
        )

    def _wrong(self, place: _Place, message: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            source, line = place.document.where(place.location)
            self.problems.append(Problem(source, line, dotted(place.location), message))


def _people(entries: Iterable[PersonEntry]) -> tuple[Person, ...]:
    return tuple(Person(entry.name, entry.email, entry.phone) for entry in entries)
