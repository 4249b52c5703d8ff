"""Spamtraps and a real Postfix, both wirings, both address families: taken, never delivered, remembered."""

from __future__ import annotations

import itertools

import pytest

from postwarden.demo import samples
from postwarden.demo.outcome import quarantined
from postwarden.sandbox import registered
from postwarden.sandbox.client import Dialogue
from postwarden.sandbox.gateway import Gateway, metric
from postwarden.sandbox.waiting import wait_until

TRAP = f"trap@{registered.OPEN_DOMAIN}"
EVE = f"eve@{registered.OPEN_DOMAIN}"
GREYLISTED_TRAP = f"old-7@{registered.DOMAIN}"
FOREIGN_TRAP = f"bait@{registered.FOREIGN_DOMAIN}"

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def gateway(real_postfix, tmp_path_factory):
    settings = {
        "spamtraps": {"addresses": [TRAP, FOREIGN_TRAP, f"/^old-[0-9]+@{registered.DOMAIN}$/"]},
        "flows": {"inbound": {"reject_at": 2, "checks": {"reputation": True}}},
    }
    # With the domains looked up in policyd all mail would wait while it is away.
    with Gateway(tmp_path_factory.mktemp("traps"), settings=settings, live_registry=False) as gateway:
        gateway.start()
        yield gateway


@pytest.fixture(params=["198.18.{}.7", "IPV6:2001:db8:18:{}::7"])
def client(request):
    """A client whose network nobody has seen."""
    return request.param.format(next(_numbers))


def recipients(mails):
    return {path.split(b">")[0].lstrip(b"<").decode() for mail in mails for path in mail.recipients}


def discarded(gateway, flow):
    name = f'contentfilter_messages_total{{action="discard",flow="{flow}"}}'
    return metric(gateway.ports.filter_metrics, name)


def test_mail_to_a_trap_alone_is_taken_and_never_delivered(outside, gateway, mark, client):
    before = discarded(gateway, "inbound")
    sent = gateway.postfix.log_text().count("status=sent")
    # Greylisting would make a stranger wait in this domain.
    assert outside.mx(samples.mail(mark), GREYLISTED_TRAP, client=client).code == 250
    assert discarded(gateway, "inbound") == before + 1
    assert not gateway.sink.find(mark.encode())
    assert gateway.postfix.log_text().count("status=sent") == sent
    assert f"recipient={GREYLISTED_TRAP} spamtraps=1 " in gateway.policyd.log.read_text()


def test_whatever_it_holds(outside, gateway, mark, client):
    bad = samples.mail(mark, attachments=(samples.renamed_macros(),))
    assert outside.mx(bad, TRAP, client=client).code == 250
    assert "action=discard" in gateway.contentfilter.log.read_text()


def test_of_a_mail_to_others_too_they_get_it(outside, gateway, mark, client):
    other = f"dan@{registered.OPEN_DOMAIN}"
    before = metric(gateway.ports.filter_metrics, "contentfilter_spamtrap_recipients_total")
    assert outside.mx(samples.mail(mark), [EVE, TRAP, other], client=client).code == 250
    assert recipients(gateway.sink.wait_for(mark.encode())) == {EVE, other}
    assert metric(gateway.ports.filter_metrics, "contentfilter_spamtrap_recipients_total") == before + 1


@pytest.mark.parametrize("way", ["lmtp", "smtp"])
def test_behind_the_queue(outside, gateway, mark, way):
    carol = f"carol@{registered.FOREIGN_DOMAIN}"
    before = discarded(gateway, "submission")
    assert outside.user(samples.mail(mark), [carol, FOREIGN_TRAP], over=way).code == 250
    assert recipients(gateway.sink.wait_for(mark.encode())) == {carol}
    assert outside.user(samples.mail(f"{mark}-2"), FOREIGN_TRAP, over=way).code == 250
    wait_until(lambda: discarded(gateway, "submission") == before + 1, 10, "the mail is discarded")
    gateway.postfix.wait_empty(10)
    assert not gateway.sink.find(f"{mark}-2".encode())


def test_a_trap_does_not_hear_of_a_refusal_behind_the_queue(outside, gateway, mark):
    carol = f"carol@{registered.FOREIGN_DOMAIN}"
    bad = samples.mail(mark, attachments=(samples.locked_zip(),))
    assert outside.user(bad, [FOREIGN_TRAP, carol]).code == 250
    (bounce,) = gateway.sink.wait_for(mark.encode())
    assert f"Final-Recipient: rfc822; {carol}".encode() in bounce.data
    assert FOREIGN_TRAP.encode() not in bounce.data


def test_quarantined_mail_is_kept_for_the_others(outside, gateway, mark):
    bad = samples.mail(mark, attachments=(samples.locked_pdf(),))
    assert outside.mx(bad, [EVE, TRAP], client=registered.UPSTREAM).code == 250
    (kept,) = wait_until(
        lambda: quarantined(gateway.quarantine, mark.encode()), 10, "it is in the quarantine"
    )
    text = b"".join(path.read_bytes() for path in kept.parent.glob(f"{kept.stem}*"))
    assert EVE.encode() in text
    assert TRAP.encode() not in text


def test_the_network_is_refused_afterwards(outside, gateway, mark, client):
    assert outside.mx(samples.mail(mark), client=client).code == 250
    assert outside.mx(samples.mail(mark), TRAP, client=client).code == 250
    neighbour = client[:-1] + "9"
    outcome = outside.mx(samples.mail(mark), client=neighbour)
    assert (outcome.stage, outcome.code) == ("RCPT", 554)
    assert "your network writes to addresses that nobody ever gave away" in str(outcome.reply)
    # The trap stays open, and abuse@ too.
    assert outside.mx(samples.mail(mark), TRAP, client=neighbour).code == 250
    assert outside.mx(samples.mail(mark), f"abuse@{registered.OPEN_DOMAIN}", client=neighbour).code == 250
    facts = 'policyd_facts_total{check="reputation",fact="spamtrap"}'
    assert metric(gateway.ports.policyd_metrics, facts) >= 1
    assert metric(gateway.ports.policyd_metrics, 'policyd_spamtrap_total{flow="inbound"}') >= 2


def test_a_trap_that_was_only_named_is_not_held_against_anybody(outside, gateway, mark, client):
    with Dialogue(gateway.ports.mx) as dialogue:
        dialogue.xclient(addr=client)
        dialogue.hello()
        dialogue.command("MAIL FROM:<a@outside.example>")
        assert dialogue.command(f"RCPT TO:<{TRAP}>").code == 250
    assert outside.mx(samples.mail(mark), client=client).code == 250


def test_without_policyd_no_trap_gets_mail(outside, gateway, mark):
    gateway.policyd.stop()
    try:
        outcome = outside.mx(samples.mail(mark), [EVE, TRAP])
        assert outcome.code == 250
        assert recipients(gateway.sink.wait_for(mark.encode())) == {EVE}
    finally:
        gateway.start_policyd()
