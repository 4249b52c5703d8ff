"""SPF asked for one mail after another, with DNS that is a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailbase.addresses import domain_of, pack
from mailbase.dns import TableResolver
from policyd.checks.spf import SpfCheck
from policyd.evidence.gathering import Gatherer
from policyd.evidence.inquiry import Collected, Subject

CLIENT = "198.18.0.7"


class Desk:
    """The check with a table for DNS."""

    def __init__(self, table: Mapping[tuple[str, str], Any], *, ttl: float = 60.0, **slow: float) -> None:
        self.clock = Clock()
        self.resolver = TableResolver(
            table,
            clock=self.clock,
            slow={name.replace("_", "."): seconds for name, seconds in slow.items()},
            ttl=ttl,
        )
        self.failures: list[Exception] = []
        self.check = SpfCheck("mx.gate.example", self.clock.seconds)
        self.gatherer = Gatherer(self.resolver, self.clock.seconds, self, self.clock.seconds)  # type: ignore[arg-type]

    def established(self, *_: Any) -> None: ...

    def late(self) -> None: ...

    def check_failed(self, check: str, error: Exception) -> None:
        self.failures.append(error)

    def ask(
        self, sender: str = "a@s.example", helo: str = "friend", client: str = CLIENT, name: str = ""
    ) -> Any:
        address = pack(client)
        assert address is not None
        subject = Subject(address, name, "", helo, sender, domain_of(sender) if sender else None, "")
        return self.gatherer.gather([self.check], subject, self.clock.seconds() + 8.0, True)

    def facts(self, *arguments: Any, **more: Any) -> dict[str, str]:
        collected = self.ask(*arguments, **more)
        if not isinstance(collected, Collected):
            done: list[Collected] = []
            deferred: Deferred[Collected] = collected
            deferred.addCallback(done.append)
            for _ in range(400):
                self.clock.advance(0.05)
            (collected,) = done
        assert self.failures == []
        assert {one.check for one in collected.evidence} <= {"spf"}
        return {one.name: one.detail for one in collected.evidence}


def record(text: str, domain: str = "s.example") -> dict[tuple[str, str], Any]:
    return {(domain, "TXT"): text}
