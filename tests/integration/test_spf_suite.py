"""The RFC 7208 suite, all of it, against a DNS server on loopback and through our resolver."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import ensureDeferred
from twisted.internet.epollreactor import EPollReactor

from mailbase.addresses import domain_of, pack
from mailbase.config.dns import DnsSettings
from mailbase.dns import build_resolver
from policyd.checks.spf import SpfCheck
from policyd.evidence.gathering import Gatherer
from policyd.evidence.inquiry import TEMPORARY, Collected, Subject
from postwarden.sandbox.nameserver import Behaviour, Nameserver
from tests.samples import rfc7208

SERVFAIL = 2


class Watch:
    """Is told how the check fares."""

    def established(self, *_: Any) -> None: ...

    def late(self) -> None: ...

    def check_failed(self, check: str, error: Exception) -> None:
        raise error


async def judge(reactor: Any, case: rfc7208.Case, server: Nameserver) -> str:
    settings = DnsSettings(servers=(f"{server.host}:{server.port}",))
    resolver = build_resolver(reactor, settings, ["spf"], lambda _server: None)
    watch: Any = Watch()
    gatherer = Gatherer(resolver, reactor.seconds, watch, reactor.seconds)
    address = pack(case.address)
    assert address is not None
    domain = domain_of(case.sender) if case.sender else None
    subject = Subject(address, "", "", case.helo, case.sender, domain, "")
    try:
        collected = gatherer.gather(
            [SpfCheck("unknown", reactor.seconds)], subject, reactor.seconds() + 20, True
        )
        if not isinstance(collected, Collected):
            collected = await collected
    finally:
        resolver.stop()
    name = collected.evidence[0].name
    return "temperror" if name == TEMPORARY else name


def test_the_suite_on_real_sockets() -> None:
    cases = rfc7208.cases()
    if len(cases) != rfc7208.SIZE:
        pytest.fail("the suite is missing: make .venv/.spf-suite", pytrace=False)
    reactor = EPollReactor()
    wrong: list[tuple[str, str, tuple[str, ...]]] = []

    async def run() -> None:
        servers: dict[int, Nameserver] = {}
        try:
            for case in cases:
                server = servers.get(id(case.zone))
                if server is None:
                    server = servers[id(case.zone)] = Nameserver(rfc7208.zone_file(case.zone), record=False)
                    for name in case.zone:
                        silent = name in rfc7208.silent(case.zone)
                        server.behave(name, Behaviour(rcode=SERVFAIL if silent else None))
                result = await judge(reactor, case, server)
                if result not in case.results:
                    wrong.append((case.name, result, case.results))
        finally:
            for server in servers.values():
                server.close()

    def begin() -> None:
        ensureDeferred(run()).addErrback(lambda failure: wrong.append(("failed", str(failure), ()))).addBoth(
            lambda _: reactor.stop()
        )

    reactor.callWhenRunning(begin)
    reactor.run()
    assert not wrong, "\n".join(map(str, wrong))
