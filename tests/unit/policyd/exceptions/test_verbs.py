"""The commands for exceptions on the control socket: set, replaced, taken back, refused."""

from __future__ import annotations

from typing import Any

import pytest

from mailbase.control import ControlError
from policyd.exceptions import book as book_module

from .asked import Asked


def test_a_rule_can_be_taken_back(bench: Any, asked: Asked) -> None:
    asked.deny("192.0.2.0/24")
    assert asked.ask("exceptions.remove", what="192.0.2.1")["removed"] is None
    assert asked.ask("exceptions.remove", what="192.0.2.0/24")["removed"]["effect"] == "deny"
    assert bench.action() == "DEFER_IF_PERMIT"
    bench.restart()
    assert bench.action() == "DEFER_IF_PERMIT"


def test_what_has_two_rules_is_taken_back_by_kind(bench: Any, asked: Asked) -> None:
    asked.deny("sender.example", "sender")
    asked.allow("sender.example", "client")
    with pytest.raises(ControlError, match="say --as client or --as sender"):
        asked.ask("exceptions.remove", what="sender.example")
    asked.ask("exceptions.remove", what="sender.example", **{"as": "sender"})
    assert [rule["as"] for rule in asked.ask("exceptions.list")] == ["client"]


def test_setting_a_rule_says_which_it_replaces_and_logs_who_did_it(bench: Any, asked: Asked) -> None:
    asked.deny("192.0.2.1", by="ada")
    answer = asked.allow("192.0.2.1", by="bob", why="mistake")
    assert (answer["rule"]["effect"], answer["before"]["by"]) == ("allow", "ada")
    line = bench.stream.getvalue().splitlines()[-1]
    assert (
        "event=exception-set effect=allow named=client network=192.0.2.1 until=- by=bob why=mistake" in line
    )
    assert "peer=uid:0,pid:1" in line


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"what": 1},
        {"what": "192.0.2.1", "effect": "none"},
        {"what": "192.0.2.1", "seconds": 0},
        {"what": "192.0.2.1", "seconds": -5},
        {"what": "192.0.2.1", "seconds": True},
        {"what": "192.0.2.1", "seconds": 1e300},
        {"what": "192.0.2.1", "as": "planet"},
        {"what": "192.0.2.1", "as": ["client"]},
        {"what": "\ud800\n@x.example"},
        {"what": "192.0.2.1", "by": None},
    ],
)
def test_hostile_commands_change_nothing(bench: Any, asked: Asked, arguments: dict[str, Any]) -> None:
    with pytest.raises(ControlError):
        asked.ask("exceptions.put", **{"effect": "deny", **arguments})
    assert bench.book.living() == []


def test_there_are_at_most_so_many_rules(bench: Any, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_module, "MAX_RULES", 2)
    asked.deny("192.0.2.1")
    asked.deny("192.0.2.2")
    with pytest.raises(ControlError, match="2 exceptions already"):
        asked.deny("192.0.2.3")
    asked.allow("192.0.2.2")
