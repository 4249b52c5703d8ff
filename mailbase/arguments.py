"""What the command lines have in common: how a command is added, and the arguments that most of them take."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeAlias

from mailbase.documents.problems import readable

DEFAULT_CONFIG = Path("/etc/postwarden/postwarden.yaml")

Commands: TypeAlias = "argparse._SubParsersAction[Parser]"
"""What ``add_subparsers`` gives."""

_LONG = re.compile(r"(\S{97})\S{4,}")
"""A word of more than a hundred characters, and how it begins."""
_MOST = 1000
"""Characters of a message."""


class Parser(argparse.ArgumentParser):
    """Shows what was typed in short and as plain text, where it is wrong: it may be a whole file by slip."""

    def error(self, message: str) -> NoReturn:
        """As argparse does it; ends the program."""
        super().error(readable(_LONG.sub(r"\1...", message), _MOST))


class Command(Protocol):
    """Adds a subcommand with the arguments that all of a program have."""

    def __call__(self, commands: Any, name: str, text: str, example: str) -> argparse.ArgumentParser: ...


def add_command(commands: Commands, name: str, text: str, example: str) -> argparse.ArgumentParser:
    """A command with its one line of help and an example."""
    return commands.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + ".", epilog=f"Example: {example}"
    )


def add_configuration(
    command: argparse.ArgumentParser, example: str, default: Path | None = DEFAULT_CONFIG
) -> None:
    """Add ``--config`` and ``--set``, which becomes ``overrides``.

    Arguments:
        example: of a setting, ``key.path=value``.
        default: None where it makes a difference whether a file is named.
    """
    command.add_argument(
        "--config", type=Path, default=default, metavar="FILE", help=f"default: {DEFAULT_CONFIG}"
    )
    command.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=f"override a setting, such as {example}; repeatable",
    )


def add_json(command: argparse.ArgumentParser) -> None:
    """Add ``--json`` to a command that prints text wherever its output goes."""
    command.add_argument("--json", action="store_true", help="one JSON object a line")


def add_form(command: argparse.ArgumentParser) -> None:
    """Add ``--json`` and ``--table``, which become ``json``; None where the output decides."""
    form = command.add_mutually_exclusive_group()
    form.add_argument(
        "--json", action="store_true", default=None, help="one JSON object a line, also on a terminal"
    )
    form.add_argument(
        "--table",
        dest="json",
        action="store_false",
        default=None,
        help="text to read, also where the output is no terminal",
    )
