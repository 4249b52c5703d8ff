"""``postwarden registry acl``: packet-filter rules; mail from outside reaches registered servers only.

The rules are for the filter between outside and the network of the registered servers, and are about TCP to
port 25 that comes in from outside: it may go to the relays, from the relays to registered servers, and to
those registered servers that receive their mail themselves. To everything else it is refused.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from mailbase.addresses import normal_domain, pack, unpack
from mailbase.config import load
from mailbase.registry import Registry, Server
from postwarden.registry.choice import complain
from postwarden.registry.hosts import hosts_of

FORMATS = ("nftables", "cisco")
LIST_NAME = "postwarden-smtp"
NO_INTERFACE = "INTERFACE"
"""Stands in the comment for an interface that was not named."""
TITLE = "Mail from outside reaches the relays, and from them the registered servers (postwarden registry acl)"

Resolve = Callable[[str], Sequence[str]]
"""The IP addresses of a host name; none for a name that has none."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Who may be reached on port 25; IP addresses in presentation form, with names for the reader.

    Arguments:
        relays: of the gateway, reached by everybody.
        servers: reached by the relays.
        direct: reached by everybody.
    """

    relays: dict[str, tuple[str, ...]]
    servers: dict[str, tuple[str, ...]]
    direct: dict[str, tuple[str, ...]]


def run(options: argparse.Namespace) -> int:
    """Print the rules; 1, with what is wrong on standard error, if somebody's address is not known.

    Arguments:
        options: ``config``, ``set``, ``format``, ``interface`` (or None), ``relay``, ``direct``.

    Raises:
        ConfigError: the configuration or the registry has mistakes.
    """
    settings = load(options.config, options.overrides)
    relays: dict[str, tuple[str, ...]] = dict.fromkeys(settings.identity.relay_names, ())
    if options.relay:
        relays = {"the gateway": tuple(dict.fromkeys(options.relay))}
    # Whoever has no address here is asked for in DNS, all at the same time.
    wanted: dict[str, Sequence[str]] = {}
    make_rules(settings.registry, relays, options.direct, lambda name: wanted.setdefault(name, ()))
    hosts = hosts_of(settings, wanted)
    rules, problems = make_rules(
        settings.registry, relays, options.direct, lambda name: hosts.addresses.get(name, ())
    )
    problems += [f"DNS does not tell all addresses of {name} now; try again" for name in hosts.untold]
    if not any(rules.relays.values()):
        # Rules that let nobody in would be correct and useless.
        return complain([*problems, "no relay has an address; name them with --relay"])
    write = {"nftables": nftables, "cisco": cisco}[options.format]
    sys.stdout.writelines(f"{line}\n" for line in write(rules, options.interface))
    if options.interface is None:
        note = "the rules are not applied to any interface: name the one towards outside with --interface"
        print(f"postwarden: {note}", file=sys.stderr)
    return complain(problems)


def make_rules(
    registry: Registry, relays: dict[str, tuple[str, ...]], direct: Sequence[str], resolve: Resolve
) -> tuple[Rules, list[str]]:
    """The rules, and what is wrong: servers without an address, and names that are not registered.

    Arguments:
        relays: names of the relays, with their addresses where these are known.
        direct: names of servers that receive from outside themselves.
        resolve: asked for whoever has no address in the registry.
    """
    problems = []
    names = {normal_domain(name) or name for name in direct}
    problems += [f"{name} is no registered server" for name in sorted(names - registry.servers.keys())]

    def known(name: str, addresses: Sequence[str]) -> tuple[str, ...]:
        found = tuple(addresses) or tuple(resolve(name))
        if not found:
            problems.append(f"{name} has no address, neither in the registry nor in DNS; no rule lets it in")
        return found

    servers = {server.name: known(server.name, server.addresses) for server in registry.servers.values()}
    for server in _backed_up(registry):
        servers[server.backup] = known(server.backup, ())
    rules = Rules(
        {name: known(name, addresses) for name, addresses in relays.items()},
        {name: addresses for name, addresses in servers.items() if name not in names},
        {name: addresses for name, addresses in servers.items() if name in names},
    )
    return rules, problems + list(_apart(rules))


def _apart(rules: Rules) -> Iterator[str]:
    """Servers that no relay has a way to, for each has addresses of the other family."""
    of_relays = {family for each in rules.relays.values() for family in _families(each)}
    for name, addresses in rules.servers.items():
        own = _families(addresses)
        if own and of_relays and not own & of_relays:
            (only,) = own
            yield f"{name} has IPv{only} addresses only, and no relay has one; no rule lets a relay reach it"


def _families(addresses: Iterable[str]) -> set[int]:
    return {family for family in (4, 6) if of_family(addresses, family)}


def _backed_up(registry: Registry) -> Iterator[Server]:
    """Servers whose backup is a registered system and no server."""
    seen = set(registry.servers)
    for server in registry.servers.values():
        if server.backup and server.backup not in seen:
            seen.add(server.backup)
            yield server


def nftables(rules: Rules, interface: str | None) -> Iterator[str]:
    """The rules as a file for ``nft -f``; loading it again replaces them as a whole.

    Arguments:
        interface: the one towards outside; None: what applies the rules is a comment.
    """
    yield f"# {TITLE}"
    yield "table inet postwarden"
    yield "delete table inet postwarden"
    yield "table inet postwarden {"
    for name, group in (("relays", rules.relays), ("servers", rules.servers), ("direct", rules.direct)):
        for family, type_ in ((4, "ipv4_addr"), (6, "ipv6_addr")):
            yield f"    set {name}{family} {{"
            yield f"        type {type_}"
            yield from _elements(group, family)
            yield "    }"
    yield "    chain from_outside {"
    yield "        type filter hook forward priority filter; policy accept;"
    mark, name = ("", interface) if interface is not None else ("# ", NO_INTERFACE)
    yield f'        {mark}iifname "{name}" tcp dport 25 jump smtp'
    yield "    }"
    yield "    chain smtp {"
    for family, protocol in ((4, "ip"), (6, "ip6")):
        yield f"        {protocol} daddr @relays{family} accept"
        yield f"        {protocol} daddr @direct{family} accept"
        yield f"        {protocol} saddr @relays{family} {protocol} daddr @servers{family} accept"
    yield "        counter reject with tcp reset"
    yield "    }"
    yield "}"


def _elements(group: dict[str, tuple[str, ...]], family: int) -> Iterator[str]:
    lines: list[str] = []
    there: set[str] = set()
    for name, addresses in group.items():
        new = [address for address in of_family(addresses, family) if address not in there]
        there.update(new)
        if new:
            lines.append(f"            {', '.join(new)}, # {name}")
    if lines:
        # nft takes a comma after the last element too.
        yield "        elements = {"
        yield from lines
        yield "        }"


def cisco(rules: Rules, interface: str | None) -> Iterator[str]:
    """The rules as extended access lists of IOS, to be pasted in configuration mode.

    Arguments:
        interface: the one towards outside; None: what applies the rules is a comment.
    """
    yield f"! {TITLE}"
    for family, head, name in (
        (4, "ip access-list extended", LIST_NAME),
        (6, "ipv6 access-list", f"{LIST_NAME}-v6"),
    ):
        yield f"no {head} {name}"
        yield f"{head} {name}"
        for group in (rules.relays, rules.direct):
            for host, addresses in group.items():
                yield from _permits(host, ("any",), of_family(addresses, family))
        sources = [
            f"host {address}" for group in rules.relays.values() for address in of_family(group, family)
        ]
        for host, addresses in rules.servers.items():
            yield from _permits(host, sources, of_family(addresses, family))
        yield " deny tcp any any eq smtp"
        # The end of an access list denies all the rest.
        yield f" permit {'ip' if family == 4 else 'ipv6'} any any"
        yield "!"
    mark, name = ("", interface) if interface is not None else ("! ", NO_INTERFACE)
    yield f"{mark}interface {name}"
    yield f"{mark} ip access-group {LIST_NAME} in"
    yield f"{mark} ipv6 traffic-filter {LIST_NAME}-v6 in"


def _permits(name: str, sources: Sequence[str], targets: Sequence[str]) -> Iterator[str]:
    if sources and targets:
        yield f" remark {name}"
    for target in targets:
        for source in sources:
            yield f" permit tcp {source} host {target} eq smtp"


def of_family(addresses: Iterable[str], family: int) -> list[str]:
    """Those of ``addresses`` that are IPv4 (4) or IPv6 (6)."""
    return [address for address in addresses if (":" in address) == (family == 6)]


def ip_address(text: str) -> str:
    """An IP address of the command line, in its usual form.

    Raises:
        ArgumentTypeError: it is none.
    """
    packed = pack(text)
    if packed is None:
        raise argparse.ArgumentTypeError(f"expected an IP address, got {text!r}")
    return unpack(packed)
