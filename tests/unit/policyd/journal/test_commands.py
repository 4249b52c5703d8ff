"""policyd explain: what it asks of the daemon, and what a person reads."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from policyd import cli
from policyd.journal import commands
from policyd.journal.advice import advice
from tests.unit.terminal import Terminal

from ..answering import Daemon

REFUSED = {
    "kind": "decision",
    "time": 1_800_000_000.1234,
    "id": "1xh8m627722vw",
    "instance": "1a.1.0",
    "queue_id": "",
    "stage": "RCPT",
    "flow": "inbound",
    "action": "reject",
    "reason": "sender_domain-no-mail-host",
    "reply": "554 5.7.1 Refused: the sender's domain cannot receive mail [1xh8m627722vw]",
    "client": "198.18.0.9",
    "client_name": "unknown",
    "helo": "friend",
    "user": "",
    "sender": "alice@gone.example",
    "recipient": "eve@open.example",
    "points": 7.5,
    "defer_at": 4.0,
    "reject_at": 6.0,
    "shadow": "",
    "seconds": 0.0123,
    "facts": [
        {"check": "relay", "fact": "served", "reason": "registered-domain"},
        {"check": "fcrdns", "fact": "no-ptr", "points": 2.0, "seconds": 0.004},
        {"check": "helo", "fact": "not-fqdn", "points": 1.5, "seconds": 0.0, "shadow": True},
        {"check": "sender_domain", "fact": "no-mail-host", "points": 4.0, "seconds": 0.012, "detail": "x\ny"},
    ],
    "pseudonymised": False,
}
ACCEPTED = {
    **REFUSED,
    "id": "2xh8m627722vw",
    "action": "accept",
    "reason": "relay-registered-domain",
    "facts": [],
}
OUTCOME = {
    "kind": "outcome",
    "time": 1_800_000_001.5,
    "id": "2xh8m627722vw",
    "queue_id": "9F00AA11",
    "action": "reject",
    "reply": "554 5.7.1 The attachment",
    "findings": ["office-macro"],
    "seconds": 0.3,
    "content": None,
}
TOLD = """\
2027-01-15 08:00:00.123  1xh8m627722vw  RCPT  inbound  REJECT  12.3 ms
  client     198.18.0.9 unknown helo friend
  sender     alice@gone.example
  recipient  eve@open.example
  answer     554 5.7.1 Refused: the sender's domain cannot receive mail [1xh8m627722vw]
  why        sender_domain-no-mail-host (7.5 points, reject_at 6 reached, defer_at 4 reached)

  CHECK          FACT          POINTS  SECONDS  SHADOW  NOTE
  relay          served        -       -        -       reason=registered-domain
  fcrdns         no-ptr        2.0     0.004    -       -
  helo           not-fqdn      1.5     0        yes     -
  sender_domain  no-mail-host  4.0     0.012    -       detail=x?y

  An exception:
    policyd allow 198.18.0.9 --for 30d --why '…'    # spare this client points, greylisting and limits
    policyd allow alice@gone.example --for 30d --why '…'    # spare this sender, whoever claims to be it
    policyd allow eve@open.example --as recipient --for 30d --why '…'    # let everybody reach this recipient
