"""The command line of ``policyd explain``; see :mod:`policyd.cli`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

from mailbase.arguments import Command, add_form
from mailbase.commandline import NEGATIVE, OK, whole_number
from mailbase.config import load
from mailbase.control.client import ask
from mailbase.printing import wants_json, write, write_inset
from mailbase.replies import printable
from mailbase.report import QUEUED, TAKEN_OUT
from policyd.journal.advice import advice, advice_on_content
from policyd.journal.verbs import MAX_FOUND

SEARCH_TIMEOUT = 60.0
"""Seconds to wait for the answer."""
LISTED = 20
"""Decisions that are found by an address, unless the command says otherwise."""
COLUMNS = ("time", "id", "stage", "action", "reason", "points", "content", "client", "sender", "recipient")
FACTS = ("check", "fact", "points", "seconds", "shadow", "note")
_ROOMS = {QUEUED: "queue"} | dict.fromkeys(TAKEN_OUT, "quarantine")
"""Where it was that something became of a mail, if not in contentfilter."""
_SAID = frozenset({"check", "fact", "points", "seconds", "shadow"})
_SHORT = {"END-OF-MESSAGE": "END"}
"""Stages whose names take the place of others in a line."""
_NOTHING = ("END-OF-MESSAGE", "no-opinion")
"""What is said at the end of nearly each mail; a line of its own would push others off the list."""
MAX_WIDTH = 200
"""Characters of a line about somebody."""


def add_commands(commands: Any, command: Command) -> None:
    """Add ``explain`` to the subcommands of policyd."""
    explain = command(
        commands,
        "explain",
        "say what was decided, and why",
        "policyd explain 1xh8m627722vw",
    )
    explain.add_argument(
        "term",
        metavar="TERM",
        help="decision id, queue id, IP address, network, mail address, domain or user",
    )
    explain.add_argument(
        "--limit",
        type=whole_number(1, MAX_FOUND),
        default=LISTED,
        metavar="N",
        help="the latest N decisions; default: %(default)s",
    )
    explain.add_argument(
        "--full", action="store_true", help="say all of each decision, not only of one mail's"
    )
    add_form(explain)
    explain.set_defaults(run=_explain)


def _explain(options: argparse.Namespace) -> int:
    path = load(options.config, options.overrides).policyd.control
    rows = list(ask(path, "explain", SEARCH_TIMEOUT, term=options.term, limit=options.limit))
    for row in rows:
        if row["kind"] == "notice":
            print(f"policyd: {row['text']}", file=sys.stderr)
    rows = [row for row in rows if row["kind"] != "notice"]
    if not rows:
        print("the journal has nothing of it", file=sys.stderr)
        return NEGATIVE
    if wants_json(sys.stdout, options.json):
        write(sys.stdout, (_with_advice(row, rows) for row in rows), (), True)
    elif options.full or _is_one_mail(rows):
        tell(sys.stdout, rows)
    else:
        write(sys.stdout, _listed(rows), COLUMNS, False)
        print("\npolicyd explain ID says all of one mail.")
    if sum(row["kind"] == "decision" for row in rows) == options.limit:
        print(f"there may be more: only the latest {options.limit} are shown; --limit", file=sys.stderr)
    return OK


def _listed(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """A line for each decision, with what was done with the mail's content."""
    outcomes = [row for row in rows if row["kind"] == "outcome" and row["action"] != QUEUED]
    content = {row["id"]: row["action"] for row in outcomes}
    for row in rows:
        if row["kind"] == "decision" and (row["stage"], row["reason"]) != _NOTHING:
            yield {
                **row,
                "time": int(row["time"]),
                "stage": _SHORT.get(row["stage"], row["stage"]),
                "sender": row["sender"] or "<>",
                "content": content.get(row["id"]),
            }


def _is_one_mail(rows: Sequence[Mapping[str, Any]]) -> bool:
    return len({row["instance"] or row["id"] for row in rows if row["kind"] == "decision"}) <= 1


