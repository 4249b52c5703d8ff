"""A resolver whose network is a list of what was sent; the test says what comes back."""

from __future__ import annotations

from dataclasses import dataclass, field

import dns.message
import dns.rrset
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailbase.config.dns import DnsSettings
from mailbase.dns import Answer, CachingResolver, DnsMetrics, Found, Record, RecordType
from mailbase.dns.exchange import Address, Listener

ONE, TWO = Address("192.0.2.1"), Address("192.0.2.2")
ROOT = "."


@dataclass(eq=False)
class Sent:
    """A packet that went out, and what the test lets come back."""

    server: Address
    packet: bytes
    listener: Listener
    tcp: bool = False
    closed: bool = False
    message: dns.message.Message = field(init=False)

    def __post_init__(self) -> None:
        self.message = dns.message.from_wire(self.packet)

    @property
    def name(self) -> str:
        return self.message.question[0].name.to_text()

    def leave(self, number: bytes) -> None:
        assert number == self.packet[:2]
        self.closed = True

    def reply(self, *records: str, rcode: int = 0, soa: int | None = None, tc: bool = False, number=None):
        answer = dns.message.make_response(self.message)
        answer.set_rcode(rcode)
        for record in records:
            answer.answer.append(
                dns.rrset.from_text(*record.split(maxsplit=4)[:4], record.split(maxsplit=4)[4])
            )
        if soa is not None:
            text = f"ns.example. h.example. 1 2 3 4 {soa}"
            answer.authority.append(dns.rrset.from_text("example.", 3600, "IN", "SOA", text))
        if tc:
            answer.flags |= dns.flags.TC
        if number is not None:
            answer.id = number
        self.listener.heard(answer.to_wire())


class Scene:
    """A resolver, its clock, and the network as a list."""

    def __init__(self, *servers: Address, consumers=("spf", "dnsbl"), **settings: object) -> None:
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.ahead = 0.0
        """Seconds by which the clock of those who ask is."""
        self.sent: list[Sent] = []
        self.error: OSError | None = None
        self.refusing = False
        self.alive = False
        """Whether probes are answered, so that only names are slow."""
        self.downs: list[tuple[Address, bool]] = []
        self.metrics = DnsMetrics(consumers)
        self.resolver = CachingResolver(
            self.clock,
            self,
            servers or (ONE,),
            DnsSettings(**settings),
            self.metrics,
            lambda server: self.downs.append((server.address, server.down)),
            lambda: self.clock.seconds() + self.ahead,
        )

    def datagram(self, server, packet, listener):
        if self.error:
            raise self.error
        one = Sent(server, packet, listener)
        self.sent.append(one)
        if self.alive and one.name == ROOT:
            self.clock.callLater(0.01, lambda: one.closed or one.reply())
        if self.refusing:
            self.clock.callLater(0.001, lambda: one.closed or listener.lost("Connection refused"))
        return one

    def stream(self, server, packet, listener, timeout):
        self.sent.append(Sent(server, packet, listener, tcp=True))
        return self.sent[-1]

    def ask(self, name="a.example", rdtype=RecordType.A, consumer="spf", deadline=None):
        answer = self.resolver.ask(name, rdtype, consumer=consumer, deadline=deadline)
        result: list[Answer[Record]] = []
        if isinstance(answer, Deferred):
            answer.addCallback(result.append)
        else:
            result.append(answer)
        return result

    @property
    def questions(self) -> list[Sent]:
        """What was asked for somebody, without the probes."""
        return [one for one in self.sent if one.name != ROOT]

    @property
    def probes(self) -> list[Sent]:
        return [one for one in self.sent if one.name == ROOT]

    def pass_time(self, seconds: float) -> None:
        self.clock.pump([0.05] * round(seconds / 0.05))


A = "a.example. 300 IN A 192.0.2.9"
FOUND = Found((bytes([192, 0, 2, 9]),), 300, "a.example")