"""


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    daemon = Daemon()
    monkeypatch.setattr(commands, "ask", daemon.ask)
    before = os.environ.get("TZ")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield daemon
    monkeypatch.delenv("TZ") if before is None else monkeypatch.setenv("TZ", before)
    time.tzset()


@pytest.fixture
def run(config: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    def run(*words: str) -> tuple[int, str]:
        terminal = Terminal()
        monkeypatch.setattr(commands.sys, "stdout", terminal)
        return cli.main(["explain", *words, "--config", config]), terminal.getvalue()

    return run


def test_one_mail_is_told_in_full(daemon: Daemon, run: Any) -> None:
    daemon.rows = [REFUSED]
    assert run("1xh8m627722vw") == (0, TOLD)
    assert daemon.asked == [("explain", {"term": "1xh8m627722vw", "limit": 20})]


def test_what_became_of_its_content_stands_behind_it(daemon: Daemon, run: Any) -> None:
    daemon.rows = [ACCEPTED, OUTCOME]
    _, told = run("2xh8m627722vw")
    assert told.endswith(
        "\n\n2027-01-15 08:00:01.500  2xh8m627722vw  content  REJECT\n"
        "  found      office-macro\n  queue id   9F00AA11\n  answer     554 5.7.1 The attachment\n"
    )


def test_what_a_command_did_with_it_in_the_quarantine_is_told(daemon: Daemon, run: Any) -> None:
    kept = {**OUTCOME, "action": "quarantine", "queue_id": "", "findings": []}
    released = {**kept, "time": OUTCOME["time"] + 60, "action": "released", "queue_id": "9F00", "reply": ""}
    daemon.rows = [ACCEPTED, kept, released]
    _, told = run("2xh8m627722vw")
    moment = "2027-01-15 08:01:01.500"
    assert told.endswith(f"{moment}  2xh8m627722vw  quarantine  RELEASED\n  queue id   9F00\n")


def test_the_total_is_told_with_what_is_in_it(daemon: Daemon, run: Any) -> None:
    clues = [
        {"name": "url.listed", "points": 2.5, "shadow": False, "detail": "x"},
        {"name": "rule.trial", "points": 2.0, "shadow": True, "detail": ""},
        {"name": "dkim.pass", "points": 0.0, "shadow": False, "detail": ""},
        {"name": "statistics.ham", "points": -1.0, "shadow": False, "detail": ""},
    ]
    daemon.rows = [ACCEPTED, {**OUTCOME, "content": {"facts": [], "score": 1.5, "clues": clues}}]
    _, told = run("2xh8m627722vw")
    assert "\n  score      1.5: url.listed 2.5, (rule.trial 2), statistics.ham -1\n" in told
    for content, expected in (({"facts": [], "score": None}, False), ({"facts": [], "score": 0.0}, True)):
        daemon.rows = [ACCEPTED, {**OUTCOME, "content": content}]
        assert ("  score " in run("2xh8m627722vw")[1]) is expected


def test_what_would_make_an_exception_to_a_total_stands_behind_it(daemon: Daemon, run: Any) -> None:
    clues = [
        {"name": "rule.trial", "points": 9.0, "shadow": True, "detail": ""},
        {"name": "url.mismatch", "points": 2.5, "shadow": False, "detail": ""},
    ]
    content = {"flow": "inbound", "cause": "points(15: …)", "facts": [], "score": 15.0, "clues": clues}
    daemon.rows = [ACCEPTED, {**OUTCOME, "id": ACCEPTED["id"], "content": content}]
    _, told = run("2xh8m627722vw")
    exceptions = told[told.rindex("An exception:") :]
    assert "    policyd allow 198.18.0.9 --for 30d --why '…'    # spare this client points" in exceptions
    assert "    flows.inbound.points: {url.mismatch: 0}    # in the configuration: what" in exceptions
    _, told = run("2xh8m627722vw", "--json")
    advice = json.loads(told.splitlines()[-1])["advice"]
    assert [one["command"].split()[0] for one in advice][-1] == "flows.inbound.points:"
    daemon.rows[1] = {**daemon.rows[1], "findings": ["points"], "content": {**content, "cause": ""}}
    assert "flows.inbound.points" in run("2xh8m627722vw")[1]
    for other in ({"cause": "office-macro:2/a.docm"}, {"cause": ""}):
        daemon.rows = [ACCEPTED, {**OUTCOME, "content": {**content, **other}}]
        assert "flows.inbound.points" not in run("2xh8m627722vw")[1]


DIGEST = "3753cf91bd3e95e99fb908e30691d8e2fa7fd43a"


def content(name: str, **fact: str) -> dict[str, Any]:
    facts = [{"kind": "finding", "name": name, "part": "2/a", "detail": f"#{DIGEST[::-1]}", **fact}]
    return {"flow": "inbound", "cause": f"{name}:2/a", "facts": facts * 2}


@pytest.mark.parametrize(
    ("outcome", "commands"),
    [
        (
            {"content": content("office-macro", digest=DIGEST)},
            [f"contentfilter macros allow {DIGEST} --to open.example --for 180d --why '…'"],
        ),
        (
            {"content": content("office-macro", digest=DIGEST), "action": "quarantine"},
            [
                "contentfilter quarantine release 2xh8m627722vw",
                f"contentfilter macros allow {DIGEST} --to open.example --for 180d --why '…'",
            ],
        ),
        ({"content": content("office-macro")}, ["domains.open.example.actions: {office-macro: tag}"]),
        ({"content": content("executable")}, ["domains.open.example.actions: {executable: tag}"]),
        ({"content": {**content("executable"), "flow": "outbound"}}, []),
        ({"content": content("executable"), "action": "tag"}, []),
        ({"content": content("virus")}, []),
        ({"content": None}, []),
    ],
)
def test_what_would_make_an_exception_to_a_finding(
    daemon: Daemon, run: Any, outcome: dict[str, Any], commands: list[str]
) -> None:
    other = {**REFUSED, "instance": "1b.1.0", "recipient": "x@elsewhere.example"}
    daemon.rows = [other, {**ACCEPTED, "stage": "DATA"}, {**OUTCOME, **outcome}]
    _, told = run("eve@open.example", "--json")
    advice = json.loads(told.splitlines()[-1]).get("advice", [])
    assert [one["command"] for one in advice] == commands


def test_several_mails_are_listed(daemon: Daemon, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    daemon.rows = [REFUSED, {**ACCEPTED, "instance": "1b.1.0"}, OUTCOME]
    _, told = run("198.18.0.9")
    head, first, second, *_ = told.splitlines()
    assert head.split() == [
        "TIME",
        "ID",
        "STAGE",
        "ACTION",
        "REASON",
        "POINTS",
        "CONTENT",
        "CLIENT",
        "SENDER",
        "RECIPIENT",
    ]
    assert first.split()[2:4] == ["1xh8m627722vw", "RCPT"]
    assert second.split()[5:8] == ["relay-registered-domain", "7.5", "reject"]
    assert "policyd explain ID" in told
    _, told = run("198.18.0.9", "--full")
    assert told.count("  why  ") == 2


def test_the_list_fits_a_terminal(daemon: Daemon, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    end = {**ACCEPTED, "stage": "END-OF-MESSAGE", "reason": "rate-octets", "time": REFUSED["time"] + 60}
    daemon.rows = [REFUSED, {**end, "points": None, "instance": "1b.1.0"}]
    assert (
        run("198.18.0.9")[1]
        == """\
