"""``policyd.replies``: the operator's own words for what policyd answers."""

from __future__ import annotations

import re
from string import Formatter

from mailbase.config.evidence import DEFAULT_POINTS
from mailbase.documents.problems import nearest, shown

PLACEHOLDERS = frozenset(
    {"text", "id", "contact", "client", "client_name", "helo", "sender", "recipient", "wait"}
)
DECIDING = frozenset({"exceptions", "relay", "rate", "points", "greylist", "recipient", *DEFAULT_POINTS})
"""Checks that a reply can come from."""
MAX_TEXT = 400

_REASON = re.compile(r"([a-z_]+)(?:-([a-z0-9_.-]+))?")


def reply_reason(value: str) -> str:
    """A key: a check's name, or the reason of an answer as it stands in the log (``greylist-new``).

    Raises:
        ValueError: with the message for the operator.
    """
    found = _REASON.fullmatch(value)
    if found is None or found[1] not in DECIDING:
        known = nearest(found[1] if found else value, DECIDING)
        raise ValueError(f"expected a check, or a reason from the log such as greylist-new{known}")
    check, fact = found.groups()
    facts = DEFAULT_POINTS.get(check)
    # The facts of lists have the names of lists.
    if fact is not None and facts and fact not in facts:
        raise ValueError(f"{check} states no such fact{nearest(fact, facts)}")
    return value


def reply_text(value: str) -> str:
    """A text with placeholders.

    Raises:
        ValueError: with the message for the operator.
    """
    if not (0 < len(value) <= MAX_TEXT and value.isascii() and value.isprintable()):
        raise ValueError(f"expected 1 to {MAX_TEXT} characters of printable ASCII, got {shown(value)}")
    try:
        pieces = list(Formatter().parse(value))
    except ValueError as error:
        raise ValueError(f"expected placeholders such as {{id}}: {error}") from error
    for _, name, form, conversion in pieces:
        if name is None:
            continue
        if name not in PLACEHOLDERS or form or conversion:
            known = ", ".join(sorted(PLACEHOLDERS))
            raise ValueError(f"expected one of the placeholders {known}, got {{{name}}}")
    return value
