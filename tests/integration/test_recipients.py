"""Recipients that need different answers, with a real Postfix on both sides: each gets its own, and once."""

from __future__ import annotations

import contextlib
import re
import signal
import threading

import pytest

from contentfilter import cli
from policyd import cli as policyd_cli
from postwarden.demo import outcome, samples
from postwarden.demo.outcome import quarantined
from postwarden.sandbox import registered
from postwarden.sandbox.client import ConnectionLost, Dialogue
from postwarden.sandbox.gateway import Gateway, Rewired, metric
from postwarden.sandbox.tap import Tap
from postwarden.sandbox.waiting import wait_until

STRICT = f"eve@{registered.DOMAIN}"
LAX = f"bob@{registered.OPEN_DOMAIN}"
ABUSE = f"abuse@{registered.DOMAIN}"
SENDER = f"mailer@{registered.OPEN_DOMAIN}"
"""Where a bounce can be seen to arrive."""
REMOVED = 'contentfilter_quarantine_removed_total{how="released"}'
FAST = {"minimal_backoff_time": "1s", "maximal_backoff_time": "2s", "queue_run_delay": "1s"}


@pytest.fixture(scope="module")
def gateway(real_postfix, tmp_path_factory):
    registry = registered.registry()
    domains = registry["servers"][f"mail.{registered.DOMAIN}"]["domains"]
    domains[registered.DOMAIN]["greylisting"] = False
    lax = {"office-macro": "accept", "office-macro-suspicious": "accept"}
    domains[registered.OPEN_DOMAIN]["actions"] = lax
    folder = tmp_path_factory.mktemp("recipients")
    with Gateway(folder, registry=registry, postfix_main=FAST) as gateway:
        gateway.start()
        yield gateway


def macro(mark):
    return samples.mail(mark, sender=SENDER, attachments=(samples.renamed_macros(),))


def reached(gateway, mark):
    """Recipients of all copies that arrived, bounces left out; each as often as it got one."""
    return sorted(
        path.split(b">")[0].lstrip(b"<").decode()
        for mail in gateway.sink.find(mark.encode())
        if not mail.sender.startswith(b"<>")
        for path in mail.recipients
    )


def kept(gateway, mark):
    """The quarantined copies: who each is for."""
    found = []
    for path in quarantined(gateway.quarantine, mark.encode()):
        if not path.name.startswith("."):
            text = path.read_text("latin-1")
            found.append([one for one in (STRICT, LAX, ABUSE) if f'"{one}"' in text])
    return found


def bounced(gateway, mark):
    """Recipients that bounces tell of."""
    return [
        one
        for mail in gateway.sink.find(mark.encode())
        if mail.sender.startswith(b"<>")
        for one in (STRICT, LAX, ABUSE)
        if f"Final-Recipient: rfc822; {one}".encode() in mail.data
    ]


def test_before_the_queue_another_server_brings_them_one_after_another(gateway, mark):
    sender, port = gateway.queueing_sender("other", gateway.ports.mx, "127.0.0.9")
    with Dialogue(port) as dialogue:
        assert dialogue.send(SENDER, [STRICT, LAX, ABUSE], macro(mark)).code == 250
    sender.wait_empty(30.0)
    wait_until(lambda: reached(gateway, mark) and bounced(gateway, mark), 10.0, "mail and bounce are there")
    assert reached(gateway, mark) == [LAX]
    assert kept(gateway, mark) == [[ABUSE]]
    assert bounced(gateway, mark) == [STRICT]
    log = sender.log_text()
    assert "451 4.5.3" in log
    assert "452 4.5.3" in log
    for event in ("mail", "recipient"):
        name = f'contentfilter_splits_total{{event="{event}"}}'
        assert metric(gateway.ports.filter_metrics, name) >= 1


@pytest.mark.parametrize("way", ["lmtp", "smtp"])
def test_behind_the_queue_each_of_a_users_recipients_gets_its_own(outside, gateway, mark, way):
    """A domain is no more lenient to our own users than their flow is."""
    assert outside.user(macro(mark), [STRICT, LAX, ABUSE], over=way, sender=SENDER).code == 250
    gateway.postfix.wait_empty(30.0)
    wait_until(lambda: len(bounced(gateway, mark)) == 2, 10.0, "bounces are there")
    assert sorted(bounced(gateway, mark)) == [LAX, STRICT]
    assert kept(gateway, mark) == [[ABUSE]]
    assert reached(gateway, mark) == []


def test_an_upstreams_recipients_are_delivered_and_quarantined_in_one(outside, gateway, mark):
    assert outside.mx(macro(mark), [STRICT, LAX, ABUSE], client=registered.UPSTREAM).code == 250
    assert gateway.sink.wait_for(mark.encode())
    assert reached(gateway, mark) == [LAX]
    assert kept(gateway, mark) == [[STRICT, ABUSE]]


