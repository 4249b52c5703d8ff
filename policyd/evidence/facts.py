"""What checks can establish: a closed set. A fact carries no points, no action and no reply text."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from mailbase.config.limits import Of, Per
from mailbase.vocabulary import Action
from policyd.callout.result import Result


class Fact:
    """Base of all facts; see the subclasses in this module.

    Facts are equal if they are the same object: checks hand out few, again and again, and what follows from
    them is looked up by them.
    """

    __slots__ = ()


class Relaying(enum.StrEnum):
    """Whether a recipient may be mailed through us."""

    PERMITTED = "permitted"
    """The client may mail anybody: a registered system or an authenticated user."""
    SERVED = "served"
    """The recipient is ours, so anybody may mail it."""
    OWN = "own"
    """The gateway's own name, or no domain at all: Postfix knows what is local to it."""
    DENIED = "denied"
    """Neither."""
    UNCONFIRMED = "unconfirmed"
    """Neither, as far as is known: the client's address has a registered system's name, unconfirmed."""
    UNJUDGED = "unjudged"
    """No registry is configured; who may relay is Postfix's business."""


@dataclass(frozen=True, slots=True, eq=False)
class RelayFact(Fact):
    """Arguments:
    relaying: what was established.
    reason: why, as a name for the log.
    """

    relaying: Relaying
    reason: str


class Grey(enum.StrEnum):
    """How a request stands with greylisting."""

    NEW = "new"
    EARLY = "early"
    PASSED = "passed"
    KNOWN = "known"
    CLIENT_ALLOWED = "client-allowed"
    """On a client list, or allowed by command."""
    CLIENT_EARNED = "client-earned"
    """Allowed for its good retries."""
    CLIENT_LISTED = "client-listed"
    """On a DNS list of good senders."""
    CLIENT_REPUTED = "client-reputed"
    """Its network has sent no spam for a long time."""
    SENDER_ALLOWED = "sender-allowed"
    """Passed SPF for a domain on the operator's list."""
    RECIPIENT_ALLOWED = "recipient-allowed"
    EXCEPTED = "excepted"
    """Allowed by ``policyd allow``."""
    EXEMPT = "exempt"
    """abuse@, postmaster@."""
    OFF = "off"
    """Not greylisted in this flow or for this domain."""
    UNAVAILABLE = "unavailable"
    """The store cannot say."""

    # As for Stage: a key on the hot path.
    __hash__ = str.__hash__


@dataclass(frozen=True, slots=True, eq=False)
class GreylistFact(Fact):
    """Arguments:
    grey: what was established.
    wait: seconds until a retry passes, for NEW and EARLY.
    shadow: whether that is counted and not acted on.
    """

    grey: Grey
    wait: int = 0
    shadow: bool = False


class Effect(enum.StrEnum):
    """What the operator's commands say of a mail."""

    NONE = "none"
    ALLOW = "allow"
    DENY = "deny"

    # As for Grey.
    __hash__ = str.__hash__


class Named(enum.StrEnum):
    """What an exception names."""

    CLIENT = "client"
    SENDER = "sender"
    RECIPIENT = "recipient"
    USER = "user"
    """A SASL login name."""

    # As for Grey.
    __hash__ = str.__hash__


@dataclass(frozen=True, slots=True, eq=False)
class ExceptionFact(Fact):
    """Arguments:
    effect: of the exception that applies.
    named: what it names; None if there is none.
    what: the network, domain, mailbox or user, for the operator.
    suspended: what is done with the mail of somebody who sent too much; accept where it is no suspension.
    """

    effect: Effect
    named: Named | None = None
    what: str = ""
    suspended: Action = Action.ACCEPT


@dataclass(frozen=True, slots=True, eq=False)
class RecipientFact(Fact):
    """What the recipient's server says of it.

    Arguments:
        result: what is known; None where nobody was asked.
        action: what follows under the flow's settings.
        shadow: whether that is counted and not acted on.
    """

    result: Result | None
    action: Action = Action.ACCEPT
    shadow: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class SpamtrapFact(Fact):
    """Arguments:
    hit: whether the recipient is a spamtrap.
    """

    hit: bool


@dataclass(frozen=True, slots=True, eq=False)
class CheckFailed(Fact):
    """A check that raised: our own fault, and never a verdict on the mail.

    Arguments:
        check: its name.
    """

    check: str


@dataclass(frozen=True, slots=True, eq=False)
class CheckLate(Fact):
    """A check whose answer was not there when the request had to be answered.

    Arguments:
        check: its name.
    """

    check: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that a check found out about client, HELO or sender. Not a :class:`Fact`: it settles nothing.

    Arguments:
        check: its name, as in the configuration.
        name: what was found, as in the configuration.
        detail: for the operator; may hold foreign text.
    """

    check: str
    name: str
    detail: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class PointsFact(Fact):
    """What all evidence together comes to under the flow's thresholds.

    Arguments:
        action: accept, defer or reject.
        check: whose fact decided, or weighs most; empty where nothing has points.
        name: that fact.
        shadow: what the action would be if the shadows counted.
    """

    action: Action
    check: str = ""
    name: str = ""
    shadow: Action = Action.ACCEPT


_NO_REASON_TO_WAIT = frozenset(Grey) - {Grey.NEW, Grey.EARLY, Grey.OFF}
"""What greylisting says of a mail that has waited, or of one that never has to."""


def is_free(fact: GreylistFact) -> bool:
    """Whether a mail that is deferred for its points need not wait any longer."""
    return fact.grey in _NO_REASON_TO_WAIT


def keeps_waiting(facts: Iterable[Fact]) -> bool:
    """Whether the mail is kept out for its points, by these facts: refused, or deferred and not yet free."""
    waits = False
    for fact in facts:
        if type(fact) is PointsFact and fact.action is not Action.ACCEPT:
            if fact.action is Action.REJECT:
                return True
            waits = True
        elif type(fact) is GreylistFact and is_free(fact):
            return False
    return waits


class Limited(enum.StrEnum):
    """How a request stands with the limits."""

    FREE = "free"
    """None is used up, or none is set."""
    USED_UP = "used-up"
    NEVER = "never"
    """This mail alone is more than a limit allows."""
    UNAVAILABLE = "unavailable"
    """The store cannot say."""


@dataclass(frozen=True, slots=True, eq=False)
class LimitFact(Fact):
    """Arguments:
    limited: what was established.
    limit: name of the limit, for USED_UP and NEVER; so for the rest.
    per: whose use it counts together.
    of: what it counts.
    action: what is done with mail beyond it.
    wait: seconds until it is free again, for USED_UP.
    """

    limited: Limited
    limit: str = ""
    per: Per = Per.CLIENT
    of: Of = Of.MESSAGES
    action: Action = Action.ACCEPT
    wait: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class OutgoingFact(Fact):
    """Something odd in what a user or a registered system sends. It is noted, and decides nothing itself.

    Arguments:
        measure: what there is too much of.
        words: how much, in what time, and what was usual.
        suspended: whether a suspension follows.
    """

    measure: str
    words: str
    suspended: bool = False
