"""Arguments that commands of all three programs take."""

from __future__ import annotations

import argparse
import io

import pytest

from mailbase.arguments import add_form
from mailbase.printing import wants_json
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
