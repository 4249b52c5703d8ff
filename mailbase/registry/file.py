"""The registry's file format: what may stand in one file, each value checked by itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, model_validator

from mailbase import addresses
from mailbase.documents import FilledText, Flag, Listing, Section, Table, Text
from mailbase.documents.problems import shown
from mailbase.networks import parse_network
from mailbase.points import Threshold
from mailbase.vocabulary import Action

WIDEST = {4: 8, 16: 16}
"""Prefix lengths by octets of an address: no wider network may relay, or a slip makes an open relay."""
_UNIQUE_LOCAL = range(0xFC, 0xFE)
"""First octets of addresses that nobody has on the Internet (RFC 4193)."""

_LOGIN = re.compile(r"[^\x00-\x20\x7f]{1,255}")


def host_name(value: str) -> str:
    name = addresses.normal_domain(value)
    if name is None or not addresses.is_host_name(name):
        raise ValueError(f"expected a full host name such as mail.example.org, got {shown(value)}")
    return name


def domain_name(value: str) -> str:
    name = addresses.normal_domain(value)
    if name is None or "." not in name or name.startswith("["):
        raise ValueError(f"expected a domain such as example.org, got {shown(value)}")
    return name


def _ip_address(value: str) -> str:
    packed = addresses.pack(value)
    if packed is None:
        raise ValueError(f"expected an IP address such as 192.0.2.25 or 2001:db8::25, got {shown(value)}")
    return addresses.unpack(packed)


def _network(value: str) -> str:
    packed, length = parse_network(value)
    if length < WIDEST[len(packed)] and not (
        len(packed) == 16 and packed[0] in _UNIQUE_LOCAL and length >= 7
    ):
        raise ValueError(
            f"expected a network of your own, /{WIDEST[4]} or smaller (IPv6: /{WIDEST[16]}), since "
            f"whoever is in it is trusted; got {shown(value)}"
        )
    return value.strip().lower()


def _system(value: str) -> str:
    if ":" in value or "/" in value or value.rpartition(".")[2].isdigit():
        return _network(value)
    name = addresses.normal_domain(value)
    if name is None or not addresses.is_host_name(name):
        raise ValueError(f"expected an address, a network or a full host name, got {shown(value)}")
    return name


def _mail_address(value: str) -> str:
    address = addresses.normal_address(value)
    if address is None or "@" not in address:
        raise ValueError(f"expected an address such as postmaster@example.org, got {shown(value)}")
    return address


def _written(check: Callable[[str], str]) -> AfterValidator:
    """Checks a key and leaves it as written, so that its line can be found; two may mean the same name."""

    def checked(key: str) -> str:
        check(key)
        return key

    return AfterValidator(checked)


def _finding(name: str) -> str:
    # Here, since the configuration reads the registry.
    from mailbase.config.flows import finding_name

    return finding_name(name)


def _reason(name: str) -> str:
    from mailbase.config.flows import reason_name

    return reason_name(name)


def _kept_action(action: Action) -> Action:
    if action is Action.DISCARD:
        raise ValueError(
            "expected accept, tag, quarantine, defer or reject: no mail is dropped for a finding"
        )
    return action


def _off(value: Any) -> Any:
    # YAML reads a bare off as false.
    return "off" if value is False else value


def _login(value: str) -> str:
    _name, at, realm = value.rpartition("@")
    if not _LOGIN.fullmatch(value) or (at and not realm):
        raise ValueError(
            f"expected a login name such as berg or berg@inst.example, or @inst.example for all of them, "
            f"got {shown(value)}"
        )
    return value.lower()


HostName = Annotated[Text, AfterValidator(host_name)]
HostKey = Annotated[str, _written(host_name)]
DomainKey = Annotated[str, _written(domain_name)]
Address = Annotated[Text, AfterValidator(_ip_address)]
Network = Annotated[Text, AfterValidator(_network)]
SystemText = Annotated[Text, AfterValidator(_system)]
Login = Annotated[Text, AfterValidator(_login)]
MailAddress = Annotated[Text, AfterValidator(_mail_address)]
DomainAction = Annotated[Action, AfterValidator(_kept_action)]


class PersonEntry(Section):
    name: FilledText
    email: MailAddress
    phone: Text = ""


class DomainEntry(Section):
    greylisting: Flag | None = None
    """This domain's own choice; absent: what the flow says."""
    callout: Flag | None = None
    """Likewise, whether its recipients are called out."""
    existing: Listing[MailAddress] = ()
    """Addresses that exist, for testing the callout."""
    unknown: Listing[MailAddress] = ()
    """Addresses that do not exist, likewise."""
    defer_at: Threshold = None
    """This domain's own threshold, null for never; absent: the flow's."""
    reject_at: Threshold = None
    """Likewise."""
    tag_at: Threshold = None
    """Likewise, of contentfilter."""
    quarantine_at: Threshold = None
    """Likewise, for mail of upstream relays."""
    protection: Flag = True
    """Whether what contentfilter finds in its mail leads to anything."""
    actions: Table[Annotated[str, AfterValidator(_finding)], DomainAction] = {}
    """This domain's own actions; a finding that is not named: the flow's."""
    unscanned: Table[Annotated[str, AfterValidator(_reason)], DomainAction] = {}
    """Likewise, for parts that were not scanned."""
    authentication: Annotated[Literal["off", "points", "policy"] | None, BeforeValidator(_off)] = None
    """This domain's own choice of what is done about mail that nobody vouches for; absent: the flow's."""

    @model_validator(mode="after")
    def _in_order(self) -> DomainEntry:
        if self.defer_at is not None and self.reject_at is not None and self.defer_at >= self.reject_at:
            raise ValueError(
                f"expected a defer_at below reject_at ({self.reject_at:g}), got {self.defer_at:g}"
            )
        return self


class ServerEntry(Section):
    addresses: Listing[Address] = ()
    """The server's own addresses; it may relay from them."""
    backup: HostName | None = None
    """Registered server or system that takes its mail when it is down."""
    administrators: Listing[PersonEntry] = ()
    deputies: Listing[PersonEntry] = ()
    domains: Table[DomainKey, DomainEntry] = {}
    """Domains that it receives mail for."""
    systems: Listing[SystemText] = ()
    """Addresses, networks and host names of its relay area."""
    users: Listing[Login] = ()
    """SASL login names that may sign for its domains; ``@realm`` for all of a realm."""


class RegistryFile(Section):
    default_server: HostName | None = None
    """Takes mail for ``systems``."""
    upstreams: Listing[Network] = ()
    """Networks of trusted upstream relays."""
    systems: Listing[SystemText] = ()
    """Systems assigned to no server."""
    servers: Table[HostKey, ServerEntry] = {}
