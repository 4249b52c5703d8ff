"""What is counted of each user and each registered system."""

from __future__ import annotations

import enum
from typing import NamedTuple

from mailbase.vocabulary import Flow


class Kind(enum.StrEnum):
    """Who is watched."""

    USER = "user"
    """By SASL login name."""
    SYSTEM = "system"
    """A registered system, as it is written in the registry."""

    __hash__ = str.__hash__


class Measure(enum.StrEnum):
    """What is counted; the values stand in the configuration, in metrics and in notices."""

    MESSAGES = "messages"
    RECIPIENTS = "recipients"
    STRANGERS = "strangers"
    """Mails of whose recipients at least half were never written to before."""
    REFUSED = "refused"
    """Mails that contentfilter refused or quarantined."""
    FAILED = "failed"
    """Recipients that their server does not know."""
    POINTS = "points"
    NEW = "new"
    """Recipients never written to before; told, not judged: one mail to many new people is nothing odd."""

    __hash__ = str.__hash__


MEASURES = tuple(Measure)
"""In the order in which a record has them."""
JUDGED = MEASURES[:-1]
"""Those that are compared with anything."""
MESSAGES, RECIPIENTS, STRANGERS, REFUSED, FAILED, POINTS, NEW = range(len(MEASURES))
"""Their places."""
AMOUNTS = frozenset({MESSAGES, RECIPIENTS, STRANGERS})
"""Places of those that say nothing by themselves: one's usual amount must be known."""
WORDS = {
    Measure.MESSAGES: "messages",
    Measure.RECIPIENTS: "recipients",
    Measure.STRANGERS: "messages to recipients never written to before",
    Measure.REFUSED: "messages refused for their content",
    Measure.FAILED: "recipients that do not exist",
    Measure.POINTS: "points for spam",
}


class Whose(NamedTuple):
    """Arguments:
    kind: of the one who is watched.
    name: a login name, lower case, or a system as registered.
    """

    kind: Kind
    name: str

    @property
    def key(self) -> bytes:
        """In the store."""
        return f"{self.kind}:{self.name}".encode("utf-8", "replace")


MAX_NAME = 320
"""Characters of a name that are told apart."""
_SUBMISSION, _OUTBOUND = Flow.SUBMISSION, Flow.OUTBOUND


def whose(flow: Flow, user: str, system: str) -> Whose | None:
    """Whose mail it is; None for strangers' and upstream relays'."""
    if flow is _SUBMISSION:
        # As for limits: most password stores do not tell Anna from anna.
        return Whose(Kind.USER, user[:MAX_NAME].lower()) if user else None
    return Whose(Kind.SYSTEM, system[:MAX_NAME]) if flow is _OUTBOUND and system else None


def whose_key(key: bytes) -> Whose | None:
    """The reverse of :attr:`Whose.key`; None for what is none."""
    kind, colon, name = key.decode("utf-8", "replace").partition(":")
    return Whose(Kind(kind), name) if colon and kind in set(Kind) and name else None
