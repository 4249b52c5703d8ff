"""The command line, with the control socket replaced."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mailbase.lists import showing
from mailbase.printing import MAX_CELL, write
from policyd import cli

from .answering import Daemon


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Daemon:
    daemon = Daemon()
    monkeypatch.setattr(cli, "ask", daemon.ask)
    monkeypatch.setattr(showing, "ask", daemon.ask)
    return daemon


@pytest.fixture
def run(config: str) -> Callable[..., int]:
    def run(*words: str) -> int:
        position = 2 if words[0] == "greylist" else 1
        return cli.main([*words[:position], "--config", config, *words[position:]])

    return run


def test_check_says_ok_and_what_is_registered(run: Any, capsys: Any, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("servers: {m.x.example: {domains: {x.example: , y.example: }}}")
    assert run("serve", "--check", "--set", "registry=r.yaml") == 0
    assert "ok; 1 servers, 2 domains registered" in capsys.readouterr().out


def test_check_warns_of_what_is_for_tests_alone(run: Any, capsys: Any) -> None:
    target = 'policyd.callout.test_targets={m.x.example: "127.0.0.1:25"}'
    assert run("serve", "--check", "--set", target) == 0
    assert "warning: m.x.example is called at its test target" in capsys.readouterr().err


def test_check_tells_every_mistake_with_its_place(run: Any, capsys: Any, tmp_path: Path) -> None:
    (tmp_path / "postwarden.yaml").write_text("policyd:\n  lisen: x\n  greylist: {delay: soon}\n")
    assert run("serve", "--check") == 78
    errors = capsys.readouterr().err
    assert "postwarden.yaml:2: policyd.lisen" in errors
    assert "postwarden.yaml:3: policyd.greylist.delay" in errors


def test_check_reads_the_allowlists(run: Any, capsys: Any, tmp_path: Path) -> None:
    (tmp_path / "clients").write_text("fine.example\n/(/\n")
    assert run("serve", "--check", "--set", "policyd.greylist.clients=[clients]") == 78
    assert "clients:2: not a regular expression" in capsys.readouterr().err
    (tmp_path / "clients").write_text("fine.example\nnot a name\n")
    assert run("serve", "--check", "--set", "policyd.greylist.clients=[clients]") == 0
    assert "clients:2: skipped" in capsys.readouterr().err


ANSWER = {
    "reply": "554 5.7.1 no [x]",
    "action": "reject",
    "flow": "inbound",
    "reason": "relay-foreign-domain",
    "facts": [{"check": "relay", "fact": "denied", "reason": "foreign-domain"}],
}


@pytest.mark.parametrize(("action", "status"), [("accept", 0), ("defer", 1), ("reject", 1)])
def test_query_prints_the_answer_and_exits_by_it(
    run: Any, daemon: Daemon, capsys: Any, action: str, status: int
) -> None:
    daemon.final = {**ANSWER, "action": action}
    assert run("query", "sender=a=b@x.example", "recipient=") == status
    assert daemon.asked[0] == ("query", {"attributes": {"sender": "a=b@x.example", "recipient": ""}})
    assert json.loads(capsys.readouterr().out) == daemon.final


def test_query_on_a_terminal_is_for_people(
    run: Any, daemon: Daemon, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.final = ANSWER
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    run("query", "sender=x")
    printed = capsys.readouterr().out
    assert "reply:  554 5.7.1 no [x]" in printed
    assert "CHECK  FACT" in printed


def test_query_with_something_else_than_name_and_value_is_misuse(
    run: Any, daemon: Daemon, capsys: Any
) -> None:
    assert run("query", "sender") == 2
    assert "expected NAME=VALUE" in capsys.readouterr().err
    assert not daemon.asked


@pytest.mark.parametrize(
    ("argument", "warning"),
    [
        ("client_adress=192.0.2.1", "Postfix sends no 'client_adress'; did you mean 'client_address'?"),
        ("client_address=192.0.2.300", "client_address is no IP address: '192.0.2.300'"),
        ("protocol_state=data", "Postfix has no protocol_state 'data'; "),
        ("client_address=IPv6:2001:db8::1", ""),
        ("protocol_state=END-OF-MESSAGE", ""),
        ("tls_sni=mx.example.org", ""),
    ],
)
def test_query_tells_of_what_is_hardly_meant(
    run: Any, daemon: Daemon, capsys: Any, argument: str, warning: str
) -> None:
    daemon.final = {**ANSWER, "action": "accept"}
    assert run("query", argument) == 0
    told = capsys.readouterr().err
    assert warning in told
    assert bool(told) == bool(warning)


ROW = {
    "kind": "triplet",
    "state": "waiting",
    "identity": "192.0.2.0/24",
    "sender": "a@x",
    "recipient": "b@y",
    "first": 0,
    "last": 0,
    "expires": 1,
}


def test_list_prints_a_line_for_each_entry(run: Any, daemon: Daemon, capsys: Any) -> None:
    daemon.rows = [ROW] * 5
    assert run("greylist", "list") == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [ROW] * 5
    assert run("greylist", "list", "--limit", "2", "--kind", "clients") == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert daemon.asked[-1] == ("greylist.list", {"kind": "clients"})


def test_list_on_a_terminal_is_a_table(
    run: Any, daemon: Daemon, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.rows = [ROW]
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    run("greylist", "list")
    head, line = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["IDENTITY", "SENDER", "RECIPIENT", "STATE"]
    assert line.split()[:4] == ["192.0.2.0/24", "a@x", "b@y", "waiting"]
    run("greylist", "list", "--json")
    assert json.loads(capsys.readouterr().out) == ROW


def test_show_finds_or_exits_1(run: Any, daemon: Daemon, capsys: Any) -> None:
    assert run("greylist", "show", "a@x") == 1
    assert "nothing is remembered" in capsys.readouterr().err
    daemon.rows = [ROW]
    assert run("greylist", "show", "a@x") == 0
    assert daemon.asked[-1] == ("greylist.show", {"term": "a@x"})


def test_allow_and_forget(run: Any, daemon: Daemon, capsys: Any) -> None:
    daemon.final = {"allowed": "192.0.2.0/24"}
    assert run("greylist", "allow", "192.0.2.0/24", "--for", "1h", "--comment", "why") == 0
    arguments = {"network": "192.0.2.0/24", "comment": "why", "seconds": 3600.0}
    assert daemon.asked[-1] == ("greylist.allow", arguments)
    daemon.final = {"forgotten": 3, "more": False}
    assert run("greylist", "forget", "x.example") == 0
    assert "3 entries forgotten" in capsys.readouterr().out
    daemon.final = {"forgotten": 0, "more": False}
    assert run("greylist", "forget", "x.example") == 1


@pytest.mark.parametrize(
    ("known", "served", "status", "text"),
    [
        (True, True, 0, "a@x.example is forgotten; its server is asked at the next mail"),
        (False, True, 0, "a@x.example was not known; its server is asked at the next mail"),
        (True, False, 1, "policyd: a@x.example is not registered"),
    ],
)
def test_recipients_are_forgotten(
    run: Any, daemon: Daemon, capsys: Any, known: bool, served: bool, status: int, text: str
) -> None:
    daemon.final = {"forgotten": "a@x.example", "known": known, "served": served}
    assert run("forget", "A@x.example") == status
    assert daemon.asked[-1] == ("forget", {"term": "A@x.example"})
    said = capsys.readouterr()
    assert text in said.out + said.err


def test_no_daemon_is_told_and_exits_1(run: Any, daemon: Daemon, capsys: Any) -> None:
    daemon.error = "/run/p.sock: no daemon listens there"
    for words in (("query", "a=b"), ("forget", "x"), ("greylist", "list"), ("greylist", "forget", "x")):
        assert run(*words) == 1
        assert "policyd: /run/p.sock: no daemon listens there" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["greylist"],
        ["nonsense"],
        ["greylist", "list", "--kind", "x"],
        ["greylist", "list", "--limit", "-1"],
        ["greylist", "allow", "192.0.2.1", "--for", "soon"],
        ["query"],
    ],
)
def test_misuse_exits_2(words: list[str], capsys: Any) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["serve"],
        ["query"],
        ["lists"],
        ["greylist", "list"],
        ["greylist", "show"],
        ["greylist", "allow"],
        ["greylist", "forget"],
    ],
)
def test_every_command_has_help_with_an_example(words: list[str], capsys: Any) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([*words, "--help"])
    assert caught.value.code == 0
    assert f"Example: policyd {' '.join(words)}" in capsys.readouterr().out


def test_a_missing_configuration_exits_78(capsys: Any) -> None:
    assert cli.main(["serve", "--check", "--config", "/nonexistent.yaml"]) == 78


@pytest.mark.parametrize(("state", "status"), [("on", 0), ("untested", 0), ("off", 1)])
def test_lists_are_shown_and_one_that_is_off_is_a_negative_answer(
    daemon: Daemon, run: Any, capsys: Any, state: str, status: int
) -> None:
    daemon.rows = [{"list": "a", "state": "on"}, {"list": "b", "state": state, "detail": "no answer"}]
    assert run("lists") == status
    assert daemon.asked[0][0] == "lists"
    assert [json.loads(line)["list"] for line in capsys.readouterr().out.splitlines()] == ["a", "b"]


# Tables


def table(rows: list[dict[str, Any]], *columns: str) -> list[str]:
    stream = io.StringIO()
    write(stream, rows, columns, False)
    return stream.getvalue().splitlines()


def test_columns_are_aligned_and_hostile_text_is_tamed() -> None:
    lines = table([{"a": "x", "b": None}, {"a": "\x1b[31m\nlong", "b": "y" * 100}], "a", "b")
    assert lines[0].index("B") == lines[1].index("-") == lines[2].index("y")
    assert all(line.isprintable() for line in lines)
    assert len(lines[2]) <= 2 * MAX_CELL + 2


def test_an_endless_listing_is_printed_as_it_comes() -> None:
    def endless() -> Iterator[dict[str, Any]]:
        number = 0
        while True:
            number += 1
            yield {"a": number}

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            if self.tell() > 10_000:
                raise BrokenPipeError
            return super().write(text)

    for as_json in (True, False):
        with pytest.raises(BrokenPipeError):
            write(Full(), endless(), ("a",), as_json)


def test_an_empty_list_says_so_on_standard_error(run: Any, daemon: Daemon, capsys: Any) -> None:
    assert run("greylist", "list") == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "nothing is remembered\n")
