"""The addresses of relays and registered servers, as DNS has them.

The configuration's DNS servers are asked, as the daemons ask them: never ``/etc/hosts``, where the machine's
own name mostly stands for a loopback address.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from mailbase.addresses import unpack
from mailbase.config import Settings
from mailbase.dns import build_resolver
from mailbase.dns.answers import Found, NoData, NxDomain, RecordType
from mailbase.dns.resolver import Resolver
from policyd.callout.address import is_forbidden

CONSUMER = "acl"


class Hosts(NamedTuple):
    """Arguments:
    addresses: of each host, IPv4 first; none for a name that has none.
    untold: hosts of which DNS could not tell all addresses.
    """

    addresses: Mapping[str, Sequence[str]]
    untold: Sequence[str]


def hosts_of(settings: Settings, names: Collection[str]) -> Hosts:
    """What DNS knows of ``names``, all asked at once."""
    if not names:
        return Hosts({}, ())
    # Only then: the reactor comes with it.
    from postwarden.registry.check.command import in_reactor

    def work(reactor: Any) -> Any:
        return look_up(build_resolver(reactor, settings.dns, (CONSUMER,)), names)

    found = in_reactor(work)
    return Hosts({}, tuple(names)) if found is None else found


async def look_up(resolver: Resolver, names: Collection[str]) -> Hosts:
    """As :func:`hosts_of`, with a resolver."""
    kinds = (RecordType.A, RecordType.AAAA)
    questions = [(name, kind) for name in names for kind in kinds]
    answers = await resolver.together(questions, consumer=CONSUMER)
    addresses: dict[str, list[str]] = {name: [] for name in names}
    untold: dict[str, None] = {}
    for (name, _), answer in zip(questions, answers, strict=True):
        match answer:
            case Found(records):
                packed = [record for record in records if isinstance(record, bytes)]
                addresses[name] += [unpack(one) for one in packed if not is_forbidden(one)]
            case NxDomain() | NoData():
                pass
            case _:
                untold[name] = None
    return Hosts(addresses, tuple(untold))
