"""One total through a real Postfix: policyd's points and the content's make it, and it decides."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time

import pytest

from postwarden.demo import documents, samples
from postwarden.sandbox import registered
from postwarden.sandbox.gateway import Gateway, metric
from postwarden.sandbox.nameserver import Nameserver
from postwarden.sandbox.waiting import wait_until

STRICT = "strict.example"
POINTS = {"not-fqdn": 300, "unusual-top-level": 590}
"""Of policyd's, both below what RCPT is deferred for; large beside what else a mail may have points for."""
RESTRICTED = 400
"""Points of an attachment that everybody can open but not print: of contentfilter's."""
THRESHOLDS = {"tag_at": 350, "defer_at": 600, "reject_at": 900}
LOW, MIDDLE, HIGH = "mail.sender.example", "friend", "host.local"
"""By HELO name, with that attachment: 400, 700 and 990 points, and a few."""

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def gateway(real_postfix, tmp_path_factory):
    nameserver = Nameserver("mail.sender.example. A 198.18.0.7")
    registry = registered.registry()
    domains = registry["servers"][f"mail.{registered.DOMAIN}"]["domains"]
    domains[STRICT] = {"greylisting": False, "reject_at": 650}
    settings = {
        "identity": {"contact": "https://www.gateway.example/mail"},
        "dns": {"servers": [f"{nameserver.host}:{nameserver.port}"]},
        "policyd": {"greylist": {"delay": "1s"}},
        "flows": {
            "inbound": {
                "checks": {"helo": {"points": POINTS}},
                "points": {"pdf-owner-restricted": RESTRICTED},
                **THRESHOLDS,
            }
        },
    }
    folder = tmp_path_factory.mktemp("total")
    try:
        with Gateway(folder, settings=settings, registry=registry) as gateway:
            gateway.start()
            yield gateway
    finally:
        nameserver.close()


@pytest.fixture
def client() -> str:
    """An address that no other test uses."""
    return f"203.0.113.{next(_numbers)}"


def mail(mark: str, attached: bool = True) -> bytes:
    pdf = samples.Attachment("a.pdf", "application/pdf", documents.pdf(owner="secret"))
    spoof = b"X-Postwarden-Flag: NO\r\nX-Postwarden-Score: -99\r\nX-Postwarden-Report: all fine\r\n"
    return spoof + samples.mail(mark, attachments=(pdf,) if attached else ())


def top(gateway, mark, sent) -> list[str]:
    """Our lines above what was sent, which is there octet for octet."""
    (arrived,) = gateway.sink.wait_for(mark.encode())
    assert arrived.data.endswith(sent)
    lines = arrived.data[: -len(sent)].decode().split("\r\n")
    return [line.removeprefix("X-Postwarden-") for line in lines if line.startswith("X-Postwarden-")]


def when_it_has_waited(outside, sent, to, client, helo):
    """Try again as a mail server does, until it is no longer deferred."""
    end = time.monotonic() + 15.0

    def again():
        outcome = outside.mx(sent, to, client=client, helo=helo)
        return outcome if outcome.code not in (450, 451) or time.monotonic() > end else None

    return wait_until(again, 16.0, "an answer that is not 4xx")


def test_a_low_total_passes(outside, gateway, mark, client):
    sent = mail(mark, attached=False)
    assert outside.mx(sent, f"a@{registered.OPEN_DOMAIN}", client=client, helo=MIDDLE).code == 250
    lines = top(gateway, mark, sent)
    assert [line.partition(":")[0] for line in lines[:4]] == ["Decision", "Flag", "Score", "Report"]
    assert lines[1] == "Flag: NO"
    assert lines[2].startswith("Score: 30")
    assert lines[3].startswith("Report: helo.not-fqdn 300")


def test_above_the_first_threshold_it_is_tagged(outside, gateway, mark, client):
    sent = mail(mark)
    assert outside.mx(sent, f"a@{registered.OPEN_DOMAIN}", client=client, helo=LOW).code == 250
    lines = top(gateway, mark, sent)
    assert "Flag: YES" in lines
    assert next(line for line in lines if line.startswith("Report: ")).startswith(
        f"Report: pdf-owner-restricted {RESTRICTED}"
    )


