"""Both wirings with real mail: what is clean arrives, what is not is refused in the dialogue or held."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from mailbase.ids import is_id
from mailbase.ticket import HEADER
from postwarden.demo import samples
from postwarden.demo.outcome import decision, quarantined
from postwarden.sandbox import registered
from postwarden.sandbox.client import Dialogue
from postwarden.sandbox.gateway import fetch
from postwarden.sandbox.waiting import wait_until

WAYS = ("mx", "lmtp", "smtp")
BAD = {
    "macro in .txt": samples.renamed_macros,
    "encrypted ZIP": samples.locked_zip,
    "locked PDF": samples.locked_pdf,
}


def send(outside, way, mail, **who):
    return outside.mx(mail, **who) if way == "mx" else outside.user(mail, over=way, **who)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("attachment", [None, samples.clean_document, samples.restricted_pdf])
def test_clean_mail_arrives_as_sent(outside, gateway, mark, way, attachment):
    mail = samples.mail(mark, attachments=(attachment(),) if attachment else ())
    outcome = send(outside, way, mail)
    assert outcome.code == 250, outcome
    (arrived,) = gateway.sink.wait_for(mark.encode())
    assert arrived.data.endswith(mail)
    ours = arrived.data.removesuffix(mail)
    assert f"Bcc: hidden-{mark}".encode() in mail
    assert b"Received:" in ours
    assert is_id(arrived.field(HEADER))


@pytest.mark.parametrize("kind", BAD)
def test_bad_attachment_is_refused_in_the_dialogue(outside, gateway, mark, kind):
    file = BAD[kind]()
    outcome = outside.mx(samples.mail(mark, attachments=(file,)))
    assert outcome.stage == "END"
    assert outcome.code == 554
    assert len(outcome.reply.lines) == 1
    text = str(outcome.reply)
    assert text.startswith("554 5.7.1 ")
    assert file.name in text
    assert decision(text), text
    assert not gateway.sink.find(mark.encode())


@pytest.mark.parametrize("kind", BAD)
def test_bad_attachment_from_upstream_is_held_not_refused(outside, gateway, mark, kind):
    outcome = outside.mx(samples.mail(mark, attachments=(BAD[kind](),)), client=registered.UPSTREAM)
    assert outcome.code == 250, outcome
    found = wait_until(
        lambda: quarantined(gateway.quarantine, mark.encode()), 10.0, "the mail lies in the quarantine"
    )
    assert all(path.stat().st_mode & 0o077 == 0 or path.parent.stat().st_mode & 0o077 == 0 for path in found)
    assert not gateway.sink.find(mark.encode())


@pytest.mark.parametrize("way", ["lmtp", "smtp"])
def test_bad_attachment_of_a_user_bounces_to_that_user(outside, gateway, mark, way):
    outcome = outside.user(samples.mail(mark, attachments=(samples.renamed_macros(),)), over=way)
    assert outcome.code == 250, outcome
    (bounce,) = gateway.sink.wait_for(mark.encode())
    assert bounce.sender.startswith(b"<>")
    assert bounce.recipients[0].startswith(f"<ada@{registered.DOMAIN}>".encode())
    assert b"5.7.1" in bounce.data


def test_bad_attachment_to_several_recipients_over_lmtp_bounces_for_each(outside, gateway, mark):
    recipients = [f"carol@{registered.FOREIGN_DOMAIN}", f"dan@{registered.FOREIGN_DOMAIN}"]
    outcome = outside.user(samples.mail(mark, attachments=(samples.locked_zip(),)), recipients)
    assert outcome.code == 250
    (bounce,) = gateway.sink.wait_for(mark.encode())
    for recipient in recipients:
        assert f"Final-Recipient: rfc822; {recipient}".encode() in bounce.data


def test_a_mail_to_several_recipients_arrives_for_each(outside, gateway, mark):
    recipients = [f"user{number}@{registered.OPEN_DOMAIN}" for number in range(20)]
    assert outside.mx(samples.mail(mark), recipients).code == 250
    arrived = gateway.sink.wait_for(mark.encode())
    reached = {path.split(b">")[0].lstrip(b"<").decode() for mail in arrived for path in mail.recipients}
    assert reached == set(recipients)


def test_several_mails_in_one_connection(gateway, mark):
    with Dialogue(gateway.ports.mx) as dialogue:
        dialogue.xclient(addr=registered.OUTSIDER)
        dialogue.hello()
        answers = [
            dialogue.send(
                "a@outside.example",
                [f"eve@{registered.OPEN_DOMAIN}"],
                samples.mail(f"{mark}-{turn}", attachments=files),
            ).code
            for turn, files in enumerate([(), (samples.locked_zip(),), (), (samples.locked_pdf(),), ()])
        ]
    assert answers == [250, 554, 250, 554, 250]
    assert len(gateway.sink.wait_for(mark.encode(), 3)) == 3


def test_the_decision_stands_in_reply_and_log(outside, gateway, mark):
    outcome = outside.mx(samples.mail(mark, attachments=(samples.renamed_macros(),)))
    wanted = decision(str(outcome.reply))
    wait_until(lambda: wanted in gateway.contentfilter.log.read_text(), 5.0, "the decision is logged")


def test_metrics_count_what_happened(outside, gateway, mark):
    outside.mx(samples.mail(mark))
    for port, prefix in (
        (gateway.ports.policyd_metrics, "policyd_"),
        (gateway.ports.filter_metrics, "contentfilter_"),
    ):
        status, text = fetch(port, "/metrics")
        assert status == 200
        counters = [
            line
            for line in text.splitlines()
            if line.startswith(prefix) and float(line.rpartition(" ")[2]) > 0
        ]
        assert counters, f"nothing counted on {prefix}"


def test_no_body_was_changed(gateway, outside, mark):
    """The filter's own proof that what went in came out (a counter that must stay at 0)."""
    outside.mx(samples.mail(mark))
    text = fetch(gateway.ports.filter_metrics, "/metrics")[1]
    assert "\ncontentfilter_body_mismatches_total 0.0\n" in text


def test_scan_command_agrees_with_the_gateway(gateway, tmp_path):
    for kind, make in BAD.items():
        (tmp_path / f"{kind}.eml").write_bytes(samples.mail(kind.replace(" ", "-"), attachments=(make(),)))
    done = subprocess.run(
        [sys.executable, "-m", "contentfilter", "scan", "--config", str(gateway.config), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) == len(BAD), done.stderr
    assert {result["disposition"] for result in results} == {"reject"}
    assert done.returncode == 1
