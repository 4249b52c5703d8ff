"""Several policyds on one Redis: they agree, and with Redis away they go on."""

from __future__ import annotations

import itertools
import re
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
import yaml

from mailbase.control.client import ask
from postwarden.sandbox.gateway import Gateway, metric
from postwarden.sandbox.ports import LOOPBACK, PortReservation
from postwarden.sandbox.redis import Asking
from postwarden.sandbox.waiting import wait_until
from tests.samples.certificates import Authority

REGISTRY = {
    "servers": {"mail.local.example": {"addresses": ["192.0.2.25"], "domains": {"local.example": {}}}}
}
DELAY = 2.0
"""Seconds; a delay of one may be over at the next second of the clock."""
WITHIN = 1.0
"""Seconds in which every request must be answered, whatever Redis does."""
LIMITS = {"user": {"per": "user", "of": "recipients", "limit": 3, "within": "1d"}}

DOCUMENT = Path(__file__).parents[2] / "docs" / "several-nodes.md"

_numbers = itertools.count(1)


def fresh():
    """A name that was not there before; without digits, of which greylisting makes nothing."""
    return str(next(_numbers)).translate(str.maketrans("0123456789", "abcdefghij"))


class Node:
    """A policyd, and an smtpd that asks it."""

    def __init__(self, folder, store, flows=None):
        settings = {
            # Unless a test is about it, a busy machine is no outage.
            "store": {"timeout": "900ms", **store},
            "policyd": {"greylist": {"delay": f"{DELAY:g}s"}, "journal": {"path": str(folder / "journal")}},
            "flows": flows or {"inbound": {"checks": False}},
        }
        self.gateway = Gateway(folder, settings=settings, registry=REGISTRY)
        self.gateway.write_config()
        self.gateway.start_policyd()
        self.control = yaml.safe_load(self.gateway.config.read_text())["policyd"]["control"]
        self._smtpd = Smtpd(self.gateway.ports.policyd)

    def request(self, **attributes):
        return self._smtpd.request(**attributes)

    def verb(self, verb, **arguments):
        return ask(self.control, verb, **arguments)

    def metric(self, name):
        return metric(self.gateway.ports.policyd_metrics, f"policyd_{name}")

    def is_up(self):
        return self.metric("redis_up") == 1

    def wait_up(self, within=10.0):
        wait_until(self.is_up, within, "policyd has Redis again", self.gateway.policyd.tail)

    def logged(self, event):
        lines = self.gateway.policyd.log.read_text().splitlines()
        return [line for line in lines if f"event={event}" in line]

    def wait_logged(self, event):
        """The first line of that event; the log may be a moment behind an answer."""
        return wait_until(lambda: self.logged(event), 5, f"{event} is logged")[0]

    def close(self):
        self._smtpd.close()
        self.gateway.close()


class Smtpd:
    """One connection to a policyd."""

    def __init__(self, port):
        self._socket = socket.create_connection((LOOPBACK, port), 10.0)

    def request(self, **attributes):
        number = next(_numbers)
        asked = {
            "request": "smtpd_access_policy",
            "protocol_state": "RCPT",
            "client_address": "192.0.2.1",
            "client_name": "mail.sender.example",
            "reverse_client_name": "mail.sender.example",
            "sender": "someone@sender.example",
            "recipient": "person@local.example",
            "instance": f"{number}.0",
            **attributes,
        }
        self._socket.sendall("".join(f"{name}={value}\n" for name, value in asked.items()).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n\n"):
            piece = self._socket.recv(4096)
            assert piece, "policyd closed the connection"
            answer += piece
        return answer.decode().removeprefix("action=").strip()

    def close(self):
        self._socket.close()


class Load:
    """Requests from several smtpds, one after the other, until it is stopped."""

    def __init__(self, node, connections=8):
        self.slowest = 0.0
        self.answers = []
        self._stop = threading.Event()
        self._node = node
        self._threads = [threading.Thread(target=self._run) for _ in range(connections)]

    def _run(self):
        smtpd = Smtpd(self._node.gateway.ports.policyd)
        while not self._stop.is_set():
            began = time.monotonic()
            answer = smtpd.request(sender=f"{fresh()}@sender.example")
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.answers.append(answer.partition(" ")[0])
            time.sleep(0.005)
        smtpd.close()

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception):
        self._stop.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture(scope="module")
