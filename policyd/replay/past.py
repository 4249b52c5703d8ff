"""What a recording or a log tells of the past."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeAlias

from mailbase.vocabulary import Action
from policyd.callout.result import Result
from policyd.evidence.facts import Evidence
from policyd.exceptions.rule import Rule
from policyd.protocol.request import Request, frequent_of


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered.

    Arguments:
        action: in the words of the product.
        reason: the fact that decided, as a name; of a reply in Postfix's log, its code.
        id: of the decision; empty where it is not known.
        repeated: whether Postfix asked once more; then nothing else is known.
        wait: seconds that greylisting still asked for.
    """

    action: Action
    reason: str
    id: str = ""
    repeated: bool = False
    wait: int = 0


class Fate(enum.StrEnum):
    """What became of a mail behind us, as far as it is known."""

    DELIVERED = "delivered"
    """Delivered, or passed on."""
    REFUSED = "refused"
    """Refused or kept back for its content."""


@dataclass(slots=True)
class Recorded:
    """One request of the past.

    Arguments:
        time: seconds since the epoch.
        request: as Postfix sent it, or as far as its log tells.
        answer: what was answered then; None where that is not known.
        evidence: what checks had found out; None where it was not looked for, or is not known.
        fate: what became of the mail.
        callout: what the recipient's server said of it; None where it was not asked.
        asked: the checks that looked for evidence: what they did not state was not there.
    """

    time: float
    request: Request
    answer: Answer | None = None
    evidence: tuple[Evidence, ...] | None = None
    fate: Fate | None = None
    callout: Result | None = None
    asked: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What contentfilter did with a mail.

    Arguments:
        ticket: id of the decision at DATA.
        client: its address.
        sender: envelope sender, lower case.
        recipients: those that were accepted.
        action: what was done.
    """

    ticket: str
    client: str
    sender: str
    recipients: tuple[str, ...]
    action: Action


@dataclass(frozen=True, slots=True)
class Allowed:
    """A network that was allowed by command.

    Arguments:
        network: in presentation form.
        until: seconds since the epoch; None: for ever.
    """

    network: str
    until: float | None


@dataclass(frozen=True, slots=True)
class Ruled:
    """An exception that was in force.

    Arguments:
        rule: as :func:`policyd.exceptions.rule.rule_of` makes it.
    """

    rule: Rule


@dataclass(frozen=True, slots=True)
class Gap:
    """Requests are missing.

    Arguments:
        dropped: how many.
    """

    dropped: int


Line: TypeAlias = Recorded | Outcome | Allowed | Ruled | Gap


class _Request(Request):
    """A request whose attributes need not be taken out of text."""

    __slots__ = ("_attributes",)

    def __init__(self, attributes: dict[str, str]) -> None:
        self.fill(frequent_of(attributes), "")
        self._attributes = attributes

    @property
    def characters(self) -> int:
        """See :class:`~policyd.protocol.request.Request`."""
        return sum(map(len, self._attributes)) + sum(map(len, self._attributes.values()))

    @property
    def attributes(self) -> dict[str, str]:
        """See :class:`~policyd.protocol.request.Request`."""
        return dict(self._attributes)

    def get(self, name: str) -> str:
        """See :class:`~policyd.protocol.request.Request`."""
        return self._attributes.get(name, "")


def past_request(attributes: dict[str, str]) -> Request:
    """The request with these names and values, which are not changed any more."""
    return _Request(attributes)
