"""policyd allow, deny and exceptions: what they ask of the daemon, what they print."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from policyd import cli
from policyd.exceptions import commands

from ..answering import Daemon

RULE = {
    "effect": "allow",
    "as": "client",
    "what": "192.0.2.0/24",
    "expires": None,
    "added": 1_800_000_000,
    "by": "ada",
    "why": "",
}


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Daemon:
    daemon = Daemon()
    monkeypatch.setattr(commands, "ask", daemon.ask)
    monkeypatch.setenv("SUDO_USER", "grace")
    return daemon


@pytest.fixture
def run(config: str) -> Callable[..., int]:
    return lambda *words: cli.main([*words, "--config", config])


def test_allow_and_deny(daemon: Daemon, run: Any, capsys: Any) -> None:
    daemon.final = {"rule": RULE, "before": {**RULE, "effect": "deny", "expires": 1_800_000_000}}
    assert run("allow", "192.0.2.0/24", "--for", "30d", "--why", "newsletter") == 0
    out = capsys.readouterr().out
    assert out.startswith(
        "client 192.0.2.0/24 is allowed for ever\nbefore: client 192.0.2.0/24 is denied until "
    )
    assert run("deny", "ada", "--as", "user", "--by", "abuse team") == 0
    assert daemon.asked == [
        (
            "exceptions.put",
            {
                "effect": "allow",
                "what": "192.0.2.0/24",
                "by": "grace",
                "why": "newsletter",
                "seconds": 30 * 86400.0,
            },
        ),
        ("exceptions.put", {"effect": "deny", "what": "ada", "by": "abuse team", "why": "", "as": "user"}),
    ]


def test_until_a_time(daemon: Daemon, run: Any) -> None:
    daemon.final = {"rule": RULE}
    assert run("deny", "192.0.2.1", "--until", "2999-12-24T18:00") == 0
    expected = time.mktime((2999, 12, 24, 18, 0, 0, 0, 0, -1)) - time.time()
    assert daemon.asked[0][1]["seconds"] == pytest.approx(expected, abs=60)
    assert run("deny", "192.0.2.1", "--until", "2001-01-01") == 2
    assert len(daemon.asked) == 1


@pytest.mark.parametrize(
    "words",
    [
        ("allow",),
        ("allow", "192.0.2.1", "--for", "soon"),
        ("allow", "192.0.2.1", "--until", "tomorrow"),
        ("allow", "192.0.2.1", "--for", "1d", "--until", "2999-01-01"),
        ("deny", "x", "--as", "planet"),
        ("exceptions",),
    ],
)
def test_usage(daemon: Daemon, run: Any, words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*words)
    assert ended.value.code == 2
    assert daemon.asked == []


def test_the_user_is_named_who_is_behind_the_command(
    daemon: Daemon, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.final = {"rule": RULE}
    monkeypatch.delenv("SUDO_USER")
    monkeypatch.setattr("os.getuid", lambda: 0)
    run("deny", "192.0.2.1")
    monkeypatch.setattr("os.getuid", lambda: 4_000_000_000)
    run("deny", "192.0.2.1")
    assert [arguments["by"] for _, arguments in daemon.asked] == ["root", "uid 4000000000"]


def test_exceptions_are_listed(daemon: Daemon, run: Any, capsys: Any) -> None:
    daemon.rows = [RULE]
    assert run("exceptions", "list", "--json") == 0
    assert json.loads(capsys.readouterr().out) == RULE
    daemon.rows = []
    assert run("exceptions", "list") == 0
    assert "there are no exceptions" in capsys.readouterr().err


def test_exceptions_are_taken_back(
    daemon: Daemon, run: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_USER", "ada")
    daemon.final = {"removed": RULE}
    assert run("exceptions", "remove", "192.0.2.0/24", "--as", "client") == 0
    assert capsys.readouterr().out == "taken back: client 192.0.2.0/24 is allowed for ever\n"
    daemon.final = {"removed": None}
    assert run("exceptions", "remove", "192.0.2.0/24", "--by", "abuse team") == 1
    assert [arguments for _, arguments in daemon.asked] == [
        {"what": "192.0.2.0/24", "by": "ada", "as": "client"},
        {"what": "192.0.2.0/24", "by": "abuse team"},
    ]
