"""The command line of exceptions: ``allow``, ``deny`` and ``exceptions``; see :mod:`policyd.cli`."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from mailbase.arguments import Command, add_form
from mailbase.commandline import NEGATIVE, OK, USAGE, duration, giver, moment
from mailbase.config import load
from mailbase.control.client import ask
from mailbase.printing import wants_json, write
from policyd.evidence.facts import Effect, Named

COLUMNS = ("effect", "as", "what", "expires", "by", "why", "added")


def add_commands(commands: Any, command: Command) -> None:
    """Add them to the subcommands of policyd."""
    allow = command(
        commands,
        "allow",
        "let mail pass without points and greylisting, from now on",
        "policyd allow 192.0.2.0/24 --for 30d --why 'newsletter of the library'",
    )
    _rule(allow, Effect.ALLOW)
    deny = command(
        commands,
        "deny",
        "refuse mail, from now on",
        "policyd deny ada --as user --for 1d --why 'account hijacked, ticket 4711'",
    )
    _rule(deny, Effect.DENY)

    exceptions = commands.add_parser("exceptions", help="list and take back what allow and deny have set")
    verbs = exceptions.add_subparsers(metavar="COMMAND", required=True)
    listing = command(verbs, "list", "list all exceptions", "policyd exceptions list")
    add_form(listing)
    listing.set_defaults(run=_list)
    remove = command(
        verbs, "remove", "take back an exception, from now on", "policyd exceptions remove 192.0.2.0/24"
    )
    _what(remove)
    remove.add_argument("--by", help="who wants it so; default: who you are")
    remove.set_defaults(run=_remove)


def _rule(parser: argparse.ArgumentParser, effect: Effect) -> None:
    _what(parser)
    end = parser.add_mutually_exclusive_group()
    end.add_argument("--for", dest="duration", type=duration, metavar="DURATION", help="such as 30d")
    end.add_argument("--until", type=moment, metavar="TIME", help="such as 2030-12-24 or 2030-12-24T18:00")
    parser.add_argument("--by", help="who wants it so; default: who you are")
    parser.add_argument("--why", default="", help="for whoever wonders later")
    parser.set_defaults(run=_put, effect=effect)


def _what(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", metavar="WHAT", help="IP address, network, mail address, domain or user")
    parser.add_argument(
        "--as",
        dest="named",
        choices=[named.value for named in Named],
        help="what WHAT is; an IP address or network is a client, a mail address or @domain a sender",
    )


def _put(options: argparse.Namespace) -> int:
    arguments: dict[str, Any] = {
        "effect": options.effect.value,
        "what": options.what,
        "by": options.by or giver(),
        "why": options.why,
    }
    if options.named is not None:
        arguments["as"] = options.named
    if options.duration is not None:
        arguments["seconds"] = options.duration
    elif options.until is not None:
        arguments["seconds"] = options.until - time.time()
        if arguments["seconds"] <= 0:
            print("policyd: --until: this time has passed", file=sys.stderr)
            return USAGE
    path = load(options.config, options.overrides).policyd.control
    answer = ask(path, "exceptions.put", **arguments).wait()
    print(_sentence(answer["rule"]))
    before = answer.get("before")
    if before is not None:
        print(f"before: {_sentence(before)}")
    return OK


def _list(options: argparse.Namespace) -> int:
    rows = ask(load(options.config, options.overrides).policyd.control, "exceptions.list")
    found = write(sys.stdout, rows, COLUMNS, wants_json(sys.stdout, options.json))
    if not found:
        print("there are no exceptions", file=sys.stderr)
    return OK


def _remove(options: argparse.Namespace) -> int:
    arguments = {"what": options.what, "by": options.by or giver()}
    if options.named is not None:
        arguments["as"] = options.named
    path = load(options.config, options.overrides).policyd.control
    removed = ask(path, "exceptions.remove", **arguments).wait()["removed"]
    if removed is None:
        print("policyd: there is no exception for exactly this; policyd exceptions list", file=sys.stderr)
        return NEGATIVE
    print(f"taken back: {_sentence(removed)}")
    return OK


def _sentence(rule: dict[str, Any]) -> str:
    expires = rule["expires"]
    end = "for ever" if expires is None else time.strftime("until %Y-%m-%d %H:%M:%S", time.localtime(expires))
    done = "allowed" if rule["effect"] == Effect.ALLOW else "denied"
    return f"{rule['as']} {rule['what']} is {done} {end}"
