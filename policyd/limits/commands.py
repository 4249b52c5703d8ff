"""The command line of limits: ``policyd limits``; see :mod:`policyd.cli`."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from mailbase.arguments import Command, add_form
from mailbase.commandline import NEGATIVE, OK
from mailbase.config import load
from mailbase.control.client import ask
from mailbase.printing import wants_json, write

COLUMNS = ("limit", "subject", "of", "used", "allowed", "expires")
SEARCH_TIMEOUT = 600.0
"""Seconds to wait for a search through millions of entries."""


def add_commands(commands: Any, command: Command) -> None:
    """Add it to the subcommands of policyd."""
    limits = commands.add_parser("limits", help="look into and set free what is used of limits")
    verbs = limits.add_subparsers(metavar="COMMAND", required=True)
    listing = command(verbs, "list", "list all that is in use", "policyd limits list")
    add_form(listing)
    listing.set_defaults(run=_show, term=None)
    show = command(verbs, "show", "show what TERM has in use", "policyd limits show anna")
    _term(show)
    add_form(show)
    show.set_defaults(run=_show)
    forget = command(verbs, "forget", "set free what TERM has in use", "policyd limits forget 192.0.2.0/24")
    _term(forget)
    forget.set_defaults(run=_forget)


def _term(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("term", metavar="TERM", help="IP address, network, user, domain, or a limit's name")


def _path(options: argparse.Namespace) -> str:
    return load(options.config, options.overrides).policyd.control


def _show(options: argparse.Namespace) -> int:
    if options.term is None:
        answer = ask(_path(options), "limits.list", SEARCH_TIMEOUT)
    else:
        answer = ask(_path(options), "limits.show", SEARCH_TIMEOUT, term=options.term)
    found = write(sys.stdout, answer, COLUMNS, wants_json(sys.stdout, options.json))
    if not found:
        print("nothing is in use", file=sys.stderr)
    return OK if found or options.term is None else NEGATIVE


def _forget(options: argparse.Namespace) -> int:
    answer = ask(_path(options), "limits.forget", SEARCH_TIMEOUT, term=options.term).wait()
    more = "; there are more, ask again" if answer.get("more") else ""
    print(f"{answer['forgotten']} set free{more}")
    return OK if answer["forgotten"] else NEGATIVE
