"""Signed and forged mail through a real Postfix: what is refused, what is told on top, what stays."""

from __future__ import annotations

import re
import urllib.request

import pytest

from postwarden.sandbox import registered
from postwarden.sandbox.gateway import Gateway
from postwarden.sandbox.nameserver import Nameserver
from tests.samples.signed import record, rsa_key, seal, sign

KEY = record(rsa_key()).decode()
ZONE = f"""
    a.example.                TXT "v=spf1 ip4:198.18.0.0/16 -all"
    _dmarc.a.example.         TXT "v=DMARC1; p=reject; adkim=s"
    _dmarc.q.example.         TXT "v=DMARC1; p=quarantine"
    s._domainkey.a.example.   TXT "{KEY[:200]}" "{KEY[200:]}"
    s._domainkey.list.example. TXT "{KEY[:200]}" "{KEY[200:]}"
"""
OURS, OTHERS = "198.18.1.1", "198.19.1.1"


@pytest.fixture(scope="module")
def gateway(real_postfix, tmp_path_factory):
    nameserver = Nameserver(ZONE)
    settings = {
        "dns": {"servers": [f"{nameserver.host}:{nameserver.port}"]},
        "policyd": {"greylist": {"delay": "1s"}},
        "authentication": {"authserv_id": "results.gate.example", "trusted_sealers": ["list.example"]},
        "flows": {
            "inbound": {"checks": {"spf": True}, "greylisting": False, "authentication": "policy"},
            "upstream": {"authentication": "policy"},
        },
    }
    with Gateway(tmp_path_factory.mktemp("authentication"), settings=settings) as gateway:
        gateway.start()
        yield gateway
    nameserver.close()


def written(mark: str, author: str = "ann@a.example") -> bytes:
    return (
        f"From: Ann <{author}>\r\nTo: bob@{registered.DOMAIN}\r\nSubject: {mark}\r\n"
        "Date: Fri, 27 Nov 2026 04:00:00 +0000\r\nMessage-ID: <1@a.example>\r\n\r\n"
        "Hello,\r\n\r\n.dots\r\n\u00fcber and  blanks \r\n"
    ).encode()


def arrived(gateway: Gateway, mark: str) -> tuple[bytes, str]:
    """The mail as it came, with CRLF, and our results in one line."""
    (delivery,) = gateway.sink.wait_for(mark.encode())
    data = re.sub(rb"\r?\n", b"\r\n", delivery.data)
    results = re.match(
        rb"(?s)(?:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*?)*?Authentication-Results: (.*?)\r\n(?![ \t])", data
    )
    assert results, data[:500]
    return data, re.sub(r"\s+", " ", results[1].decode())


def test_a_signed_mail_arrives_as_it_was_with_results_on_top(outside, gateway, mark):
    mail = sign(written(mark), rsa_key(), domain=b"a.example", forms=b"simple/simple")
    assert outside.mx(mail, client=OURS, sender="ann@a.example").code == 250
    data, results = arrived(gateway, mark)
    assert data.rstrip().endswith(mail.rstrip())
    assert results.startswith(
        "results.gate.example; spf=pass smtp.mailfrom=a.example; dkim=pass (2048-bit key)"
    )
    assert "header.d=a.example" in results
    assert results.endswith("dmarc=pass (p=reject) header.from=a.example")


def test_a_forged_mail_is_refused_and_its_sender_told_why(outside, gateway, mark):
    outcome = outside.mx(written(mark), client=OTHERS, sender="eve@evil.example")
    assert outcome.code == 550
    assert "5.7.1 This message fails DMARC: a.example does not vouch for it" in str(outcome.reply)
    changed = sign(written(mark), rsa_key(), domain=b"a.example").replace(b"Hello", b"Pay now")
    assert outside.mx(changed, client=OTHERS, sender="eve@evil.example").code == 550
    assert gateway.sink.find(mark.encode()) == []


def test_who_asks_for_quarantine_has_it_marked(outside, gateway, mark):
    assert outside.mx(written(mark, "ann@q.example"), client=OTHERS, sender="eve@evil.example").code == 250
    data, results = arrived(gateway, mark)
    assert results.endswith("dmarc=fail (p=quarantine) header.from=q.example")
    assert b"\r\nX-Postwarden-Findings: dmarc-quarantine" in data


def test_a_list_that_is_trusted_may_have_changed_it(outside, gateway, mark):
    original = sign(written(mark), rsa_key(), domain=b"a.example")
    changed = original.replace(b"Hello,\r\n", b"Hello,\r\n\r\nyour list\r\n")
    mail = seal(changed, rsa_key(), 1, domain=b"list.example")
    assert outside.mx(mail, client=OTHERS, sender="bounces@list.example").code == 250
    _, results = arrived(gateway, mark)
    assert "arc=pass header.as-d=list.example" in results
    assert "dmarc=fail (p=reject, forwarded by list.example)" in results


def test_results_in_our_name_are_seen_through(outside, gateway, mark):
    forged = b"Authentication-Results: results.gate.example; dmarc=pass header.from=b.example\r\n"
    mail = forged + written(mark, "ann@b.example")
    assert outside.mx(mail, client=OTHERS, sender="eve@evil.example").code == 250
    data, results = arrived(gateway, mark)
    assert results.endswith("dmarc=none header.from=b.example")
    # It stays, below ours.
    assert data.index(forged) > data.index(b"dmarc=none")
    assert b"\r\nX-Postwarden-Findings: foreign-results" in data


def test_an_upstream_relay_is_never_refused(outside, gateway, mark):
    received = (
        b"Received: from evil.example (evil.example [198.19.1.1]) by up.example with ESMTP id 1; now\r\n"
    )
    outcome = outside.mx(received + written(mark), client=registered.UPSTREAM, sender="eve@evil.example")
    assert outcome.code == 250


def test_it_is_counted(gateway):
    address = f"http://127.0.0.1:{gateway.ports.filter_metrics}/metrics"
    text = urllib.request.urlopen(address, timeout=10).read().decode()
    assert re.search(r'contentfilter_authentication_total\{method="dmarc",result="forwarded"\} [1-9]', text)
    assert re.search(r'contentfilter_authentication_total\{method="dkim",result="pass"\} [1-9]', text)
