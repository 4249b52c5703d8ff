"""Simulated traffic: people and systems at their work, and thieves, mail by mail and week by week."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mailbase.config.outgoing import OutgoingSettings
from policyd.outgoing.judging import Finding, Terms, judge, terms_of, thresholds
from policyd.outgoing.measures import Kind
from policyd.outgoing.record import HOUR, Record, fingerprint

START = 1_800_000_000 // 604_800 * 604_800.0
"""A Thursday, 0:00."""
DAY, WEEK = 24 * HOUR, 7 * 24 * HOUR

Mail = tuple[float, Sequence[int]]
"""Seconds since the start, and recipients by number."""


@dataclass
class Traffic:
    """One user or system under the eyes of the product's own rules.

    Attributes:
        found: what was odd, with the number of the mail and its time.
    """

    kind: Kind = Kind.USER
    terms: Terms = field(default_factory=lambda: terms_of(OutgoingSettings()))
    record: Record = field(default_factory=lambda: Record(START))
    mails: int = 0
    found: list[tuple[int, float, Finding]] = field(default_factory=list)
    busiest: float = 0.0

    def send(self, mails: Iterator[Mail]) -> None:
        """Let these come in, in the order of their times."""
        limits, as_of = None, -1
        for seconds, recipients in mails:
            now = START + seconds
            self.mails += 1
            known = [fingerprint(f"r{number}@x.example", b"") for number in recipients]
            self.record.mail(1, now, len(recipients), known)
            if limits is None or as_of != int(now) // HOUR:
                limits, as_of = thresholds(self.record, self.kind, self.terms, now), int(now) // HOUR
            finding = judge(self.record, limits, now)
            self.busiest = max(self.busiest, self.record.hour(now)[0])
            if finding is not None:
                self.found.append((self.mails, now, finding))
                self.record.mark(1, now)


class Person:
    """Somebody who writes to people he knows, and now and then to somebody new.

    Arguments:
        a_day: mails on a working day.
        circle: how many people he writes to in the course of time.
        new: share of recipients that nobody of them is.
        hours: in which he writes.
    """

    def __init__(
        self, seed: int, a_day: int, circle: int, new: float = 0.1, hours: tuple[int, int] = (8, 19)
    ) -> None:
        self._random = random.Random(seed)
        self._a_day, self._circle, self._new, self._hours = a_day, circle, new, hours
        self._strangers = 1_000_000 * (seed + 1)

    def week(self, number: int) -> Iterator[Mail]:
        """His mails in that week."""
        rng, times = self._random, []
        for day in range(7):
            weekend = day in (2, 3)
            many = rng.randint(self._a_day // 2, self._a_day) // (8 if weekend else 1)
            # Mail is answered in bursts: half of it within two hours of the day.
            first = rng.uniform(self._hours[0], self._hours[1] - 2)
            for mail in range(many):
                hour = rng.uniform(first, first + 2) if mail % 2 else rng.uniform(*self._hours)
                times.append(number * WEEK + day * DAY + hour * HOUR)
        for time in sorted(times):
            many = rng.choice((1, 1, 1, 1, 2, 2, 3, 5, 12))
            yield time, [self._recipient() for _ in range(many)]

    def _recipient(self) -> int:
        if self._random.random() < self._new:
            self._strangers += 1
            return self._strangers
        # Few of them get most.
        return int(self._circle * self._random.random() ** 2)


def burst(
    begin: float, mails: int, every: float, recipients: int, *, first: int, of: int = 1 << 40
) -> Iterator[Mail]:
    """Mails one after another to ever new recipients, or to the same ``of`` again and again."""
    for number in range(mails):
        those = range(number * recipients, (number + 1) * recipients)
        yield begin + number * every, [first + one % of for one in those]