def start_node(tmp_path_factory):
    nodes = []

    def start(store, **options):
        nodes.append(Node(tmp_path_factory.mktemp("node"), store, **options))
        return nodes[-1]

    yield start
    for node in nodes:
        node.close()


@pytest.fixture(scope="module")
def pair(redis, start_node):
    """Two nodes that share state."""
    store = {"url": f"redis://{LOOPBACK}:{redis.port}/3", "prefix": "pair"}
    flows = {"inbound": {"checks": False}, "submission": {"limits": LIMITS}}
    return [start_node(store, flows=flows) for _ in range(2)]


def passes(node, **attributes):
    return wait_until(
        lambda: node.request(**attributes) == "DUNNO",
        10,
        "the retry passes",
        lambda: node.request(**attributes),
    )


def test_what_one_node_greylisted_passes_at_the_other(pair):
    first, second = pair
    triplet = {"sender": "alice@greylist.example", "client_address": "192.0.2.77"}
    assert first.request(**triplet).startswith("DEFER_IF_PERMIT")
    assert second.request(**triplet).startswith("DEFER_IF_PERMIT")
    passes(second, **triplet)
    assert first.request(**triplet) == "DUNNO"


def test_entries_are_listed_and_forgotten_at_any_node(pair):
    first, second = pair
    triplet = {"sender": "bob@forgotten.example"}
    first.request(**triplet)
    shown = list(second.verb("greylist.show", term="forgotten.example"))
    assert [(row["kind"], row["sender"]) for row in shown] == [("triplet", "bob@forgotten.example")]
    assert "bob@forgotten.example" in [row["sender"] for row in second.verb("greylist.list", kind="triplets")]
    assert second.verb("greylist.forget", term="forgotten.example").wait()["forgotten"] == 1
    assert list(first.verb("greylist.show", term="forgotten.example")) == []


def test_limits_are_shared(pair):
    first, second = pair
    user = {"sasl_username": "carol", "protocol_state": "DATA", "recipient_count": "1", "recipient": ""}
    answers = [node.request(**user) for node in (first, second, first, second, first)]
    assert [answer.partition(" ")[0] for answer in answers[:3]] == ["PREPEND"] * 3
    assert [answer[:1] for answer in answers[3:]] == ["4", "4"] or "DEFER" in answers[3]
    assert [row["used"] for row in second.verb("limits.list") if row["subject"] == "carol"] == [3]


def test_deny_at_one_node_is_in_force_at_all(pair):
    first, second = pair
    client = {"client_address": "203.0.113.9", "sender": "x@denied.example"}
    assert not second.request(**client).startswith(("5", "REJECT"))
    first.verb("exceptions.put", effect="deny", what="203.0.113.9", by="test", why="test").wait()
    assert first.request(**client).startswith("5")
    wait_until(lambda: second.request(**client).startswith("5"), 5, "the other node refuses too")
    second.verb("exceptions.remove", what="203.0.113.9").wait()
    wait_until(lambda: not first.request(**client).startswith("5"), 5, "the other node has forgotten it too")


def test_networks_allowed_at_one_node_are_spared_at_all(pair):
    first, second = pair

    def answer():
        return first.request(client_address="203.0.113.77", sender=f"{fresh()}@allowed.example")

    assert answer().startswith("DEFER")
    second.verb("greylist.allow", network="203.0.113.64/26", comment="test").wait()
    wait_until(lambda: answer() == "DUNNO", 5, "the other node spares it too")
    assert [row["network"] for row in first.verb("greylist.list", kind="allowed")] == ["203.0.113.64/26"]
    first.verb("greylist.forget", term="203.0.113.64/26").wait()
    wait_until(lambda: list(second.verb("greylist.list", kind="allowed")) == [], 5, "it is forgotten")