TIME                 ID             STAGE  ACTION  REASON
    POINTS  CONTENT  CLIENT      SENDER              RECIPIENT
2027-01-15 08:00:00  1xh8m627722vw  RCPT   reject  sender_domain-no-mail-host
    7.5     -        198.18.0.9  alice@gone.example  eve@open.example
2027-01-15 08:01:00  2xh8m627722vw  END    accept  rate-octets
    -       -        198.18.0.9  alice@gone.example  eve@open.example

policyd explain ID says all of one mail.
"""
    )


def test_a_bounce_is_listed_and_the_end_of_a_mail_that_says_nothing_is_not(
    daemon: Daemon, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    end = {**ACCEPTED, "stage": "END-OF-MESSAGE", "sender": "", "instance": "1b.1.0"}
    daemon.rows = [{**REFUSED, "sender": ""}, {**end, "reason": "no-opinion"}, {**end, "reason": "rate-x"}]
    _, told = run("198.18.0.9")
    _, first, second, *rest = told.splitlines()
    assert first.split()[-2:] == ["<>", "eve@open.example"]
    assert second.split()[3:6] == ["END", "accept", "rate-x"]
    assert rest == ["", "policyd explain ID says all of one mail."]


def test_json_has_everything_and_what_to_do(daemon: Daemon, run: Any) -> None:
    daemon.rows = [REFUSED, OUTCOME]
    _, told = run("1xh8m627722vw", "--json")
    decision, outcome = map(json.loads, told.splitlines())
    assert decision.pop("advice")[0]["command"] == "policyd allow 198.18.0.9 --for 30d --why '…'"
    assert (decision, outcome) == (REFUSED, OUTCOME)


def test_nothing_is_a_negative_answer(daemon: Daemon, run: Any, capsys: Any) -> None:
    assert run("198.18.0.9") == (1, "")
    assert "nothing of it" in capsys.readouterr().err


def test_what_may_be_missing_is_said(daemon: Daemon, run: Any, capsys: Any) -> None:
    daemon.rows = [{"kind": "notice", "text": "the journal cannot be written"}, REFUSED]
    assert run("198.18.0.9", "--limit", "1")[0] == 0
    err = capsys.readouterr().err
    assert "policyd: the journal cannot be written" in err
    assert "only the latest 1 are shown" in err


@pytest.mark.parametrize(
    "words", [(), ("x", "--limit", "0"), ("x", "--limit", "1001"), ("x", "--limit", "many")]
)
def test_usage(daemon: Daemon, run: Any, words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*words)
    assert ended.value.code == 2


@pytest.mark.parametrize(
    ("changes", "commands"),
    [
        ({"reason": "relay-foreign-domain"}, [""]),
        ({"reason": "recipient-unknown"}, ["forget eve@open.example"]),
        ({"reason": "greylist-new", "action": "defer", "sender": "", "recipient": ""}, ["allow 198.18.0.9"]),
        (
            {"reason": "rate-messages", "action": "defer", "user": "ada"},
            ["allow ada --as user", "allow 198.18.0.9"],
        ),
        (
            {
                "reason": "exceptions-deny-user",
                "facts": [{"check": "exceptions", "fact": "deny", "named": "user", "what": "ada b"}],
            },
            ["exceptions remove 'ada b' --as user"],
        ),
        ({"action": "accept"}, ["deny 198.18.0.9", "deny alice@gone.example"]),
        ({"action": "accept", "stage": "DATA"}, []),
        (
            {"pseudonymised": True, "client": "a1b2", "sender": "c3", "recipient": ""},
            ["allow CLIENT", "allow SENDER"],
        ),
        (
            {"sender": "$(reboot)@x.example", "recipient": ""},
            ["allow 198.18.0.9", "allow '$(reboot)@x.example'"],
        ),
        ({"sender": "\x1b[2Ja@x.example", "recipient": ""}, ["allow 198.18.0.9", "allow SENDER"]),
        ({"sender": "--by=a@x.example", "recipient": ""}, ["allow 198.18.0.9", "allow SENDER"]),
    ],
)
def test_advice(changes: dict[str, Any], commands: list[str]) -> None:
    given = [command for command, _ in advice({**REFUSED, **changes})]
    assert [one.removeprefix("policyd ").partition(" --for")[0] for one in given] == commands
