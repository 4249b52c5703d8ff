"""The self-test: what passes, what blinds an engine, when it is repeated; and engines as configured."""

from __future__ import annotations

import email
import io
from typing import Any

import pytest

from contentfilter.content.results import ScanFailed
from contentfilter.engines.assembly import Engines, missing
from contentfilter.engines.specimen import Specimen
from contentfilter.engines.watch import AGAIN, EVERY, SelfTest
from mailbase.config import loads
from mailbase.logs import Log
from postwarden.demo import documents

from ..clamds import Connection, Scene, Server
from ..enginedoubles import Reactor

FOUND = b"stream: Eicar-Test FOUND"


def sees(message: bytes) -> bytes:
    return FOUND if message == b"".join(Specimen().chunks()) else b"stream: OK"


class Probed(Scene):
    """Clamds under test."""

    def __init__(self, count: int = 1, **settings: Any) -> None:
        super().__init__(count, **settings)
        for server in self.servers.values():
            server.says = sees
        self.outcomes: list[str] = []
        self.test = SelfTest(
            self.reactor,
            self.engine,
            Log("test", stream=self.output),
            lambda _name, outcome: self.outcomes.append(outcome),
        )

    def start(self) -> None:
        self.test.start()
        self.settle()


def test_the_specimen_is_a_mail_with_the_eicar_test_file():
    wire = b"".join(Specimen().chunks())
    assert b"\r\n." not in wire
    assert b"\n" not in wire.replace(b"\r\n", b"")
    (attached,) = list(email.message_from_bytes(wire).walk())[2:]
    assert attached.get_payload(decode=True) == documents.eicar()


def test_each_is_tested_at_the_start_and_every_hour():
    scene = Probed(2)
    scene.start()
    assert scene.outcomes == ["passed"] * 2
    scene.reactor.advance(EVERY)
    scene.settle()
    assert scene.outcomes == ["passed"] * 4
    assert [len(server.heard) for server in scene.servers.values()] == [2, 2]
    scene.test.stop()
    scene.reactor.advance(EVERY)
    scene.settle()
    assert len(scene.outcomes) == 4


@pytest.mark.parametrize(
    "says", [b"stream: OK", b"stream: PUA.X FOUND", b"stream: Heuristics.Encrypted.X FOUND"]
)
def test_one_that_misses_it_gets_no_mail_until_it_finds_it(says: bytes):
    scene = Probed(2)
    scene[0].says = lambda _: says
    scene.start()
    assert sorted(scene.outcomes) == ["missed", "passed"]
    assert "engine-blind" in scene.output.getvalue()
    for _ in range(3):
        scene.scan()
    assert len(scene[0].heard) == 1
    assert len(scene[1].heard) == 4
    scene[0].says = sees
    scene.pass_time(AGAIN + 1, 1)
    assert [seat.usable for seat in scene.engine.seats] == [True, True]
    assert "engine-sees" in scene.output.getvalue()


def test_mail_is_not_passed_by_the_only_one_that_is_blind():
    scene = Probed(wait=5.0)
    scene[0].says = lambda _: b"stream: OK"
    scene.start()
    scene.scan()
    assert scene.results == []
    scene.pass_time(6, 1)
    assert isinstance(scene.results[0], ScanFailed)
    assert len(scene[0].heard) == 1


def test_no_answer_is_tried_again_soon_and_makes_nobody_blind():
    scene = Probed()
    scene[0].there = False
    scene.start()
    assert scene.outcomes == ["failed"]
    scene[0].there = True
    scene.pass_time(AGAIN + 1, 1)
    assert scene.outcomes == ["failed", "passed"]
    assert not scene.engine.seats[0].blind


# Engines as they are configured

CLAMD = "contentfilter: {clamd: {addresses: ['unix:/a', 'unix:/b']%s}}"


class Configured:
    def __init__(self, text: str) -> None:
        self.reactor = Reactor({f"unix:/{name}": Server(says=sees) for name in "abc"}, Connection)
        self.outcomes: list[tuple[str, str]] = []
        log = Log("test", stream=io.StringIO())
        self.engines = Engines(self.reactor, log, lambda *told: self.outcomes.append(told))
        self.configure(text)

    def configure(self, text: str) -> None:
        self.engines.configure(loads(text).contentfilter)
        self.settle()

    def settle(self) -> None:
        for _ in range(20):
            self.reactor.advance(0)
            for server in self.reactor.servers.values():
                server.serve()


def test_engines_stand_in_the_order_of_their_results():
    scene = Configured("contentfilter: {command: {run: /bin/true}, clamd: {}}")
    assert [engine.name for engine in scene.engines.active] == ["clamd", "command"]
    scene.configure("")
    assert scene.engines.active == ()
    assert missing(scene.engines.active) == ""


def test_a_reload_keeps_what_it_does_not_change():
    scene = Configured(CLAMD % "")
    scene.engines.start()
    scene.settle()
    assert scene.outcomes == [("clamd", "passed")] * 2
    (before,) = scene.engines.active
    scene.configure(CLAMD % "" + "\nidentity: {hostname: mx.example.org}")
    assert scene.engines.active == (before,)
    scene.configure(CLAMD % ", timeout: 5s")
    (after,) = scene.engines.active
    assert after is not before
    assert scene.outcomes == [("clamd", "passed")] * 4
    scene.configure(CLAMD % ", self_test: false")
    assert len(scene.outcomes) == 4
    scene.engines.stop()
    scene.settle()
    assert not scene.reactor.getDelayedCalls()


def test_an_engine_that_is_missing_is_named():
    scene = Configured(CLAMD % "")
    scene.engines.start()
    scene.settle()
    for server in scene.reactor.servers.values():
        server.die()
    for seat in scene.engines.active[0].seats:
        seat.blind = True
    assert missing(scene.engines.active) == "clamd"
