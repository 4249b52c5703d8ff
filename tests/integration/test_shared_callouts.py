"""Two policyds on one Redis: what one was told of a recipient the other knows, and forgets with it."""

from __future__ import annotations

import itertools
import socket
import time

import pytest
import yaml

from mailbase.control.client import ask
from postwarden.sandbox.gateway import Gateway, metric
from postwarden.sandbox.ports import LOOPBACK
from postwarden.sandbox.sink import Sink
from postwarden.sandbox.waiting import wait_until

REGISTRY = {"servers": {"mx.shared.example": {"domains": {"shared.example": {}}}}}

_numbers = itertools.count(1)


class Server(Sink):
    """A registered server with some mailboxes."""

    def __init__(self):
        self.users = {"ada", "bob"}
        super().__init__(on_recipient=self._answer)

    def _answer(self, path):
        known = path.decode().lstrip("<").partition("@")[0] in self.users
        return b"250 2.1.5 Ok" if known else b"550 5.1.1 unknown"

    def count(self, local):
        return [path for path, _ in self.asked].count(f"<{local}@shared.example>".encode())


class Node:
    def __init__(self, folder, redis, server):
        settings = {
            "store": {"url": f"redis://{LOOPBACK}:{redis.port}/5", "prefix": "callouts"},
            "policyd": {
                "callout": {"test_targets": {"mx.shared.example": f"{LOOPBACK}:{server.port}"}},
                "journal": {"path": str(folder / "journal")},
            },
            "flows": {"inbound": {"greylisting": False, "callout": True}},
        }
        self.gateway = Gateway(folder, settings=settings, registry=REGISTRY)
        self.gateway.write_config()
        self.gateway.start_policyd()
        self.control = yaml.safe_load(self.gateway.config.read_text())["policyd"]["control"]
        wait_until(lambda: self.metric("redis_up") == 1, 10.0, "policyd has Redis", self.gateway.policyd.tail)

    def metric(self, name):
        return metric(self.gateway.ports.policyd_metrics, f"policyd_{name}")

    def code(self, local):
        """What the answer for a recipient begins with."""
        attributes = {
            "request": "smtpd_access_policy",
            "protocol_state": "RCPT",
            "client_address": "198.51.100.25",
            "sender": "a@outside.example",
            "recipient": f"{local}@shared.example",
            "instance": f"{next(_numbers)}.0",
        }
        with socket.create_connection((LOOPBACK, self.gateway.ports.policyd), 30) as connection:
            connection.sendall(
                "".join(f"{name}={value}\n" for name, value in attributes.items()).encode() + b"\n"
            )
            return connection.recv(4096).decode().removeprefix("action=").split()[0]

    def forget(self, term):
        return ask(self.control, "forget", term=term).wait()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def own_redis(make_redis):
    return make_redis()


@pytest.fixture
def nodes(own_redis, server, tmp_path):
    made = [Node(tmp_path / f"node{number}", own_redis, server) for number in range(2)]
    yield made
    for node in made:
        node.gateway.close()


def test_nodes_share_what_they_know_and_go_on_without_it(nodes, server, own_redis):
    one, other = nodes
    assert [node.code("ada") for node in (one, other, one)] == ["DUNNO"] * 3
    assert [node.code("eve") for node in (other, one)] == ["550"] * 2
    assert (server.count("ada"), server.count("eve")) == (1, 1)

    # An address that is closed, then a whole domain.
    server.users.discard("ada")
    assert other.code("ada") == "DUNNO"
    assert one.forget("ada@shared.example")["known"]
    assert [node.code("ada") for node in (other, one)] == ["550"] * 2
    assert server.count("ada") == 2
    server.users = {"ada", "eve"}
    other.forget("shared.example")
    assert [node.code(local) for node in (one, other) for local in ("ada", "eve", "bob")] == [
        *("DUNNO", "DUNNO", "550"),
        *("DUNNO", "DUNNO", "550"),
    ]
    assert (server.count("ada"), server.count("eve"), server.count("bob")) == (3, 2, 1)

    own_redis.close()
    wait_until(lambda: one.metric("redis_up") == 0, 10.0, "policyd notes that Redis is away")
    for local, code in (("ada", "DUNNO"), ("bob", "550")):
        began = time.monotonic()
        assert one.code(local) == code
        assert time.monotonic() - began < 2.0
    assert server.count("ada") == 4, "what cannot be remembered is asked for again"
