"""The other wiring before the queue: Postfix asks contentfilter as a milter, and keeps the mail itself."""

from __future__ import annotations

import signal

import pytest

from mailbase.ids import is_id
from mailbase.ticket import HEADER
from postwarden.demo import samples
from postwarden.demo.outcome import decision, quarantined
from postwarden.sandbox import registered
from postwarden.sandbox.client import Dialogue
from postwarden.sandbox.gateway import Gateway, metric
from postwarden.sandbox.waiting import wait_until
from tests.integration.octets import BODIES, HEADERS

STRICT = f"eve@{registered.DOMAIN}"
LAX = f"bob@{registered.OPEN_DOMAIN}"
TRAP = f"trap@{registered.OPEN_DOMAIN}"
SENDER = f"mailer@{registered.OPEN_DOMAIN}"


@pytest.fixture(scope="module")
def gateway(real_postfix, tmp_path_factory):
    registry = registered.registry()
    domains = registry["servers"][f"mail.{registered.DOMAIN}"]["domains"]
    domains[registered.DOMAIN]["greylisting"] = False
    lax = {"office-macro": "accept", "office-macro-suspicious": "accept"}
    domains[registered.OPEN_DOMAIN]["actions"] = lax
    settings = {"spamtraps": {"addresses": [TRAP]}}
    folder = tmp_path_factory.mktemp("milter")
    with Gateway(folder, registry=registry, settings=settings, milter=True) as gateway:
        gateway.start()
        yield gateway


def macro(mark):
    return samples.mail(mark, sender=SENDER, attachments=(samples.renamed_macros(),))


def recipients(gateway, mark):
    """Of all copies that arrived."""
    found = gateway.sink.find(mark.encode())
    return sorted(path.split(b">")[0].lstrip(b"<").decode() for mail in found for path in mail.recipients)


def test_clean_mail_arrives_as_sent_with_our_lines_on_top(outside, gateway, mark):
    mail = samples.mail(mark, attachments=(samples.clean_document(),))
    outcome = outside.mx(mail)
    assert outcome.code == 250, outcome
    (arrived,) = gateway.sink.wait_for(mark.encode())
    assert arrived.data.endswith(mail)
    ours = arrived.data.removesuffix(mail)
    # The ticket was found: the line that policyd had put on top and ours have one id.
    assert is_id(arrived.field(HEADER))
    assert ours.startswith(f"X-Postwarden-Decision: {arrived.field(HEADER)} accept".encode())
    queue_id = str(outcome.reply).rpartition(" ")[2]
    log = gateway.contentfilter.log.read_text()
    assert f'reply="250 2.0.0 Ok: queued as {queue_id}"' in log


def test_bodies_pass_unchanged(gateway, mark):
    mails = {
        name: samples.mail(f"{mark}-{number}-e", text="").replace(b"us-ascii", b"utf-8") + body
        for number, (name, body) in enumerate(BODIES.items())
    }
    with Dialogue(gateway.ports.mx) as dialogue:
        dialogue.xclient(addr=registered.SYSTEM)
        dialogue.hello()
        for name, mail in mails.items():
            outcome = dialogue.send("a@inst.example", ["c@elsewhere.example"], mail, "BODY=8BITMIME")
            assert outcome.code == 250, (name, outcome)
    for number, (name, mail) in enumerate(mails.items()):
        (arrived,) = gateway.sink.wait_for(f"{mark}-{number}-e".encode())
        wanted = mail if mail.endswith(b"\r\n") else mail + b"\r\n"
        assert arrived.data.endswith(wanted), name


@pytest.mark.parametrize("name", HEADERS)
def test_header_lines_pass_unchanged(outside, gateway, mark, name):
    mail = f"X-Mark: {mark}\r\n".encode() + HEADERS[name] + samples.mail(mark)
    assert outside.mx(mail, client=registered.SYSTEM).code == 250
    (arrived,) = gateway.sink.wait_for(mark.encode())
    assert arrived.data.endswith(mail)


