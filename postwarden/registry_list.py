"""``postwarden registry list``: what is registered, for whom."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator

from mailbase.config import load
from mailbase.registry import Registry, Server
from postwarden import table

KINDS = ("address", "backup", "administrator", "deputy", "domain", "system")
WIDTH = 120
"""Characters, where the terminal does not say."""


def run(options: argparse.Namespace) -> int:
    """Print the registry; 1 if a server that was asked for is not registered.

    Arguments:
        options: ``config``, ``set``, ``server``, ``kind``, ``json``.

    Raises:
        ConfigError: the configuration or the registry has mistakes.
    """
    settings = load(options.config, options.set)
    rows = list(entries(settings.registry, options.server, options.kind or KINDS))
    if options.json or not sys.stdout.isatty():
        for row in rows:
            print(json.dumps(row, separators=(",", ":")))
    elif rows:
        cells = [tuple(row.values()) for row in rows]
        width = shutil.get_terminal_size((WIDTH, 24)).columns
        sys.stdout.write(table.render(tuple(rows[0]), cells, width))
    unknown = [name for name in options.server if name not in _names(settings.registry)]
    for name in unknown:
        print(f"postwarden: {name} is no registered server", file=sys.stderr)
    return 1 if unknown else 0


def entries(registry: Registry, servers: list[str], kinds: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """The registry's entries as rows: server, kind, entry, note.

    Arguments:
        servers: only these; empty for all.
        kinds: only these of :data:`KINDS`.
    """
    for server in registry.servers.values():
        if servers and server.name not in servers:
            continue
        default = "default server" if server.name == registry.default_server else ""
        for kind, entry, note in _of(server, default):
            if kind in kinds:
                yield {"server": server.name, "kind": kind, "entry": entry, "note": note}


def _of(server: Server, default: str) -> Iterator[tuple[str, str, str]]:
    for address in server.addresses:
        yield "address", address, default
    if server.backup:
        yield "backup", server.backup, ""
    for person in server.administrators:
        yield "administrator", person.name, ", ".join(filter(None, (person.email, person.phone)))
    for person in server.deputies:
        yield "deputy", person.name, ", ".join(filter(None, (person.email, person.phone)))
    for domain in server.domains:
        greylisting = {None: "", True: "greylisting on", False: "greylisting off"}[domain.greylisting]
        yield "domain", domain.name, greylisting
    for system in server.systems:
        yield "system", system.text, ""


def _names(registry: Registry) -> set[str]:
    return {server.name for server in registry.servers.values()}
