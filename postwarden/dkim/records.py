"""The DNS records of the keys: the gateway's own, and the CNAMEs that customers set."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator

from contentfilter.signing.public import PublicKey
from contentfilter.signing.record import record_text
from mailbase.config.identity import IdentitySettings
from postwarden.dkim import keyring
from postwarden.registry.choice import choose, complain
from postwarden.registry.dns import Record, records, text_strings, zone_file


def run(options: argparse.Namespace) -> int:
    """Print the records; 1 if a server that was asked for is not registered, or there is no key.

    Arguments:
        options: ``config``, ``set``, ``server``, ``json``.
    """

    def work() -> int:
        ring = keyring.read(options.config, options.overrides)
        servers, unknown = choose(ring.settings.registry, options.server)
        identity = ring.settings.identity
        found = [] if options.server else [own_record(key, identity) for key in ring.keys]
        for server in servers:
            found += records(server, identity, ("dkim",))
        if options.json:
            for record in found:
                row = {
                    "server": record.server,
                    "name": record.name,
                    "type": record.type,
                    "value": record.value,
                }
                print(json.dumps(row, separators=(",", ":")))
        else:
            sys.stdout.writelines(zone_file(found))
        if not ring.keys:
            unknown = [*unknown, f"no key in {ring.folder} yet: 'postwarden dkim new' makes one"]
        return complain(unknown)

    return keyring.telling(work)


def own_record(key: PublicKey, identity: IdentitySettings) -> Record:
    """The gateway's TXT record of a key, in strings of at most 255 octets (RFC 1035 3.3)."""
    return Record("", own_name(key.selector, identity), "TXT", text_strings(record_text(key)))


def own_name(selector: str, identity: IdentitySettings) -> str:
    """Where the gateway's record of a key is; customers' CNAMEs point there."""
    return f"{selector}.{identity.dkim_name}"


def lines(key: PublicKey, identity: IdentitySettings) -> Iterator[str]:
    """The record as a line of a zone file."""
    record = own_record(key, identity)
    yield f"{record.name}. IN {record.type} {record.value}\n"
