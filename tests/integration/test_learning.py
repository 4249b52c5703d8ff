"""Taught by command, the gateway tags what looks like that; what spamtraps get it learns by itself."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import pytest

from postwarden.sandbox import registered
from postwarden.sandbox.gateway import Gateway, metric
from postwarden.sandbox.waiting import wait_until

EACH = 205
"""Mails of each kind that are taught."""
TRAP = f"trap@{registered.OPEN_DOMAIN}"
SPAM = [
    "pills", "casino", "winner", "prize", "credit", "lottery", "cheap", "offer", "bonus",
    "million", "urgent", "transfer", "loan", "click",
]  # fmt: skip
HAM = [
    "lecture", "seminar", "minutes", "agenda", "faculty", "library", "thesis", "exam", "lab",
    "schedule", "meeting", "colleague", "room",
]  # fmt: skip
COMMON = [
    "please", "the", "and", "with", "for", "you", "our", "this", "today", "new", "from",
    "about", "week", "time", "send",
]  # fmt: skip


def text(kind: list[str], chance: random.Random) -> str:
    words = [*chance.choices(kind, k=14), *chance.choices(COMMON, k=40)]
    chance.shuffle(words)
    return " ".join(words)


def mail(mark: str, body: str) -> bytes:
    return (
        f"From: <someone@outside.example>\r\nTo: <eve@{registered.OPEN_DOMAIN}>\r\nSubject: about it\r\n"
        f"Date: Tue, 24 Nov 2026 10:00:00 +0100\r\nMessage-ID: <{mark}@outside.example>\r\n\r\n{body}\r\n"
    ).encode()


@pytest.fixture(scope="module")
def gateway(real_postfix, tmp_path_factory):
    settings = {
        "spamtraps": {"addresses": [TRAP]},
        # Only what statistics say counts here.
        "flows": {"inbound": {"checks": False, "tag_at": 4, "defer_at": None, "reject_at": None}},
    }
    with Gateway(tmp_path_factory.mktemp("learning"), settings=settings) as gateway:
        gateway.start()
        yield gateway


def learn(gateway, *words):
    command = [sys.executable, "-m", "contentfilter", "learn", *words, "--config", str(gateway.config)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def status(gateway):
    return json.loads(learn(gateway, "status", "--json").stdout)


def judges(gateway):
    return metric(gateway.ports.policyd_metrics, "policyd_statistics_judges") == 1


def top(gateway, mark, sent):
    (arrived,) = gateway.sink.wait_for(mark.encode())
    assert arrived.data.endswith(sent)
    return arrived.data[: -len(sent)].decode()


@pytest.fixture(scope="module")
def runs(gateway, tmp_path_factory):
    """What was taught: an mbox of spam, a Maildir of ham; the run of each."""
    chance = random.Random(1)
    folder = tmp_path_factory.mktemp("mails")
    begin = b"From someone@outside.example Tue Nov 24 10:00:00 2026\n"
    spam = [mail(f"s{number}", text(SPAM, chance)) for number in range(EACH)]
    (folder / "spam").write_bytes(b"".join(begin + one.replace(b"\r\n", b"\n") + b"\n" for one in spam))
    (folder / "ham" / "cur").mkdir(parents=True)
    for number in range(EACH):
        (folder / "ham" / "cur" / str(number)).write_bytes(mail(f"h{number}", text(HAM, chance)))
    found = {}
    for kind in ("ham", "spam"):
        done = learn(gateway, kind, str(folder / kind))
        assert (done.returncode, done.stderr) == (0, "")
        assert f"learned as {kind}: {EACH} mails" in done.stdout
        found[kind] = done.stdout.split()[-1]
    wait_until(lambda: judges(gateway), 60, "a model of both kinds")
    return found


def test_what_looks_like_what_was_taught_is_judged_so(gateway, runs, outside_of):
    chance = random.Random(2)
    bad, good = mail("mark-bad", text(SPAM, chance)), mail("mark-good", text(HAM, chance))
    assert outside_of(gateway).mx(bad).code == 250
    assert outside_of(gateway).mx(good).code == 250
    told = top(gateway, "mark-bad", bad)
    assert "X-Postwarden-Flag: YES" in told
    assert "statistics.spam" in told
    assert "X-Postwarden-Flag: YES" not in top(gateway, "mark-good", good)


def test_what_is_undone_is_not_known_any_more(gateway, runs, outside_of):
    told = status(gateway)
    assert (told["spam"], told["ham"], told["model"]["judges"]) == (EACH, EACH, True)
    assert learn(gateway, "undo", "--run", runs["spam"]).stdout == f"undone: {EACH} mails\n"
    assert learn(gateway, "undo", "--run", runs["spam"]).returncode == 1
    wait_until(lambda: not judges(gateway), 60, "a model that knows no spam")
    sent = mail("mark-undone", text(SPAM, random.Random(2)))
    assert outside_of(gateway).mx(sent).code == 250
    assert "statistics" not in top(gateway, "mark-undone", sent)


def test_what_a_spamtrap_gets_is_read_to_be_learned(gateway, outside_of):
    assert outside_of(gateway).mx(mail("mark-trap", text(SPAM, random.Random(3))), TRAP).code == 250
    read = 'contentfilter_lessons_total{result="read"}'
    wait_until(lambda: metric(gateway.ports.filter_metrics, read) == 1, 20, "a worker that has read it")
