"""The control socket's verbs for outgoing mail."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime

from mailbase.control import ControlError
from mailbase.control.server import Handler
from mailbase.store import StoreError
from policyd.control.pausing import pause
from policyd.engine.account import clean
from policyd.exceptions.book import Book
from policyd.outgoing.measures import MAX_NAME, MESSAGES, NEW, RECIPIENTS, Kind, Whose
from policyd.outgoing.record import Record
from policyd.outgoing.watch import Watch
from policyd.outgoing.words import table

AT_ONCE = 100
"""Records between two pauses, in which Postfix's requests get their turn."""


class OutgoingVerbs:
    """Arguments:
    watch: knows it all.
    rules: has the suspensions.
    clock: the reactor; seconds since the epoch.
    """

    def __init__(self, watch: Watch, rules: Book, clock: IReactorTime) -> None:
        self._watch = watch
        self._rules = rules
        self._clock = clock

    def table(self) -> dict[str, Handler]:
        """Verb → handler."""
        return {
            "outgoing.list": self.listing,
            "outgoing.show": self.show,
            "outgoing.lift": self.lift,
            "outgoing.accept": self.accept,
        }

    def listing(self, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Everybody who sent anything lately, in short; with ``odd`` only those who were noticed."""
        only = bool(request.get("odd", False))
        return self._rows(lambda about, row: not only or row["state"] != "quiet")

    def show(self, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """``name``: a user or a registered system. All that is counted of it."""
        name = _name(request)
        return self._rows(lambda about, row: about.name.lower() == name.lower(), full=True)

    async def lift(self, request: dict[str, Any]) -> dict[str, Any]:
        """``name``, optionally ``by``: end the suspension; what was sent so far is not judged any more."""
        return await self._lift(request, usual=False)

    async def accept(self, request: dict[str, Any]) -> dict[str, Any]:
        """As outgoing.lift; and what was sent so far is what is usual from now on."""
        return await self._lift(request, usual=True)

    async def _lift(self, request: dict[str, Any], *, usual: bool) -> dict[str, Any]:
        name, by = _name(request), clean(str(request.get("by", "")))[:MAX_NAME]
        found: list[Whose] = []
        try:
            async for about, _record in self._watch.books.rows():
                if about.name.lower() == name.lower() and about not in found:
                    found.append(about)
            # A suspension may outlive what it was for.
            for kind in Kind:
                about = Whose(kind, name.lower() if kind is Kind.USER else name)
                rule = self._watch.rule_of(about)
                there = self._rules.rules.all.get(rule.key) if rule is not None else None
                if there is not None and there.suspends and about not in found:
                    found.append(about)
            lifted = [await self._watch.lift(about, usual=usual, by=by) for about in found]
        except StoreError as error:
            raise ControlError(str(error)) from error
        return {"known": bool(found), "suspended": any(lifted)}

    async def _rows(
        self, wanted: Callable[[Whose, dict[str, Any]], bool], *, full: bool = False
    ) -> AsyncIterator[dict[str, Any]]:
        number = 0
        try:
            async for about, record in self._watch.books.rows():
                row = self._describe(about, record, full=full)
                if wanted(about, row):
                    yield row
                number += 1
                if not number % AT_ONCE:
                    await pause(self._clock)
        except StoreError as error:
            raise ControlError(str(error)) from error

    def _describe(self, about: Whose, record: Record, *, full: bool) -> dict[str, Any]:
        now = self._clock.seconds()
        hour, day = record.hour(now), record.day(now)
        usual_hour, usual_day = record.usual(now)
        rule = self._watch.rule_of(about)
        there = self._rules.rules.all.get(rule.key) if rule is not None else None
        suspended = there is not None and there.suspends and there.until > now
        terms = self._watch.terms
        noticed = terms is not None and record.told <= now < record.told + terms.every
        row: dict[str, Any] = {
            "kind": about.kind.value,
            "name": about.name,
            "state": "suspended" if suspended else "noticed" if noticed else "quiet",
            "hour": round(hour[MESSAGES]),
            "usual_hour": round(usual_hour[MESSAGES]),
            "day": round(day[MESSAGES]),
            "usual_day": round(usual_day[MESSAGES]),
            "recipients": round(day[RECIPIENTS]),
            "new": _share(day[NEW], day[RECIPIENTS]) if record.knows_strangers(now) else None,
            "last": int(record.last),
            "until": there.until if there is not None and suspended else None,
        }
        if full:
            row |= {
                "why": there.why if there is not None and suspended else "",
                "since": int(record.first),
                "noticed": int(record.told) or None,
                "known_recipients": record.recipients,
                "last_hour": table(hour),
                "most_in_an_hour": table(usual_hour),
                "last_day": table(day),
                "most_in_a_day": table(usual_day),
            }
        return row


def _share(new: float, recipients: float) -> str | None:
    return f"{min(1.0, new / recipients):.0%}" if recipients else None


def _name(request: dict[str, Any]) -> str:
    name = request.get("name")
    if not isinstance(name, str) or not name.strip():
        raise ControlError("expected name: a user, or a registered system as the registry has it")
    return clean(name.strip())[:MAX_NAME]
