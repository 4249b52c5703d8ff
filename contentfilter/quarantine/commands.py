"""The quarantine's commands: ``list``, ``show``, ``release`` and ``delete``; see :mod:`contentfilter.cli`.

They work on the folder itself, so whoever may read it may list, and whoever may write it may release and
delete.
The daemon is told, for its log and metrics, if it is there.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from contentfilter.quarantine.entry import Entry, QuarantineError, came, entries, find, locked, remove
from contentfilter.quarantine.release import release
from mailbase.addresses import domain_of, plain_address, split_mailbox
from mailbase.arguments import Command, add_form
from mailbase.commandline import NEGATIVE, OK
from mailbase.config import ContentfilterSettings, Settings
from mailbase.control import ControlError
from mailbase.control.client import ask
from mailbase.ids import is_id
from mailbase.printing import wants_json, write
from mailbase.replies import printable

COLUMNS = ("time", "id", "flow", "sender", "recipients", "size", "findings", "expires")
VERB = "quarantine"
"""Of contentfilter's control socket: what was taken out of the quarantine."""


def add_commands(commands: Any, command: Command, settings: Callable[[argparse.Namespace], Settings]) -> None:
    """Add them to the subcommands of contentfilter.

    Arguments:
        settings: reads the configuration that the arguments name.
    """
    quarantine = commands.add_parser("quarantine", help="look into the quarantine, release from it")
    verbs = quarantine.add_subparsers(metavar="COMMAND", required=True)

    listing = command(
        verbs,
        "list",
        "list what is in the quarantine, oldest first",
        "contentfilter quarantine list --to inst.example",
    )
    listing.add_argument("--to", metavar="ADDRESS", help="only what is for this address, or domain")
    listing.add_argument("--from", dest="sender", metavar="ADDRESS", help="only what is from it, likewise")
    add_form(listing)
    listing.set_defaults(run=lambda options: _list(options, settings(options)))

    show = command(
        verbs,
        "show",
        "show what is known of one message, or the message",
        "contentfilter quarantine show 0g8p2k4x6c1zq --message > mail.eml",
    )
    _ids(show)
    show.add_argument("--message", action="store_true", help="print the message itself, octet for octet")
    show.set_defaults(run=lambda options: _show(options, settings(options)))

    out = command(
        verbs,
        "release",
        "deliver messages, octet for octet, to those they were for, and delete them here",
        "contentfilter quarantine release 0g8p2k4x6c1zq",
    )
    _ids(out)
    out.add_argument(
        "--to",
        metavar="ADDRESS",
        type=_address,
        action="append",
        default=[],
        help="only to this one of its recipients; repeatable; the message stays here for the others",
    )
    out.add_argument("--force", action="store_true", help="--to may name somebody it was not for")
    out.set_defaults(run=lambda options: _release(options, settings(options)))

    delete = command(
        verbs,
        "delete",
        "delete messages from the quarantine",
        "contentfilter quarantine delete 0g8p2k4x6c1zq",
    )
    _ids(delete)
    delete.set_defaults(run=lambda options: _delete(options, settings(options)))


def _ids(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "ids", metavar="ID", nargs="+", type=decision, help="decision id, as in the log and the reply"
    )


def decision(text: str) -> str:
    """An argument that is a decision id, as people may type it.

    Raises:
        ArgumentTypeError: it is none.
    """
    text = text.lower()
    if not is_id(text):
        raise argparse.ArgumentTypeError(
            f"{printable(text, 40)!r} is no decision id; policyd explain finds it by queue id or address"
        )
    return text


def _address(text: str) -> str:
    mailbox = split_mailbox(text)
    if mailbox is None or not mailbox.domain or not text.isascii() or set("<> ") & set(text):
        raise argparse.ArgumentTypeError(f"{printable(text, 60)!r} is no mail address")
    return text


def _list(options: argparse.Namespace, settings: Settings) -> int:
    quarantine = settings.contentfilter.quarantine
    as_json = wants_json(sys.stdout, options.json)

    def rows() -> Iterator[dict[str, Any]]:
        for entry in entries(quarantine.folder, _complain):
            known = entry.metadata
            if options.to and not any(_meant(options.to, one) for one in known.get("recipients", ())):
                continue
            if options.sender and not _meant(options.sender, known.get("sender", "")):
                continue
            row = _row(entry, quarantine.keep)
            # Lists stand in a cell as people write them.
            yield row if as_json else {key: _cell(key, value) for key, value in row.items()}

    if not write(sys.stdout, rows(), COLUMNS, as_json):
        what = "nothing of it" if options.to or options.sender else "nothing"
        print(f"{what} is in the quarantine", file=sys.stderr)
    return OK


