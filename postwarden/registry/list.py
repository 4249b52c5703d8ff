"""``postwarden registry list``: what is registered, for whom."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence

from mailbase.config import load
from mailbase.printing import wants_json
from mailbase.registry import Registry, Server
from postwarden import table
from postwarden.registry.choice import choose, complain

KINDS = ("address", "backup", "administrator", "deputy", "domain", "system", "user")
WIDTH = 120
"""Characters, where the terminal does not say."""


def run(options: argparse.Namespace) -> int:
    """Print the registry; 1 if a server or administrator that was asked for is not registered.

    Arguments:
        options: ``config``, ``set``, ``server``, ``admin``, ``kind``, ``json``.

    Raises:
        ConfigError: the configuration or the registry has mistakes.
    """
    settings = load(options.config, options.overrides)
    servers, unknown = choose(settings.registry, options.server, options.admin)
    rows = list(entries(settings.registry, servers, options.kind or KINDS))
    if wants_json(sys.stdout, options.json):
        for row in rows:
            print(json.dumps(row, separators=(",", ":")))
    elif rows:
        cells = [tuple(row.values()) for row in rows]
        width = shutil.get_terminal_size((WIDTH, 24)).columns
        sys.stdout.write(table.render(tuple(rows[0]), cells, width))
    return complain(unknown)


def entries(registry: Registry, servers: Iterable[Server], kinds: Sequence[str]) -> Iterator[dict[str, str]]:
    """The entries of ``servers`` as rows: server, kind, entry, note.

    Arguments:
        kinds: only these of :data:`KINDS`.
    """
    for server in servers:
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
        choices = (("greylisting", domain.greylisting), ("callout", domain.callout))
        notes = [f"{what} {'on' if choice else 'off'}" for what, choice in choices if choice is not None]
        if not domain.protection:
            notes.append("protection off")
        own = [*domain.actions.items(), *domain.unscanned.items()]
        notes += [f"{finding} {action}" for finding, action in own]
        yield "domain", domain.name, ", ".join(notes)
    for system in server.systems:
        yield "system", system.text, "" if system.assigned else "of nobody's relay area"
    for login in server.users:
        yield "user", login, ""
