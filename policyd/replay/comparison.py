"""Two answers to each request: what changed, and what it means for those who send."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from mailbase.vocabulary import Action
from policyd.engine.decision import Decision
from policyd.protocol.request import Request, Stage
from policyd.replay.past import Answer, Recorded

MAX_WAITING = 500_000
"""Mails put off that are waited for; beyond it the oldest count as never come back."""
MAX_KINDS = 10_000
"""Kinds of changes that are told apart; all others are one."""
EXAMPLES = 3
"""Requests shown for each kind of change."""


@dataclass(frozen=True, slots=True)
class Change:
    """One kind of change.

    Arguments:
        before: action and reason of one side.
        after: of the other.
    """

    before: tuple[str, str]
    after: tuple[str, str]


OTHERS = Change(("", "others"), ("", "others"))


@dataclass(slots=True)
class Delays:
    """Mails that were put off, and how long until they passed.

    A mail is sender, recipient and client; of the null sender every client's is another one.
    """

    delayed: int = 0
    """That passed later."""
    seconds: float = 0.0
    """Of all these together."""
    given_up: int = 0
    """That did not, as far as was waited for them."""
    _since: dict[Hashable, float] = field(default_factory=dict)

    def note(self, key: Hashable, time: float, action: Action) -> None:
        """One attempt, and what was done with it.

        Arguments:
            key: of :func:`mail_of`.
        """
        if action is Action.DEFER:
            if key not in self._since:
                if len(self._since) >= MAX_WAITING:
                    del self._since[next(iter(self._since))]
                    self.given_up += 1
                self._since[key] = time
        elif (since := self._since.pop(key, None)) is not None:
            if action is Action.REJECT:
                self.given_up += 1
            else:
                self.delayed += 1
                self.seconds += time - since

    @property
    def never_passed(self) -> int:
        """Mails that were put off and had not passed by the end."""
        return self.given_up + len(self._since)

    @property
    def mean(self) -> float:
        """Seconds."""
        return self.seconds / self.delayed if self.delayed else 0.0


@dataclass(slots=True)
class Side:
    """What one configuration did to the recipients, or what was recorded."""

    actions: Counter[Action] = field(default_factory=Counter)
    delays: Delays = field(default_factory=Delays)

    def note(self, key: Hashable, time: float, action: Action) -> None:
        """One answer to a recipient; see :meth:`Delays.note`."""
        self.actions[action] += 1
        self.delays.note(key, time, action)

    def summary(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "accepted": self.actions[Action.ACCEPT],
            "deferred": self.actions[Action.DEFER],
            "rejected": self.actions[Action.REJECT],
            "delayed": self.delays.delayed,
            "mean_delay": round(self.delays.mean, 1),
            "never_passed": self.delays.never_passed,
        }


@dataclass(slots=True)
class Comparison:
    """Counts decisions, and those that changed.

    Arguments:
        reasons: whether another reason is a change where the action is the same.
    """

    reasons: bool = False
    requests: int = 0
    """All that were decided."""
    compared: int = 0
    """Those of them with an answer on both sides."""
    before: Side = field(default_factory=Side)
    after: Side = field(default_factory=Side)
    changes: Counter[Change] = field(default_factory=Counter)
    examples: dict[Change, list[Recorded]] = field(default_factory=dict)

    def note(self, recorded: Recorded, before: Answer | None, after: Answer) -> Change | None:
        """One request; gives the change, if it is one.

        Arguments:
            before: None where it is not known.
            after: likewise of the other side.
        """
        self.requests += 1
        if before is None or before.repeated or after.repeated:
            return None
        self.compared += 1
        if recorded.request.stage is Stage.RCPT:
            key = mail_of(recorded.request)
            self.before.note(key, recorded.time, before.action)
            self.after.note(key, recorded.time, after.action)
        if before.action is after.action and not (self.reasons and before.reason != after.reason):
            return None
        change = Change((before.action, before.reason), (after.action, after.reason))
        if change not in self.changes and len(self.changes) >= MAX_KINDS:
            change = OTHERS
        self.changes[change] += 1
        examples = self.examples.setdefault(change, [])
        if len(examples) < EXAMPLES:
            examples.append(recorded)
        return change

    @property
    def changed(self) -> int:
        """Decisions that changed."""
        return self.changes.total()

    def summary(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "requests": self.requests,
            "compared": self.compared,
            "changed": self.changed,
            "before": self.before.summary(),
            "after": self.after.summary(),
        }


def answer_of(decision: Decision) -> Answer:
    """A decision as an answer."""
    return Answer(decision.action, decision.reason, decision.id, decision.repeated)


def mail_of(request: Request) -> tuple[str, str, str]:
    """What makes an attempt the same mail as another one.

    Not the client's address: large senders come back from another one.
    """
    sender = request.sender
    return sender, request.recipient, "" if sender else request.client_address
