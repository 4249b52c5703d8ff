"""The command line of policyd."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from mailbase.addresses import pack
from mailbase.arguments import Parser, add_command, add_configuration, add_form
from mailbase.claim import StoreInUse
from mailbase.commandline import NEGATIVE, OK, STATUSES, USAGE, add_version, duration, finish, whole_number
from mailbase.config import Settings, load
from mailbase.config.places import ListenError
from mailbase.control import ControlError
from mailbase.control.client import ask
from mailbase.documents.problems import nearest, shown
from mailbase.inherited import inherited_sockets
from mailbase.lists.showing import show
from mailbase.printing import wants_json, write
from policyd.exceptions import commands as exceptions
from policyd.journal import commands as journal
from policyd.limits import commands as limits
from policyd.outgoing import commands as outgoing
from policyd.protocol.request import ATTRIBUTES, Stage
from policyd.replay.commands import add_commands

SEARCH_TIMEOUT = 600.0
"""Seconds to wait for a search through millions of entries."""

COLUMNS = {
    "triplets": ("identity", "sender", "recipient", "state", "first", "last", "expires"),
    "clients": ("identity", "retries", "last", "expires"),
    "allowed": ("network", "comment", "added", "expires"),
}
SHOW_COLUMNS = (
    "kind",
    "identity",
    "network",
    "sender",
    "recipient",
    "state",
    "retries",
    "comment",
    "last",
    "expires",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status: 0 ok, 1 negative answer, 2 usage, 78 bad configuration."""

    def run() -> int:
        options = _parser().parse_args(arguments)
        return int(options.run(options))

    return finish("policyd", run, (ControlError, ListenError, StoreInUse))


def _parser() -> argparse.ArgumentParser:
    top = Parser(prog="policyd", description="Answers Postfix's check_policy_service.", epilog=STATUSES)
    add_version(top)
    commands = top.add_subparsers(metavar="COMMAND", required=True)

    serve = _command(commands, "serve", "run the daemon in the foreground", "policyd serve --check")
    serve.add_argument("--check", action="store_true", help="check the configuration and exit")
    serve.set_defaults(run=_serve)

    query = _command(
        commands,
        "query",
        "ask the running daemon one question; leaves no trace",
        "policyd query client_address=192.0.2.1 sender=a@example.org recipient=b@inst.example",
    )
    query.add_argument("attributes", nargs="+", metavar="NAME=VALUE", help="attributes of a policy request")
    add_form(query)
    query.set_defaults(run=_query)

    lists = _command(commands, "lists", "show the DNS lists, and which of them are asked", "policyd lists")
    add_form(lists)
    lists.set_defaults(run=_lists)
    forget = _command(
        commands,
        "forget",
        "forget what servers said of a recipient, or of all recipients of a domain",
        "policyd forget closed.account@inst.example",
    )
    forget.add_argument("term", metavar="ADDRESS|DOMAIN", help="mail address or domain")
    forget.set_defaults(run=_forget_recipient)

    greylist = commands.add_parser("greylist", help="look into and change what greylisting remembers")
    verbs = greylist.add_subparsers(metavar="COMMAND", required=True)

    listing = _command(verbs, "list", "list all entries", "policyd greylist list --kind clients")
    listing.add_argument("--kind", choices=sorted(COLUMNS), default="triplets", help="default: %(default)s")
    listing.add_argument("--limit", type=whole_number(0), metavar="N", help="print at most so many entries")
    add_form(listing)
    listing.set_defaults(run=_list)

    show = _command(
        verbs, "show", "show the entries that have to do with TERM", "policyd greylist show 192.0.2.0/24"
    )
    _term(show)
    add_form(show)
    show.set_defaults(run=_show)

    allow = _command(
        verbs,
        "allow",
        "never greylist these clients, from now on",
        "policyd greylist allow 192.0.2.0/24 --for 30d --comment 'newsletter of the library'",
    )
    allow.add_argument("network", metavar="NETWORK", help="IP address or network")
    allow.add_argument("--for", dest="duration", type=duration, metavar="DURATION", help="such as 30d")
    allow.add_argument("--comment", default="", help="why, for whoever wonders later")
    allow.set_defaults(run=_allow)

    forget = _command(
        verbs,
        "forget",
        "delete the entries that have to do with TERM",
        "policyd greylist forget a@example.org",
    )
    _term(forget)
    forget.set_defaults(run=_forget)

    journal.add_commands(commands, _command)
    exceptions.add_commands(commands, _command)
    limits.add_commands(commands, _command)
    outgoing.add_commands(commands, _command)
    add_commands(commands, _command)
    return top


def _command(commands: Any, name: str, text: str, example: str) -> argparse.ArgumentParser:
    parser = add_command(commands, name, text, example)
    add_configuration(parser, "policyd.greylist.delay=1m")
    return parser


