"""Points, asked of a real Postfix with a DNS server on loopback: who is refused, and who passes."""

from __future__ import annotations

import pytest

from postwarden.demo import samples
from postwarden.sandbox import registered
from postwarden.sandbox.gateway import Gateway
from postwarden.sandbox.nameserver import Behaviour, Nameserver

ZONE = """
    sender.example.          SOA   ns.sender.example. h.sender.example. 1 3600 600 86400 60
    sender.example.          MX    10 mail.sender.example.
    mail.sender.example.     A     198.18.0.7
    mail.sender.example.     AAAA  2001:db8:18::7
    7.0.18.198.in-addr.arpa. PTR   mail.sender.example.
    7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.1.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR mail.sender.example.
    null.example.            MX    0 .
    private.example.         MX    10 inside.private.example.
    inside.private.example.  A     10.0.0.1
    slow.example.            MX    10 mail.sender.example.
"""
GOOD = {"client": "198.18.0.7", "helo": "mail.sender.example", "sender": "alice@sender.example"}
GOOD_V6 = {**GOOD, "client": "IPV6:2001:db8:18::7"}
BAD = {"client": "198.18.0.9", "helo": "friend", "sender": "alice@gone.example"}


@pytest.fixture(scope="module")
def nameserver():
    server = Nameserver(ZONE)
    server.behave("slow.example", Behaviour(drop=1.0))
    yield server
    server.close()


@pytest.fixture(scope="module")
def gateway(real_postfix, nameserver, tmp_path_factory):
    settings = {
        "identity": {"contact": "https://www.gateway.example/mail"},
        "dns": {"servers": [f"{nameserver.host}:{nameserver.port}"]},
        "policyd": {"deadline": "2s"},
        "flows": {"inbound": {"checks": True, "defer_at": 4, "reject_at": 6}},
    }
    with Gateway(tmp_path_factory.mktemp("points"), settings=settings) as gateway:
        gateway.start()
        yield gateway


@pytest.mark.parametrize("who", [GOOD, GOOD_V6])
def test_a_server_in_order_passes(outside, gateway, mark, who):
    assert outside.mx(samples.mail(mark), **who).code == 250
    assert gateway.sink.wait_for(mark.encode())


@pytest.mark.parametrize("client", ["198.18.0.9", "IPV6:2001:db8:18::9"])
def test_a_client_is_refused_for_its_points(outside, gateway, mark, client):
    outcome = outside.mx(samples.mail(mark), **{**BAD, "client": client})
    assert (outcome.stage, outcome.code) == ("RCPT", 554)
    text = str(outcome.reply)
    assert "5.7.1" in text
    assert "the sender's domain cannot receive mail [" in text
    assert "https://www.gateway.example/mail" in text
    assert not gateway.sink.find(mark.encode())


def test_fewer_points_defer(outside, mark):
    outcome = outside.mx(samples.mail(mark), **{**GOOD, "sender": "alice@null.example", "helo": "friend"})
    assert outcome.code == 450
    assert "4.7.1" in str(outcome.reply)
    assert "says that it receives no mail" in str(outcome.reply)


def test_abuse_is_reached_by_everybody(outside, gateway, mark):
    assert outside.mx(samples.mail(mark), f"abuse@{registered.OPEN_DOMAIN}", **BAD).code == 250
    assert gateway.sink.wait_for(mark.encode())


def test_trusted_relays_and_registered_systems_have_no_points(outside, mark):
    for client in (registered.UPSTREAM, "192.0.2.25"):
        assert outside.mx(samples.mail(mark), **{**BAD, "client": client}).code == 250


def test_dns_that_never_answers_holds_nobody_beyond_the_deadline(outside, gateway, mark):
    assert outside.mx(samples.mail(mark), **{**GOOD, "sender": "alice@slow.example"}).code == 250
    assert gateway.sink.wait_for(mark.encode())
