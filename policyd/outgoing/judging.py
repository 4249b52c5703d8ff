"""Whether what somebody sends is a jump, beyond a quota, or so much that he is suspended. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from mailbase.config.outgoing import FigureSettings, OutgoingSettings, SystemWatchSettings, UserWatchSettings
from mailbase.vocabulary import Action
from policyd.outgoing.measures import AMOUNTS, JUDGED, MESSAGES, STRANGERS, Kind, Measure, Whose
from policyd.outgoing.record import Figures, Record

STRANGE_SHARE = 0.25
"""Of all mails must go to strangers before these say something: a list of many readers has new ones."""

_WIDTH = len(JUDGED)


class Window(enum.StrEnum):
    """Over what time something was counted."""

    HOUR = "hour"
    DAY = "day"

    __hash__ = str.__hash__


class Against(enum.StrEnum):
    """What it was held against."""

    USUAL = "usual"
    """The past, or where there is none the least that is worth a notice."""
    QUOTA = "quota"
    LIMIT = "limit"
    """Beyond it the user or system is suspended."""

    __hash__ = str.__hash__


@dataclass(frozen=True, slots=True)
class Finding:
    """Something odd.

    Arguments:
        measure: what there is too much of.
        window: in what time.
        against: what kind of threshold it has reached.
        seen: how much there is.
        threshold: how much was needed.
        usual: the most that there was before; 0: nothing is known.
    """

    measure: Measure
    window: Window
    against: Against
    seen: float
    threshold: float
    usual: float


@dataclass(frozen=True, slots=True)
class Levels:
    """The figures of one kind, in the order of JUDGED; infinite where they do not matter."""

    floor: Figures
    quota: Figures
    suspend: Figures


@dataclass(frozen=True, slots=True)
class Terms:
    """What the configuration says.

    Arguments:
        levels: by kind.
        factor: a jump is so many times what is usual.
        day: in a day, so many times the floor of an hour.
        learn: seconds until a system's amounts are judged.
        exempt: names that are not judged.
        suspend_for: seconds.
        suspended: what is done with their mail: defer or reject.
        every: seconds between two notices on the same one.
    """

    levels: Mapping[Kind, Levels]
    factor: float
    day: float
    learn: float
    exempt: frozenset[str]
    suspend_for: float
    suspended: Action
    every: float

    def is_exempt(self, whose: Whose) -> bool:
        """Whether he is counted, and never judged."""
        return whose.name.lower() in self.exempt


def terms_of(settings: OutgoingSettings) -> Terms:
    """The terms that the settings name."""
    return Terms(
        {Kind.USER: _levels(settings.users), Kind.SYSTEM: _levels(settings.systems)},
        settings.factor,
        settings.day,
        settings.learn,
        frozenset(name.lower() for name in settings.exempt),
        settings.suspend_for,
        Action.REJECT if settings.suspend_reply == "reject" else Action.DEFER,
        settings.notices.every,
    )


def _levels(settings: UserWatchSettings | SystemWatchSettings) -> Levels:
    return Levels(_figures(settings.floor), _figures(settings.quota), _figures(settings.suspend))


def _figures(settings: FigureSettings) -> Figures:
    figures = (getattr(settings, measure.value) for measure in JUDGED)
    return tuple(inf if figure is None else float(figure) for figure in figures)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on something is odd in one's own case, as of some hour; in the order of JUDGED."""

    hour: Figures
    day: Figures
    quota: Figures
    suspend: Figures
    usual_hour: Figures
    usual_day: Figures


def thresholds(record: Record, kind: Kind, terms: Terms, now: float) -> Thresholds:
    """The thresholds of one record: of no use when the hour is over, or the terms have changed."""
    levels = terms.levels[kind]
    usual_hour, usual_day = record.usual(now)
    learning = kind is Kind.SYSTEM and now - record.first < terms.learn
    hour, day = [], []
    for place in range(_WIDTH):
        if learning and place in AMOUNTS:
            hour.append(inf)
            day.append(inf)
            continue
        floor = levels.floor[place]
        hour.append(max(floor, terms.factor * usual_hour[place]))
        day.append(max(terms.day * floor, terms.factor * usual_day[place]))
    return Thresholds(tuple(hour), tuple(day), levels.quota, levels.suspend, usual_hour, usual_day)


def judge(record: Record, limits: Thresholds, now: float) -> Finding | None:
    """The gravest that is odd now; None if nothing is."""
    hour = record.hour(now)
    for place in range(_WIDTH):
        if hour[place] >= limits.suspend[place]:
            return _finding(place, Window.HOUR, Against.LIMIT, hour, limits.suspend, limits.usual_hour)
    for place in range(_WIDTH):
        if hour[place] >= limits.hour[place] and _tells(place, hour):
            return _finding(place, Window.HOUR, Against.USUAL, hour, limits.hour, limits.usual_hour)
    day = record.day(now)
    for place in range(_WIDTH):
        if day[place] >= limits.quota[place]:
            return _finding(place, Window.DAY, Against.QUOTA, day, limits.quota, limits.usual_day)
        if day[place] >= limits.day[place] and _tells(place, day):
            return _finding(place, Window.DAY, Against.USUAL, day, limits.day, limits.usual_day)
    return None


def _tells(place: int, figures: Figures) -> bool:
    return place != STRANGERS or figures[STRANGERS] >= STRANGE_SHARE * figures[MESSAGES]


def _finding(
    place: int, window: Window, against: Against, seen: Figures, limit: Figures, usual: Figures
) -> Finding:
    return Finding(JUDGED[place], window, against, seen[place], limit[place], usual[place])
