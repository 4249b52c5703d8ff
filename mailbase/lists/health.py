"""Whether a list is asked: a state machine without clock and DNS, told of what becomes of questions.

A list is asked once it has passed its first test. Trouble switches it off, and it is tested again and again,
ever less often, until it passes.
"""

from __future__ import annotations

import enum
from typing import Protocol

from mailbase.lists.model import Trouble

SOON = 5.0
"""Seconds until the next test where DNS as a whole did not answer."""


class Terms(Protocol):
    """What of the configuration's ``policyd.list_health`` is read here; seconds."""

    @property
    def interval(self) -> float: ...
    @property
    def failures(self) -> int: ...
    @property
    def retry(self) -> float: ...
    @property
    def max_retry(self) -> float: ...


class State(enum.StrEnum):
    """Whether a list is asked."""

    UNTESTED = "untested"
    """Not yet: who knows what it would say."""
    ON = "on"
    OFF = "off"


class Health:
    """Of one list. All times are seconds of one clock.

    Arguments:
        terms: may be replaced.
        now: the first test is due at once.
    """

    def __init__(self, terms: Terms, now: float) -> None:
        self.terms = terms
        self.state = State.UNTESTED
        self.since = now
        """When the state began."""
        self.trouble: Trouble | None = None
        """The last one, also after it is over; None if there was none."""
        self.detail = ""
        self.failures = 0
        """Questions without an answer, one after another."""
        self.tested_at: float | None = None
        self.next_test = now
        self.switched_off = 0
        """How often."""
        self._retry = 0.0

    def answered(self, trouble: Trouble | None, detail: str, now: float) -> None:
        """A question asked for a mail came to an end; ``trouble`` is None where the answer makes sense."""
        if self.state is not State.ON:
            return
        if trouble is None:
            self.failures = 0
        elif trouble is Trouble.UNANSWERED:
            self._unanswered(detail, now)
        else:
            self._switch_off(trouble, detail, now)

    def tested(self, trouble: Trouble | None, detail: str, now: float) -> None:
        """A test came to an end; ``trouble`` is None where it was passed."""
        self.tested_at = now
        self.next_test = now + self.terms.interval
        if trouble is None:
            # Mails that got no answer still count: a server on the way may know the test points by heart.
            if self.state is not State.ON:
                self.state, self.since = State.ON, now
        elif self.state is State.ON and trouble is Trouble.UNANSWERED:
            self._unanswered(detail, now)
        elif self.state is State.OFF:
            self.trouble, self.detail = trouble, detail
            self._try_later(now)
        else:
            self._switch_off(trouble, detail, now)

    def hurry(self, now: float) -> None:
        """Something has changed that may have ended the trouble: if the list is off, test it at once."""
        if self.state is State.OFF:
            self.next_test = now

    def postponed(self, now: float) -> None:
        """A test failed for a fault of ours, and says nothing about the list."""
        self.next_test = now + SOON

    def _unanswered(self, detail: str, now: float) -> None:
        self.failures += 1
        self.trouble, self.detail = Trouble.UNANSWERED, detail
        if self.failures >= self.terms.failures:
            self._switch_off(Trouble.UNANSWERED, detail, now)
            return
        # The test tells a list that is gone from one name that is.
        last = self.tested_at if self.tested_at is not None else now
        self.next_test = min(self.next_test, max(now, last + SOON))

    def _switch_off(self, trouble: Trouble, detail: str, now: float) -> None:
        if self.state is not State.ON or now - self.since >= self.terms.interval:
            # Else it came back a moment ago only, and its waiting time goes on to grow.
            self._retry = 0.0
        self.state, self.since = State.OFF, now
        self.trouble, self.detail = trouble, detail
        self.failures = 0
        self.switched_off += 1
        self._try_later(now)

    def _try_later(self, now: float) -> None:
        self._retry = min(2 * self._retry or self.terms.retry, self.terms.max_retry)
        self.next_test = now + self._retry
