"""Mail through a real Postfix, recorded by a real daemon, decided again, from a recording and from logs."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time

import pytest

from postwarden.demo import samples
from postwarden.sandbox import registered
from postwarden.sandbox.gateway import Gateway, metric
from postwarden.sandbox.nameserver import Nameserver
from postwarden.sandbox.waiting import wait_until

ZONE = """
    sender.example.          MX    10 mail.sender.example.
    mail.sender.example.     A     198.18.0.7
    7.0.18.198.in-addr.arpa. PTR   mail.sender.example.
"""
GOOD = {
    "client": "198.18.0.7",
    "name": "mail.sender.example",
    "helo": "mail.sender.example",
    "sender": "alice@sender.example",
}
BAD = {"client": "198.18.0.9", "helo": "friend", "sender": "alice@gone.example"}


@pytest.fixture(scope="module")
def gateway(real_postfix, tmp_path_factory):
    nameserver = Nameserver(ZONE)
    settings = {
        "dns": {"servers": [f"{nameserver.host}:{nameserver.port}"]},
        "policyd": {"greylist": {"delay": "1s"}},
        "flows": {"inbound": {"checks": True, "reject_at": 6}},
    }
    with (
        contextlib.closing(nameserver),
        Gateway(tmp_path_factory.mktemp("replay"), settings=settings) as gateway,
    ):
        gateway.start()
        yield gateway


def policyd(gateway, *words):
    """A subcommand of policyd: its status, its JSON lines, its errors."""
    done = subprocess.run(
        [sys.executable, "-m", "policyd", *words[:-1], "--config", gateway.config, words[-1]],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


class Recording:
    """``policyd record`` beside the daemon, from its first row on."""

    def __init__(self, gateway, path, guard, *words):
        self.path = path
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "policyd", "record", "--config", gateway.config, *words, path],
            stderr=subprocess.PIPE,
            text=True,
        )
        guard.watch("pid", self.popen.pid)
        wait_until(lambda: path.exists() and path.read_bytes().endswith(b"\n"), 15.0, "the recording began")

    def end(self, by=signal.SIGINT):
        self.popen.send_signal(by)
        _, said = self.popen.communicate(timeout=15)
        return self.popen.returncode, said


def traffic(outside, mark):
    """A mail that waits and then passes for two recipients, one refused for points, one for its domain."""
    person = f"{mark}@{registered.DOMAIN}"
    mail = samples.mail(mark)
    assert outside.mx(mail, person, **GOOD).code == 450
    began = time.monotonic()
    assert outside.mx(mail, f"{mark}@{registered.OPEN_DOMAIN}", **BAD).code == 554
    assert outside.mx(mail, f"{mark}@{registered.FOREIGN_DOMAIN}", **GOOD).code == 554
    # Well beyond the delay: the stamps of a log are not exact enough for a retry at its very second.
    wait_until(lambda: time.monotonic() - began > 2.2, 10.0, "the delay is over")
    outcome = outside.mx(mail, [person, f"{mark}@{registered.OPEN_DOMAIN}"], **GOOD)
    assert [reply.code for reply in outcome.recipients] == [250, 250]


def answers(rows):
    return {(row["stage"], row["recipient"], row["before"]["reason"]) for row in rows if "before" in row}


def test_traffic_is_recorded_and_decided_again_without_dns(outside, gateway, guard, mark, tmp_path):
    recording = Recording(gateway, tmp_path / "r.jsonl", guard)
    assert metric(gateway.ports.policyd_metrics, "policyd_recording") == 1
    traffic(outside, mark)
    wait_until(lambda: '"report"' in recording.path.read_text(), 10.0, "contentfilter's report is recorded")
    status, said = recording.end()
    assert status == 0, said
    assert metric(gateway.ports.policyd_metrics, "policyd_recording") == 0
    assert metric(gateway.ports.policyd_metrics, "policyd_recorded") == 7
    assert metric(gateway.ports.policyd_metrics, "policyd_recording_dropped") == 0
    assert "requests recorded" in said
    assert recording.path.stat().st_mode & 0o777 == 0o600
    rows = [json.loads(line) for line in recording.path.read_text().splitlines()][1:]
    assert {row["reason"] for row in rows if "reason" in row} >= {
        "greylist-new",
        "greylist-passed",
        "sender_domain-no-mail-host",
        "relay-foreign-domain",
        "ticket",
    }
    # contentfilter told what became of the mails that passed.
    assert [row["action"] for row in rows if "report" in row][-1:] == ["accept"]

    status, (summary,), errors = policyd(gateway, "replay", str(recording.path))
    assert (status, errors) == (0, "")
    assert summary["summary"]["changed"] == 0
    assert summary["summary"]["compared"] == 7

    # Asked anew, DNS says the same.
    status, rows, errors = policyd(gateway, "replay", "--dns", str(recording.path))
    assert (status, errors) == (0, ""), rows

    status, changes, _ = policyd(
        gateway, "replay", "--against-set", "flows.inbound.reject_at=9", str(recording.path)
    )
    assert status == 1
    (change, _) = changes
    assert change["client"] == "198.18.0.9"
    assert (change["before"]["action"], change["after"]["action"]) == ("reject", "accept")


def test_both_logs_tell_the_same(outside, gateway, mark):
    traffic(outside, mark)
    person = f"{mark}@{registered.DOMAIN}"
    gateway.postfix.when(
        lambda log: log.count(f"to=<{mark}@") >= 5 and "status=sent" in log, 15.0, "all is delivered"
    )
    # The daemon's own lines: facts and all, so nothing changes.
    own = gateway.folder / "policyd.log"
    status, rows, _ = policyd(gateway, "replay", str(own))
    assert status == 0, rows
    # Postfix's lines alone: who was accepted, who waited, who was refused for us.
    status, rows, errors = policyd(
        gateway, "replay", "--against-set", "policyd.greylist.delay=1h", str(gateway.postfix.log)
    )
    assert status in {0, 1}, errors
    status, rows, _ = policyd(gateway, "replay", "--reasons", str(gateway.postfix.log))
    told = answers(rows)
    assert ("RCPT", person, "received") in told
    assert ("RCPT", person, "reply-4.2.0") in told
    assert ("RCPT", f"{mark}@{registered.FOREIGN_DOMAIN}", "reply-5.7.1") in told


def test_there_is_one_recording_at_a_time_and_a_killed_one_may_still_be_it(gateway, guard, tmp_path):
    recording = Recording(gateway, tmp_path / "first", guard)
    recording.popen.kill()
    recording.popen.communicate(timeout=15)
    # For half a minute the daemon cannot know.
    status, _, errors = policyd(gateway, "record", str(tmp_path / "second"))
    assert (status, "under way" in errors) == (1, True)
    assert not (tmp_path / "second").exists()


def test_tuning_reads_what_was_recorded(outside, gateway, guard, mark, tmp_path):
    own = str(gateway.folder / "policyd.log")
    traffic(outside, mark)
    status, rows, errors = policyd(gateway, "tune", "greylist", own)
    assert (status, errors) == (0, "")
    (now,) = [row for row in rows if row["current"] and row["setting"] == "delay"]
    assert now["delayed"] >= 1
    status, rows, errors = policyd(gateway, "tune", "thresholds", own)
    assert (status, errors) == (0, "")
    assert {row["ranked"]["fact"] for row in rows if "ranked" in row} >= {"no-mail-host", "not-fqdn"}
