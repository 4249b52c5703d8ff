"""What was found, in words: for the log, the journal and the notices. Pure."""

from __future__ import annotations

from policyd.outgoing.judging import Against, Finding, Terms, Window
from policyd.outgoing.measures import JUDGED, MESSAGES, NEW, RECIPIENTS, WORDS, Kind, Whose
from policyd.outgoing.notice import Notice
from policyd.outgoing.record import Figures, Record

_IN = {Window.HOUR: "in an hour", Window.DAY: "in a day"}
_AGAINST = {Against.USUAL: "", Against.QUOTA: "quota", Against.LIMIT: "limit"}


def number(figure: float) -> str:
    """A count as people write it."""
    return f"{figure:.0f}" if figure >= 10 or figure == int(figure) else f"{figure:.1f}"


def in_short(finding: Finding) -> str:
    """Such as ``52 in an hour, at most 7 before``; names nobody."""
    known = f"at most {number(finding.usual)} before" if finding.usual else "nothing usual known"
    against = _AGAINST[finding.against]
    limit = f", {against} {number(finding.threshold)}" if against else ""
    return f"{number(finding.seen)} {_IN[finding.window]}, {known}{limit}"


def notice(
    whose: Whose,
    finding: Finding,
    record: Record,
    terms: Terms,
    now: float,
    *,
    suspended: bool,
    decision_id: str,
    client: str,
) -> Notice:
    """What administrators are told.

    Arguments:
        suspended: whether the account or system is suspended now.
        client: address of the last client; empty where it is not known.
    """
    hour, day = record.hour(now), record.day(now)
    usual_hour, usual_day = record.usual(now)
    who = f"user {whose.name}" if whose.kind is Kind.USER else f"system {whose.name}"
    what = WORDS[finding.measure]
    name = whose.name
    lines = [
        f"The {who} sends {what} as never before: {in_short(finding)}."
        if finding.against is Against.USUAL
        else f"The {who} sends too many {what}: {in_short(finding)}.",
        *([f"Last seen from {client}."] if client else ()),
        "",
        f"{'':34}{'last hour':>10}{'most before':>13}{'last day':>10}{'most before':>13}",
        *(
            f"{WORDS[measure][:34]:34}{number(hour[place]):>10}{number(usual_hour[place]):>13}"
            f"{number(day[place]):>10}{number(usual_day[place]):>13}"
            for place, measure in enumerate(JUDGED)
        ),
        *_share(day),
        "",
    ]
    if suspended:
        hours = round(terms.suspend_for / 3600, 1)
        lines += [
            f"It is suspended for {hours:g} hours: mail is answered with "
            + ("554." if terms.suspended == "reject" else "450, and waits where it is."),
            "When all is well again:",
            f"    policyd outgoing lift {name}",
        ]
    else:
        lines += [
            "Nothing is held back. Is a password stolen, or a machine infected? Then stop it:",
            f"    policyd deny {name} --as {'user' if whose.kind is Kind.USER else 'client'} --for 1d",
        ]
    lines += [
        "If this is what it should send, and will again:",
        f"    policyd outgoing accept {name}",
        "What is known of it, and what was decided:",
        f"    policyd outgoing show {name}",
        *([f"    policyd explain {decision_id}"] if decision_id else ()),
    ]
    event = "outgoing-suspended" if suspended else "outgoing-jump"
    subject = f"{who} is suspended" if suspended else f"unusual mail of {who}"
    data = {
        "measure": finding.measure.value,
        "window": finding.window.value,
        "against": finding.against.value,
        "seen": round(finding.seen, 1),
        "threshold": round(finding.threshold, 1),
        "usual": round(finding.usual, 1),
        "client": client,
        "suspended_until": int(now + terms.suspend_for) if suspended else None,
        "last_hour": table(hour),
        "last_day": table(day),
    }
    return Notice(event, decision_id, now, f"Mail gateway: {subject}", tuple(lines), whose, data)


def table(figures: Figures) -> dict[str, float]:
    """Figures by the names of what was counted."""
    return {
        **{measure.value: round(figures[place], 1) for place, measure in enumerate(JUDGED)},
        "new": round(figures[NEW], 1),
    }


def _share(day: Figures) -> tuple[str, ...]:
    if not day[RECIPIENTS] or not day[MESSAGES]:
        return ()
    share = min(1.0, day[NEW] / day[RECIPIENTS])
    return (f"Of the recipients of the last day {share:.0%} were never written to before.",)
