"""Which servers a command is about, as the command line names them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from mailbase.addresses import normal_address, normal_domain
from mailbase.documents.problems import readable
from mailbase.registry import Registry, Server

MAX_MESSAGE = 1000
"""Characters of a message, which may hold what was typed."""


def choose(
    registry: Registry, names: Sequence[str], people: Sequence[str] = ()
) -> tuple[list[Server], list[str]]:
    """The servers that the command line asks for, in the registry's order, and what it asks for in vain.

    Arguments:
        names: of servers; none for all.
        people: mail addresses of administrators and deputies; none for anybody's servers.
    """
    wanted = {normal_domain(name) or name: name for name in names}
    addresses = {normal_address(address) or address: address for address in people}
    servers = [
        server
        for server in registry.servers.values()
        if (not wanted or server.name in wanted) and (not addresses or addresses.keys() & _mail(server))
    ]
    known = {address for server in registry.servers.values() for address in _mail(server)}
    unknown = [
        f"{text} is no registered server" for name, text in wanted.items() if name not in registry.servers
    ]
    unknown += [
        f"{text} looks after no registered server" for name, text in addresses.items() if name not in known
    ]
    if not registry.servers:
        unknown.append("no server is registered; the registry is the file that registry: names")
    return servers, unknown


def complain(messages: Iterable[str]) -> int:
    """Print ``messages`` to standard error; returns the exit status: 1 if there were any."""
    status = 0
    for message in messages:
        print(f"postwarden: {readable(message, MAX_MESSAGE)}", file=sys.stderr)
        status = 1
    return status


def _mail(server: Server) -> set[str]:
    return {person.email for person in (*server.administrators, *server.deputies)}
