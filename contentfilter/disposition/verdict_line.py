"""The log line of a decision. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from contentfilter.content.results import ScanFailed
from contentfilter.disposition.account import brief, total_of
from contentfilter.disposition.disposition import Answer, Disposition
from contentfilter.disposition.recipients import Share
from contentfilter.disposition.total import Total
from contentfilter.disposition.verdict import Fact, Verdict
from contentfilter.metering import Stage
from contentfilter.origin.origin import Origin
from contentfilter.session.envelope import Envelope
from mailbase.addresses import unpack
from mailbase.evidence import Evidence
from mailbase.vocabulary import Finding, Unscanned

MAX_LOGGED = 20
"""Facts in the log line."""


def verdict_line(
    shares: Sequence[Share],
    envelope: Envelope,
    size: int,
    origin: Origin,
    disposition: Disposition,
    taken: Mapping[Stage, float],
    traps: int,
    *,
    hidden: bool = False,
) -> dict[str, str | int | float | bool | None]:
    """Names and values.

    Arguments:
        shares: the most severe first.
        size: octets of the message, un-stuffed.
        taken: seconds by stage.
        traps: recipients that are spamtraps.
        hidden: leave out what names a file or says more of the content than what was found.
    """
    verdict, ticket, evidence = shares[0].verdict, origin.ticket, origin.evidence
    found: dict[str, str | float] = {}
    if evidence is not None and evidence.facts:
        found = {"points": evidence.points, "facts": ",".join(evidence.facts)}
    if origin.client is not None:
        found["address"] = unpack(origin.client.address)
    if (total := total_of(shares)) is not None:
        found |= {"score": total.points, "clues": _clues(total, evidence)}
    if len(shares) > 1:
        found["actions"] = ",".join(f"{share.action}:{len(share.places)}" for share in shares)
    unprotected = sum(len(share.places) for share in shares if not share.protected)
    if unprotected:
        found["unprotected"] = unprotected
    seconds = {f"seconds_{stage}": number for stage, number in taken.items()}
    return {
        "id": verdict.id,
        "flow": verdict.flow,
        "action": verdict.action,
        "cause": None if verdict.cause is None else _told(verdict.cause, hidden),
        "client": envelope.client.address,
        "sender": envelope.sender.address,
        "user": ticket.user if ticket else "",
        "ticket": ticket is not None,
        "recipients": len(envelope.recipients),
        "spamtraps": traps,
        "size": size,
        "findings": _listed(verdict, Finding, hidden),
        "unscanned": _listed(verdict, Unscanned, hidden),
        "failures": _listed(verdict, ScanFailed, hidden),
        "reply": _reply(disposition, hidden),
        **found,
        **seconds,
    }


def _clues(total: Total, evidence: Evidence | None) -> str:
    """What has points, but what stands there as ``facts`` already."""
    told = frozenset() if evidence is None else frozenset(evidence.facts)
    items = [text for text in map(str, total.items) if text not in told]
    return ",".join(items[:MAX_LOGGED]) + (",..." if items[MAX_LOGGED:] else "")


def _reply(disposition: Disposition, hidden: bool) -> str | None:
    if not isinstance(disposition, Answer):
        return None
    return disposition.reply.bare if hidden else str(disposition.reply)


def _told(fact: Fact, hidden: bool) -> str:
    if not hidden:
        return brief(fact)
    match fact:
        case Finding(name, _, _, digest):
            return brief(Finding(name, "", "", digest))
        case Unscanned(_, name) | ScanFailed(_, name):
            return name


def _listed(verdict: Verdict, kind: type[Finding | Unscanned | ScanFailed], hidden: bool) -> str:
    facts = [_told(fact, hidden) for fact in verdict.facts if isinstance(fact, kind)]
    return ", ".join(facts[:MAX_LOGGED]) + (
        f" and {len(facts) - MAX_LOGGED} more" if facts[MAX_LOGGED:] else ""
    )
