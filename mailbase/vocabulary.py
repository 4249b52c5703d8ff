"""The words both daemons share: flows, actions, findings, and how several actions fold into one.

The names here are the names in the configuration, the metrics and the log. Nothing in this module
decides anything about a mail; it says what there is to say.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class Flow(enum.StrEnum):
    """Where a mail comes from. The first that fits wins, in this order."""

    SUBMISSION = "submission"
    """A SASL-authenticated user."""
    UPSTREAM = "upstream"
    """A trusted upstream relay: never refused after DATA, never greylisted, never limited."""
    OUTBOUND = "outbound"
    """A registered system; it may relay to anywhere."""
    INBOUND = "inbound"
    """Any other mail server, to registered domains and systems."""

    # Enum's own hash is a Python function, and too slow for a key that every request looks up.
    __hash__ = str.__hash__


class Action(enum.StrEnum):
    """What is done with a mail, mildest first; see :func:`fold`."""

    ACCEPT = "accept"
    TAG = "tag"
    QUARANTINE = "quarantine"
    DEFER = "defer"
    REJECT = "reject"
    DISCARD = "discard"
    """Only for the dummy addresses that the operator names; never the result of folding."""

    # As for Flow.
    __hash__ = str.__hash__


SEVERITY: dict[Action, int] = {action: rank for rank, action in enumerate(Action)}
"""Rank of each action, 0 the mildest."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A fact that a check or scanner established. It carries no points, no action and no reply text.

    Arguments:
        name: stable name in the field's terms, such as ``office-macro``.
        part: where in the message, as a path of part numbers and member names
            (``2/report.zip/a.docm``); empty for the message or the request as a whole.
        detail: for the log and the operator; may hold foreign text, so never for a reply as it is.
        digest: of a macro's code, by which the operator can allow it; empty for what cannot be allowed.
    """

    name: str
    part: str = ""
    detail: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Unscanned:
    """A part that could not be looked into, and why.

    Arguments:
        part: as in :class:`Finding`.
        reason: one of ``UNSCANNED_REASONS``.
        detail: for the log and the operator.
    """

    part: str
    reason: str
    detail: str = ""


UNSCANNED_REASONS = frozenset(
    {
        "encrypted",
        "mail-encrypted",
        "too-large",
        "too-deep",
        "malformed",
        "timed-out",
        "failed",
        "engine-failed",
        "spam-engine-failed",
        "unsupported",
    }
)
"""Why a part may end unscanned; each can be given an action in the configuration."""


def fold(actions: Iterable[Action]) -> Action:
    """The most severe of ``actions``; ACCEPT for none.

    The result does not depend on the order in which checks or scanners finished.
    """
    return max(actions, key=SEVERITY.__getitem__, default=Action.ACCEPT)
