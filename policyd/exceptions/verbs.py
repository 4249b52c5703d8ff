"""The control socket's verbs for exceptions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from mailbase.control import ControlError
from mailbase.control.server import Handler
from mailbase.logs import Log
from mailbase.store import NEVER, StoreError
from policyd.engine.account import clean
from policyd.evidence.facts import Effect, Named
from policyd.exceptions.book import Book
from policyd.exceptions.rule import Rule, rule_of

LONGEST = 100 * 366 * 86400.0
"""Seconds; who means longer means for ever."""


class ExceptionVerbs:
    """Arguments:
    book: the rules.
    seconds: the clock, seconds since the epoch.
    log: gets a line for each change, with who made it.
    """

    def __init__(self, book: Book, seconds: Callable[[], float], log: Log) -> None:
        self._book = book
        self._seconds = seconds
        self._log = log

    def table(self) -> dict[str, Handler]:
        """Verb → handler."""
        return {
            "exceptions.put": self.put,
            "exceptions.list": self.listing,
            "exceptions.remove": self.remove,
        }

    async def put(self, request: dict[str, Any]) -> dict[str, Any]:
        """``effect`` (allow, deny), ``what``; optionally ``as``, ``seconds``, ``by``, ``why``."""
        now = self._seconds()
        seconds = request.get("seconds")
        if seconds is not None and not (
            isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds <= LONGEST
        ):
            raise ControlError("expected a time in the future, at most a hundred years away")
        effect = _text(request, "effect")
        if effect not in (Effect.ALLOW, Effect.DENY):
            raise ControlError("expected an effect of allow or deny")
        try:
            rule = rule_of(
                _text(request, "what"),
                Effect(effect),
                _named(request),
                until=NEVER if seconds is None else now + max(1.0, seconds),
                added=now,
                by=_text(request, "by", ""),
                why=_text(request, "why", ""),
            )
            before = self._book.rules.all.get(rule.key)
            await self._book.put(rule)
        except (ValueError, StoreError) as error:
            raise ControlError(str(error)) from error
        self._note("exception-set", rule, request)
        answer = {"rule": describe(rule)}
        if before is not None and before.until > now:
            answer["before"] = describe(before)
        return answer

    def listing(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Every rule that has not expired."""
        return (describe(rule) for rule in self._book.living())

    async def remove(self, request: dict[str, Any]) -> dict[str, Any]:
        """``what``, optionally ``as``: take back the rule for exactly this."""
        try:
            now = self._seconds()
            found = [
                rule for rule in self._book.find(_text(request, "what"), _named(request)) if rule.until > now
            ]
            if len(found) > 1:
                kinds = " or ".join(f"--as {rule.named}" for rule in found)
                raise ControlError(f"there is more than one exception for it: say {kinds}")
            if not found:
                return {"removed": None}
            await self._book.remove(found[0])
        except (ValueError, StoreError) as error:
            raise ControlError(str(error)) from error
        self._note("exception-removed", found[0], request)
        return {"removed": describe(found[0])}

    def _note(self, event: str, rule: Rule, request: dict[str, Any]) -> None:
        personal = {"network" if rule.named is Named.CLIENT else rule.named.value: rule.what}
        self._log.info(
            event,
            effect=rule.effect.value,
            named=rule.named.value,
            **personal,
            until=None if rule.until == NEVER else rule.until,
            by=_text(request, "by", ""),
            why=rule.why,
            peer=str(request.get("peer", "unknown")),
        )


def describe(rule: Rule) -> dict[str, Any]:
    """A rule as JSON types; times are seconds since the epoch."""
    return {
        "effect": rule.effect.value,
        "as": rule.named.value,
        "what": rule.what,
        "expires": None if rule.until == NEVER else rule.until,
        "added": rule.added,
        "by": rule.by,
        "why": rule.why,
    }


def _named(request: dict[str, Any]) -> Named | None:
    value = request.get("as")
    if value is None:
        return None
    try:
        return Named(value)
    except ValueError as error:
        raise ControlError(f"expected as: {', '.join(Named)}") from error


def _text(request: dict[str, Any], name: str, default: str | None = None) -> str:
    value = request.get(name, default)
    if not isinstance(value, str):
        raise ControlError(f"expected {name}: text")
    return clean(value)