def _with_advice(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found = list(_advice(row, rows))
    if row["kind"] != "decision" and not found:
        return dict(row)
    return {**row, "advice": [{"command": command, "effect": effect} for command, effect in found]}


def _advice(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    if row["kind"] == "decision":
        return advice(row)
    return advice_on_content(row, [one for one in rows if one["kind"] == "decision"])


def tell(stream: TextIO, rows: Sequence[Mapping[str, Any]]) -> None:
    """Say all of each decision, for a person."""
    for number, row in enumerate(rows):
        if number:
            stream.write("\n")
        if row["kind"] == "outcome":
            _tell_outcome(stream, row)
        else:
            _tell_decision(stream, row)
        _tell_advice(stream, _advice(row, rows))


def _tell_decision(stream: TextIO, row: Mapping[str, Any]) -> None:
    took = f"{row['seconds'] * 1000:.3g} ms"
    words = (_moment(row["time"]), row["id"], row["stage"], row["flow"], row["action"].upper(), took)
    stream.write("  ".join(words) + "\n")
    for name, value in _about(row):
        if value:
            stream.write(f"  {name:<11}{printable(value, MAX_WIDTH)}\n")
    facts = [_fact(fact) for fact in row["facts"]]
    if facts:
        stream.write("\n")
        write_inset(stream, facts, FACTS)


def _tell_advice(stream: TextIO, given: Iterator[tuple[str, str]]) -> None:
    commands = list(given)
    if commands:
        stream.write("\n  An exception:\n")
        for command, effect in commands:
            stream.write(f"    {command}    # {effect}\n" if command else f"    none: {effect}\n")


def _about(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    helo = f" helo {row['helo']}" if row["helo"] else ""
    yield "client", f"{row['client']} {row['client_name']}{helo}"
    yield "user", row["user"]
    yield "sender", row["sender"] or "<>"
    yield "recipient", row["recipient"]
    yield "queue id", row["queue_id"]
    yield "answer", row["reply"]
    yield "why", row["reason"] + _threshold(row)
    yield "shadow", f"{row['shadow']}, if the checks in shadow counted" if row["shadow"] else ""


def _threshold(row: Mapping[str, Any]) -> str:
    """Which threshold the points reached, and which they did not."""
    points = row["points"]
    if points is None:
        return ""
    told = [f"{points:g} points"]
    for name in ("reject_at", "defer_at"):
        limit = row[name]
        if limit is not None:
            told.append(f"{name} {limit:g}{' reached' if points >= limit else ''}")
    return f" ({', '.join(told)})"


def _fact(fact: Mapping[str, Any]) -> dict[str, Any]:
    seconds = fact.get("seconds")
    return {
        **{name: fact.get(name) for name in ("check", "fact", "points")},
        "seconds": None if seconds is None else f"{seconds:.3g}",
        "shadow": "yes" if fact.get("shadow") else None,
        "note": " ".join(f"{name}={value}" for name, value in fact.items() if name not in _SAID) or None,
    }


def _tell_outcome(stream: TextIO, row: Mapping[str, Any]) -> None:
    what = _ROOMS.get(row["action"], "content")
    stream.write(f"{_moment(row['time'])}  {row['id']}  {what}  {row['action'].upper()}\n")
    for name, value in (
        ("found", ", ".join(row["findings"])),
        ("score", _score(row.get("content") or {})),
        ("unscanned", ", ".join(_names(row, "unscanned"))),
        ("failed", ", ".join(_names(row, "failure"))),
        ("queue id", row["queue_id"]),
        ("answer", row["reply"]),
    ):
        if value:
            stream.write(f"  {name:<11}{printable(value, MAX_WIDTH)}\n")


def _score(content: Mapping[str, Any]) -> str:
    """The total of policyd's points and contentfilter's, with what is in it."""
    if content.get("score") is None:
        return ""
    clues = [
        f"({clue['name']} {clue['points']:g})" if clue["shadow"] else f"{clue['name']} {clue['points']:g}"
        for clue in content.get("clues", ())
        if clue["points"]
    ]
    return f"{content['score']:g}" + (f": {', '.join(clues)}" if clues else "")


def _names(row: Mapping[str, Any], kind: str) -> list[str]:
    """The facts of that kind that contentfilter has told; "contentfilter explain ID" says all of them."""
    facts = (row.get("content") or {}).get("facts", ())
    return [f"{fact['name']} {fact['part']}".strip() for fact in facts if fact["kind"] == kind]


def _moment(seconds: float) -> str:
    """Local time with milliseconds."""
    whole = int(seconds)
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(whole))}.{int((seconds - whole) * 1000):03d}"