def test_more_than_a_client_can_be_put_off_for_are_answered_as_one(outside, gateway, mark):
    """Postfix's smtpd ends a session with 20 errors, before the mail."""
    strict = [f"s{number}@{registered.DOMAIN}" for number in range(25)]
    lax = [f"l{number}@{registered.OPEN_DOMAIN}" for number in range(25)]
    mail = macro(mark)
    size = f"SIZE={len(mail)}"
    first = outside.mx(mail, [*strict, *lax], parameters=size)
    assert (first.code, "4.5.3" in str(first.reply)) == (451, True)
    second = outside.mx(mail, [*strict, *lax], parameters=size)
    assert second.code == 250
    refused = [one for one, answer in zip(lax, second.recipients[25:], strict=True) if not answer.positive]
    assert len(refused) == 10
    third = outside.mx(mail, refused, parameters=size)
    assert third.code == 250
    wait_until(lambda: len(reached(gateway, mark)) == 25, 10.0, "all of them are there")
    assert reached(gateway, mark) == sorted(lax)
    (path,) = quarantined(gateway.quarantine, mark.encode())
    assert all(f'"{one}"' in path.read_text("latin-1") for one in strict)


def ids(gateway, mark):
    return [outcome.decision(path.name) for path in quarantined(gateway.quarantine, mark.encode())]


@pytest.mark.parametrize("way", ["mx", "lmtp"])
def test_a_quarantined_message_is_released_as_it_came(outside, gateway, mark, way, capsys):
    mail = macro(mark)
    if way == "mx":
        assert outside.mx(mail, [STRICT], client=registered.UPSTREAM, sender=SENDER).code == 250
    else:
        assert outside.user(mail, [ABUSE], sender=SENDER).code == 250
    (name,) = wait_until(lambda: ids(gateway, mark), 10.0, "it is kept")
    before = metric(gateway.ports.filter_metrics, REMOVED)
    assert metric(gateway.ports.filter_metrics, "contentfilter_quarantine_messages") >= 1
    arguments = ["quarantine", "release", name, "--config", str(gateway.config)]
    assert cli.main([*arguments, "--to", "boss@elsewhere.example"]) == 1
    assert "--force" in capsys.readouterr().err
    assert cli.main(arguments) == 0
    assert "250 2.0.0 Ok: queued as" in capsys.readouterr().out
    (arrived,) = gateway.sink.wait_for(mark.encode())
    assert arrived.data.endswith(mail)
    assert arrived.sender.startswith(f"<{SENDER}>".encode())
    assert reached(gateway, mark) == [STRICT if way == "mx" else ABUSE]
    assert ids(gateway, mark) == []
    assert metric(gateway.ports.filter_metrics, REMOVED) == before + 1
    log = gateway.contentfilter.log.read_text()
    (queue_id,) = re.findall(f"event=quarantine-released .*id={name} .*by=.* queued as ([0-9A-Za-z]+)", log)

    def explained():
        assert policyd_cli.main(["explain", queue_id, "--config", str(gateway.config)]) == 0
        return f'"id":"{name}","queue_id":"{queue_id}","action":"released"' in capsys.readouterr().out

    wait_until(explained, 10.0, "policyd knows of it")
    assert cli.main(arguments) == 1


class Client(threading.Thread):
    """Sends one mail to contentfilter, and is told what came of it, or nothing."""

    def __init__(self, gateway, mail):
        super().__init__()
        self.port, self.mail, self.code = gateway.ports.before, mail, 0
        self.start()

    def run(self):
        with contextlib.suppress(ConnectionLost), Dialogue(self.port, timeout=20.0) as dialogue:
            dialogue.hello()
            dialogue.command("XFORWARD ADDR=" + registered.UPSTREAM)
            self.code = dialogue.send(SENDER, [STRICT, LAX], self.mail).code


def test_killed_between_quarantine_and_delivery_nothing_is_lost(tmp_path, mark):
    """Some of the mail lies in the quarantine, and nobody has heard of it: the client brings it again."""
    registry = registered.registry()
    domains = registry["servers"][f"mail.{registered.DOMAIN}"]["domains"]
    domains[registered.OPEN_DOMAIN]["protection"] = False
    with Gateway(tmp_path, registry=registry) as gateway:
        back = Tap(gateway.sink.port, hold_end=lambda number: True)
        back.open_gate()
        gateway.start(Rewired(reinject_before=back.port, reinject_after=back.port), with_postfix=False)
        back.shut_gate()
        first = Client(gateway, macro(mark))
        wait_until(lambda: back.ends_held, 10.0, "it is on its way to one")
        assert kept(gateway, mark) == [[STRICT]]
        gateway.contentfilter.signal(signal.SIGKILL)
        first.join(10.0)
        assert first.code == 0
        gateway.contentfilter.stop()
        back.open_gate()
        gateway.start_contentfilter()
        again = Client(gateway, macro(mark))
        again.join(10.0)
        back.close()
        assert again.code == 250
        assert kept(gateway, mark) == [[STRICT], [STRICT]]
        assert reached(gateway, mark) == [LAX]
