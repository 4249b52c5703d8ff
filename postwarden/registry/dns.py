"""``postwarden registry dns``: the records that the registration asks for, to be put into the zones."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mailbase.addresses import is_host_name
from mailbase.config import load
from mailbase.config.identity import IdentitySettings
from mailbase.registry import Server
from postwarden.registry.choice import choose, complain

TYPES = ("mx", "spf", "dkim")
PREFERENCE = 10
"""Of every relay's MX record: mail is spread evenly."""
MAX_STRING = 255
"""Octets of one string of a TXT record (RFC 1035 3.3)."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record to set.

    Arguments:
        server: name of the server that the registration is of; empty for the gateway's own record.
        name: owner, without a last dot.
        type: of DNS.
        value: as in a zone file; names end with a dot.
    """

    server: str
    name: str
    type: str
    value: str


def run(options: argparse.Namespace) -> int:
    """Print the records; 1 if a server that was asked for is not registered.

    Arguments:
        options: ``config``, ``set``, ``server``, ``type``, ``json``.

    Raises:
        ConfigError: the configuration or the registry has mistakes.
    """
    settings = load(options.config, options.overrides)
    servers, unknown = choose(settings.registry, options.server)
    wanted = options.type or TYPES
    found = list(own_records(settings.identity, wanted)) if not options.server else []
    for server in servers:
        found += records(server, settings.identity, wanted)
    if options.json:
        for record in found:
            row = {"server": record.server, "name": record.name, "type": record.type, "value": record.value}
            print(json.dumps(row, separators=(",", ":")))
    else:
        sys.stdout.writelines(zone_file(found))
    return complain(unknown)


def own_records(identity: IdentitySettings, types: Sequence[str] = TYPES) -> Iterator[Record]:
    """What the gateway's own zone needs, so that others can refer to it; its DKIM keys are not printed."""
    if "spf" in types:
        relays = " ".join(f"a:{name}" for name in identity.relay_names)
        yield Record("", identity.spf_name, "TXT", text_strings(f"v=spf1 {relays} -all"))


def records(server: Server, identity: IdentitySettings, types: Sequence[str] = TYPES) -> Iterator[Record]:
    """What the registered domains of ``server`` need, and the host names of its systems.

    Arguments:
        types: of :data:`TYPES`.
    """
    for name in names(server):
        if "mx" in types:
            for relay in identity.relay_names:
                yield Record(server.name, name, "MX", f"{PREFERENCE} {relay}.")
        if "spf" in types:
            yield Record(server.name, name, "TXT", text_strings(f"v=spf1 include:{identity.spf_name} ~all"))
        if "dkim" in types:
            for selector in identity.all_selectors:
                key = f"{selector}.{identity.dkim_name}."
                yield Record(server.name, f"{selector}._domainkey.{name}", "CNAME", key)


def names(server: Server) -> list[str]:
    """The names that mail for ``server`` is addressed to: its domains, and its systems' host names."""
    hosts = [system.text for system in server.systems if is_host_name(system.text)]
    return list(dict.fromkeys([*(domain.name for domain in server.domains), *hosts]))


def zone_file(records: Iterable[Record]) -> Iterator[str]:
    """The records as lines of a zone file (RFC 1035 5.1) with full names, so that they fit any zone."""
    before = None
    for record in records:
        if record.server != before:
            yield "\n" if before is not None else ""
            yield f"; {record.server or 'the gateway itself'}\n"
            before = record.server
        yield f"{record.name}. IN {record.type} {record.value}\n"


def text_strings(text: str) -> str:
    """The strings of a TXT record; whoever reads it puts them together again (RFC 7208 3.3)."""
    pieces = [text[start : start + MAX_STRING] for start in range(0, len(text), MAX_STRING)]
    return " ".join(f'"{piece}"' for piece in pieces)
