"""``policyd.replies`` and ``contentfilter.replies``: the operator's own words for what is answered."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from string import Formatter

from mailbase.config.evidence import DEFAULT_POINTS, LIST_CHECKS
from mailbase.config.flows import FINDING_NAMES, FlowsSettings
from mailbase.config.lists import ListKind, ListSettings, known_facts
from mailbase.documents.problems import Location, nearest, shown
from mailbase.vocabulary import UNSCANNED_REASONS, Flow

PLACEHOLDERS = frozenset(
    {"text", "id", "contact", "client", "client_name", "helo", "sender", "recipient", "wait"}
)
CONTENT_PLACEHOLDERS = frozenset({"text", "id", "contact", "attachment", "wait"})
"""The same, in what contentfilter answers."""
REFUSED, POINTS, WAITING = "refused", "points", "waiting"
"""Keys of texts for any refusal, for one by the total, and for mail that has to wait for its total.
``POINTS`` also names the cause where the total decided."""
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
    """A text of policyd's, with placeholders.

    Raises:
        ValueError: with the message for the operator.
    """
    return _text(value, PLACEHOLDERS)


def content_reply_text(value: str) -> str:
    """A text of contentfilter's, likewise."""
    return _text(value, CONTENT_PLACEHOLDERS)


def content_reply_key(value: str) -> str:
    """A finding, a reason why a part was not scanned, or one of the words above.

    Raises:
        ValueError: with the message for the operator.
    """
    known = {REFUSED, POINTS, WAITING, *FINDING_NAMES, *UNSCANNED_REASONS}
    if value not in known:
        words = "a finding, a reason why something is unscanned"
        raise ValueError(f"expected {words}, {REFUSED}, {POINTS} or {WAITING}" + nearest(value, known))
    return value


def _text(value: str, placeholders: Collection[str]) -> str:
    if not (0 < len(value) <= MAX_TEXT and value.isascii() and value.isprintable()):
        raise ValueError(f"expected 1 to {MAX_TEXT} characters of printable ASCII, got {shown(value)}")
    try:
        pieces = list(Formatter().parse(value))
    except ValueError as error:
        raise ValueError(f"expected placeholders such as {{id}}: {error}") from error
    for _, name, form, conversion in pieces:
        if name is None:
            continue
        if name not in placeholders or form or conversion:
            known = ", ".join(sorted(placeholders))
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
