"""A decision in full, for those who ask why: for policyd's journal, and the daemon's own memory. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contentfilter.content.results import ScanFailed
from contentfilter.disposition.recipients import Share
from contentfilter.disposition.total import Item, Total
from contentfilter.disposition.verdict import Fact
from contentfilter.metering import Stage
from mailbase.replies import printable
from mailbase.report import (
    MAX_CLUES,
    MAX_FINDINGS,
    MAX_NAME,
    MAX_SEEN,
    MAX_TEXT,
    Content,
    ContentClue,
    ContentFact,
)
from mailbase.vocabulary import Finding, Flow, Unscanned

REMEMBERED = 2_000
"""Decisions, in one of two generations, that the daemon itself remembers."""
_ORDER = (Finding, ScanFailed, Unscanned)


@dataclass(frozen=True, slots=True)
class Told:
    """A decision on a mail.

    Arguments:
        time: seconds since the epoch.
        flow: where the mail came from.
        shares: recipients, by what is done; the most severe first.
        reply: what the client is told, if that is decided here.
        parts: how many there were in the mail.
        seconds: by stage.
    """

    time: float
    flow: Flow
    shares: Sequence[Share]
    reply: str
    parts: int
    seconds: Mapping[Stage, float]


def content(told: Told) -> Content:
    """The decision for policyd's journal."""
    verdict = told.shares[0].verdict
    facts = sorted(verdict.facts, key=lambda fact: _ORDER.index(type(fact)))
    return Content(
        flow=told.flow,
        cause="" if verdict.cause is None else brief(verdict.cause),
        actions=[f"{share.action} {len(share.places)}" for share in told.shares],
        facts=[_fact(fact) for fact in facts[:MAX_FINDINGS]],
        parts=told.parts,
        seconds={stage: round(taken, 6) for stage, taken in told.seconds.items()},
        score=None if (total := total_of(told.shares)) is None else total.points,
        clues=[] if total is None else [clue(item) for item in total.items[:MAX_CLUES]],
    )


def total_of(shares: Iterable[Share]) -> Total | None:
    """What the mail comes to, where that counts for anybody."""
    return next((share.verdict.total for share in shares if share.verdict.total is not None), None)


def clue(item: Item) -> ContentClue:
    """One that has points."""
    return ContentClue(
        name=printable(item.name, 2 * MAX_NAME),
        points=item.points,
        shadow=item.shadow,
        detail=printable(item.detail, MAX_SEEN),
    )


def outcome(decision_id: str, told: Told) -> dict[str, Any]:
    """The decision as policyd's journal tells it, for where there is none."""
    verdict = told.shares[0].verdict
    return {
        "kind": "outcome",
        "time": told.time,
        "id": decision_id,
        "queue_id": "",
        "action": verdict.action.value,
        "reply": told.reply,
        "findings": [fact.name for fact in verdict.facts if isinstance(fact, Finding)],
        "seconds": told.seconds.get("total", 0.0),
        "content": content(told),
    }


def brief(fact: Fact) -> str:
    """A fact in one word, or a few."""
    match fact:
        case Finding(name, part, detail) | Unscanned(part, name, detail) | ScanFailed(part, name, detail):
            text = f"{name}:{part}" if part else name
            text += f"({detail})" if detail else ""
            return f"{text}#{fact.digest}" if isinstance(fact, Finding) and fact.digest else text


def _fact(fact: Fact) -> ContentFact:
    match fact:
        case Finding(name, part, detail, digest):
            kind, detail = "finding", f"{detail} #{digest}".strip() if digest else detail
        case Unscanned(part, name, detail):
            kind = "unscanned"
        case ScanFailed(part, name, detail):
            kind = "failure"
    told = ContentFact(kind=kind, name=name, part=part[:MAX_TEXT], detail=printable(detail, MAX_TEXT))
    if isinstance(fact, Finding) and fact.digest:
        told["digest"] = fact.digest
    return told
