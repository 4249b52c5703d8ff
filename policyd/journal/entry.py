"""One entry: what is noted while deciding, the row it becomes, and what the row says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from mailbase.report import Content, ContentClue, ContentFact
from mailbase.vocabulary import Action
from policyd.engine.account import account, describe
from policyd.engine.decision import Decision
from policyd.evidence.facts import Fact
from policyd.journal.masks import Masks, client_text, mailbox_text
from policyd.protocol.request import Request

Noted: TypeAlias = tuple[float, Request, Decision, float]
"""Seconds since the epoch, request, decision, seconds it took. Taken apart in the journal's thread."""
Row: TypeAlias = "tuple[float | str | bytes | None, ...]"

MAX_REPLY = 512
MAX_FACTS = 16 * 1024
MAX_CONTENT = 32 * 1024
"""Likewise of all that contentfilter tells of a mail; what it may tell at most fits in."""
"""Characters of the facts of one decision as JSON."""


class Column(NamedTuple):
    """Arguments:
    name: as in the SQL.
    kind: SQLite's type.
    """

    name: str
    kind: str


DECISIONS = (
    Column("time", "REAL"),
    Column("id", "TEXT"),
    Column("instance", "TEXT"),
    Column("queue_id", "TEXT"),
    Column("stage", "TEXT"),
    Column("flow", "TEXT"),
    Column("action", "TEXT"),
    Column("reason", "TEXT"),
    Column("reply", "TEXT"),
    Column("client", "BLOB"),
    Column("client_name", "TEXT"),
    Column("helo", "TEXT"),
    Column("user", "TEXT"),
    Column("sender", "TEXT"),
    Column("recipient", "TEXT"),
    Column("points", "REAL"),
    Column("defer_at", "REAL"),
    Column("reject_at", "REAL"),
    Column("shadow", "TEXT"),
    Column("seconds", "REAL"),
    Column("facts", "TEXT"),
    Column("hidden", "INTEGER"),
)
"""The columns of a decision."""
OUTCOMES = (
    Column("time", "REAL"),
    Column("id", "TEXT"),
    Column("queue_id", "TEXT"),
    Column("action", "TEXT"),
    Column("reply", "TEXT"),
    Column("findings", "TEXT"),
    Column("seconds", "REAL"),
    Column("content", "TEXT"),
)
"""The columns of what became of a mail afterwards."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What contentfilter did with a mail.

    Arguments:
        time: seconds since the epoch.
        id: of the decision at DATA, which is the ticket's.
        action: in the words of the product; ``queued`` where Postfix has taken the mail.
        reply: what the client was told.
        queue_id: under which Postfix queued it behind the filter; empty where it did not.
        findings: their names.
        seconds: that it took.
        content: the decision in full, if contentfilter has told it.
    """

    time: float
    id: str
    action: str
    reply: str = ""
    queue_id: str = ""
    findings: tuple[str, ...] = ()
    seconds: float = 0.0
    content: Content | None = None


def decision_row(noted: Noted, masks: Masks) -> Row:
    """What is kept of a decision, in the order of :data:`DECISIONS`."""
    time, request, decision, seconds = noted
    weighed, thresholds = decision.weighed, decision.thresholds
    hidden = masks.hidden
    return (
        time,
        decision.id,
        request.instance,
        request.get("queue_id"),
        request.stage.value,
        decision.flow.value,
        decision.action.value,
        decision.reason,
        # The operator's own texts may name client and recipient.
        "" if hidden else decision.reply[:MAX_REPLY],
        masks.client(request.client_address),
        masks.text(request.client_name),
        masks.text(request.get("helo_name")),
        masks.text(request.sasl_username.lower()),
        masks.mailbox(request.sender),
        masks.mailbox(request.recipient),
        None if weighed is None else weighed.total,
        None if thresholds is None else thresholds.defer_at,
        None if thresholds is None else thresholds.reject_at,
        "" if decision.shadow is Action.ACCEPT else decision.shadow.value,
        seconds,
        _plain_facts(decision.facts, hidden) if weighed is None else _facts(account(decision), hidden),
        int(hidden),
    )


def _facts(told: list[dict[str, Any]], hidden: bool) -> str:
    if hidden:
        # What was found out about somebody names him.
        told = [{key: value for key, value in fact.items() if key in _IMPERSONAL} for fact in told]
    return json.dumps(told, separators=(",", ":"))[:MAX_FACTS]


@lru_cache(maxsize=4096)
def _plain_facts(facts: tuple[Fact, ...], hidden: bool) -> str:
    """Those of a decision without evidence, of which there are few different ones."""
    return _facts([dict(told) for fact in facts if (told := describe(fact))], hidden)


_IMPERSONAL = frozenset(
    {"check", "fact", "points", "shadow", "reason", "wait", "named", "seconds", "action", "suspended"}
)
"""What a fact says that is about nobody."""


def outcome_row(outcome: Outcome, masks: Masks) -> Row:
    """What is kept of an outcome, in the order of :data:`OUTCOMES`."""
    return (
        outcome.time,
        outcome.id,
        outcome.queue_id,
        outcome.action,
        # Names of attachments stand in it.
        "" if masks.hidden else outcome.reply[:MAX_REPLY],
        json.dumps(outcome.findings)[:MAX_FACTS],
        outcome.seconds,
        _told(outcome.content, masks.hidden),
    )


def _told(content: Content | None, hidden: bool) -> str:
    if content is None:
        return ""
    if hidden:
        # As for the reply.
        content = content.copy()
        content["cause"] = ""
        content["facts"] = [
            ContentFact(kind=fact["kind"], name=fact["name"], part="", detail="") for fact in content["facts"]
        ]
        content["clues"] = [ContentClue(**{**clue, "detail": ""}) for clue in content.get("clues", [])]
    text = json.dumps(content, separators=(",", ":"))
    return text if len(text) <= MAX_CONTENT else ""


def describe_decision(row: Row) -> dict[str, Any]:
    """A row of :data:`DECISIONS` as JSON types, for the operator."""
    told: dict[str, Any] = dict(zip((column.name for column in DECISIONS), row, strict=True))
    hidden = bool(told.pop("hidden"))
    told["client"] = client_text(told["client"])
    told["sender"] = mailbox_text(told["sender"], hidden)
    told["recipient"] = mailbox_text(told["recipient"], hidden)
    told["facts"] = _loaded(told["facts"])
    return {"kind": "decision", **told, "pseudonymised": hidden}


def describe_outcome(row: Row) -> dict[str, Any]:
    """A row of :data:`OUTCOMES` likewise."""
    told: dict[str, Any] = dict(zip((column.name for column in OUTCOMES), row, strict=True))
    told["findings"] = _loaded(told["findings"])
    told["content"] = json.loads(told["content"]) if told["content"] else None
    return {"kind": "outcome", **told}


def _loaded(text: str) -> list[Any]:
    try:
        loaded = json.loads(text)
    except ValueError:
        # Cut at its bound.
        return [{"check": "", "fact": "", "detail": text}]
    return loaded if isinstance(loaded, list) else []