def test_a_ticket_is_found_wherever_the_mail_comes_back(pair):
    first, second = pair
    mail = {"client_address": "192.0.2.88", "sender": "dora@ticket.example", "instance": "t.1"}
    answer = first.request(**mail, protocol_state="DATA", recipient_count="1")
    ticket = answer.rpartition(" ")[2]
    asked = {"id": ticket, "client": "192.0.2.88", "sender": "dora@ticket.example"}
    # The answer to Postfix does not wait for the ticket to be kept: the mail itself comes later.
    wait_until(lambda: second.verb("ticket", **asked).wait()["found"], 5, "the ticket is found")
    stranger = second.verb("ticket", id=ticket, client="192.0.2.89", sender="dora@ticket.example").wait()
    assert not stranger["found"]


def test_keys_name_nobody_and_expire(pair, redis):
    first, _ = pair
    first.request(sender="erna@key.example", client_address="198.51.100.123")
    first.verb("exceptions.put", effect="allow", what="fritz@key.example", by="test", why="test").wait()
    cursor, names = "0", []
    with pair_database(redis) as asking:
        while True:
            cursor, page = asking.ask("SCAN", cursor, "COUNT", 1000)
            names += page
            if cursor == b"0":
                break
        lives = {name: asking.ask("TTL", name) for name in names}
    assert names
    assert all(name.startswith(b"pair:") for name in names)
    assert not any(word in name for name in names for word in (b"erna", b"fritz", b"key.example", b"198.51"))
    # What was set by command lasts until it is taken back.
    assert {name for name, seconds in lives.items() if seconds < 0} <= {
        b"pair:exceptions",
        b"pair:greylist_allowed",
    }


def pair_database(redis):
    asking = Asking(redis.port)
    asking.ask("SELECT", 3)
    return asking


@pytest.mark.parametrize(("on_error", "word"), [("pass", "DUNNO"), ("defer", "DEFER_IF_PERMIT")])
def test_a_server_that_hangs_delays_nobody(make_redis, start_node, on_error, word):
    server = make_redis()
    url = f"redis://{LOOPBACK}:{server.port}/0"
    generous = {"per": "client", "of": "recipients", "limit": 1_000_000, "within": "1h"}
    flows = {"inbound": {"checks": False, "limits": {"generous": generous}}}
    node = start_node({"url": url, "on_error": on_error, "timeout": "250ms"}, flows=flows)
    known = {"sender": "known@sender.example"}
    node.request(**known)
    passes(node, **known)
    with Load(node) as load:
        wait_until(lambda: len(load.answers) > 50, 10, "there is load")
        server.process.signal(signal.SIGSTOP)
        stopped = len(load.answers)
        wait_until(lambda: not node.is_up(), 5, "it is noticed")
        assert node.request(**known).startswith(word)
        wait_until(lambda: len(load.answers) > stopped + 300, 10, "answers go on")
        server.process.signal(signal.SIGCONT)
        node.wait_up()
    assert load.slowest < WITHIN
    assert set(load.answers) == {"DEFER_IF_PERMIT", word}
    assert node.request(**known) == "DUNNO"
    assert node.metric("limits_unavailable_total") > 0
    assert not node.logged("check-failed"), "what waited for a reply fails as what it is"
    assert "no reply in time" in node.logged("redis-down")[0]
    assert len(node.logged("redis-up")) == len(node.logged("redis-down")) + 1


def test_a_server_that_is_not_there_at_start_is_no_reason_not_to_answer(make_redis, start_node):
    with PortReservation() as reservation:
        port = reservation.take()
        node = start_node({"url": f"redis://{LOOPBACK}:{port}/0"})
        began = time.monotonic()
        assert node.request() == "DUNNO"
        assert time.monotonic() - began < WITHIN
        assert "refused" in node.wait_logged("redis-down")


def test_a_wrong_password_is_told_and_a_new_file_is_enough(make_redis, start_node, tmp_path):
    server = make_redis({"requirepass": "s3cret"})
    password = tmp_path / "password"
    password.write_text("wr0ng\n")
    node = start_node({"url": f"redis://{LOOPBACK}:{server.port}/0", "password_file": str(password)})
    assert node.request() == "DUNNO"
    line = node.wait_logged("redis-down")
    assert "the server refuses the password of store.url or store.password_file (WRONGPASS" in line
    password.write_text("s3cret\n")
    node.wait_up()
    assert node.request().startswith("DEFER_IF_PERMIT")
    assert "s3cret" not in node.gateway.policyd.log.read_text()
    assert "wr0ng" not in node.gateway.policyd.log.read_text()


