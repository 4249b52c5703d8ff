"""The format of a recording: one JSON object a line.

The first line is the header, ``{"format": "postwarden-recording", "version": 1, ...}``. Each other line is

- a request: ``time`` (seconds since the epoch), ``request`` (attributes, without the empty ones), ``action``
  and ``reason`` (what was answered), ``id``, ``wait`` (seconds that greylisting asked for); ``evidence`` as
  ``[check, fact, detail]`` where it was looked for, ``asked`` the checks that did so,
  ``callout`` what a recipient's server said of it, ``repeated`` where Postfix asked again;
- or ``report``: what contentfilter did with a mail (``action``), by its ticket, sender and recipients;
- or ``allowed``: a network spared from greylisting by command when the recording began, ``until`` when;
- or ``rule``: an exception that was in force then (``effect``, ``as``, ``what``, ``expires``);
- or ``dropped``: so many requests are missing here, for the daemon had no more room to keep them.

What a line has beyond that is ignored; a line of none of these kinds is no line of ours. It is personal data:
addresses stand in it as they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, assert_never

from mailbase.networks import parse_network
from mailbase.report import Report
from mailbase.store import NEVER
from mailbase.ticket import Ticket
from mailbase.vocabulary import Action
from policyd.callout.result import Result
from policyd.engine.decision import Decision
from policyd.evidence.facts import Effect, Evidence, GreylistFact, Named, RecipientFact
from policyd.exceptions.rule import rule_of
from policyd.protocol.request import Request
from policyd.replay.past import Allowed, Answer, Fate, Gap, Line, Outcome, Recorded, Ruled, past_request

FORMAT, VERSION = "postwarden-recording", 1
MAX_EVIDENCE = 1000
"""Facts of one request that are read."""
LATEST = 1e11
"""Seconds since the epoch that are a time."""

_ACTIONS = {action.value: action for action in Action}
_RESULTS = {result.value: result for result in Result}
_FATES = {fate.value: fate for fate in Fate}


def header(time: float, host: str) -> dict[str, Any]:
    """The first line.

    Arguments:
        time: when the recording began, seconds since the epoch.
        host: the gateway's name.
    """
    return {"format": FORMAT, "version": VERSION, "time": time, "host": host}


def is_header(line: bytes) -> bool:
    """Whether a file that begins with ``line`` is a recording.

    Raises:
        ValueError: it is one, of a version that this program does not know.
    """
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return False
    if not isinstance(message, dict) or message.get("format") != FORMAT:
        return False
    if message.get("version") != VERSION:
        raise ValueError(f"a recording of version {message.get('version')}; this program reads {VERSION}")
    return True


def row_of(time: float, request: Request, decision: Decision) -> dict[str, Any]:
    """A request as it stands in a recording."""
    row: dict[str, Any] = {
        "time": round(time, 6),
        "request": {name: value for name, value in request.attributes.items() if value},
        "action": decision.action.value,
        "reason": decision.reason,
    }
    if decision.repeated:
        row["repeated"] = True
        return row
    row["id"] = decision.id
    for fact in decision.facts:
        if isinstance(fact, GreylistFact) and fact.wait:
            row["wait"] = fact.wait
        elif isinstance(fact, RecipientFact) and fact.result is not None:
            row["callout"] = fact.result.value
    if decision.weighed is not None:
        row["evidence"] = [[one.check, one.name, one.detail] for one in decision.weighed.evidence]
        row["asked"] = list(decision.weighed.times)
    return row


def past_row(line: Line) -> dict[str, Any]:
    """What was read as it stands in a recording; the reverse of :func:`line_of`."""
    match line:
        case Recorded():
            return _recorded_row(line)
        case Outcome(ticket, client, sender, recipients, action):
            return {
                "report": ticket,
                "client": client,
                "sender": sender,
                "recipients": list(recipients),
                "action": action.value,
            }
        case Allowed(network, until):
            return {"allowed": network, "until": until}
        case Ruled(rule):
            expires = None if rule.until == NEVER else rule.until
            return {"rule": {"effect": rule.effect, "as": rule.named, "what": rule.what, "expires": expires}}
        case Gap(dropped):
            return {"dropped": dropped}
        case _:
            assert_never(line)


def _recorded_row(recorded: Recorded) -> dict[str, Any]:
    row: dict[str, Any] = {"time": recorded.time, "request": recorded.request.attributes}
    if (answer := recorded.answer) is not None:
        row |= {"action": answer.action.value, "reason": answer.reason, "id": answer.id, "wait": answer.wait}
        if answer.repeated:
            row["repeated"] = True
    if recorded.evidence is not None:
        row["evidence"] = [[one.check, one.name, one.detail] for one in recorded.evidence]
    if recorded.asked:
        row["asked"] = sorted(recorded.asked)
    if recorded.callout is not None:
        row["callout"] = recorded.callout.value
    if recorded.fate is not None:
        row["fate"] = recorded.fate.value
    return row


def report_row(ticket: Ticket, report: Report) -> dict[str, Any]:
    """A report of contentfilter as it stands in a recording."""
    return past_row(Outcome(ticket.id, ticket.client, ticket.sender, ticket.recipients, report.action))


def line_of(row: Any) -> Line:
    """What a line, decoded from JSON, says.

    Raises:
        ValueError: it is no line of a recording.
    """
    if type(row) is dict and "request" in row:
        # Nearly all of them; a match takes its time.
        return _recorded(row)
    match row:
        case {
            "report": str() as ticket,
            "client": str() as client,
            "sender": str() as sender,
            "recipients": list() as recipients,
            "action": str() as action,
        } if action in _ACTIONS:
            names = tuple(name for name in recipients if isinstance(name, str))
            return Outcome(ticket, client, sender, names, _ACTIONS[action])
        case {"allowed": str() as network}:
            parse_network(network)  # raises
            until = row.get("until")
            return Allowed(
                network, float(until) if isinstance(until, (int, float)) and 0 <= until < LATEST else None
            )
        case {"rule": {"what": str() as what, "effect": str() as effect, "as": str() as named} as rule}:
            expires = rule.get("expires")
            until = expires if isinstance(expires, int) else NEVER
            return Ruled(rule_of(what, Effect(effect), Named(named), until=until))
        case {"dropped": int() as dropped}:
            return Gap(dropped)
        case _:
            raise ValueError("not a line of a recording")


def _recorded(row: dict[str, Any]) -> Recorded:
    get = row.get
    time, attributes = get("time"), row["request"]
    if type(attributes) is not dict or not isinstance(time, (int, float)) or not 0 <= time < LATEST:
        raise ValueError("expected a time and attributes")
    return Recorded(
        float(time),
        _request(attributes),
        _answer(row),
        _evidence(get("evidence")),
        _FATES.get(str(get("fate"))),
        _RESULTS.get(str(get("callout"))),
        _asked(get("asked")),
    )


def _request(attributes: dict[str, Any]) -> Request:
    try:
        text = "".join(attributes.values())
    except TypeError:
        raise ValueError("an attribute is no text") from None
    if not (text.isascii() and text.isprintable() and "".join(attributes).isascii()):
        attributes = {_clean(name): _clean(value) for name, value in attributes.items()}
    return past_request(attributes)


def _clean(text: str) -> str:
    """What the policy protocol could have carried; JSON can hold lone surrogates and line ends."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\n", " ").replace("\0", "?")


