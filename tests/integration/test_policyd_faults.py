"""policyd when its disk or its clients fail, or it is killed: it answers, within bounds, and loses little."""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import sqlite3
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from postwarden.sandbox import registered
from postwarden.sandbox.gateway import Gateway, metric
from postwarden.sandbox.waiting import wait_until

DELAY = 1.0
"""Seconds of greylisting."""
MOMENT = 1.0
"""Seconds before a kill whose entries may be lost; 0.2 is what is promised, on a machine that is not busy."""
MANY = 10_000
"""Connections."""


@pytest.fixture
def gateway(tmp_path) -> Iterator[Gateway]:
    """policyd alone; no client earns to pass without delay, nor does any for a broken store."""
    settings = {
        "store": {"on_error": "defer"},
        "policyd": {"greylist": {"delay": f"{DELAY:g}s", "auto_allow_after": 0}},
    }
    with Gateway(tmp_path, settings=settings) as gateway:
        gateway.write_config()
        gateway.start_policyd()
        yield gateway


def sender(name: str, number: int) -> str:
    """One of many, in letters: greylisting takes no notice of digits."""
    return f"{name}@{''.join(chr(ord('a') + int(digit)) for digit in str(number))}.example"


def request(sender: str, recipient: str = f"bob@{registered.DOMAIN}") -> bytes:
    attributes = {
        "request": "smtpd_access_policy",
        "protocol_state": "RCPT",
        "client_address": "198.18.7.7",
        "client_name": "unknown",
        "reverse_client_name": "unknown",
        "sender": sender,
        "recipient": recipient,
    }
    return "".join(f"{name}={value}\n" for name, value in attributes.items()).encode() + b"\n"


def connect(gateway: Gateway) -> socket.socket:
    return socket.create_connection(("127.0.0.1", gateway.ports.policyd), 10.0)


def ask(connection: socket.socket, sender: str) -> str:
    """The answer to one request."""
    connection.sendall(request(sender))
    return answer(connection)


def answer(connection: socket.socket) -> str:
    received = b""
    while not received.endswith(b"\n\n"):
        data = connection.recv(4096)
        if not data:
            raise ConnectionError
        received += data
    return received.decode().strip().removeprefix("action=")


def answers_within(gateway: Gateway, seconds: float, sender: str = "anybody@x.example") -> None:
    """A client that comes now is served."""
    began = time.monotonic()
    with connect(gateway) as connection:
        assert ask(connection, sender)
    assert time.monotonic() - began < seconds


