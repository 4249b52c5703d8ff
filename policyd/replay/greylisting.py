"""What greylisting does to traffic: who waits, how long, who never comes back."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mailbase.config import Settings
from mailbase.config.units import format_duration
from mailbase.vocabulary import Action
from policyd.engine.decision import Decision
from policyd.evidence.facts import Grey, GreylistFact
from policyd.replay.comparison import mail_of
from policyd.replay.past import Recorded

PATIENCE = 4 * 3600.0
"""Seconds after which a mail that did not come back will not: RFC 5321 4.5.4.1 wants it tried every half an
hour in the beginning."""
MAX_WAITING = 1_000_000
"""Mails waited for; beyond it the oldest count as blocked."""

_UNTOUCHED = frozenset({Grey.OFF, Grey.EXEMPT, Grey.RECIPIENT_ALLOWED, Grey.UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class Variant:
    """Settings to try.

    Arguments:
        setting: what differs, for people.
        value: likewise.
        overrides: ``key.path=value``.
        current: whether it is the configuration as it is.
    """

    setting: str
    value: str
    overrides: tuple[str, ...] = ()
    current: bool = False


def variants(settings: Settings, extra: Sequence[str] = ()) -> list[Variant]:
    """What is tried: one setting after another, each beside its value in force.

    Arguments:
        extra: more settings to try, each some ``key.path=value`` with blanks between them.
    """
    greylist = settings.policyd.greylist
    found: list[Variant] = []
    for name, now, values in (
        ("delay", greylist.delay, (60.0, 120.0, 300.0, 600.0, 900.0, 1800.0)),
        ("lifetime", greylist.lifetime, (7 * 86400.0, 35 * 86400.0, 90 * 86400.0)),
    ):
        found += [
            Variant(
                name,
                format_duration(value),
                (f"policyd.greylist.{name}={format_duration(value)}",),
                value == now,
            )
            for value in sorted({now, *values})
            if name != "delay" or value < greylist.retry_window
        ]
    prefixes = (greylist.network_v4, greylist.network_v6)
    for v4, v6 in sorted({prefixes, (24, 64), (32, 128)}):
        overrides = (f"policyd.greylist.network_v4={v4}", f"policyd.greylist.network_v6={v6}")
        found.append(Variant("network", f"/{v4} /{v6}", overrides, (v4, v6) == prefixes))
    for names in (("network",), ("network", "ptr"), ("network", "spf", "ptr"), greylist.identities):
        value = " ".join(name for name in ("network", "spf", "ptr") if name in names)
        override = f"policyd.greylist.identities=[{value.replace(' ', ',')}]"
        variant = Variant("identities", value, (override,), set(names) == set(greylist.identities))
        if variant not in found:
            found.append(variant)
    for count in sorted({greylist.auto_allow_after, 0, 2, 5, 10}):
        override = f"policyd.greylist.auto_allow_after={count}"
        found.append(Variant("auto_allow_after", str(count), (override,), count == greylist.auto_allow_after))
    found += [Variant("--try", text, tuple(text.split())) for text in extra]
    return found


def is_greylisted(decision: Decision) -> bool:
    """Whether greylisting had a say on that recipient, however it answered."""
    return any(isinstance(fact, GreylistFact) and fact.grey not in _UNTOUCHED for fact in decision.facts)


@dataclass(slots=True)
class _Waiting:
    """A mail that waits.

    Arguments:
        since: when it was first put off.
        passed_then: when it passed in the recording; None while it did not.
    """

    since: float
    passed_then: float | None = None


@dataclass(slots=True)
class Effect:
    """What one variant did.

    A recording has the retries that the settings of its time brought about. A mail that passed then and would
    have had to wait longer has no more of them: it did come back, so it counts as delayed, by the time that
    it needs at least.

    Arguments:
        delay: of the variant, seconds.
    """

    delay: float
    passed: int = 0
    """Mails that passed, delayed or not."""
    estimated: int = 0
    """Delayed mails among them whose delay is the least possible."""
    blocked: int = 0
    """Mails that did not come back, or too early only."""
    open: int = 0
    """Mails that still had time to come back when the recording ended."""
    delays: array[float] = field(default_factory=lambda: array("d"))
    _waiting: dict[tuple[str, str, str], _Waiting] = field(default_factory=dict)

    def note(self, recorded: Recorded, decision: Decision) -> None:
        """One attempt, and the answer that the variant gives to it."""
        key = mail_of(recorded.request)
        waiting = self._waiting.get(key)
        if waiting is not None and waiting.passed_then is not None:
            # It was delivered then, so this is the next one.
            self._estimate(self._waiting.pop(key))
            waiting = None
        if decision.action is Action.DEFER:
            if waiting is None:
                if len(self._waiting) >= MAX_WAITING:
                    del self._waiting[next(iter(self._waiting))]
                    self.blocked += 1
                waiting = self._waiting[key] = _Waiting(recorded.time)
            if recorded.answer is not None and recorded.answer.action is Action.ACCEPT:
                waiting.passed_then = recorded.time
        elif decision.action is Action.ACCEPT:
            self.passed += 1
            if waiting is not None:
                del self._waiting[key]
                self.delays.append(recorded.time - waiting.since)

    def end(self, now: float) -> None:
        """The recording ends.

        Arguments:
            now: time of its last request.
        """
        for waiting in self._waiting.values():
            if waiting.passed_then is not None:
                self._estimate(waiting)
            elif now - waiting.since < PATIENCE:
                self.open += 1
            else:
                self.blocked += 1
        self._waiting.clear()

    def _estimate(self, waiting: _Waiting) -> None:
        assert waiting.passed_then is not None
        self.passed += 1
        self.estimated += 1
        self.delays.append(max(self.delay, waiting.passed_then - waiting.since))

    @property
    def mails(self) -> int:
        """All of them."""
        return self.passed + self.blocked + self.open

    def summary(self) -> dict[str, Any]:
        """As JSON types; seconds."""
        ordered = sorted(self.delays)
        return {
            "mails": self.mails,
            "delayed": len(ordered),
            "estimated": self.estimated,
            "median_delay": quantile(ordered, 0.5),
            "p95_delay": quantile(ordered, 0.95),
            "blocked": self.blocked,
            "open": self.open,
        }


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """The least value that ``share`` of all do not exceed; None for none."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
