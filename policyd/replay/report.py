"""What a replay found, for people and for programs."""

from __future__ import annotations

import json
import time
from typing import Any, TextIO

from mailbase.config.units import format_duration
from mailbase.printing import write
from policyd.replay.comparison import Change, Comparison, Side
from policyd.replay.past import Answer, Recorded
from policyd.replay.sources import Counts

COLUMNS = ("changed", "before", "", "after", "time", "client", "sender", "recipient")


def change_object(recorded: Recorded, before: Answer, after: Answer) -> dict[str, Any]:
    """One changed decision as JSON types."""
    request = recorded.request
    return {
        "time": round(recorded.time, 3),
        "stage": request.stage.value,
        "client": request.client_address,
        "client_name": request.client_name,
        "helo": request.get("helo_name"),
        "sender": request.sender,
        "recipient": request.recipient,
        "before": {"action": before.action.value, "reason": before.reason, "id": before.id},
        "after": {"action": after.action.value, "reason": after.reason},
    }


def write_object(stream: TextIO, message: dict[str, Any]) -> None:
    """One JSON object a line."""
    stream.write(json.dumps(message, separators=(",", ":")) + "\n")


def write_comparison(stream: TextIO, comparison: Comparison, names: tuple[str, str]) -> None:
    """The changes as a table, the most frequent first, and both sides in numbers.

    Arguments:
        names: of both sides.
    """
    write(stream, list(_rows(comparison)), COLUMNS, False)
    if comparison.changes:
        stream.write("\n")
    sides = [
        {"": name, **_numbers(side)}
        for name, side in zip(names, (comparison.before, comparison.after), strict=True)
    ]
    write(stream, sides, tuple(sides[0]), False)
    share = 100 * comparison.changed / comparison.compared if comparison.compared else 0.0
    stream.write(
        f"\n{comparison.requests} requests, {comparison.compared} compared, "
        f"{comparison.changed} decisions change ({share:.1f} %)\n"
    )


def _rows(comparison: Comparison) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for change, count in comparison.changes.most_common():
        for number, example in enumerate(comparison.examples[change]):
            head = {"changed": count, **_arrow(change)} if not number else dict.fromkeys(COLUMNS[:4], "")
            request = example.request
            moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(example.time))
            rows.append(
                {
                    **head,
                    "time": moment,
                    "client": request.client_address,
                    "sender": request.sender or "<>",
                    "recipient": request.recipient or "-",
                }
            )
    return rows


def _arrow(change: Change) -> dict[str, str]:
    return {"before": " ".join(change.before).strip(), "": "->", "after": " ".join(change.after).strip()}


def _numbers(side: Side) -> dict[str, Any]:
    summary = side.summary()
    mean = summary.pop("mean_delay")
    return {**summary, "mean_delay": duration(mean) if summary["delayed"] else "-"}


def duration(seconds: float) -> str:
    """Roughly, in the units that people use."""
    if seconds < 120:
        return format_duration(round(seconds)) if seconds >= 1 else "0s"
    if seconds < 7200:
        return f"{seconds / 60:.1f}m"
    return f"{seconds / 3600:.1f}h"


def remarks(counts: Counts) -> list[str]:
    """What the operator should know of the reading."""
    postfix = counts.postfix
    return [
        text
        for number, text in (
            (counts.unreadable, "lines could not be read"),
            (counts.cut, "compressed files end too early or are damaged: what stands behind was not read"),
            (counts.dropped, "requests are missing: the recording had no room for them"),
            (counts.pseudonymised, "decisions cannot be used: the log has hashes in place of addresses"),
            (postfix.others, "recipients were refused by others than a policy server: left out"),
            (postfix.incomplete, "mails were left out: the log does not have all of them"),
        )
        if number
        for text in (f"{number} {text}",)
    ]
