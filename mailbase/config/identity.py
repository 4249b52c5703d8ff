"""``identity``: the gateway's own name."""

from __future__ import annotations

import functools
import re
import socket
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from mailbase.addresses import is_host_name, normal_domain
from mailbase.documents import FilledListing, Listing, Section, Text
from mailbase.documents.problems import shown

_SELECTOR = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_CONTACT = re.compile(r"[\x20-\x7e]{0,120}")


def _hostname(value: str) -> str:
    name = normal_domain(value)
    # An address is no name: servers that are greeted with one would refuse our callouts.
    if name is None or "." not in name or name.startswith("[") or name.rpartition(".")[2].isdigit():
        raise ValueError(f"expected a full host name such as mx.example.org, got {shown(value)}")
    return name


def _relay(value: str) -> str:
    name = normal_domain(value)
    if name is None or not is_host_name(name):
        raise ValueError(f"expected a full host name such as mx1.example.org, got {shown(value)}")
    return name


def _record(value: str) -> str:
    """A name in DNS, which may have labels that begin with an underscore."""
    name = normal_domain(value) if value else ""
    if name is None or (name and ("." not in name or name.startswith("["))):
        raise ValueError(f"expected a name in DNS such as _spf.example.org, got {shown(value)}")
    return name


def _selector(value: str) -> str:
    if not _SELECTOR.fullmatch(value):
        raise ValueError(f"expected a DKIM selector such as dkim001, got {shown(value)}")
    return value.lower()


def _contact(value: str) -> str:
    if not _CONTACT.fullmatch(value):
        raise ValueError(f"expected at most 120 characters of printable ASCII, got {shown(value)}")
    return value


@functools.cache
def own_name() -> str:
    """The machine's name; the resolver is asked only if the name set on the machine has no dot."""
    name = socket.gethostname()
    return (name if "." in name else socket.getfqdn()).lower()


class IdentitySettings(Section):
    hostname: Annotated[Text, AfterValidator(_hostname)] = Field(default_factory=own_name)
    """Names the gateway in banners, replies and Received lines."""
    contact: Annotated[Text, AfterValidator(_contact)] = ""
    """URL or text at the end of refusals; ``{id}`` in it becomes the decision's id."""
    relays: Listing[Annotated[Text, AfterValidator(_relay)]] = ()
    """Names of all relays of the gateway, which MX records point to; :attr:`relay_names` fills it in."""
    spf_include: Annotated[Text, AfterValidator(_record)] = ""
    """Name of the gateway's own SPF record, for others to include; :attr:`spf_name` fills it in."""
    dkim_domain: Annotated[Text, AfterValidator(_record)] = ""
    """Where the gateway's DKIM keys lie; :attr:`dkim_name` fills it in."""
    dkim_selectors: FilledListing[Annotated[Text, AfterValidator(_selector)]] = ("dkim001", "dkim002")
    """Names of its keys; two, so that one can be replaced while the other signs."""
    dkim_ed25519_selectors: Listing[Annotated[Text, AfterValidator(_selector)]] = ()
    """Likewise, of keys for a second signature by Ed25519 (RFC 8463); empty: there is none."""

    @model_validator(mode="after")
    def _selectors_differ(self) -> IdentitySettings:
        if len(set(self.all_selectors)) < len(self.all_selectors):
            raise ValueError("expected each DKIM selector once: a selector names one key")
        return self

    @property
    def all_selectors(self) -> tuple[str, ...]:
        """Names of all DKIM keys."""
        return self.dkim_selectors + self.dkim_ed25519_selectors

    @property
    def relay_names(self) -> tuple[str, ...]:
        """Names of all relays of the gateway; at least its own."""
        return self.relays or (self.hostname,)

    @property
    def spf_name(self) -> str:
        """Name of the gateway's own SPF record."""
        return self.spf_include or f"_spf.{self.hostname}"

    @property
    def dkim_name(self) -> str:
        """Domain below which the gateway's DKIM keys lie."""
        return self.dkim_domain or self.hostname
