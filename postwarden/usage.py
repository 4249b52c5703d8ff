"""What the commands of ``postwarden`` have in common on the command line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeAlias

DEFAULT_CONFIG = Path("/etc/postwarden/postwarden.yaml")

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""What ``add_subparsers`` gives."""


def add_command(commands: Commands, name: str, text: str, example: str) -> argparse.ArgumentParser:
    """A command with its one line of help and an example."""
    return commands.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + ".", epilog=f"Example: {example}"
    )


def add_configuration(command: argparse.ArgumentParser) -> None:
    """Add ``--config`` and ``--set``."""
    command.add_argument(
        "--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE", help=f"default: {DEFAULT_CONFIG}"
    )
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a setting, such as registry=other.yaml; repeatable",
    )


def add_json(command: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    command.add_argument("--json", action="store_true", help="one JSON object a line, also on a terminal")
