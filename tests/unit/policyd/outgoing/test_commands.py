"""``policyd outgoing`` on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from policyd import cli
from policyd.outgoing import commands

from .watched import World


class Answer:
    """What the control socket's client gives."""

    def __init__(self, told: Any) -> None:
        self._told = told

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._told)

    def wait(self) -> dict[str, Any]:
        assert isinstance(self._told, dict)
        return self._told


@pytest.fixture
def world() -> World:
    world = World("users: {suspend: {messages: 50}}")
    world.mail(50)
    world.mail(3, user="bob")
    return world


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    (tmp_path / "c.yaml").write_text("")

    def ask(path: str, verb: str, timeout: float = 0, **arguments: Any) -> Answer:
        return Answer(world.verb(verb, **arguments))

    monkeypatch.setattr(commands, "ask", ask)
    return lambda *words: cli.main(["outgoing", *words, "--config", str(tmp_path / "c.yaml")])


def test_list(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 0
    assert [json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()] == ["ada", "bob"]
    assert run("list", "--odd") == 0
    assert [json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()] == ["ada"]


def test_show(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("show", "nobody") == 1
    assert "nothing is known of it" in capsys.readouterr().err
    monkeypatch.setattr(commands, "wants_json", lambda *_: False)
    assert run("show", "ada") == 0
    told = capsys.readouterr().out
    assert "user ada: suspended until " in told
    assert "messages: 50 in an hour, nothing usual known, limit 50" in told
    assert run("show", "bob") == 0
    assert "user bob: quiet" in capsys.readouterr().out


def test_lift_and_accept(run: Callable[..., int], capsys: pytest.CaptureFixture[str], world: World) -> None:
    assert run("lift", "nobody") == 1
    assert run("lift", "ada", "--by", "helpdesk") == 0
    assert "ada is not suspended any more; it is judged anew" in capsys.readouterr().out
    assert "by=helpdesk" in world.stream.getvalue()
    assert run("accept", "ada") == 0
    assert "ada was not suspended; it is judged anew, and what it sent is usual" in capsys.readouterr().out
