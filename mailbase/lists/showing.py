"""The command that shows a daemon's lists."""

from __future__ import annotations

import sys
from typing import TextIO

from mailbase.control.client import ask
from mailbase.lists import VERB
from mailbase.printing import wants_json, write

COLUMNS = ("list", "kind", "zone", "state", "since", "lookups", "hits", "trouble", "detail", "next_test")
"""Of the table."""


def show(control: str, stream: TextIO, as_json: bool | None) -> bool:
    """Print the lists that the daemon at a control socket watches; whether all are well.

    Raises:
        ControlError: it does not answer.
    """
    rows = list(ask(control, VERB))
    if not write(stream, rows, COLUMNS, wants_json(stream, as_json)):
        print("no list is asked", file=sys.stderr)
    return not any(row.get("state") == "off" for row in rows)