def _answer(row: Mapping[str, Any]) -> Answer | None:
    action, reason, decision_id = _ACTIONS.get(str(row.get("action"))), row.get("reason"), row.get("id", "")
    if action is None or not isinstance(reason, str) or not isinstance(decision_id, str):
        return None
    wait = row.get("wait")
    return Answer(
        action, reason, decision_id, row.get("repeated") is True, wait if isinstance(wait, int) else 0
    )


def _evidence(given: object) -> tuple[Evidence, ...] | None:
    if given is None:
        return None
    if not isinstance(given, list) or len(given) > MAX_EVIDENCE:
        raise ValueError("expected a list of evidence")
    try:
        return tuple([_said(*piece) for piece in given])
    except TypeError:
        raise ValueError("expected check, fact and detail") from None


def _asked(given: object) -> frozenset[str]:
    if given is None:
        return frozenset()
    if not isinstance(given, list) or len(given) > MAX_EVIDENCE:
        raise ValueError("expected a list of checks")
    try:
        return _names(tuple(given))
    except TypeError:
        raise ValueError("expected names of checks") from None


@lru_cache(maxsize=64)
def _names(given: tuple[str, ...]) -> frozenset[str]:
    """Always the same ones, for they are the same in nearly all rows."""
    if not all(isinstance(name, str) for name in given):
        raise ValueError("expected names of checks")
    return frozenset(given)


@lru_cache(maxsize=4096)
def _said(check: str, name: str, detail: str) -> Evidence:
    """Most facts have no detail, and are the same again and again."""
    if not (isinstance(check, str) and isinstance(name, str) and isinstance(detail, str)):
        raise ValueError("expected check, fact and detail")
    return Evidence(check, name, detail)
