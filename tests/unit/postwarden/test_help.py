"""All three commands explain themselves in one manner."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import pytest

import contentfilter.cli
import policyd.cli
import postwarden.cli

PARSERS = (policyd.cli._parser(), contentfilter.cli._parser(), postwarden.cli.parser())


def commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield parser
    for action in below:
        for one in action.choices.values():
            yield from commands(one)


COMMANDS = [one for parser in PARSERS for one in commands(parser)]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.prog)
def test_each_has_an_example_that_works(command: argparse.ArgumentParser) -> None:
    assert command.epilog is not None
    example = command.epilog.removeprefix("Example: ")
    assert example.startswith(command.prog)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.prog)
def test_all_options_are_explained_in_the_same_words(command: argparse.ArgumentParser) -> None:
    options = {action.option_strings[0]: action for action in command._actions if action.option_strings}
    assert all(action.help for action in command._actions)
    assert "(default" not in command.format_help()
    if "--config" in options:
        assert "default: /etc/postwarden/postwarden.yaml" in command.format_help()
        assert options["--set"].metavar == "KEY=VALUE"
        assert str(options["--set"].help).startswith("override a setting, such as ")
    if "--json" in options and options["--json"].nargs == 0:
        assert str(options["--json"].help).startswith("one JSON object a line")
        assert ("--table" in options) == ("also on a terminal" in str(options["--json"].help))
    for name in (action.metavar for action in command._actions if not action.option_strings):
        assert isinstance(name, str)
        assert name == name.upper()


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.prog)
def test_each_tells_its_exit_statuses(parser: argparse.ArgumentParser) -> None:
    assert "78 bad configuration" in " ".join(parser.format_help().split())
