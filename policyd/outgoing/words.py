"""What was found, in words: for the log, the journal and the notices. Pure."""

from __future__ import annotations

import shlex

from mailbase.vocabulary import Action
from policyd.outgoing.judging import Against, Finding, Terms, Window
from policyd.outgoing.measures import JUDGED, NEW, RECIPIENTS, WORDS, Kind, Whose
from policyd.outgoing.notice import Notice
from policyd.outgoing.record import Figures, Record

_IN = {Window.HOUR: "in an hour", Window.DAY: "in a day"}
_AGAINST = {Against.USUAL: "", Against.QUOTA: "quota", Against.LIMIT: "limit"}

_LABEL = 46
"""Width of what stands in front of the figures."""


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
    is_user = whose.kind is Kind.USER
    who, name = f"{whose.kind} {whose.name}", in_a_command(whose.name)
    what = WORDS[finding.measure]
    much = "as never before" if finding.against is Against.USUAL else "more than it should"
    lines = [
        f"The {who} sends {what}, {much}: {in_short(finding)}.",
        *([f"Last seen from {client}."] if client else ()),
        "",
        f"{'':{_LABEL}}{'last hour':>10}{'most before':>13}{'last day':>10}{'most before':>13}",
        *(
            f"{WORDS[measure]:{_LABEL}}{number(hour[place]):>10}{number(usual_hour[place]):>13}"
            f"{number(day[place]):>10}{number(usual_day[place]):>13}"
            for place, measure in enumerate(JUDGED)
        ),
        _share(record, day, now),
        "",
    ]
    if suspended:
        waits = "is refused (554)" if terms.suspended is Action.REJECT else "gets 450, and waits where it is"
        lines.append(f"It is suspended for {terms.suspend_for / 3600:g} hours: its mail {waits}.")
    else:
        lines.append("Nothing is held back.")
    lines += [
        "Is the password stolen? Then change it, and look for what else was done with it."
        if is_user
        else "Is a machine infected, or an account behind it stolen? Then find it, and stop it.",
        "",
        "The postmasters of the gateway can",
        f"see all that is known     policyd outgoing show {name}",
        *([f"see what was decided      policyd explain {decision_id}"] if decision_id else ()),
        f"end the suspension        policyd outgoing lift {name}"
        if suspended
        else f"stop it                   policyd deny {name} --as {'user' if is_user else 'client'} --for 1d",
        f"take it for usual         policyd outgoing accept {name}",
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


def in_a_command(name: str) -> str:
    """What stands for a name in a command to be typed: what a stranger chose must not command the shell."""
    return shlex.quote(name) if name.isprintable() and name[:1] != "-" else "NAME"


def _share(record: Record, day: Figures, now: float) -> str:
    if not record.knows_strangers(now):
        return "Which of the recipients were never written to before is not known yet."
    share = min(1.0, day[NEW] / day[RECIPIENTS]) if day[RECIPIENTS] else 0.0
    return f"Of the recipients of the last day {share:.0%} were never written to before."
