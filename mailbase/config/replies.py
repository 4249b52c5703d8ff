"""``policyd.replies``: the operator's own words for what policyd answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from string import Formatter
from typing import TYPE_CHECKING

from mailbase.config.evidence import DEFAULT_POINTS, LIST_CHECKS
from mailbase.config.lists import ListKind, ListSettings, known_facts
from mailbase.documents.problems import Location, nearest, shown
from mailbase.vocabulary import Flow

if TYPE_CHECKING:
    from mailbase.config.flows import FlowsSettings

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


def reply_conflicts(
    replies: Mapping[str, str], lists: Mapping[str, ListSettings], flows: FlowsSettings
) -> Iterator[tuple[Location, str]]:
    """Texts for lists and limits that there are not, as (location within ``policyd.replies``, message)."""
    limits = [name for flow in Flow for name in flows.of(flow).limits]
    for reason in replies:
        check, _, name = reason.partition("-")
        if check in LIST_CHECKS and name:
            known = known_facts(ListKind(check), lists)
            if name not in known:
                hint = nearest(name, known)
                yield (reason,), f"no list of kind {check} in policyd.lists has this name{hint}"
        elif check == "rate" and name and name not in limits:
            yield (reason,), f"no flow has a limit of this name{nearest(name, limits)}"
