"""A stolen account and an infected system, through a real Postfix: noticed, told of, suspended, lifted."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from mailbase.config import load
from mailbase.control.client import ask
from postwarden.demo import samples
from postwarden.sandbox import registered
from postwarden.sandbox.client import Dialogue
from postwarden.sandbox.gateway import Gateway, metric
from postwarden.sandbox.waiting import wait_until

LIMIT = 60
USER = f"eve@{registered.DOMAIN}"


class Hooks(HTTPServer):
    """A webhook that keeps what it is told."""

    def __init__(self):
        self.told = []
        super().__init__(("127.0.0.1", 0), Hook)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def of(self, event):
        return [one for one in self.told if one["event"] == event]


class Hook(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def hooks():
    hooks = Hooks()
    yield hooks
    hooks.shutdown()
    hooks.server_close()


@pytest.fixture(scope="module")
def gateway(real_postfix, tmp_path_factory, hooks):
    outgoing = {
        "users": {"suspend": {"messages": LIMIT}},
        "systems": {"suspend": {"refused": 3}, "floor": {"refused": 2}},
        "notices": {"webhook": f"http://127.0.0.1:{hooks.server_port}/mail"},
    }
    settings = {
        "flows": {"inbound": {"points": {"office-macro": 6}, "checks": {"reputation": True}}},
        "policyd": {
            "outgoing": outgoing,
            "replies": {"exceptions-suspended-client": "Your server is held back, call 4711 [{id}]"},
        },
    }
    with Gateway(tmp_path_factory.mktemp("outgoing"), settings=settings) as gateway:
        gateway.start()
        yield gateway


def policyd(gateway, *words):
    command = [sys.executable, "-m", "policyd", *words, "--config", str(gateway.config)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def socket(gateway, verb, **arguments):
    return ask(load(gateway.config, ()).policyd.control, verb, **arguments)


def thief(gateway, mails, begin=0):
    """Sends one mail after another to strangers, until one is refused; the replies to RCPT."""
    replies = []
    with Dialogue(gateway.ports.submission, timeout=60.0) as dialogue:
        dialogue.xclient(addr="198.51.100.66", login=USER)
        dialogue.hello()
        for number in range(begin, begin + mails):
            dialogue.command(f"MAIL FROM:<{USER}>")
            replies.append(dialogue.command(f"RCPT TO:<victim{number}@{registered.FOREIGN_DOMAIN}>"))
            if replies[-1].code != 250:
                break
            assert dialogue.command("DATA").code == 354
            text = samples.mail(f"spam-{number}").decode("latin-1").rstrip("\r\n")
            assert dialogue.command(text + "\r\n.").code == 250
    return replies


def test_a_stolen_account_is_noticed_within_fifty_mails_and_suspended_at_the_limit(gateway, hooks):
    assert [reply.code for reply in thief(gateway, 49)] == [250] * 49
    wait_until(lambda: hooks.of("outgoing-jump"), 15, "the webhook is told")
    (told,) = hooks.of("outgoing-jump")
    assert (told["kind"], told["name"], told["measure"]) == ("user", USER, "messages")
    assert told["seen"] <= 50
    # By mail to the administrators of the domain that the account is of.
    (notice,) = gateway.sink.wait_for(f"user {USER} sends messages, as never before".encode())
    assert notice.recipients[0].startswith(b"<" + registered.PERSON["email"].encode())
    assert notice.sender.startswith(b"<>")
    replies = thief(gateway, 30, 49)
    assert [reply.code for reply in replies] == [250] * (LIMIT - 49) + [450]
    assert "Not now: your account is suspended, for it sent unusually much; ask your postmaster" in str(
        replies[-1]
    )
    wait_until(lambda: hooks.of("outgoing-suspended"), 15, "the webhook is told")
    labels = '{against="usual",kind="user",measure="messages"}'
    assert metric(gateway.ports.policyd_metrics, "policyd_outgoing_jumps_total" + labels) == 1
    assert metric(gateway.ports.policyd_metrics, 'policyd_outgoing_suspensions{kind="user"}') == 1
    explained = policyd(gateway, "explain", told["id"]).stdout
    assert "outgoing-jump" in explained
    assert "in an hour, nothing usual known" in explained


def test_others_are_not_held_back(outside, gateway, mark):
    assert outside.user(samples.mail(mark)).code == 250
    assert outside.mx(samples.mail(mark)).code == 250


def test_an_operator_sees_and_lifts_it(gateway):
    (row,) = socket(gateway, "outgoing.list", odd=True)
    assert (row["name"], row["state"]) == (USER, "suspended")
    assert row["day"] >= LIMIT
    lifted = policyd(gateway, "outgoing", "lift", USER)
    assert f"{USER} is not suspended any more" in lifted.stdout
    assert [reply.code for reply in thief(gateway, 2, 300)] == [250, 250]


def test_a_system_that_sends_malware_is_suspended_and_its_administrators_told(outside, gateway, mark, hooks):
    to = f"carol@{registered.FOREIGN_DOMAIN}"
    bad = samples.mail(mark, attachments=(samples.renamed_macros(),))
    for _ in range(3):
        assert outside.mx(bad, to, client=registered.SYSTEM).code == 554
    wait_until(lambda: hooks.of("outgoing-suspended")[1:], 15, "it is suspended")
    told = hooks.of("outgoing-suspended")[1]
    assert (told["kind"], told["name"], told["measure"]) == ("system", registered.SYSTEM, "refused")
    outcome = outside.mx(samples.mail(mark), to, client=registered.SYSTEM)
    assert (outcome.stage, outcome.code) == ("RCPT", 450)
    assert "Your server is held back, call 4711 [" in str(outcome.reply)
    # Other systems may send, and its users too; it may ask why.
    assert outside.mx(samples.mail(mark), to, client="IPV6:2001:db8:1::7").code == 250
    assert outside.user(samples.mail(mark), client=registered.SYSTEM).code == 250
    neighbour = "192.0.2.77"
    assert outside.mx(samples.mail(mark), to, client=neighbour).code == 250
    abuse = f"abuse@{registered.OPEN_DOMAIN}"
    assert outside.mx(samples.mail(mark), abuse, client=registered.SYSTEM).code == 250
    (notice,) = gateway.sink.wait_for(b"Subject: Mail gateway: system 192.0.2.25 is suspended")
    assert notice.recipients[0].startswith(b"<" + registered.PERSON["email"].encode())
    assert socket(gateway, "outgoing.accept", name=registered.SYSTEM).wait()["suspended"]
    assert outside.mx(samples.mail(mark), to, client=registered.SYSTEM).code == 250


def test_what_became_of_a_strangers_mail_is_held_against_his_network(outside, gateway, mark):
    bad = samples.mail(mark, attachments=(samples.renamed_macros(),))
    reports = 'policyd_reports_total{result="final"}'
    before = metric(gateway.ports.policyd_metrics, reports)
    for digit in range(1, 6):
        assert outside.mx(bad, client=f"198.18.77.{digit}").code == 554
    wait_until(lambda: metric(gateway.ports.policyd_metrics, reports) >= before + 5, 10, "they are reported")
    assert outside.mx(samples.mail(mark), client="198.18.77.99").code == 250
    facts = 'policyd_facts_total{check="reputation",fact="spam-network"}'
    assert metric(gateway.ports.policyd_metrics, facts) >= 1
