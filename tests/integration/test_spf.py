"""SPF, Received-SPF and greylisting's identities, as clients of a real Postfix meet them."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from postwarden.demo import samples
from postwarden.sandbox import registered
from postwarden.sandbox.gateway import Gateway
from postwarden.sandbox.nameserver import Nameserver
from postwarden.sandbox.waiting import wait_until

ZONE = """
    s.example.      TXT "v=spf1 include:_spf.s.example " "-all"
    _spf.s.example. TXT "v=spf1 ip4:198.18.0.0/16 ip6:2001:db8:18::/48 ?all"
    soft.example.   TXT "v=spf1 ~all"
    hard.example.   TXT "v=spf1 a mx -all exp=why.hard.example"
    hard.example.   A   192.0.2.200
    why.hard.example. TXT "%{i} is none of ours"
    mail.h.example. TXT "v=spf1 ip4:198.18.0.0/16 -all"
    loop.example.   TXT "v=spf1 include:loop2.example"
    loop2.example.  TXT "v=spf1 include:loop.example"
"""
GOOD, GOOD_V6, BAD, BAD_V6 = "198.18.1.1", "IPV6:2001:db8:18::1", "198.19.1.1", "IPV6:2001:db8:19::1"


@pytest.fixture(scope="module")
def gateway(real_postfix, tmp_path_factory):
    nameserver = Nameserver(ZONE)
    settings = {
        "dns": {"servers": [f"{nameserver.host}:{nameserver.port}"]},
        "policyd": {
            "greylist": {"delay": "1s"},
            "spf": {"received_header": True, "forwarders": ["fwd.example"]},
        },
        "flows": {"inbound": {"checks": {"spf": True}, "defer_at": 0.5, "reject_at": 2}},
    }
    with Gateway(tmp_path_factory.mktemp("spf"), settings=settings) as gateway:
        gateway.start()
        yield gateway
    nameserver.close()


@pytest.mark.parametrize(
    ("client", "sender", "helo", "code", "words"),
    [
        (GOOD, "a@s.example", "friend", 250, ""),
        (GOOD_V6, "a@s.example", "friend", 250, ""),
        (BAD, "a@s.example", "friend", 554, "does not let you send for it"),
        (BAD_V6, "a@s.example", "friend", 554, "does not let you send for it"),
        (BAD, "a@soft.example", "friend", 450, "may not let you send for it"),
        (BAD_V6, "a@soft.example", "friend", 450, "may not let you send for it"),
        (GOOD, "a@hard.example", "friend", 554, "does not let you send for it"),
        (BAD, "a@loop.example", "friend", 450, "broken SPF record"),
        (BAD, "a@none.example", "friend", 250, ""),
        (BAD, "a@none.example", "mail.h.example", 554, "does not let you use it"),
        (GOOD, "", "mail.h.example", 250, ""),
        (BAD, "", "mail.h.example", 554, "does not let you send for it"),
    ],
)
def test_who_may_send_is_decided_by_points(outside, mark, client, sender, helo, code, words):
    outcome = outside.mx(samples.mail(mark), client=client, sender=sender, helo=helo)
    assert outcome.code == code, outcome
    assert words in str(outcome.reply)


def test_known_forwarders_are_not_looked_at(outside, mark):
    who = {"client": BAD, "sender": "a@s.example"}
    assert outside.mx(samples.mail(mark), **who, name="out.fwd.example").code == 250
    assert outside.mx(samples.mail(mark), **who, name="out.other.example").code == 554


@pytest.mark.parametrize(
    ("client", "sender", "result"),
    [
        (GOOD, "a@s.example", "pass"),
        (GOOD_V6, "a@s.example", "pass"),
        (BAD, "a@none.example", "none"),
        (BAD_V6, "a@none.example", "none"),
    ],
)
def test_received_spf_arrives_once_on_top_of_the_mail(outside, gateway, mark, client, sender, result):
    recipients = [f"{name}@{registered.OPEN_DOMAIN}" for name in ("one", "two", "three")]
    assert outside.mx(samples.mail(mark), recipients, client=client, sender=sender).code == 250
    (arrived,) = gateway.sink.wait_for(mark.encode())
    head = arrived.data.partition(b"\n\n")[0].partition(b"\r\n\r\n")[0].decode()
    head = re.sub(r"\r?\n[ \t]", " ", head)
    (line,) = re.findall(r"^Received-SPF: (.*?)\r?$", head, re.M)
    address = client.removeprefix("IPV6:")
    assert line.startswith(f"{result} (")
    assert f"; client-ip={address}; " in line
    assert f'; envelope-from="{sender}"; ' in line
    assert line.endswith("; helo=client.example; identity=mailfrom")
    assert head.index("Received-SPF:") < head.index("\nReceived:")
    assert "X-Postwarden-Id" not in head


def test_no_line_of_ours_for_whom_spf_says_nothing(outside, gateway, mark):
    assert outside.mx(samples.mail(mark), client=registered.UPSTREAM, sender="a@s.example").code == 250
    (arrived,) = gateway.sink.wait_for(mark.encode())
    assert b"Received-SPF" not in arrived.data


def show(gateway, term):
    """What ``policyd greylist show`` prints."""
    command = [sys.executable, "-m", "policyd", "greylist", "show", "--config", gateway.config, term]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    return [json.loads(line) for line in printed.splitlines()]


def retry(outside, mail, recipient, **who):
    """Try again until it is no longer deferred."""

    def again():
        outcome = outside.mx(mail, recipient, **who)
        return outcome if outcome.code != 450 else None

    return wait_until(again, 10.0, "an answer that is not 450")


def test_a_retry_from_another_address_of_the_same_spf_domain_passes(outside, mark):
    recipient, mail = f"{mark}@{registered.DOMAIN}", samples.mail(mark)
    who = {"sender": "a@s.example"}
    assert outside.mx(mail, recipient, client="198.18.20.1", **who).code == 450
    assert retry(outside, mail, recipient, client="IPV6:2001:db8:18:77::1", **who).code == 250
    assert outside.mx(mail, recipient, client="198.18.21.1", **who).code == 250


def test_a_retry_from_another_address_of_the_same_organisation_passes(outside, gateway, mark):
    recipient, mail = f"{mark}@{registered.DOMAIN}", samples.mail(mark)
    who = {"sender": "a@none.example"}
    assert (
        outside.mx(mail, recipient, client="198.19.20.1", name="out1.farm.example.co.uk", **who).code == 450
    )
    # A stranger with the same sender and recipient is another caller, however long it waits.
    assert outside.mx(mail, recipient, client="198.19.30.1", name="mx.other.co.uk", **who).code == 450
    elsewhere = {"client": "IPV6:2001:db8:77::1", "name": "mx2.example.co.uk"}
    assert retry(outside, mail, recipient, **elsewhere, **who).code == 250
    assert outside.mx(mail, recipient, client="198.19.31.1", name="mx3.third.co.uk", **who).code == 450
    identities = {row["identity"]: row["state"] for row in show(gateway, recipient)}
    assert identities["198.19.20.0/24 ptr:example.co.uk"] == "passed"
    assert identities["ptr:other.co.uk"] == "waiting"


def test_without_name_and_spf_every_address_waits_for_itself(outside, mark):
    recipient, mail = f"{mark}@{registered.DOMAIN}", samples.mail(mark)
    who = {"sender": "a@none.example"}
    assert outside.mx(mail, recipient, client="198.19.40.1", **who).code == 450
    assert retry(outside, mail, recipient, client="198.19.40.1", **who).code == 250
    assert outside.mx(mail, recipient, client="198.19.41.1", **who).code == 450
