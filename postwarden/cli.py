"""``postwarden``: the operator's command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mailbase.arguments import Parser, add_command, add_configuration, add_form, add_json
from mailbase.commandline import STATUSES, add_version, finish, place
from postwarden.dkim import commands as dkim
from postwarden.registry import commands as registry


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``postwarden``; returns the exit status.

    Arguments:
        arguments: of the command line, without the program's name; ``sys.argv`` if None.
    """

    def run() -> int:
        options = parser().parse_args(arguments)
        return int(options.run(options))

    return finish("postwarden", run)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = Parser(prog="postwarden", description="The operator's side of a mail gateway.", epilog=STATUSES)
    add_version(top)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    show = add_command(
        commands,
        "demo",
        "bring up the whole gateway on loopback, send sample mails, show what came of them",
        "postwarden demo --keep",
    )
    how = show.add_mutually_exclusive_group()
    how.add_argument("--keep", action="store_true", help="go on serving until Ctrl-C")
    how.add_argument("--exit", action="store_false", dest="keep", help="end after the table; the default")
    show.add_argument(
        "--folder", type=place, default=Path(".run"), help="configuration, state, logs; default: .run"
    )
    add_json(show)
    show.add_argument(
        "--no-sudo",
        action="store_true",
        help="without root, do not ask sudo: a small front end replaces Postfix",
    )
    show.set_defaults(run=_demo)

    doctor = add_command(
        commands,
        "doctor",
        "look at the gateway itself: its names in DNS, Postfix's settings, the daemons; print what to change",
        "postwarden doctor",
    )
    add_configuration(doctor, "dns.servers=[192.0.2.53]")
    doctor.add_argument(
        "--postfix",
        type=place,
        metavar="FOLDER",
        help="Postfix's configuration; default: what postconf takes",
    )
    add_form(doctor)
    doctor.set_defaults(run=_doctor)

    registry.add(commands)
    dkim.add(commands)
    return top


def _doctor(options: argparse.Namespace) -> int:
    from postwarden.doctor.command import run  # with it comes all of Twisted

    return run(options)


def _demo(options: argparse.Namespace) -> int:
    # Which takes as long as all the rest.
    from postwarden.demo.root import become_root
    from postwarden.demo.run import demo

    if not options.no_sudo:
        become_root()
    return demo(options.folder, options.keep, options.json)
