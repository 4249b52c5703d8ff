"""Arguments that both daemons' commands take."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from contentfilter import cli as contentfilter
from mailbase import __version__
from mailbase.commandline import duration, giver, moment
from policyd import cli as policyd
from postwarden import cli as postwarden


def test_durations_and_times() -> None:
    assert duration("30d") == 30 * 86400
    assert moment("2030-12-24T18:00+00:00") == 1924365600


@pytest.mark.parametrize("text", ["", "soon", "2030-13-01", "0001-01-01", "9999-12-31T23:59:59-23:59", "1"])
def test_what_is_no_time_is_told(text: str) -> None:
    try:
        moment(text)
    except argparse.ArgumentTypeError as error:
        assert "2030-12-24" in str(error)  # noqa: PT017 - some of them are times on some machines


def test_no_duration() -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        duration("a while")


def test_who_gives_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "ada")
    assert giver() == "ada"
    monkeypatch.delenv("SUDO_USER")
    monkeypatch.setattr("os.getuid", lambda: 4_000_000_000)
    assert giver() == "uid 4000000000"


@pytest.mark.parametrize("program", [policyd, contentfilter, postwarden], ids=lambda cli: cli.__name__)
def test_every_command_tells_its_version(program: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        program.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"{program.__name__.partition('.')[0]} {__version__}\n"
