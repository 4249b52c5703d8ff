"""The command line of ``postwarden registry``."""

from __future__ import annotations

import argparse

from postwarden.registry import list as listing
from postwarden.usage import Commands, add_command, add_configuration, add_json


def add(commands: Commands) -> None:
    """Add ``registry`` and its commands."""
    registry = commands.add_parser("registry", help="the registered servers, domains and systems")
    below = registry.add_subparsers(required=True, metavar="COMMAND")
    _add_list(below)


def _add_list(commands: Commands) -> None:
    command = add_command(
        commands,
        "list",
        "print what is registered",
        "postwarden registry list --admin berg@inst.example --kind system",
    )
    add_configuration(command)
    add_servers(command)
    command.add_argument(
        "--admin",
        metavar="ADDRESS",
        action="append",
        default=[],
        help="only servers that this administrator or deputy looks after; repeatable",
    )
    command.add_argument(
        "--kind", choices=listing.KINDS, action="append", help="only these kinds of entry; repeatable"
    )
    add_json(command)
    command.set_defaults(run=listing.run)


def add_servers(command: argparse.ArgumentParser) -> None:
    """Add the names of servers that a command is about."""
    command.add_argument("server", nargs="*", help="only these servers")
