"""Asks DNS lists after what a mail's links lead to, and states what they say as clues."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from contentfilter.assessing import Assessment, Mail, Name
from contentfilter.content.clues import Clue
from contentfilter.urls.questions import Exempt, Question, questions, subjects_of
from mailbase.config.url_lists import URL_KIND, UrlSettings
from mailbase.dns import RecordType, Resolver
from mailbase.lists.model import NOT_LISTED
from mailbase.lists.roster import Roster


class UrlLists:
    """An assessor (:class:`contentfilter.assessing.Assessor`), asked once the workers have told the hosts.

    Arguments:
        clock: Twisted's IReactorTime.
        resolver: asks.
        roster: knows the lists that are asked.
        settings: of ``contentfilter.urls``.
        own: domains that are not looked up either.
    """

    name: Name = "urls"

    def __init__(
        self, clock: Any, resolver: Resolver, roster: Roster, settings: UrlSettings, own: Iterable[str] = ()
    ) -> None:
        self._clock = clock
        self._resolver = resolver
        self._roster = roster
        self._settings = settings
        self._is_exempt = Exempt((*settings.exempt, *own))

    async def assess(self, mail: Mail) -> Assessment:
        """One clue at most for each list: of several listings that with most points."""
        hosts = mail.result.traits.hosts if mail.result is not None else ()
        lists = self._roster.asked[URL_KIND]
        if not hosts or not lists:
            return Assessment()
        subjects = subjects_of(hosts, self._is_exempt, self._settings.max_domains)
        asked = list(questions(subjects, lists))
        answers = await self._resolver.together(
            [(question.name, RecordType.A) for question in asked],
            consumer=self.name,
            deadline=self._clock.seconds() + self._settings.deadline,
        )
        found: dict[str, Clue] = {}
        silent: dict[str, None] = {}
        for question, answer in zip(asked, answers, strict=True):
            watched = question.watched
            watched.lookups += 1
            reading = watched.definition.read(answer)
            if reading is NOT_LISTED:
                continue
            name = watched.definition.name
            if reading.trouble is not None:
                silent[name] = None
                continue
            watched.hits += 1
            clue = self._clue(question, reading.fact, reading.detail)
            if name not in found or (clue.points or 0.0) > (found[name].points or 0.0):
                found[name] = clue
        return Assessment(tuple(found.values()), f"no answer from {', '.join(silent)}" if silent else "")

    def _clue(self, question: Question, fact: str, detail: str) -> Clue:
        definition = question.watched.definition
        settings = self._settings.lists.get(definition.name)
        worth = settings.worth(fact.partition(".")[2]) if settings is not None else 0.0
        return Clue(f"url.{fact}", f"{question.about} {detail}", worth, definition.shadow)
