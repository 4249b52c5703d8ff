"""The command line: help, exit statuses, the configuration looked at, the lists of links."""

from __future__ import annotations

import json

import pytest

from mailbase.lists import showing
from tests.samples.dkim_keys import lay_down

from .called import run


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("serve",),
        ("scan",),
        ("quarantine",),
        ("quarantine", "list"),
        ("quarantine", "show"),
        ("quarantine", "release"),
        ("quarantine", "delete"),
        ("macros",),
        ("macros", "allow"),
        ("macros", "list"),
        ("macros", "remove"),
    ],
)
def test_help_is_there_with_an_example(command, capsys):
    assert run(*command, "--help") == 0
    text = capsys.readouterr().out
    assert "Example:" in text or command in ((), ("quarantine",), ("macros",))


@pytest.mark.parametrize(
    "arguments",
    [(), ("scan",), ("scan", "--flow", "sideways", "x"), ("quarantine", "show", "../etc"), ("nonsense",)],
)
def test_wrong_usage_is_2(arguments, capsys):
    assert run(*arguments) == 2
    assert capsys.readouterr().err


def test_bad_configuration_is_78(tmp_path, capsys):
    path = tmp_path / "bad.yaml"
    path.write_text("contentfilter: {nonsense: 1}\n")
    for command in (("serve", "--check"), ("scan", "x"), ("quarantine", "list")):
        assert run(*command[:1], *command[1:], "--config", str(path)) == 78
        assert "bad.yaml:1" in capsys.readouterr().err
    assert run("scan", "--config", str(tmp_path / "missing.yaml"), "x") == 78


def test_check_says_ok_and_touches_nothing(config, tmp_path, capsys):
    assert run("serve", "--check", "--config", config) == 0
    assert capsys.readouterr().out.endswith("ok\n")
    assert not (tmp_path / "q").exists()


def test_check_looks_at_the_keys_too(tmp_path, capsys):
    path = tmp_path / "signs.yaml"
    path.write_text("contentfilter: {signing: {keys: dkim}, allowed_macros: none}\n")
    assert run("serve", "--check", "--config", str(path)) == 78
    assert "dkim cannot be used for DKIM keys: No such file" in capsys.readouterr().err
    lay_down(tmp_path / "dkim")
    assert run("serve", "--check", "--config", str(path)) == 0
    assert "signs with dkim001\n" in capsys.readouterr().out
    (tmp_path / "dkim" / "dkim001.pem").chmod(0o644)
    assert run("serve", "--check", "--config", str(path)) == 78
    assert f"chmod 600 {tmp_path}/dkim/dkim001.pem" in capsys.readouterr().err


@pytest.mark.parametrize(("state", "status"), [("on", 0), ("untested", 0), ("off", 1)])
def test_lists_of_links_are_shown(config, capsys, monkeypatch, state, status):
    rows = [{"list": "a", "state": "on"}, {"list": "b", "state": state, "detail": "no answer"}]
    monkeypatch.setattr(showing, "ask", lambda path, verb: iter(rows) if verb == "lists" else None)
    assert run("lists", "--config", config) == status
    assert [json.loads(line)["list"] for line in capsys.readouterr().out.splitlines()] == ["a", "b"]


def test_lists_of_a_daemon_that_is_not_there(config, capsys):
    assert run("lists", "--config", config, "--set", "contentfilter.control=/nonexistent/socket") == 1
    assert "contentfilter:" in capsys.readouterr().err


def test_no_lists_are_told(config, capsys, monkeypatch):
    monkeypatch.setattr(showing, "ask", lambda path, verb: iter(()))
    assert run("lists", "--config", config) == 0
    assert capsys.readouterr().err == "no list is asked\n"
