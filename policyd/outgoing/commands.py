"""The command line of ``policyd outgoing``; see :mod:`policyd.cli`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from mailbase.arguments import Command, add_form
from mailbase.commandline import NEGATIVE, OK, giver
from mailbase.config import load
from mailbase.control.client import ask
from mailbase.printing import wants_json, write

SEARCH_TIMEOUT = 600.0
"""Seconds to wait for a search through all records."""
COLUMNS = (
    "kind",
    "name",
    "state",
    "hour",
    "usual_hour",
    "day",
    "usual_day",
    "recipients",
    "new",
    "last",
    "until",
)
FIGURES = ("counted", "last_hour", "most_in_an_hour", "last_day", "most_in_a_day")


def add_commands(commands: Any, command: Command) -> None:
    """Add it to the subcommands of policyd."""
    outgoing = commands.add_parser("outgoing", help="what users and registered systems send")
    verbs = outgoing.add_subparsers(metavar="COMMAND", required=True)
    listing = command(
        verbs, "list", "list who sent anything lately, and what is usual", "policyd outgoing list"
    )
    listing.add_argument("--odd", action="store_true", help="only those who were noticed or suspended")
    add_form(listing)
    listing.set_defaults(run=_list)
    show = command(verbs, "show", "show all that is counted of a user or system", "policyd outgoing show ada")
    _name(show)
    add_form(show)
    show.set_defaults(run=_show)
    lift = command(
        verbs,
        "lift",
        "end a suspension; what was sent so far is not judged any more",
        "policyd outgoing lift ada",
    )
    accept = command(
        verbs,
        "accept",
        "end a suspension, and take what was sent so far for usual from now on",
        "policyd outgoing accept 192.0.2.0/28",
    )
    for parser, verb in ((lift, "outgoing.lift"), (accept, "outgoing.accept")):
        _name(parser)
        parser.add_argument("--by", help="who wants it so; default: who you are")
        parser.set_defaults(run=_lift, verb=verb)


def _name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="user, or registered system as the registry has it")


def _path(options: argparse.Namespace) -> str:
    return load(options.config, options.overrides).policyd.control


def _list(options: argparse.Namespace) -> int:
    rows = ask(_path(options), "outgoing.list", SEARCH_TIMEOUT, odd=options.odd)
    found = write(sys.stdout, rows, COLUMNS, wants_json(sys.stdout, options.json))
    if not found:
        print("nobody was noticed" if options.odd else "nobody sent anything lately", file=sys.stderr)
    return OK


def _show(options: argparse.Namespace) -> int:
    rows = list(ask(_path(options), "outgoing.show", SEARCH_TIMEOUT, name=options.name))
    if wants_json(sys.stdout, options.json):
        write(sys.stdout, rows, (), True)
    else:
        for row in rows:
            _tell(row)
    if not rows:
        print("nothing is known of it", file=sys.stderr)
    return OK if rows else NEGATIVE


def _tell(row: Mapping[str, Any]) -> None:
    state = row["state"]
    if row["until"] is not None:
        state += f" until {_moment(row['until'])}: {row['why']}"
    elif row["noticed"] is not None:
        state += f", a notice was given {_moment(row['noticed'])}"
    print(f"{row['kind']} {row['name']}: {state}")
    print(f"watched since {_moment(row['since'])}, last mail {_moment(row['last'])}")
    print(
        f"{row['known_recipients']} recipients known; new to it in the last day: {row['new'] or 'not known'}"
    )
    write(sys.stdout, _figures(row), FIGURES, False)


def _figures(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for counted in row["last_hour"]:
        yield {"counted": counted, **{column: f"{row[column][counted]:g}" for column in FIGURES[1:]}}


def _lift(options: argparse.Namespace) -> int:
    by = options.by or giver()
    answer = ask(_path(options), options.verb, SEARCH_TIMEOUT, name=options.name, by=by).wait()
    if not answer["known"]:
        print("policyd: nothing is known of it; policyd outgoing list", file=sys.stderr)
        return NEGATIVE
    suspended = "is not suspended any more" if answer["suspended"] else "was not suspended"
    usual = ", and what it sent is usual" if options.verb == "outgoing.accept" else ""
    print(f"{options.name} {suspended}; it is judged anew{usual}")
    return OK


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