def test_a_user_with_no_more_rights_than_documented(make_redis, start_node, tmp_path):
    server = make_redis()
    (command,) = re.findall(r"^ACL SETUSER .*$", DOCUMENT.read_text(), re.M)
    server.ask(*command.replace("PASSWORD", "s3cret").split(" "))
    password = tmp_path / "password"
    password.write_text("s3cret\n")
    store = {"url": f"redis://postwarden@{LOOPBACK}:{server.port}/0", "password_file": str(password)}
    node = start_node(store, flows={"inbound": {"checks": False}, "submission": {"limits": LIMITS}})
    triplet = {"sender": "alice@user.example"}
    assert node.request(**triplet).startswith("DEFER_IF_PERMIT")
    assert node.request(sasl_username="u", protocol_state="DATA", recipient_count="1").startswith("PREPEND")
    node.verb("exceptions.put", effect="allow", what="fritz@user.example", by="test", why="test").wait()
    node.verb("exceptions.remove", what="fritz@user.example").wait()
    assert [row["sender"] for row in node.verb("greylist.list", kind="triplets")] == ["alice@user.example"]
    assert node.verb("greylist.forget", term="alice@user.example").wait()["forgotten"] == 1
    assert node.verb("limits.forget", term="u").wait()["forgotten"] == 1
    assert node.metric('redis_commands_total{result="error"}') == 0


def test_tls_with_a_certificate_authority_of_our_own(make_redis, start_node, tmp_path):
    ours, others = Authority(tmp_path, "ours"), Authority(tmp_path, "others")
    certificate, key = ours.sign(LOOPBACK)
    files = {"tls-cert-file": certificate, "tls-key-file": key, "tls-ca-cert-file": ours.file}
    options = {name: str(path) for name, path in files.items()} | {"tls-auth-clients": "no"}
    server = make_redis(options, tls=True)
    url = f"rediss://{LOOPBACK}:{server.port}/0"
    node = start_node({"url": url, "ca_file": str(ours.file)})
    assert node.request().startswith("DEFER_IF_PERMIT")
    assert node.is_up()
    stranger = start_node({"url": url, "ca_file": str(others.file)})
    assert stranger.request() == "DUNNO"
    assert "certificate verify failed" in stranger.wait_logged("redis-down")


def test_a_new_master_is_found_by_sentinel_while_answers_go_on(make_redis, start_node):
    first = make_redis()
    second = make_redis({"replicaof": f"{LOOPBACK} {first.port}"})
    sentinel = make_redis(
        {
            "sentinel monitor main": f"{LOOPBACK} {first.port} 1",
            "sentinel down-after-milliseconds main": "500",
            "sentinel failover-timeout main": "5000",
        },
        sentinel=True,
    )
    wait_until(lambda: b"master_link_status:up" in second.ask("INFO", "replication"), 10, "it replicates")
    wait_until(lambda: sentinel.ask("SENTINEL", "REPLICAS", "main"), 15, "Sentinel knows both")
    with PortReservation() as reservation:
        nobody = reservation.take()
        hosts = f"{LOOPBACK}:{nobody},{LOOPBACK}:{sentinel.port}"
        node = start_node({"url": f"redis+sentinel://{hosts}/main/0", "timeout": "250ms"})
        node.wait_up()
        known = {"sender": "known@sender.example"}
        node.request(**known)
        passes(node, **known)
        wait_until(lambda: second.ask("DBSIZE") >= 1, 5, "it is replicated")
        with Load(node) as load:
            wait_until(lambda: len(load.answers) > 50, 10, "there is load")
            first.process.kill()
            wait_until(lambda: not node.is_up(), 5, "it is noticed")
            node.wait_up(20)
            before = len(load.answers)
            wait_until(lambda: "DEFER_IF_PERMIT" in load.answers[before:], 10, "greylisting goes on")
    assert load.slowest < WITHIN
    assert set(load.answers) == {"DEFER_IF_PERMIT", "DUNNO"}
    assert node.request(**known) == "DUNNO"
    assert str(second.port) in node.logged("redis-up")[-1]
    assert len(node.logged("redis-up")) == len(node.logged("redis-down")) + 1