def test_bad_attachment_is_refused_in_the_dialogue(outside, gateway, mark):
    outcome = outside.mx(macro(mark), [STRICT])
    assert (outcome.stage, outcome.code) == ("END", 554), outcome
    text = str(outcome.reply)
    assert text.startswith("554 5.7.1 ")
    assert decision(text), text
    assert not gateway.sink.find(mark.encode())


def test_nothing_hides_behind_a_nul_in_the_header(outside, gateway, mark):
    mail = samples.mail(mark).replace(b"Subject: ", b"Subject: a\0", 1)
    assert outside.mx(mail).code // 100 == 5
    assert not gateway.sink.find(mark.encode())


def test_an_upstreams_mail_is_quarantined_and_delivered_in_one(outside, gateway, mark):
    assert outside.mx(macro(mark), [STRICT, LAX], client=registered.UPSTREAM).code == 250
    assert gateway.sink.wait_for(mark.encode())
    assert recipients(gateway, mark) == [LAX]
    (path,) = quarantined(gateway.quarantine, mark.encode())
    assert f'"{STRICT}"' in path.read_text("latin-1")
    other = f"{mark}-alone"
    assert outside.mx(macro(other), [STRICT], client=registered.UPSTREAM).code == 250
    assert len(quarantined(gateway.quarantine, other.encode())) == 1
    gateway.postfix.wait_empty(10.0)
    assert recipients(gateway, other) == []


def test_recipients_come_one_after_another(outside, gateway, mark):
    mail = macro(mark)
    size = f"SIZE={len(mail)}"
    first = outside.mx(mail, [STRICT, LAX], parameters=size)
    assert (first.code, "4.5.3" in str(first.reply)) == (451, True)
    second = outside.mx(mail, [STRICT, LAX], parameters=size)
    assert second.code == 554
    assert [answer.code for answer in second.recipients] == [250, 452]
    assert outside.mx(mail, [LAX], parameters=size).code == 250
    assert gateway.sink.wait_for(mark.encode())
    assert recipients(gateway, mark) == [LAX]


def test_a_spamtrap_gets_nothing_and_hears_nothing(outside, gateway, mark):
    mail = samples.mail(mark)
    assert outside.mx(mail, [LAX, TRAP]).code == 250
    assert gateway.sink.wait_for(mark.encode())
    assert recipients(gateway, mark) == [LAX]


def test_killed_under_load_nothing_is_lost_comes_twice_or_passes_unseen(gateway, mark):
    sender, port = gateway.queueing_sender("other", gateway.ports.mx, "127.0.0.9")
    marks = [f"{mark}-{number}-k" for number in range(60)]
    with Dialogue(port) as dialogue:
        for number, one in enumerate(marks):
            assert dialogue.send(SENDER, [LAX], samples.mail(one)).code == 250
            if number == 30:
                wait_until(lambda: gateway.sink.find(mark.encode()), 20.0, "the first have arrived")
                gateway.contentfilter.signal(signal.SIGKILL)
    gateway.contentfilter.stop()
    wait_until(lambda: "451 4.7.1" in sender.log_text(), 10.0, "the others are told to come again")
    gateway.start_contentfilter()
    sender.wait_empty(60.0)
    gateway.postfix.wait_empty(30.0)
    for one in marks:
        (arrived,) = gateway.sink.wait_for(one.encode())
        assert is_id(arrived.field("X-Postwarden-Decision").split()[0])
    assert "status=bounced" not in sender.log_text()


def test_without_contentfilter_the_mail_stays_the_clients(outside, gateway, mark):
    name = 'contentfilter_transactions_total{end="delivered",protocol="milter"}'
    assert metric(gateway.ports.filter_metrics, name) > 0
    gateway.contentfilter.signal(signal.SIGKILL)
    gateway.contentfilter.stop()
    try:
        outcome = outside.mx(samples.mail(mark))
        assert outcome.code == 451, outcome
        assert not gateway.sink.find(mark.encode())
    finally:
        gateway.start_contentfilter()
    assert outside.mx(samples.mail(mark)).code == 250
