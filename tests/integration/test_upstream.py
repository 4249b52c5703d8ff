"""Mail of trusted upstream relays, with a real Postfix and DNS on loopback: judged by its client."""

from __future__ import annotations

import pytest

from postwarden.demo import samples
from postwarden.demo.outcome import quarantined
from postwarden.sandbox import registered
from postwarden.sandbox.gateway import Gateway, metric
from postwarden.sandbox.nameserver import Nameserver
from postwarden.sandbox.waiting import wait_until

ZONE = """
    sender.example.          SOA   ns.sender.example. h.sender.example. 1 3600 600 86400 60
    sender.example.          MX    10 mail.sender.example.
    mail.sender.example.     A     198.18.0.7
    mail.sender.example.     AAAA  2001:db8:18::7
    7.0.18.198.in-addr.arpa. PTR   mail.sender.example.
    7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.1.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR mail.sender.example.
"""
GOOD, BAD = "198.18.0.7", "198.18.0.9"
RELAYS = [registered.UPSTREAM, "IPV6:2001:4ca0:0:103::25"]
BY = "by mx.upstream.example (Postfix) with ESMTPS id 4711 for <x@y.example>; Thu, 26 Nov 2026 10:00:00 +0100"
INSIDE = f"from localhost (localhost [127.0.0.1]) {BY}"
SECOND = f"from in.upstream.example (in.upstream.example [129.187.255.1]) {BY}"
FORGED = f"from mail.sender.example (mail.sender.example [{GOOD}]) {BY}"


@pytest.fixture(scope="module")
def nameserver():
    server = Nameserver(ZONE)
    yield server
    server.close()


@pytest.fixture(scope="module")
def gateway(real_postfix, nameserver, tmp_path_factory):
    checks = {"fcrdns": True, "helo": True, "sender_domain": True}
    settings = {
        "dns": {"servers": [f"{nameserver.host}:{nameserver.port}"]},
        "policyd": {"deadline": "2s"},
        "flows": {
            "upstream": {"tag_at": 3, "quarantine_at": 7, "checks": checks},
            # Must not touch the relays.
            "inbound": {"reject_at": 3, "checks": True},
        },
    }
    # With the domains looked up in policyd all mail would wait while it is away.
    with Gateway(tmp_path_factory.mktemp("upstream"), settings=settings, live_registry=False) as gateway:
        gateway.start()
        yield gateway


def line(client, helo="friend", name="unknown"):
    return f"from {helo} ({name} [{client}]) {BY}"


def relayed(mark, *lines):
    """A mail with the Received lines that a relay, and whoever was before it, put on top."""
    text = samples.mail(mark).decode("latin-1")
    # Who wrote the mail has put a line of his own.
    own = text[text.index("Received:") : text.index("Message-ID:")]
    return ("".join(f"Received: {one}\r\n" for one in lines) + text.replace(own, "")).encode("latin-1")


def points(gateway, mark):
    (arrived,) = gateway.sink.wait_for(mark.encode())
    return arrived.field("X-Postwarden-Report") if arrived.field("X-Postwarden-Flag") == "YES" else ""


@pytest.mark.parametrize("relay", RELAYS)
@pytest.mark.parametrize(("client", "prefix"), [(GOOD, ""), ("2001:db8:18::7", "IPv6:")])
def test_good_mail_passes_as_it_is(outside, gateway, mark, relay, client, prefix):
    mail = relayed(mark, line(prefix + client, "mail.sender.example", "mail.sender.example"))
    assert outside.mx(mail, client=relay, helo="friend", sender="alice@sender.example").code == 250
    assert points(gateway, mark) == ""
    (arrived,) = gateway.sink.wait_for(mark.encode())
    assert arrived.data.endswith(mail)


@pytest.mark.parametrize("relay", RELAYS)
@pytest.mark.parametrize("before", [[], [INSIDE], [INSIDE, SECOND]])
@pytest.mark.parametrize("client", [BAD, "IPv6:2001:db8:18::9"])
def test_bad_mail_is_tagged_whoever_else_stands_in_it(outside, gateway, mark, relay, before, client):
    mail = relayed(mark, *before, line(client), FORGED)
    assert outside.mx(mail, client=relay, sender="alice@sender.example").code == 250
    assert points(gateway, mark).startswith("fcrdns.no-ptr 2, helo.not-fqdn 1.5")
    log = gateway.contentfilter.log.read_text()
    assert f"address={client.removeprefix('IPv6:')} " in log
    assert "points=3.5 facts=fcrdns.no-ptr:2,helo.not-fqdn:1.5 " in log


def test_worse_mail_is_kept_and_never_refused(outside, gateway, mark):
    outcome = outside.mx(relayed(mark, line(BAD)), client=registered.UPSTREAM, sender="alice@gone.example")
    assert outcome.code == 250
    assert "quarantined" in str(outcome.reply)
    wait_until(lambda: quarantined(gateway.quarantine, mark.encode()), 10, "it is kept")
    assert not gateway.sink.find(mark.encode())
    name = 'contentfilter_by_points_total{action="quarantine",flow="upstream"}'
    assert metric(gateway.ports.filter_metrics, name) >= 1


def test_complaints_get_through(outside, gateway, mark):
    to = [f"abuse@{registered.OPEN_DOMAIN}"]
    mail = relayed(mark, line(BAD))
    assert outside.mx(mail, to, client=registered.UPSTREAM, sender="alice@gone.example").code == 250
    assert points(gateway, mark) == ""


@pytest.mark.parametrize("lines", [[], ["by mx.upstream.example (Postfix, from userid 0); now"], [INSIDE]])
def test_without_a_client_that_can_be_told_the_mail_passes(outside, gateway, mark, lines):
    unreadable = 'contentfilter_evidence_total{result="unreadable"}'
    before = metric(gateway.ports.filter_metrics, unreadable)
    assert outside.mx(relayed(mark, *lines), client=registered.UPSTREAM).code == 250
    assert points(gateway, mark) == ""
    assert metric(gateway.ports.filter_metrics, unreadable) == before + 1


def test_the_relays_own_address_and_helo_are_never_looked_at(outside, gateway, mark):
    # No PTR, no full HELO name: a stranger would be refused for it.
    mail = relayed(mark, line(GOOD, "mail.sender.example", "mail.sender.example"))
    sender = "alice@sender.example"
    assert outside.mx(mail, client=registered.UPSTREAM, helo="friend", sender=sender).code == 250
    assert points(gateway, mark) == ""
    assert outside.mx(mail, client=BAD, helo="friend", sender=sender).code == 554


def test_without_policyd_the_mail_passes(outside, gateway, mark):
    gateway.policyd.stop()
    try:
        assert outside.mx(relayed(mark, line(BAD)), client=registered.UPSTREAM).code == 250
        assert points(gateway, mark) == ""
        unavailable = 'contentfilter_evidence_total{result="unavailable"}'
        assert metric(gateway.ports.filter_metrics, unavailable) >= 1
    finally:
        gateway.start_policyd()


def test_found_is_counted(outside, gateway, mark):
    found = 'contentfilter_evidence_total{result="found"}'
    before = metric(gateway.ports.filter_metrics, found)
    assert outside.mx(relayed(mark, line(BAD)), client=registered.UPSTREAM).code == 250
    assert metric(gateway.ports.filter_metrics, found) == before + 1
    assert metric(gateway.ports.policyd_metrics, "policyd_upstream_clients") >= 1
