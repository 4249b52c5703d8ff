"""The maps on a connection, without a socket."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from twisted.internet.testing import StringTransport

from mailbase.logs import Log
from mailbase.registry import Registry, load_registry
from policyd.observability.metrics import Metrics
from policyd.socketmap.maps import MAPS
from policyd.socketmap.server import SocketmapServer


class Bench:
    """A server, a connection to it and what it counts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.registry: Registry | None = self.load("inst.example")
        self.stream = io.StringIO()
        self.metrics = Metrics()
        self.server = SocketmapServer(
            lambda: self.registry, self.metrics.socketmap, Log("policyd", stream=self.stream)
        )
        self.counts = CollectorRegistry()
        self.counts.register(self.metrics)
        self.connection, self.transport = self.connect()

    def load(self, domain: str) -> Registry:
        (self.folder / "r.yaml").write_text(f"servers: {{mail.x.example: {{domains: {{{domain}: }}}}}}")
        return load_registry(self.folder / "r.yaml")

    def connect(self) -> tuple[Any, StringTransport]:
        connection, transport = self.server.buildProtocol(None), StringTransport()
        connection.makeConnection(transport)
        return connection, transport

    def ask(self, question: str) -> str:
        """The answer to one question, without its netstring."""
        self.transport.clear()
        data = question.encode()
        self.connection.dataReceived(b"%d:%b," % (len(data), data))
        length, _, rest = self.transport.value().decode().partition(":")
        assert rest[-1] == ","
        assert len(rest) == int(length) + 1
        return rest[:-1]

    def counted(self, map: str, result: str) -> float | None:
        return self.counts.get_sample_value("policyd_socketmap_lookups_total", {"map": map, "result": result})


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_found_and_not_found(bench: Bench) -> None:
    assert bench.ask("relay_domains inst.example") == "OK mail.x.example"
    assert bench.ask("relay_domains elsewhere.example") == "NOTFOUND "
    assert bench.counted("relay_domains", "ok") == 1
    assert bench.counted("relay_domains", "notfound") == 1
    assert bench.counted("transport_maps", "ok") == 0


@pytest.mark.parametrize("question", ["domains x", "relay_domains", "", "  ", "Relay_Domains x"])
def test_an_unknown_map_is_a_mistake_of_main_cf(bench: Bench, question: str) -> None:
    answer = bench.ask(question)
    assert answer.startswith("PERM unknown map '")
    assert answer.endswith("there are " + ", ".join(MAPS))
    assert bench.counted("other", "perm") == 1


def test_the_registry_in_force_answers_on_open_connections_too(bench: Bench) -> None:
    bench.ask("relay_domains inst.example")
    bench.registry = bench.load("other.example")
    assert bench.ask("relay_domains inst.example") == "NOTFOUND "
    assert bench.ask("relay_domains other.example") == "OK mail.x.example"


def test_without_a_registry_mail_waits_instead_of_being_refused(bench: Bench) -> None:
    bench.registry = None
    assert bench.ask("relay_domains inst.example").startswith("PERM no registry is configured")
    assert bench.counted("relay_domains", "perm") == 1


def test_a_fault_of_ours_lets_the_mail_wait_and_is_told_in_the_log_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Registry:
        raise RuntimeError("private cause")

    monkeypatch.setattr(bench.server, "_registry", fail)
    assert bench.ask("relay_domains inst.example") == "TEMP internal error, see policyd's log"
    assert "private cause" in bench.stream.getvalue()
    assert bench.counted("relay_domains", "temp") == 1


def test_questions_that_come_together_are_answered_in_order(bench: Bench) -> None:
    bench.connection.dataReceived(b"26:relay_domains inst.example," * 2 + b"15:relay_domains x,15:rel")
    assert bench.transport.value() == b"17:OK mail.x.example," * 2 + b"9:NOTFOUND ,"


def test_rubbish_closes_the_connection_after_what_came_before_it(bench: Bench) -> None:
    bench.connection.dataReceived(b"15:relay_domains x,GET / HTTP/1.1\r\n")
    assert bench.transport.value() == b"9:NOTFOUND ,"
    assert bench.transport.disconnecting
    bench.connection.dataReceived(b"15:relay_domains x,")
    assert bench.transport.value() == b"9:NOTFOUND ,"
    assert "event=socketmap-protocol-error reason=malformed" in bench.stream.getvalue()
    assert bench.counts.get_sample_value("policyd_socketmap_errors_total", {"reason": "malformed"}) == 1
    bench.connect()[0].dataReceived(b"999999:")
    assert bench.counts.get_sample_value("policyd_socketmap_errors_total", {"reason": "too-large"}) == 1


def test_who_does_not_read_is_not_read(bench: Bench) -> None:
    bench.connection.pauseProducing()
    assert bench.transport.producerState == "paused"
    bench.connection.resumeProducing()
    assert bench.transport.producerState == "producing"


def test_at_the_end_every_connection_is_closed(bench: Bench) -> None:
    _, second = bench.connect()
    assert len(bench.server.connections) == 2
    bench.server.finish()
    assert bench.transport.disconnecting
    assert second.disconnecting
    bench.connection.connectionLost()
    assert len(bench.server.connections) == 1
