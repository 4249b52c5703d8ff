"""Where a mail comes from: the first flow that fits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mailbase.addresses import pack
from mailbase.registry import Registry, System
from mailbase.vocabulary import Flow
from policyd.protocol.request import MAX_ADDRESS, Request


@dataclass(slots=True, eq=False)
class Origin:
    """Who speaks to us. Not frozen only because one is made for each new client.

    Arguments:
        flow: decides which checks and actions apply.
        address: the client's address, 4 or 16 octets; None if Postfix gave none.
        name: the client's verified name, lower case; ``unknown`` without one.
        has_ptr: whether the address has a PTR record, verified or not.
        system: the registered system that the client is, whatever the flow.
        notes: what checks found out about this client from the configuration alone, by the check's name.
        asked: by what it was looked for.
    """

    flow: Flow
    address: bytes | None
    name: str
    has_ptr: bool
    system: System | None
    notes: dict[str, Any] = field(default_factory=dict)
    asked: tuple[str, str, bool, bool] | None = None


REMEMBERED = 1 << 12
"""Clients whose origin is remembered, each at a place that another may take."""
_blank = object.__new__
"""Makes an object without its constructor: half the price, and most clients are new."""
_NAMELESS = frozenset({"", "unknown"})
# Names of their own: reaching an enum's member through its class costs as much as a look-up.
_SUBMISSION, _UPSTREAM, _OUTBOUND, _INBOUND = Flow.SUBMISSION, Flow.UPSTREAM, Flow.OUTBOUND, Flow.INBOUND


class Origins:
    """Finds the origin of a request; the last clients' are remembered.

    Arguments:
        registry: what is registered.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        # An order of use would cost more than it saves: most clients are new.
        self._remembered: list[Origin | None] = [None] * REMEMBERED

    def of(self, request: Request) -> Origin:
        """The origin of ``request``. Order: submission, upstream, outbound, inbound."""
        address, name = request.client_address, request.client_name
        has_ptr = name not in _NAMELESS or request.reverse_client_name not in _NAMELESS
        asked = address, name, has_ptr, request.sasl_username != ""
        place = hash(address) & REMEMBERED - 1
        known = self._remembered[place]
        if known is not None and known.asked == asked:
            return known
        origin = self._find(*asked)
        if len(address) + len(name) <= MAX_ADDRESS:
            origin.asked = asked
            self._remembered[place] = origin
        return origin

    def _find(self, client_address: str, client_name: str, has_ptr: bool, authenticated: bool) -> Origin:
        address = pack(client_address)
        name = client_name.lower()
        registry = self._registry
        system = registry.system_of(address, name) if address is not None else None
        if authenticated:
            flow = _SUBMISSION
        elif address is not None and registry.is_upstream(address):
            flow = _UPSTREAM
        else:
            flow = _INBOUND if system is None else _OUTBOUND
        origin = _blank(Origin)
        origin.flow = flow
        origin.address = address
        origin.name = name
        origin.has_ptr = has_ptr
        origin.system = system
        origin.notes = {}
        origin.asked = None
        return origin