def _term(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("term", metavar="TERM", help="IP address, network, mail address or domain")


def _settings(options: argparse.Namespace) -> Settings:
    return load(options.config, options.overrides)


def _serve(options: argparse.Namespace) -> int:
    if options.check:
        from mailbase.starting import pseudonym_key
        from policyd.engine.policy import read_lists

        settings = _settings(options)
        pseudonym_key(settings)
        for warning in read_lists(settings).warnings:
            print(f"warning: {warning}", file=sys.stderr)
        for name in settings.policyd.callout.test_targets:
            print(
                f"warning: {name} is called at its test target (policyd.callout.test_targets)",
                file=sys.stderr,
            )
        servers, domains = len(settings.registry.servers), len(settings.registry.domains)
        print(f"{options.config}: ok; {servers} servers, {domains} domains registered")
        return OK
    # Before Twisted is loaded.
    inherited = inherited_sockets()
    from policyd.app import serve

    return serve(options.config, options.overrides, inherited)


def _query(options: argparse.Namespace) -> int:
    attributes = {}
    for argument in options.attributes:
        name, equals, value = argument.partition("=")
        if not equals or not name:
            print(f"policyd: expected NAME=VALUE, got {shown(argument)}", file=sys.stderr)
            return USAGE
        attributes[name] = value
    _warn_of_slips(attributes)
    path = _settings(options).policyd.control
    answer = ask(path, "query", attributes=attributes).wait()
    answer.pop("ok", None)
    if wants_json(sys.stdout, options.json):
        write(sys.stdout, [answer], (), True)
    else:
        for name in ("reply", "action", "flow", "reason", "points"):
            print(f"{name + ':':<8}{answer.get(name, '')}")
        write(
            sys.stdout,
            answer.get("facts", []),
            ("check", "fact", "points", "shadow", "reason", "wait", "detail"),
            False,
        )
    return OK if answer.get("action") == "accept" else NEGATIVE


def _warn_of_slips(attributes: dict[str, str]) -> None:
    """What policyd takes without a word, as it must from a Postfix, and an operator seldom means."""
    for name in sorted(attributes.keys() - ATTRIBUTES):
        print(f"policyd: Postfix sends no {shown(name)}{nearest(name, ATTRIBUTES)}", file=sys.stderr)
    client = attributes.get("client_address")
    if client is not None and pack(client) is None:
        print(f"policyd: client_address is no IP address: {shown(client)}", file=sys.stderr)
    state = attributes.get("protocol_state")
    if state is not None and state not in (known := set(Stage) - {Stage.OTHER}):
        print(
            f"policyd: Postfix has no protocol_state {shown(state)}{nearest(state, known)}", file=sys.stderr
        )


def _lists(options: argparse.Namespace) -> int:
    return OK if show(_settings(options).policyd.control, sys.stdout, options.json) else NEGATIVE


def _list(options: argparse.Namespace) -> int:
    answer = ask(_settings(options).policyd.control, "greylist.list", SEARCH_TIMEOUT, kind=options.kind)
    rows = iter(answer)
    if options.limit is not None:
        rows = _first(rows, options.limit)
    if not write(sys.stdout, rows, COLUMNS[options.kind], wants_json(sys.stdout, options.json)):
        print("nothing is remembered", file=sys.stderr)
    return OK


def _first(rows: Iterator[dict[str, Any]], limit: int) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(rows):
        if number >= limit:
            return
        yield row


def _show(options: argparse.Namespace) -> int:
    answer = ask(_settings(options).policyd.control, "greylist.show", SEARCH_TIMEOUT, term=options.term)
    found = write(sys.stdout, answer, SHOW_COLUMNS, wants_json(sys.stdout, options.json))
    if not found:
        print("nothing is remembered of it", file=sys.stderr)
    return OK if found else NEGATIVE


def _allow(options: argparse.Namespace) -> int:
    arguments: dict[str, Any] = {"network": options.network, "comment": options.comment}
    if options.duration is not None:
        arguments["seconds"] = options.duration
    answer = ask(_settings(options).policyd.control, "greylist.allow", **arguments).wait()
    print(f"{answer['allowed']} is not greylisted any more")
    return OK


def _forget_recipient(options: argparse.Namespace) -> int:
    answer = ask(_settings(options).policyd.control, "forget", term=options.term).wait()
    if not answer["served"]:
        print(f"policyd: {answer['forgotten']} is not registered", file=sys.stderr)
        return NEGATIVE
    known = "is forgotten" if answer["known"] else "was not known"
    print(f"{answer['forgotten']} {known}; its server is asked at the next mail")
    return OK


def _forget(options: argparse.Namespace) -> int:
    path = _settings(options).policyd.control
    answer = ask(path, "greylist.forget", SEARCH_TIMEOUT, term=options.term).wait()
    more = "; there are more, ask again" if answer.get("more") else ""
    print(f"{answer['forgotten']} entries forgotten{more}")
    return OK if answer["forgotten"] else NEGATIVE