def _cell(column: str, value: Any) -> Any:
    if column == "time" and isinstance(value, str):
        # Local time, as that of every other table and of the end beside it.
        try:
            return int(datetime.fromisoformat(value).timestamp())
        except ValueError:
            return value
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _meant(wanted: str, address: str) -> bool:
    if "@" in wanted:
        return plain_address(wanted) == plain_address(address)
    return (domain_of(address) or "") == wanted.lower()


def _row(entry: Entry, keep: float) -> dict[str, Any]:
    known = entry.metadata
    row = {name: known.get(name) for name in ("time", "id", "flow", "sender", "recipients", "size")}
    row["findings"] = [finding.get("name") for finding in known.get("findings", [])]
    arrived = came(entry.path)
    return {
        **row,
        "expires": None if arrived is None else int(arrived + keep),
        "reason": known.get("reason", ""),
        "file": entry.path.name,
    }


def _show(options: argparse.Namespace, settings: Settings) -> int:
    for entry in _found(options, settings):
        if options.message:
            for piece in entry.message():
                sys.stdout.buffer.write(piece)
        else:
            print(json.dumps({**entry.metadata, "file": str(entry.path)}, indent=1))
    return OK


def _release(options: argparse.Namespace, settings: Settings) -> int:
    from contentfilter.session.server import filter_name  # takes Twisted, which nothing else here needs

    content, hello = settings.contentfilter, filter_name(settings.identity.hostname)
    status = OK
    for entry in _found(options, settings):
        try:
            done = release(entry, _place(entry, content), hello, options.to, options.force)
        except QuarantineError as problem:
            _complain(problem)
            status = NEGATIVE
            continue
        rest = "; it stays here for the others" if done.kept else ""
        recipients = printable(", ".join(done.recipients), 200)
        name = printable(str(entry.metadata.get("id")), 40)
        print(f"{name} released to {recipients}{rest}: {done.reply}")
        _tell(content, "released", entry, len(done.recipients), done.reply)
    return status


def _delete(options: argparse.Namespace, settings: Settings) -> int:
    status = OK
    for entry in _found(options, settings):
        try:
            with locked(entry.path):
                remove(entry.path)
        except QuarantineError as problem:
            _complain(problem)
            status = NEGATIVE
            continue
        print(f"{entry.path.name} deleted")
        _tell(settings.contentfilter, "deleted", entry, len(entry.metadata.get("recipients", ())))
    return status


def _found(options: argparse.Namespace, settings: Settings) -> list[Entry]:
    """All entries that the arguments name; nothing is done if one is missing."""
    folder = settings.contentfilter.quarantine.folder
    return [entry for name in dict.fromkeys(options.ids) for entry in find(folder, name)]


def _place(entry: Entry, content: ContentfilterSettings) -> str:
    """Where the message would have gone, if that is still configured."""
    wire = entry.metadata.get("wire", {})
    places = [listener.reinject for listener in content.listeners]
    if wire.get("reinject") in places:
        return str(wire["reinject"])
    lmtp = bool(wire.get("lmtp"))
    same = [listener.reinject for listener in content.listeners if (listener.protocol == "lmtp") is lmtp]
    return [*same, *places][0]


def _tell(content: ContentfilterSettings, event: str, entry: Entry, recipients: int, reply: str = "") -> None:
    """Let the daemon log and count it; without one it is done all the same."""
    who = os.environ.get("SUDO_USER") or str(os.getuid())
    about = {
        "event": event,
        "id": entry.metadata.get("id"),
        "file": entry.path.name,
        "recipients": recipients,
        "reply": reply,
    }
    try:
        ask(content.control, VERB, 2.0, by=who, **about).wait()
    except ControlError:
        return


def _complain(problem: QuarantineError) -> None:
    print(f"contentfilter: {printable(str(problem), 400)}", file=sys.stderr)
