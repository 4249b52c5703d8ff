"""``policyd``: the policy daemon."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from mailbase.addresses import is_host_name, normal_domain
from mailbase.config.callout import CalloutSettings
from mailbase.config.journal import JournalSettings
from mailbase.config.lists import ListHealthSettings, ListName, ListSettings
from mailbase.config.outgoing import OutgoingSettings
from mailbase.config.places import FOLDER, ListenPlace, OptionalListenPlace, SocketPath
from mailbase.config.replies import reply_reason, reply_text
from mailbase.config.units import Duration, between
from mailbase.documents import Count, FilledListing, FilledText, Flag, Listing, Section, Table, Text
from mailbase.documents.problems import shown
from mailbase.networks import parse_network

SHIPPED = "data:"
"""Prefix of an allowlist that comes with the product instead of lying in a file of the operator's."""
_ALLOWLISTS = frozenset({"allowlist_clients", "allowlist_recipients"})
_DYNAMIC_NAMES = frozenset({"dynamic_names"})
_LOCAL_PART = re.compile(r"[^\s@\"<>]{1,64}")


def _mode(value: Any) -> Any:
    text = str(value) if type(value) is int else value
    if isinstance(text, str) and re.fullmatch(r"0?[0-7]{3}", text):
        return text
    raise ValueError(f"expected a file mode such as 0660, got {shown(value)}")


def _list_of(shipped: frozenset[str]) -> AfterValidator:
    """A file of the operator's, or one of ``shipped``."""

    def check(value: str, info: ValidationInfo) -> str:
        if value.startswith(SHIPPED):
            if value.removeprefix(SHIPPED) not in shipped:
                names = " or ".join(SHIPPED + name for name in sorted(shipped))
                raise ValueError(f"expected {names}, or the path of a file, got {shown(value)}")
            return value
        folder = (info.context or {}).get(FOLDER)
        return value if folder is None else str(Path(folder) / value)

    return AfterValidator(check)


def _local_part(value: str) -> str:
    if not _LOCAL_PART.fullmatch(value):
        raise ValueError(
            f"expected a local part such as postmaster, without @ and domain, got {shown(value)}"
        )
    return value.lower()


def _domain(value: str) -> str:
    domain = normal_domain(value)
    if domain is None or domain[:1] == "[":
        raise ValueError(f"expected a domain such as example.org, got {shown(value)}")
    return domain


def _network(value: str) -> str:
    parse_network(value)
    return value


def _network_or_domain(value: str) -> str:
    try:
        return _network(value)
    except ValueError as problem:
        domain = normal_domain(value)
        if domain is None or not is_host_name(domain):
            if "/" in value:
                raise
            raise ValueError(f"expected a network or a domain, got {shown(value)}") from problem
        return domain


GreylistIdentity: TypeAlias = Literal["network", "spf", "ptr"]

_Allowlist = Annotated[FilledText, _list_of(_ALLOWLISTS)]
_Patterns = Annotated[FilledText, _list_of(_DYNAMIC_NAMES)]


class GreylistSettings(Section):
    shadow: Flag = False
    """Whether new triplets are only counted and logged, and nobody waits for being one."""
    delay: Annotated[Duration, between("0s", "1d")] = 300.0
    """Seconds until a retry of a new triplet passes."""
    retry_window: Annotated[Duration, between("1m", "30d")] = 2 * 86400.0
    """Seconds within which the first good retry must come."""
    lifetime: Annotated[Duration, between("1h", "400d")] = 35 * 86400.0
    """Seconds that a triplet that passed is remembered, since last seen."""
    network_v4: Annotated[Count, between(8, 32)] = 24
    """Prefix length of the client network in the key."""
    network_v6: Annotated[Count, between(16, 128)] = 64
    """Prefix length of the client network in the key."""
    identities: Listing[GreylistIdentity] = ("network", "spf", "ptr")
    """By what a caller is known again: network, spf (a domain it passed SPF for), ptr (its name's domain)."""
    auto_allow_after: Annotated[Count, between(0, 1_000_000)] = 5
    """Good retries of a caller until it is spared; 0 = never."""
    auto_allow_lifetime: Annotated[Duration, between("1h", "400d")] = 35 * 86400.0
    """Seconds that a caller stays spared, since last seen."""
    clients: Listing[_Allowlist] = ("data:allowlist_clients",)
    """Client allowlists in postgrey's syntax: ``data:NAME`` or a file; later ones add."""
    recipients: Listing[_Allowlist] = ("data:allowlist_recipients",)
    """Recipient allowlists, likewise."""
    sender_domains: Listing[Annotated[Text, AfterValidator(_domain)]] = ()
    """Sender domains, with all below them, that are not greylisted when SPF passes."""
    exempt: Listing[Annotated[Text, AfterValidator(_local_part)]] = ("abuse", "postmaster")
    """Local parts that are never greylisted and get no points."""


class SpfSettings(Section):
    skip: Listing[Annotated[Text, AfterValidator(_network)]] = ()
    """Networks whose mail is not looked at."""
    forwarders: Listing[Annotated[Text, AfterValidator(_network_or_domain)]] = ()
    """Known forwarders, likewise: networks, or names with all below them."""
    received_header: Flag = False
    """Whether Received-SPF stands on top of a mail, and no ticket; for gateways without contentfilter."""


class PolicydSettings(Section):
    listen: FilledListing[ListenPlace] = ("127.0.0.1:10023",)
    """Where Postfix asks."""
    socket_mode: Annotated[str, BeforeValidator(_mode)] = "0660"
    """Octal mode of UNIX sockets in ``listen`` and ``socketmap``."""
    socketmap: OptionalListenPlace = "127.0.0.1:10027"
    """Where Postfix looks the registry up; empty: nowhere."""
    control: SocketPath = "/run/postwarden/policyd.sock"
    """Path of the control socket."""
    metrics: OptionalListenPlace = "127.0.0.1:9323"
    """Where Prometheus asks; empty: nowhere."""
    deadline: Annotated[Duration, between("100ms", "60s")] = 8.0
    """Seconds after which the evidence that is there decides."""
    replies: Table[
        Annotated[str, AfterValidator(reply_reason)], Annotated[Text, AfterValidator(reply_text)]
    ] = {}
    """Reason, or check → text in place of ours."""
    dynamic_names: Listing[_Patterns] = ("data:dynamic_names",)
    """Patterns of names that providers give to their customers' machines: ``data:NAME`` or a file."""
    lists: Table[ListName, ListSettings] = {}
    """DNS lists, by the name that their facts have."""
    list_health: ListHealthSettings = ListHealthSettings()
    spf: SpfSettings = SpfSettings()
    greylist: GreylistSettings = GreylistSettings()
    callout: CalloutSettings = CalloutSettings()
    journal: JournalSettings = JournalSettings()
    outgoing: OutgoingSettings = OutgoingSettings()
