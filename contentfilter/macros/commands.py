"""The command line of allowed macros: ``allow``, ``list`` and ``remove``; see :mod:`contentfilter.cli`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from itertools import product
from typing import Any

from contentfilter.macros.entry import Entry, entry_of
from contentfilter.macros.file import change, read
from mailbase.arguments import Command, add_form
from mailbase.commandline import NEGATIVE, OK, USAGE, duration, giver, moment
from mailbase.config import Settings
from mailbase.printing import wants_json, write

COLUMNS = ("macro", "to", "from", "expires", "by", "why", "added")


def add_commands(commands: Any, command: Command, settings: Callable[[argparse.Namespace], Settings]) -> None:
    """Add them to the subcommands of contentfilter.

    Arguments:
        settings: reads the configuration that the arguments name.
    """
    macros = commands.add_parser("macros", help="allow macros by the digest of their code")
    verbs = macros.add_subparsers(metavar="COMMAND", required=True)
    allow = command(
        verbs,
        "allow",
        "let mail with one macro through, from now on",
        "contentfilter macros allow 3f2a... --to library.example --for 180d --why 'loan form, ticket 4711'",
    )
    allow.add_argument(
        "macro", metavar="MACRO", help="digest, as the log and contentfilter scan show it behind the finding"
    )
    _domains(allow, "for which it is allowed; without it, for all")
    end = allow.add_mutually_exclusive_group()
    end.add_argument("--for", dest="duration", type=duration, metavar="DURATION", help="such as 180d")
    end.add_argument("--until", type=moment, metavar="TIME", help="such as 2030-12-24 or 2030-12-24T18:00")
    allow.add_argument("--by", help="who wants it so; default: who you are")
    allow.add_argument("--why", default="", help="for whoever wonders later")
    allow.set_defaults(run=lambda options: _allow(options, settings(options)))

    listing = command(verbs, "list", "list all allowed macros", "contentfilter macros list")
    add_form(listing)
    listing.set_defaults(run=lambda options: _list(options, settings(options)))

    remove = command(
        verbs, "remove", "allow a macro no longer, from now on", "contentfilter macros remove 3f2a..."
    )
    remove.add_argument("macro", metavar="MACRO", help="digest, or a beginning of it that fits one only")
    _domains(remove, "for which it is allowed no longer; without it, whatever the entry says")
    remove.set_defaults(run=lambda options: _remove(options, settings(options)))


def _domains(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        "--to", action="append", metavar="DOMAIN", help=f"domain of recipients {what}; repeatable"
    )
    parser.add_argument(
        "--from",
        dest="senders",
        action="append",
        metavar="DOMAIN",
        help=f"domain of envelope senders {what}; repeatable. Anybody can claim to be a sender",
    )


def _allow(options: argparse.Namespace, settings: Settings) -> int:
    now = time.time()
    expires = now + options.duration if options.duration is not None else options.until
    if expires is not None and expires <= now:
        return _usage("--until: this time has passed")
    try:
        new = [
            entry_of(
                options.macro,
                to,
                sender,
                expires=expires,
                added=now,
                by=options.by or giver(),
                why=options.why,
            )
            for to, sender in product(options.to or ("",), options.senders or ("",))
        ]
    except ValueError as error:
        return _usage(str(error))

    def add(entries: list[Entry]) -> Iterable[Entry]:
        return {entry.key: entry for entry in (*entries, *new)}.values()

    change(settings.contentfilter.allowed_macros, add)
    for entry in new:
        print(f"allowed: {_sentence(entry)}")
    return OK


def _list(options: argparse.Namespace, settings: Settings) -> int:
    rows = [entry.to_dict() for entry in read(settings.contentfilter.allowed_macros)]
    if not write(sys.stdout, rows, COLUMNS, wants_json(sys.stdout, options.json)):
        print("no macros are allowed", file=sys.stderr)
    return OK


def _remove(options: argparse.Namespace, settings: Settings) -> int:
    prefix = options.macro.strip().lower().removeprefix("#")
    place = settings.contentfilter.allowed_macros
    gone: list[Entry] = []

    def fits(entry: Entry) -> bool:
        return (
            entry.macro.startswith(prefix)
            and (not options.to or entry.to in options.to)
            and (not options.senders or entry.sender in options.senders)
        )

    def meant(entries: list[Entry]) -> list[Entry]:
        found = list(filter(fits, entries)) if prefix else []
        several = len({entry.macro for entry in found}) > 1
        return [] if several else found

    def take(entries: list[Entry]) -> Iterable[Entry]:
        gone.extend(meant(entries))
        return [entry for entry in entries if entry not in gone]

    # Where there is nothing to take back, there need be no folder to write to.
    if meant(read(place)):
        change(place, take)
    if not gone:
        print("contentfilter: not exactly one macro is meant; contentfilter macros list", file=sys.stderr)
        return NEGATIVE
    for entry in gone:
        print(f"no longer allowed: {_sentence(entry)}")
    return OK


def _sentence(entry: Entry) -> str:
    end = "for ever"
    if entry.expires is not None:
        end = time.strftime("until %Y-%m-%d %H:%M:%S", time.localtime(entry.expires))
    return f"macro {entry.macro} from {entry.sender or 'anybody'} to {entry.to or 'anybody'} {end}"


def _usage(text: str) -> int:
    print(f"contentfilter: {text}", file=sys.stderr)
    return USAGE
