"""The resolver on real sockets, against servers that lose, dawdle, lie, and are not there."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.task import deferLater

from mailbase.config.dns import DnsSettings
from mailbase.dns import (
    CachingResolver,
    Found,
    NoData,
    NxDomain,
    RecordType,
    Temporary,
    TimedOut,
    build_resolver,
)
from mailbase.dns.sockets import SHARE
from postwarden.sandbox.nameserver import Behaviour, Lie, Nameserver
from postwarden.sandbox.ports import PortReservation

ZONE = f"""
    example.       SOA   ns.example. hostmaster.example. 1 3600 600 86400 60
    a.example.     A     192.0.2.1
    a.example.     AAAA  2001:db8::1
    alias.example. CNAME a.example.
    big.example.   TXT   {" ".join(['"' + "x" * 250 + '"'] * 40)}
    *.many.example. A    127.0.0.2
"""
LISTED = bytes([127, 0, 0, 2])
FORGED = bytes([203, 0, 113, 66])


class Rig:
    """A resolver on a reactor of its own."""

    def __init__(self, *servers: Nameserver | str, **settings: object) -> None:
        places = [
            one
            if isinstance(one, str)
            else f"[{one.host}]:{one.port}"
            if ":" in one.host
            else f"{one.host}:{one.port}"
            for one in servers
        ]
        self.reactor = EPollReactor()
        self.downs: list[bool] = []
        self.resolver: CachingResolver = build_resolver(
            self.reactor,
            DnsSettings(servers=tuple(places), **settings),  # type: ignore[arg-type]
            ["test"],
            lambda server: self.downs.append(server.down),
        )

    def run(self, scenario: Callable[[Rig], Awaitable[object]], timeout: float = 30.0) -> None:
        problems: list[object] = []

        def begin() -> None:
            done = Deferred.fromCoroutine(scenario(self))  # type: ignore[arg-type]
            done.addErrback(problems.append)
            done.addBoth(lambda _result: self.resolver.stop())
            done.addBoth(lambda _result: self.reactor.stop())

        self.reactor.callWhenRunning(begin)
        overdue = self.reactor.callLater(
            timeout, lambda: (problems.append(TimeoutError()), self.reactor.stop())
        )
        self.reactor.run()
        if overdue.active():
            overdue.cancel()
        left = [
            reader for reader in self.reactor.getReaders() if type(reader).__module__.startswith("mailbase")
        ]
        assert not left
        for problem in problems:
            raise getattr(problem, "value", problem)

    async def ask(self, name: str, rdtype: RecordType = RecordType.A):
        return await self.resolver.resolve(name, rdtype, consumer="test")

    async def ask_all(self, count: int, start: int = 0):
        questions = [(f"n{number}.many.example", RecordType.A) for number in range(start, start + count)]
        return await self.resolver.together(questions, consumer="test")


@pytest.fixture
def server():
    with Nameserver(ZONE) as server:
        yield server


@pytest.fixture
def dead_port():
    """A port that is bound and never answers, unlike one where nobody listens."""
    with Nameserver(ZONE) as server:
        server.behave("", Behaviour(drop=1.0))
        yield server


def found(answers: list[object]) -> int:
    return sum(isinstance(answer, Found) and answer.records == (LISTED,) for answer in answers)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_answers_of_every_kind(host: str) -> None:
    async def scenario(rig: Rig) -> None:
        assert await rig.ask("alias.example") == Found((bytes([192, 0, 2, 1]),), 300, "a.example")
        assert await rig.ask("a.example", RecordType.TXT) == NoData(60)
        assert await rig.ask("no.example") == NxDomain(60)
        addresses = await rig.resolver.addresses("A.EXAMPLE.", consumer="test")
        assert isinstance(addresses, Found)
        assert [len(packed) for packed in addresses.records] == [4, 16]

    with Nameserver(ZONE, host=host) as server:
        Rig(server).run(scenario)


def test_a_long_answer_comes_over_tcp(server: Nameserver) -> None:
    async def scenario(rig: Rig) -> None:
        answer = await rig.ask("big.example", RecordType.TXT)
        assert isinstance(answer, Found)
        assert answer.records == (b"x" * 10_000,)
        server.behave("a.example", Behaviour(truncate=True))
        assert isinstance(await rig.ask("a.example"), Found)

    Rig(server).run(scenario)
    assert [(asked.name, asked.tcp) for asked in server.asked] == [
        ("big.example", False),
        ("big.example", True),
        ("a.example", False),
        ("a.example", True),
    ]


def test_every_question_has_its_own_port_and_id(server: Nameserver) -> None:
    async def scenario(rig: Rig) -> None:
        for number in range(300):
            assert found(await rig.ask_all(1, number)) == 1

    Rig(server).run(scenario)
    ports = [asked.port for asked in server.asked]
    assert len(set(ports)) > 280
    assert len({asked.number for asked in server.asked}) > 290
    steps = [other - one for one, other in pairwise(ports)]
    assert max(steps.count(step) for step in set(steps)) < 20


def test_questions_that_go_out_together_share_ports(server: Nameserver) -> None:
    async def scenario(rig: Rig) -> None:
        assert found(await rig.ask_all(500)) == 500

    Rig(server).run(scenario)
    ports = Counter(asked.port for asked in server.asked)
    assert max(ports.values()) <= SHARE
    assert len(ports) >= 500 // SHARE
    assert len({(asked.port, asked.number) for asked in server.asked}) == 500


@pytest.mark.parametrize(
    "lie", [lie for lie in Lie if lie not in (Lie.LOOP, Lie.GARBAGE, Lie.SHORT, Lie.HUGE)]
)
def test_a_lie_does_not_get_into_the_way_of_the_truth(server: Nameserver, lie: Lie) -> None:
    server.behave("", Behaviour(lie=lie, honest_too=True))

    async def scenario(rig: Rig) -> None:
        assert found(await rig.ask_all(20)) == 20
        assert rig.resolver.cached("victim.example", RecordType.A) is None
        server.behave()
        assert isinstance(await rig.ask("victim.example"), NxDomain)

    Rig(server).run(scenario)


@pytest.mark.parametrize("lie", [Lie.LOOP, Lie.GARBAGE, Lie.SHORT, Lie.HUGE])
def test_what_cannot_be_read_is_temporary_or_the_next_servers_word(server: Nameserver, lie: Lie) -> None:
    with Nameserver(ZONE) as liar:
        liar.behave("", Behaviour(lie=lie))

        async def alone(rig: Rig) -> None:
            assert isinstance(await rig.ask("a.example"), Temporary)

        async def beside(rig: Rig) -> None:
            assert isinstance(await rig.ask("a.example"), Found)

        Rig(liar).run(alone)
        Rig(liar, server).run(beside)


def test_a_tenth_of_the_packets_lost(server: Nameserver) -> None:
    server.behave("", Behaviour(drop=0.1, delay=0.01))

    async def scenario(rig: Rig) -> None:
        for round_ in range(20):
            assert found(await rig.ask_all(100, 100 * round_)) == 100
        assert rig.downs == []

    rig = Rig(server, timeout=0.3, deadline=5.0)
    rig.run(scenario)
    assert 100 < rig.resolver.metrics.packets["repeated"] < 400


def test_a_dead_first_server_costs_one_wait(server: Nameserver, dead_port: Nameserver) -> None:
    async def scenario(rig: Rig) -> None:
        began = time.monotonic()
        assert found(await rig.ask_all(100)) == 100
        first = time.monotonic() - began
        began = time.monotonic()
        assert found(await rig.ask_all(100, 100)) == 100
        assert time.monotonic() - began < 0.3 < first < 2.0
        assert len({asked.name for asked in dead_port.asked if asked.name}) == 100
        dead_port.behave("", Behaviour())
        await deferLater(rig.reactor, 1.5)
        assert found(await rig.ask_all(10, 200)) == 10
        assert len({asked.name for asked in dead_port.asked if asked.name}) == 110

    Rig(dead_port, server, timeout=0.5, deadline=3.0).run(scenario)


def test_all_dead_fails_fast_and_comes_back(dead_port: Nameserver) -> None:
    with PortReservation() as ports:
        nobody = f"127.0.0.1:{ports.take()}"

        async def scenario(rig: Rig) -> None:
            began = time.monotonic()
            answers = await rig.ask_all(50)
            assert all(isinstance(answer, (TimedOut, Temporary)) for answer in answers)
            assert time.monotonic() - began < 2.0
            began = time.monotonic()
            answers = await rig.ask_all(1000, 1000)
            assert all(isinstance(answer, Temporary) for answer in answers)
            assert time.monotonic() - began < 0.5
            assert rig.downs == [True, True]
            dead_port.behave("", Behaviour())
            await deferLater(rig.reactor, 2.0)
            assert found(await rig.ask_all(10, 3000)) == 10

        Rig(dead_port, nobody, timeout=0.3, deadline=5.0).run(scenario)


def test_one_name_that_hangs_does_not_slow_the_others(server: Nameserver) -> None:
    server.behave("slow.many.example", Behaviour(drop=1.0))

    async def scenario(rig: Rig) -> None:
        slow = [
            rig.resolver.ask(f"n{number}.slow.many.example", RecordType.A, consumer="test")
            for number in range(50)
        ]
        for round_ in range(10):
            began = time.monotonic()
            assert found(await rig.ask_all(20, 20 * round_)) == 20
            assert time.monotonic() - began < 0.2
            await deferLater(rig.reactor, 0.1)
        assert rig.downs == []
        for answer in slow:
            assert isinstance(answer, Deferred)
            assert isinstance(await answer, TimedOut)

    Rig(server, timeout=0.3, deadline=2.0).run(scenario)


def test_a_thousand_at_once_with_answers_after_50_ms(tmp_path) -> None:
    zone = tmp_path / "zone"
    zone.write_text("*.many.example. A 127.0.0.2\n")
    command = [sys.executable, "-m", "postwarden.sandbox.nameserver", str(zone), "--delay", "0.05"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())

            async def scenario(rig: Rig) -> None:
                began = time.monotonic()
                for round_ in range(4):
                    assert found(await rig.ask_all(1000, 1000 * round_)) == 1000
                # One after the other they would take 200 s.
                assert time.monotonic() - began < 4.0

            Rig(f"127.0.0.1:{port}").run(scenario)
        finally:
            process.terminate()


def test_more_than_may_be_asked_at_once_wait_for_their_turn(server: Nameserver) -> None:
    server.behave("", Behaviour(delay=0.02))

    async def scenario(rig: Rig) -> None:
        answers = await rig.ask_all(300)
        assert found(answers) == 150
        assert sum(isinstance(answer, Temporary) for answer in answers) == 150

    rig = Rig(server, in_flight=50, backlog=100)
    rig.run(scenario)
    assert rig.resolver.metrics.overloads == 150


def test_without_descriptors_it_answers_and_recovers(server: Nameserver) -> None:
    import resource

    async def scenario(rig: Rig) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (5, hard))
        try:
            answers = await rig.ask_all(100)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert {type(answer) for answer in answers} == {Temporary}
        assert rig.downs == []
        assert found(await rig.ask_all(100, 100)) == 100

    Rig(server).run(scenario)
