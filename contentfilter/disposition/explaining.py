"""``contentfilter explain``: what was found in a mail, what was done, and where the time went.

Asks policyd's journal, which has all mails with a ticket; of the latest mails the daemon itself knows too.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

from mailbase.commandline import NEGATIVE, OK
from mailbase.config import Settings
from mailbase.control import ControlError
from mailbase.control.client import ask
from mailbase.printing import wants_json, write, write_inset
from mailbase.replies import printable
from mailbase.report import QUEUED, TAKEN_OUT

VERB = "explain"
"""Of both daemons' control sockets."""
TIMEOUT = 60.0
"""Seconds to wait for an answer."""
MAX_WIDTH = 200
"""Characters of a line of text."""
FACTS = ("kind", "name", "part", "detail")
CLUES = ("points", "name", "detail", "shadow")


def find(settings: Settings, decision_id: str) -> tuple[list[dict[str, Any]], list[str]]:
    """What is known of a mail, in the order of time, and why something may be missing."""
    problems: list[str] = []
    found: list[dict[str, Any]] = []
    places = ((settings.policyd.control, "policyd"), (settings.contentfilter.control, "contentfilter"))
    for place, name in places:
        try:
            rows = [row for row in ask(place, VERB, TIMEOUT, term=decision_id) if row["kind"] == "outcome"]
        except ControlError as error:
            problems.append(f"{name}: {error}")
            continue
        rows = [row for row in rows if row["id"] == decision_id]
        if any(row.get("content") for row in rows):
            return rows, problems
        found = found or rows
    return found, problems


def explain(settings: Settings, decision_id: str, stream: TextIO, as_json: bool | None) -> int:
    """Print what is known of a mail; returns the exit status."""
    rows, problems = find(settings, decision_id)
    for problem in problems:
        print(f"contentfilter: {problem}", file=sys.stderr)
    if not rows:
        # Where neither could be asked, nobody knows that there is nothing.
        if len(problems) < 2:
            print("nothing is known of it, or no longer", file=sys.stderr)
        return NEGATIVE
    if wants_json(stream, as_json):
        write(stream, rows, (), True)
    else:
        tell(stream, rows)
        stream.write(
            f"\n  policyd explain {decision_id}    # what came before, and what would make an exception\n"
        )
    return OK


def tell(stream: TextIO, rows: Sequence[Mapping[str, Any]]) -> None:
    """Say all of a mail, for a person."""
    for number, row in enumerate(rows):
        if number:
            stream.write("\n")
        if row["action"] == QUEUED:
            stream.write(f"{_moment(row['time'])}  {row['id']}  queued as {printable(row['queue_id'], 40)}\n")
        elif row["action"] in TAKEN_OUT:
            queued = f", queued as {printable(row['queue_id'], 40)}" if row["queue_id"] else ""
            what = f"{row['action']} from the quarantine{queued}"
            stream.write(f"{_moment(row['time'])}  {row['id']}  {what}\n")
        else:
            _tell(stream, row)


def _tell(stream: TextIO, row: Mapping[str, Any]) -> None:
    content = row.get("content") or {}
    words = (_moment(row["time"]), row["id"], content.get("flow", ""), row["action"].upper())
    stream.write("  ".join(filter(None, words)) + f"  {_duration(row['seconds'])}\n")
    actions = content.get("actions", [])
    for name, value in (
        ("cause", content.get("cause", "")),
        ("answer", row["reply"]),
        ("recipients", ", ".join(actions) if len(actions) > 1 else ""),
        ("score", _score(content)),
        ("parts", str(content.get("parts", ""))),
        ("time", ", ".join(_stages(content.get("seconds", {})))),
    ):
        if value:
            stream.write(f"  {name:<11}{printable(value, MAX_WIDTH)}\n")
    clues = [
        {**clue, "points": f"{clue['points']:g}", "shadow": "yes" if clue["shadow"] else None}
        for clue in content.get("clues", ())
    ]
    for rows, columns in ((content.get("facts"), FACTS), (clues, CLUES)):
        if rows:
            stream.write("\n")
            write_inset(stream, rows, columns, MAX_WIDTH)


def _score(content: Mapping[str, Any]) -> str:
    score = content.get("score")
    return "" if score is None else f"{score:g}"


def _stages(seconds: Mapping[str, float]) -> Iterator[str]:
    return (f"{stage} {_duration(taken)}" for stage, taken in seconds.items() if stage != "total")


def _duration(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"


def _moment(seconds: float) -> str:
    """Local time with milliseconds."""
    whole = int(seconds)
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(whole))}.{int((seconds - whole) * 1000):03d}"