def memory(gateway: Gateway) -> int:
    """Octets of resident memory."""
    pages = Path(f"/proc/{gateway.policyd.pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()


def figure(gateway: Gateway, name: str) -> float:
    return metric(gateway.ports.policyd_metrics, f"policyd_{name}")


class Load(threading.Thread):
    """Asks about one new triplet after another until the connection is lost."""

    def __init__(self, gateway: Gateway, name: str) -> None:
        super().__init__(daemon=True)
        self.answered: list[tuple[float, str]] = []
        self._gateway, self._name = gateway, name

    def run(self) -> None:
        with connect(self._gateway) as connection:
            try:
                for number in range(1_000_000):
                    asked = sender(self._name, number)
                    assert ask(connection, asked).startswith("DEFER_IF_PERMIT")
                    self.answered.append((time.monotonic(), asked))
            except ConnectionError:
                return


def test_kill_9_under_load_costs_the_last_moment_at_most(gateway):
    loads = [Load(gateway, name) for name in ("ada", "bob", "eve")]
    for load in loads:
        load.start()
    time.sleep(MOMENT + 0.5)  # it is killed in the middle of the load
    killed = time.monotonic()
    gateway.policyd.kill()
    for load in loads:
        load.join(10.0)
    with sqlite3.connect(gateway.folder / "policyd.sqlite") as store:
        assert store.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    gateway.start_policyd()
    kept = [asked for load in loads for when, asked in load.answered if when < killed - MOMENT]
    assert len(kept) > 100
    wait_until(lambda: time.monotonic() > killed + DELAY, 5.0, "the end of the delay")
    with connect(gateway) as connection:
        assert {ask(connection, asked) for asked in kept[:: len(kept) // 100]} == {"DUNNO"}
    assert figure(gateway, "store_damaged_total") == 0


def test_a_disk_that_takes_nothing_more(gateway):
    """Neither store nor journal nor log can be written: answers go on, and all is caught up with later."""
    pid = gateway.policyd.pid
    limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    with connect(gateway) as connection:
        ask(connection, "before@x.example")
        wait_until(lambda: figure(gateway, "store_pending") == 0, 5.0, "the entry on disk")
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, limits[1]))
        began = time.monotonic()
        assert all(ask(connection, sender("any", number)).startswith("DEFER") for number in range(200))
        for name in ("store_broken", "journal_broken"):
            wait_until(lambda name=name: figure(gateway, name) == 1, 5.0, name)
        assert figure(gateway, "store_failures_total") >= 1
        assert figure(gateway, "journal_failures_total") >= 1
        wait_until(lambda: time.monotonic() > began + DELAY, 5.0, "the end of the delay")
        # What cannot be written is known all the same.
        assert {ask(connection, sender("any", number)) for number in range(100)} == {"DUNNO"}
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
        for name in ("store_broken", "journal_broken", "store_pending", "journal_pending"):
            wait_until(lambda name=name: figure(gateway, name) == 0, 15.0, name, gateway.policyd.tail)
    assert figure(gateway, "store_lost_total") == figure(gateway, "journal_lost_total") == 0
    gateway.policyd.kill()
    gateway.start_policyd()
    with connect(gateway) as connection:
        assert {ask(connection, sender("any", number)) for number in range(200)} == {"DUNNO"}


SET_BACK = """
import signal, time
now, back = time.time, []
time.time = lambda: now() - 3600 * len(back)
signal.signal(signal.SIGUSR2, lambda *_: back.append(1))
"""
"""Python reads it at its start: an hour earlier with each signal."""


@pytest.fixture
def settable(tmp_path, monkeypatch):
    """Programs that are started now have such a clock."""
    (tmp_path / "sitecustomize.py").write_text(SET_BACK)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")


def test_a_clock_that_is_set_back_holds_up_nothing(settable, gateway):
    with connect(gateway) as connection:
        # What is to be written soon is to be written soon by the new time too.
        assert ask(connection, "early@x.example").startswith("DEFER_IF_PERMIT")
        os.kill(gateway.policyd.pid, signal.SIGUSR2)
        assert ask(connection, "late@x.example").startswith("DEFER_IF_PERMIT")
        wait_until(lambda: figure(gateway, "store_pending") == 0, 5.0, "it is written")
        time.sleep(DELAY + 0.1)
        assert ask(connection, "late@x.example") == "DUNNO"


def test_half_a_request_holds_nothing_up(gateway):
    with ExitStack() as stack:
        halves = [stack.enter_context(connect(gateway)) for _ in range(200)]
        for half in halves:
            half.sendall(request("half@x.example")[:-1] + b"x=" + b"y" * 60_000)
        wait_until(lambda: figure(gateway, "open_connections") == len(halves), 5.0, "connections")
        answers_within(gateway, 1.0)
        assert ask(halves[0], "ignored@x.example"), "the other half makes it a request"
        began = time.monotonic()
        assert gateway.policyd.stop() == 0
        assert time.monotonic() - began < 5.0, "nobody waits for the rest of a request"


def test_who_reads_no_replies_is_not_read_either(gateway):
    data = request("greedy@x.example") * 100
    before = memory(gateway)
    with socket.socket() as greedy:
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        greedy.settimeout(5.0)
        greedy.connect(("127.0.0.1", gateway.ports.policyd))
        greedy.setblocking(False)
        sent = 0
        # Until nothing more is taken for a while.
        while select.select((), (greedy,), (), 0.5)[1]:
            sent += greedy.send(data)
            assert sent < 1 << 27, "it takes requests for ever"
        answers_within(gateway, 1.0)
        assert memory(gateway) - before < 20 << 20


def test_ten_thousand_connections(gateway):
    """Each asks; all are answered, and so is the next one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(MANY, hard - 1_000)
    before = memory(gateway)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with ExitStack() as stack:
            clients = []
            for _ in range(count):
                client = stack.enter_context(connect(gateway))
                # Closed by a reset, so that its port is free again at once.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                clients.append(client)
            for number, client in enumerate(clients):
                client.sendall(request(sender("any", number)))
            assert all(answer(client).startswith("DEFER_IF_PERMIT") for client in clients)
            assert figure(gateway, "open_connections") == count
            answers_within(gateway, 1.0)
            each = (memory(gateway) - before) / count
            assert each < 20 << 10, f"{each:.0f} octets for each connection"
        wait_until(lambda: figure(gateway, "open_connections") == 0, 10.0, "all gone")
        answers_within(gateway, 1.0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
