"""What a decision rests on, as JSON types: for the operator's questions and for the journal."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from mailbase.vocabulary import Action
from policyd.engine.decision import Decision
from policyd.evidence.facts import (
    CheckFailed,
    CheckLate,
    ExceptionFact,
    Fact,
    GreylistFact,
    LimitFact,
    OutgoingFact,
    PointsFact,
    RecipientFact,
    RelayFact,
    SpamtrapFact,
)


def account(decision: Decision) -> list[dict[str, Any]]:
    """Every fact and all evidence: ``check`` and ``fact``, and what else there is to say of it."""
    facts = [dict(described) for fact in decision.facts if (described := describe(fact))]
    weighed = decision.weighed
    if weighed is None:
        return facts
    for one, points, counts in zip(weighed.evidence, weighed.points, weighed.acted_on, strict=True):
        described = {"check": one.check, "fact": one.name, "points": points}
        if one.detail:
            described["detail"] = one_line(one.detail)
        if one.check in weighed.times:
            described["seconds"] = round(weighed.times[one.check], 6)
        if not counts:
            described["shadow"] = True
        facts.append(described)
    return facts


@lru_cache(maxsize=4096)
def describe(fact: Fact) -> dict[str, Any]:
    """One fact; empty where its evidence says it all. The result is shared: not to be changed."""
    match fact:
        case RelayFact(relaying, reason):
            return {"check": "relay", "fact": relaying.value, "reason": reason}
        case GreylistFact(grey, wait, shadow):
            described = {"check": "greylist", "fact": grey.value, "wait": wait}
            return {**described, "shadow": True} if shadow else described
        case ExceptionFact(effect, named, what, suspended):
            if named is None:
                return {}
            described = {"check": "exceptions", "fact": effect.value, "named": named.value, "what": what}
            if suspended is not Action.ACCEPT:
                described["suspended"] = suspended.value
            return described
        case OutgoingFact(measure, words, suspended):
            described = {"check": "outgoing", "fact": measure, "reason": words}
            return {**described, "action": "suspend"} if suspended else described
        case LimitFact(limited, limit, _, _, _, wait):
            return {"check": "rate", "fact": limited.value, "reason": limit, "wait": wait} if limit else {}
        case RecipientFact(result=None):
            return {}
        case RecipientFact(result, action, shadow) if result is not None:
            described = {"check": "recipient", "fact": result.value, "action": action.value}
            return {**described, "shadow": True} if shadow else described
        case SpamtrapFact(hit):
            return {"check": "spamtrap", "fact": "hit"} if hit else {}
        case CheckFailed(check):
            return {"check": check, "fact": "failed"}
        case CheckLate(check):
            return {"check": check, "fact": "late"}
        case PointsFact():
            return {}
        case _:
            raise TypeError(f"unknown fact {fact!r}")


def clean(text: str) -> str:
    """JSON may hold lone surrogates, which no table and no log can."""
    return text.encode("utf-8", "replace").decode("utf-8")


def one_line(text: str) -> str:
    """As :func:`clean`, without what the policy protocol cannot carry."""
    return clean(text).replace("\n", " ").replace("\0", "?")
