"""What is registered, and the questions asked of it for every mail. Immutable; a reload makes a new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from mailbase.networks import NetworkTable
from mailbase.vocabulary import Action

FLOW: Final = "flow"
"""A domain leaves it to the flow."""


@dataclass(frozen=True, slots=True)
class Person:
    """An administrator or deputy."""

    name: str
    email: str
    phone: str = ""


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain that a registered server receives mail for; its subdomains are not meant.

    Arguments:
        name: lower case, A-labels.
        server: name of the server.
        greylisting: this domain's own choice; None leaves it to the flow.
        callout: likewise.
        existing: addresses that exist, with which the callout is tested.
        unknown: addresses that do not, likewise.
        defer_at: points from which on its mail is deferred; None: never.
        reject_at: points from which on its mail is refused; None: never.
        protection: whether what contentfilter finds in its mail leads to anything.
        actions: finding → action, where it wants other ones than the flow's.
        unscanned: reason why a part was not scanned → action, likewise.
        tag_at: points from which on its mail is tagged; None: never.
        quarantine_at: points from which on its mail of upstream relays is quarantined; None: never.
        authentication: what is done about mail that nobody vouches for; None leaves it to the flow.
    """

    name: str
    server: str
    greylisting: bool | None = None
    existing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    defer_at: float | Literal["flow"] | None = FLOW
    reject_at: float | Literal["flow"] | None = FLOW
    callout: bool | None = None
    protection: bool = True
    actions: Mapping[str, Action] = field(default_factory=lambda: MappingProxyType({}))
    unscanned: Mapping[str, Action] = field(default_factory=lambda: MappingProxyType({}))
    tag_at: float | Literal["flow"] | None = FLOW
    quarantine_at: float | Literal["flow"] | None = FLOW
    authentication: Literal["off", "points", "policy"] | None = None


@dataclass(frozen=True, slots=True)
class System:
    """A machine or network that may relay, or a host name that may and whose mail is accepted.

    Arguments:
        text: address, network or host name as registered.
        server: name of the server that it is assigned to.
        assigned: False for systems of nobody's relay area, which the default server only takes mail for.
    """

    text: str
    server: str
    assigned: bool = True


@dataclass(frozen=True, slots=True)
class Server:
    """A registered mail server.

    Arguments:
        name: host name, lower case.
        addresses: IP addresses in presentation form.
        backup: host name of the server that takes its mail when it is down; empty for none.
        users: who logs in to send in the name of its domains: login names, or ``@`` and the realm of all of
        them.
    """

    name: str
    addresses: tuple[str, ...] = ()
    backup: str = ""
    administrators: tuple[Person, ...] = ()
    deputies: tuple[Person, ...] = ()
    domains: tuple[Domain, ...] = ()
    systems: tuple[System, ...] = ()
    users: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Registry:
    """All servers, domains, systems and upstream relays.

    Arguments:
        servers: by name, in the order of the files.
        default_server: name of the server that takes mail for systems assigned to none; empty for none.
        upstreams: networks of the trusted upstream relays, as registered.
    """

    servers: Mapping[str, Server] = field(default_factory=lambda: MappingProxyType({}))
    default_server: str = ""
    upstreams: tuple[str, ...] = ()
    domains: Mapping[str, Domain] = field(default_factory=lambda: MappingProxyType({}))
    _hosts: Mapping[str, System] = field(default_factory=dict)
    _systems: NetworkTable[System] = field(default_factory=NetworkTable)
    _upstreams: NetworkTable[bool] = field(default_factory=NetworkTable)
    _server_hosts: Mapping[str, System] = field(default_factory=dict)
    _users: Mapping[str, str] = field(default_factory=dict)

    def system_of(self, address: bytes | None, client_name: str) -> System | None:
        """The registered system that a client is, so that it may relay; None for every other.

        Arguments:
            address: packed, 4 or 16 octets, of which the longest registered network counts; None for unknown.
            client_name: verified name (PTR that resolves back); asked only if no network fits.
        """
        system = self._systems.lookup(address) if address is not None else None
        return system or self._hosts.get(client_name.lower())

    def server_of_user(self, login: str) -> str:
        """Name of the server in whose registration a SASL user is; empty for none.

        Arguments:
            login: as Postfix reports it; case does not matter. A login that is registered itself counts
                before all logins of its realm.
        """
        name = login.lower()
        realm = name.rpartition("@")[2] if "@" in name else ""
        return self._users.get(name) or (self._users.get(f"@{realm}", "") if realm else "")

    def is_upstream(self, address: bytes) -> bool:
        """Whether ``address`` (packed) is a trusted upstream relay's."""
        return self._upstreams.lookup(address) is not None

    def domain(self, name: str) -> Domain | None:
        """The registered domain ``name``, exactly; as :func:`mailbase.addresses.domain_of` gives it."""
        return self.domains.get(name)

    def host_system(self, name: str) -> System | None:
        """The registered system or server with the host name ``name``; mail to it is accepted."""
        return self._hosts.get(name) or self._server_hosts.get(name)


EMPTY = Registry()
"""Nothing is registered."""
