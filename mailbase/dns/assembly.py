"""From the configuration to a resolver."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from mailbase.config.dns import DnsSettings, parse_server
from mailbase.dns.caching import CachingResolver
from mailbase.dns.exchange import Address
from mailbase.dns.metrics import DnsMetrics
from mailbase.dns.resolv_conf import PATH, system_servers
from mailbase.dns.sockets import Sockets
from mailbase.dns.upstreams import Upstream
from mailbase.logs import Log
from mailbase.wallclock import steady


def servers_of(settings: DnsSettings, resolv_conf: Path = PATH) -> list[Address]:
    """The configured servers; without any, the machine's own."""
    if not settings.servers:
        return system_servers(resolv_conf)
    return [Address(*parse_server(text)) for text in settings.servers]


def told_to(log: Log) -> Callable[[Upstream], None]:
    """What tells ``log`` of a server that went down or came back."""

    def tell(server: Upstream) -> None:
        place = f"{server.address.host} port {server.address.port}"
        if server.down:
            log.warning("dns-server-down", server=place)
        else:
            log.info("dns-server-up", server=place)

    return tell


def build_resolver(
    reactor: Any,
    settings: DnsSettings,
    consumers: Iterable[str],
    changed: Callable[[Upstream], None] = lambda server: None,
) -> CachingResolver:
    """The resolver of a daemon; ``stop`` it at the end, ``reconfigure`` it after a reload.

    Arguments:
        reactor: with sockets and time.
        settings: the configuration's ``dns``.
        consumers: who will ask, for the metrics.
        changed: called with a server that went down or came back; see :func:`told_to`.
    """
    # What is remembered of answers and servers must not last longer because the clock was set back.
    clock = steady(reactor)
    return CachingResolver(
        clock,
        Sockets(clock),
        servers_of(settings),
        settings,
        DnsMetrics(consumers),
        changed,
        reactor.seconds,
    )
