"""Where a mail comes from: the first flow that fits."""

from __future__ import annotations

from dataclasses import dataclass

from mailbase.addresses import pack
from mailbase.registry import Registry, System
from mailbase.vocabulary import Flow
from policyd.request import Request


@dataclass(frozen=True, slots=True)
class Origin:
    """Who speaks to us.

    Arguments:
        flow: decides which checks and actions apply.
        address: the client's address, 4 or 16 octets; None if Postfix gave none.
        system: the registered system that the client is, whatever the flow.
    """

    flow: Flow
    address: bytes | None
    system: System | None


def origin(request: Request, registry: Registry) -> Origin:
    """The origin of ``request``. Order: submission, upstream, outbound, inbound."""
    address = pack(request.client_address)
    system = registry.system_of(address, request.client_name) if address is not None else None
    if request.sasl_username:
        return Origin(Flow.SUBMISSION, address, system)
    if address is not None and registry.is_upstream(address):
        return Origin(Flow.UPSTREAM, address, system)
    return Origin(Flow.OUTBOUND if system is not None else Flow.INBOUND, address, system)