def test_a_middle_total_waits_once_and_is_tagged_then(outside, gateway, mark, client):
    sent, to = mail(mark), f"a@{registered.OPEN_DOMAIN}"
    first = outside.mx(sent, to, client=client, helo=MIDDLE)
    assert (first.stage, first.code) == ("END", 451)
    assert "4.7.1 This message looks like spam and has to wait" in str(first.reply)
    assert outside.mx(sent, to, client=client, helo=MIDDLE).code == 451
    assert not gateway.sink.find(mark.encode())
    assert when_it_has_waited(outside, sent, to, client, MIDDLE).code == 250
    lines = top(gateway, mark, sent)
    assert "Flag: YES" in lines
    assert any(line.startswith("Report: pdf-owner-restricted 400, helo.not-fqdn 300") for line in lines)
    assert metric(gateway.ports.filter_metrics, 'contentfilter_deferrals_total{result="waits"}') >= 2
    assert metric(gateway.ports.filter_metrics, 'contentfilter_deferrals_total{result="waited"}') >= 1
    decision = next(line for line in lines if line.startswith("Decision: ")).split()[1]
    command = [sys.executable, "-m", "contentfilter", "explain", decision, "--json", "--config"]
    told = subprocess.run([*command, str(gateway.config)], capture_output=True, text=True, timeout=30)
    content = json.loads(told.stdout.splitlines()[0])["content"]
    assert 700 <= content["score"] < 750
    assert [clue["name"] for clue in content["clues"]][:2] == ["pdf-owner-restricted", "helo.not-fqdn"]


def test_a_mail_that_waited_at_rcpt_does_not_wait_again(outside, gateway, mark, client):
    sent, to = mail(mark), f"{mark}@{registered.DOMAIN}"
    first = outside.mx(sent, to, client=client, helo=MIDDLE)
    assert (first.stage, first.code) == ("RCPT", 450)
    answers = []

    def again():
        answers.append(outside.mx(sent, to, client=client, helo=MIDDLE))
        return answers[-1].code != 450

    wait_until(again, 16.0, "an answer that is not 450")
    assert answers[-1].code == 250
    assert "Flag: YES" in top(gateway, mark, sent)


def test_a_high_total_is_refused_with_a_reason(outside, gateway, mark, client):
    outcome = outside.mx(mail(mark), f"a@{registered.OPEN_DOMAIN}", client=client, helo=HIGH)
    assert (outcome.stage, outcome.code) == ("END", 554)
    text = str(outcome.reply)
    assert "5.7.1 This message looks like spam: the sending server gives a wrong name, and what is" in text
    assert "https://www.gateway.example/mail [" in text
    assert not gateway.sink.find(mark.encode())


def test_a_domain_decides_by_its_own_thresholds(outside, gateway, mark, client):
    outcome = outside.mx(mail(mark), f"a@{STRICT}", client=client, helo=MIDDLE)
    assert (outcome.stage, outcome.code) == ("END", 554)
    both = [f"a@{STRICT}", f"abuse@{registered.OPEN_DOMAIN}"]
    assert "4.5.3" in str(outside.mx(mail(mark), both, client=client, helo=MIDDLE).reply)


def test_complaints_get_through_whatever_they_quote(outside, gateway, mark, client):
    sent = mail(mark)
    assert outside.mx(sent, f"abuse@{registered.OPEN_DOMAIN}", client=client, helo=HIGH).code == 250
    (decision,) = [line for line in top(gateway, mark, sent) if not line.startswith("Id: ")]
    assert " accept flow=inbound" in decision


def test_mail_of_an_upstream_is_tagged_at_most(outside, gateway, mark):
    sent = mail(mark)
    to = f"a@{registered.OPEN_DOMAIN}"
    assert outside.mx(sent, to, client=registered.UPSTREAM, helo=HIGH).code == 250
    # Its own HELO name is no evidence.
    assert {"Flag: NO"} <= set(top(gateway, mark, sent))
