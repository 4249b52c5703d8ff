"""DNS as the wired daemons meet it: a resolver of the real sort, and servers in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dns.message
import dns.rcode
import dns.rrset

from mailbase.dns import CachingResolver, DnsMetrics
from mailbase.dns.assembly import servers_of


class Names:
    """The DNS servers: records by name and type; other names do not exist.

    Arguments:
        clock: the reactor's.
        records: to begin with.

    Attributes:
        silent: whether nothing is answered.
    """

    def __init__(self, clock: Any, records: Mapping[tuple[str, str], str]) -> None:
        self.clock = clock
        self.records = dict(records)
        self.silent = False

    def resolver(self, reactor: Any, settings: Any, consumers: Any, changed: Any) -> CachingResolver:
        """In place of :func:`mailbase.dns.assembly.build_resolver`."""
        return CachingResolver(reactor, self, servers_of(settings), settings, DnsMetrics(consumers), changed)

    def datagram(self, server: Any, packet: bytes, listener: Any) -> Names:
        question = dns.message.from_wire(packet)
        asked = question.question[0]
        answer = dns.message.make_response(question)
        record = self.records.get((asked.name.to_text(), asked.rdtype.name))
        if record is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        else:
            answer.answer.append(dns.rrset.from_text(asked.name, 300, "IN", asked.rdtype, record))
        if not self.silent:
            self.clock.callLater(0.001, listener.heard, answer.to_wire())
        return self

    def leave(self, number: bytes) -> None:
        """See :class:`mailbase.dns.exchange.Exchange`."""
