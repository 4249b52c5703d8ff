"""Whom to call for a registered server: it, then its backup, at their addresses."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from mailbase.addresses import pack, unpack
from mailbase.config import Settings
from mailbase.config.places import Tcp, parse_place
from mailbase.dns.answers import Found
from mailbase.dns.resolver import Resolver
from policyd.callout.address import is_forbidden, is_own, plain
from policyd.callout.result import Target

PORT = 25
MAX_ADDRESSES = 4
"""Addresses of one server that are tried."""
MAX_EXISTING = 3
"""Addresses that exist which a server is asked for beside one that it refuses; many hang up at more."""


class Place(NamedTuple):
    """Where a server listens.

    Arguments:
        host: IP address.
    """

    host: str
    port: int


class Places(NamedTuple):
    """Where one server can be called.

    Arguments:
        places: in the order in which they are tried.
        forbidden: how many addresses must not be called.
        detail: why there are none, for the log.
    """

    places: tuple[Place, ...]
    forbidden: int = 0
    detail: str = ""


class Servers:
    """Arguments:
    settings: registry, identity, and test targets.
    resolver: for the names of servers that are registered without addresses.
    own: whether a packed address is this machine's.
    """

    def __init__(self, settings: Settings, resolver: Resolver, own: Callable[[bytes], bool] = is_own) -> None:
        self._registry = settings.registry
        self._own_names = frozenset({settings.identity.hostname, *settings.identity.relay_names})
        self._test_targets = {
            name: parse_place(text) for name, text in settings.policyd.callout.test_targets.items()
        }
        self._resolver = resolver
        self._own = own

    def names(self, server: str) -> tuple[str, ...]:
        """The server and its backup, without what is ourselves; none for a server that is."""
        if server in self._own_names:
            return ()
        registered = self._registry.servers.get(server)
        backup = registered.backup if registered is not None else ""
        return tuple(name for name in (server, backup) if name and name not in self._own_names)

    def existing(self, target: Target) -> list[tuple[str, str]]:
        """Local part and domain of addresses beside ``target`` that its domain's registration says exist.

        Those that are not ASCII are left out: not every server can be asked for them.
        """
        domain = self._registry.domain(target.domain)
        found = []
        for address in () if domain is None else domain.existing:
            local, _, name = address.rpartition("@")
            if local.isascii() and (name, local.lower()) != target.key:
                found.append((local, name))
        return found[:MAX_EXISTING]

    def __contains__(self, name: str) -> bool:
        return name in self._registry.servers or self._registry.host_system(name) is not None

    async def places(self, name: str, until: float) -> Places:
        """Where ``name`` can be called.

        Arguments:
            until: seconds since the epoch at which DNS is given up.
        """
        target = self._test_targets.get(name)
        if isinstance(target, Tcp):
            return Places((Place(target.host, target.port),))
        registered = self._registry.servers.get(name)
        if registered is not None and registered.addresses:
            packed = [address for text in registered.addresses if (address := pack(text)) is not None]
        else:
            answer = await self._resolver.addresses(name, consumer="callout", deadline=until)
            if not isinstance(answer, Found):
                return Places((), detail=f"no address in DNS: {answer.result}")
            packed = list(answer.records)
        allowed = [one for one in packed if not is_forbidden(one) and not self._own(plain(one))]
        return Places(
            tuple(Place(unpack(one), PORT) for one in allowed[:MAX_ADDRESSES]),
            len(packed) - len(allowed),
            "" if allowed else "no address that may be called",
        )
