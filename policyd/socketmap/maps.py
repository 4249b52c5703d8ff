"""The maps: what Postfix is told of the registry.

Postfix asks socketmaps for whole keys only, never for parent domains or the beginning of an IP address. What
the key is depends on the place in main.cf: a domain, a mail address, a client's name or its IP address.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from mailbase.addresses import domain_of, normal_domain, pack
from mailbase.registry import Registry, Server

PERMIT = "OK"
"""What an access table says of somebody who may (access(5)); a list of networks only needs an answer."""


def relay_domains(registry: Registry, key: str) -> str | None:
    """Name of the server of a registered domain or host name."""
    server = _server(registry, key)
    return server.name if server else None


def transport_maps(registry: Registry, key: str) -> str | None:
    """Where mail for a registered domain or host name goes: its server, then the server's backup.

    Postfix 3.5 and later take a list, and try the second when the first does not answer (transport(5)).
    """
    server = _server(registry, key)
    if server is None:
        return None
    backup = f",[{server.backup}]" if server.backup else ""
    return f"smtp:[{server.name}]{backup}"


def relay_clients(registry: Registry, key: str) -> str | None:
    """Whether a client, by its address or its verified name, is a registered system and may relay."""
    packed = pack(key)
    return PERMIT if registry.system_of(packed, key if packed is None else "") else None


def upstream_clients(registry: Registry, key: str) -> str | None:
    """Whether a client, by its address, is a trusted upstream relay."""
    packed = pack(key)
    return PERMIT if packed is not None and registry.is_upstream(packed) else None


MAPS: Mapping[str, Callable[[Registry, str], str | None]] = MappingProxyType(
    {
        "relay_domains": relay_domains,
        "transport_maps": transport_maps,
        "relay_clients": relay_clients,
        "upstream_clients": upstream_clients,
    }
)
"""By the name that main.cf has at the end of ``socketmap:inet:127.0.0.1:10027:NAME``."""


def _server(registry: Registry, key: str) -> Server | None:
    name = domain_of(key) if "@" in key else normal_domain(key)
    if not name:
        return None
    entry = registry.domain(name) or registry.host_system(name)
    return registry.servers.get(entry.server) if entry else None
