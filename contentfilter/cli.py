"""The command line of contentfilter."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contentfilter.disposition import explaining
from contentfilter.learning import commands as learning
from contentfilter.macros import commands as macros
from contentfilter.macros.file import AllowlistError, read
from contentfilter.offline.progress import Progress
from contentfilter.quarantine import commands as quarantine
from contentfilter.quarantine.entry import QuarantineError
from contentfilter.rules import commands as rules
from contentfilter.signing.public import KeyProblem
from contentfilter.tuning import commands as tuning
from mailbase.arguments import DEFAULT_CONFIG, Parser, add_command, add_configuration, add_form
from mailbase.commandline import (
    BAD_CONFIG,
    NEGATIVE,
    OK,
    STATUSES,
    USAGE,
    add_version,
    finish,
    flow,
    place,
    whole_number,
)
from mailbase.config import Settings, load
from mailbase.config.places import ListenError
from mailbase.control import ControlError
from mailbase.inherited import inherited_sockets
from mailbase.lists.showing import show
from mailbase.printing import wants_json
from mailbase.replies import printable
from mailbase.vocabulary import Action, Flow


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit status: 0 ok, 1 finding or negative answer, 2 usage or unreadable input, 78 bad
        configuration.
    """

    def run() -> int:
        options = _parser().parse_args(arguments)
        try:
            return int(options.run(options))
        except KeyProblem as error:
            print(f"contentfilter: {error}", file=sys.stderr)
            return BAD_CONFIG

    return finish("contentfilter", run, (AllowlistError, ControlError, QuarantineError, ListenError))


def _parser() -> argparse.ArgumentParser:
    top = Parser(
        prog="contentfilter",
        description="Scans mail between two Postfix services, and files on demand.",
        epilog=STATUSES,
    )
    add_version(top)
    commands = top.add_subparsers(metavar="COMMAND", required=True)

    serve = _command(commands, "serve", "run the daemon in the foreground", "contentfilter serve --check")
    serve.add_argument("--check", action="store_true", help="check the configuration and exit")
    serve.set_defaults(run=_serve)

    scan = _command(
        commands,
        "scan",
        "scan messages, documents and folders; needs no daemon",
        "contentfilter scan --json invoice.docm mails/",
    )
    scan.add_argument(
        "paths", nargs="+", type=place, metavar="PATH", help="message (.eml), document or folder"
    )
    scan.add_argument(
        "--flow",
        type=flow,
        default=Flow.INBOUND,
        metavar="FLOW",
        help=f"whose policy decides: {', '.join(Flow)}; default: %(default)s",
    )
    scan.add_argument(
        "--jobs",
        type=whole_number(1, 256),
        metavar="N",
        help="files at once; default: processors there are, or contentfilter.workers.count if that is more",
    )
    add_form(scan)
    scan.set_defaults(run=_scan)

    explain = _command(
        commands,
        "explain",
        "say what was found in a mail, and what was done",
        "contentfilter explain 0g8p2k4x6c1zq",
    )
    _id(explain)
    add_form(explain)
    explain.set_defaults(run=_explain)

    lists = _command(
        commands,
        "lists",
        "show the DNS lists of links, and which of them are asked",
        "contentfilter lists",
    )
    add_form(lists)
    lists.set_defaults(run=_lists)

    quarantine.add_commands(commands, _command, _settings)
    macros.add_commands(commands, _command, _settings)
    learning.add_commands(commands, _command, _settings)
    tuning.add_commands(commands, _command, _settings_or_none)
    rules.add_commands(commands, _command, _settings_or_none)
    return top


def _command(commands: Any, name: str, text: str, example: str) -> argparse.ArgumentParser:
    parser = add_command(commands, name, text, example)
    add_configuration(parser, "contentfilter.workers.count=4", None)
    return parser


def _id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "id", metavar="ID", type=quarantine.decision, help="decision id, as in the log and the reply"
    )


def _settings(options: argparse.Namespace) -> Settings:
    return load(options.config or DEFAULT_CONFIG, options.overrides)


def _selectors(settings: Settings, folder: Path) -> list[str]:
    """Those that there are keys for.

    Raises:
        KeyProblem: one cannot be used.
    """
    from contentfilter.signing.service import read_keys

    # Who checks may be root, and the daemon is not: its keys belong to whom their folder belongs to.
    owner = folder.stat().st_uid if folder.exists() else None
    return [key.selector for key in read_keys(settings, owner)]


def _serve(options: argparse.Namespace) -> int:
    if options.check:
        from contentfilter.rules.own import OwnRules
        from mailbase.starting import pseudonym_key

        settings = _settings(options)
        pseudonym_key(settings)
        read(settings.contentfilter.allowed_macros)
        OwnRules.read(settings.contentfilter.rules)
        for listener in settings.contentfilter.listeners:
            print(f"{listener.protocol} {listener.listen} to {listener.reinject}")
        if settings.contentfilter.signing is not None:
            print(f"signs with {', '.join(_selectors(settings, settings.contentfilter.signing.keys))}")
        print(f"{options.config or DEFAULT_CONFIG}: ok")
        return OK
    # Before Twisted is loaded.
    inherited = inherited_sockets()
    from contentfilter.app import serve

    return serve(options.config or DEFAULT_CONFIG, options.overrides, inherited)


def _settings_or_none(options: argparse.Namespace) -> Settings:
    """The settings; the built-in ones where nothing is configured, since files can be looked at there too."""
    if options.config is None and not DEFAULT_CONFIG.exists():
        from mailbase.config import loads

        return loads("{}", options.overrides)
    return _settings(options)


def _scan(options: argparse.Namespace) -> int:
    settings = _settings_or_none(options)
    from twisted.internet import reactor

    from contentfilter.offline.offline import is_folder, make_scan

    progress = Progress(sys.stderr, time.monotonic)
    print_row = _print_json if wants_json(sys.stdout, options.json) else _print_line

    def show(row: dict[str, Any]) -> None:
        progress.clear()
        print_row(row)
        progress.step(row["disposition"] != Action.ACCEPT or bool(row["findings"]))

    def complain(text: str) -> None:
        progress.clear()
        _complain(text)

    jobs = options.jobs or max(os.cpu_count() or 1, settings.contentfilter.workers.count)
    if not any(map(is_folder, options.paths)):
        jobs = min(jobs, len(options.paths))
    scan = make_scan(reactor, settings, options.flow, jobs, show, complain)
    try:
        scan.run(options.paths)
    finally:
        progress.clear()
    if scan.unreadable:
        return USAGE
    return NEGATIVE if scan.objectionable else OK


def _print_json(row: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(row, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def _print_line(row: dict[str, Any]) -> None:
    facts = [
        f"{f['name']} {f['part']}".strip() + (f" #{f['macro']}" if "macro" in f else "")
        for f in row["findings"]
    ]
    facts += [f"unscanned ({u['reason']}) {u['part']}".strip() for u in row["unscanned"]]
    print(
        f"{row['disposition']:<11} {printable(row['path'], 200)}  {printable('; '.join(facts), 400)}".rstrip()
    )


def _complain(text: str) -> None:
    print(f"contentfilter: {printable(text, 400)}", file=sys.stderr)


def _lists(options: argparse.Namespace) -> int:
    return OK if show(_settings(options).contentfilter.control, sys.stdout, options.json) else NEGATIVE


def _explain(options: argparse.Namespace) -> int:
    return explaining.explain(_settings(options), options.id, sys.stdout, options.json)
