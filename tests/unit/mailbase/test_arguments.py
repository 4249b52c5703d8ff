"""Arguments that commands of all three programs take."""

from __future__ import annotations

import argparse
import io
from typing import Any

import pytest

from contentfilter import cli as contentfilter
from mailbase.arguments import Parser, add_form
from mailbase.printing import wants_json
from policyd import cli as policyd
from postwarden import cli as postwarden
from tests.unit.terminal import Terminal


@pytest.mark.parametrize(
    ("arguments", "on_a_terminal", "elsewhere"),
    [([], False, True), (["--json"], True, True), (["--table"], False, False)],
)
def test_the_output_decides_unless_it_is_said(
    arguments: list[str], on_a_terminal: bool, elsewhere: bool
) -> None:
    command = argparse.ArgumentParser()
    add_form(command)
    asked = command.parse_args(arguments).json
    assert wants_json(Terminal(), asked) is on_a_terminal
    assert wants_json(io.StringIO(), asked) is elsewhere


def test_one_of_both() -> None:
    command = argparse.ArgumentParser()
    add_form(command)
    with pytest.raises(SystemExit):
        command.parse_args(["--json", "--table"])


@pytest.mark.parametrize("program", [policyd, contentfilter, postwarden], ids=lambda cli: cli.__name__)
def test_what_was_typed_is_shown_in_short_and_as_plain_text(
    program: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        program.main(["\x1b[31m" + "x" * 200_000])
    told = capsys.readouterr().err
    assert (ended.value.code, len(told) < 1000, "\x1b" in told) == (2, True, False)
    # What there is instead stays.
    assert "xxx... (choose from " in told


def test_what_was_typed_with_blanks_is_cut_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        Parser(prog="x").error("grüße " * 100_000)
    told = capsys.readouterr().err
    assert (told.count("grüße") > 10, len(told) < 1100, told.endswith("...\n")) == (True, True, True)
