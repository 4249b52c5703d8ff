"""policyd's own log lines as a source of requests: the best that a log has, facts and all.

``event=decision`` in key=value or JSON, by itself or behind the beginning of a syslog line. What the line
does not have (port, TLS, the unverified name) the request has not either.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from mailbase.addresses import pack
from mailbase.vocabulary import Action
from policyd.evidence.facts import Evidence
from policyd.replay.past import Answer, Recorded, past_request
from policyd.replay.stamps import minute_of

KV_MARK, JSON_MARK = " policyd info event=decision ", '"component":"policyd"'
STAMP = 24
"""Characters of our time stamp: ``2026-11-26T20:53:17.123Z``."""
MAX_FACTS = 1000

_FIELD = re.compile(r'([a-z_]+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))(?: |$)')
_ESCAPED = re.compile(r"\\(.)")
_FACT = re.compile(r"\(?([a-z_]+)\.(.+):-?[0-9.e+-]+\)?")
_ACTIONS = {action.value: action for action in Action}
_NOTHING = frozenset({"-", "<>"})


def may_be_decision(line: str) -> bool:
    """Whether :func:`decision_of` is worth trying."""
    return KV_MARK in line or (JSON_MARK in line and '"event":"decision"' in line)


def decision_of(line: str) -> Recorded | None:
    """The request that a line of policyd's log tells of; None if it is none, or a damaged one."""
    start = line.find(KV_MARK)
    if start >= STAMP:
        fields: Mapping[str, Any] = {
            name: _ESCAPED.sub(r"\1", quoted) if quoted else plain
            for name, quoted, plain in _FIELD.findall(line, start + len(KV_MARK))
        }
        stamp = line[start - STAMP : start]
    else:
        fields = _json(line[max(0, line.find("{")) :])
        stamp = str(fields.get("time", ""))
    return _recorded(stamp, fields)


def is_pseudonymised(recorded: Recorded) -> bool:
    """Whether the log had hashes in place of addresses."""
    client = recorded.request.client_address
    return len(client) == 16 and pack(client) is None


def _json(text: str) -> Mapping[str, Any]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _recorded(stamp: str, fields: Mapping[str, Any]) -> Recorded | None:
    minute = minute_of(stamp[:16], "Z") if stamp[-1:] == "Z" else None
    action = _ACTIONS.get(str(fields.get("action")))
    if minute is None or action is None or "stage" not in fields:
        return None
    try:
        # The line was written when the answer was given. Half of the millisecond that the stamp leaves open.
        time = minute + float(stamp[17:-1]) + 0.0005 - float(fields.get("seconds", 0))
    except (TypeError, ValueError):
        return None

    def text(name: str) -> str:
        value = str(fields.get(name, ""))
        return "" if value in _NOTHING else value

    attributes = {
        "protocol_state": text("stage"),
        "client_address": text("client"),
        "client_name": text("client_name"),
        "reverse_client_name": text("client_name"),
        "helo_name": text("helo"),
        "sender": text("sender"),
        "recipient": text("recipient"),
    }
    if fields.get("flow") == "submission":
        # Who it was does not stand in the log; that it was somebody does.
        attributes["sasl_username"] = text("user") or "unknown"
    evidence = None
    if "facts" in fields:
        evidence = _evidence(text("facts"))
    answer = Answer(action, text("reason"), text("id"))
    return Recorded(time, past_request(attributes), answer, evidence)


def _evidence(text: str) -> tuple[Evidence, ...]:
    """``fcrdns.no-ptr:2,(sender_domain.null-mx:4)`` taken apart."""
    found = (_FACT.fullmatch(piece) for piece in text.split(",")[:MAX_FACTS])
    return tuple(Evidence(fact[1], fact[2]) for fact in found if fact)
