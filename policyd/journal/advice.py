"""What would make an exception to a decision: the commands to type, for a person to choose from."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mailbase.addresses import domain_of
from mailbase.config import FINDING_NAMES
from mailbase.vocabulary import Action, Flow

TOTAL = "points"
"""Names the cause where contentfilter's total decided."""
_BY_DOMAIN = FINDING_NAMES - {"virus", "archive-bomb"}
"""What a domain may want to have all the same."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,120}")
_NOT_BY_EXCEPTION = {
    "relay": "relaying is granted by the registry alone: register the domain, or the client as a system",
}
"""By the check that decided: what no command of policyd's changes."""


def advice(decision: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Commands, each with what it would do; a command is empty where there is only something to say.

    Arguments:
        decision: as :func:`policyd.journal.entry.describe_decision` tells it.
    """
    if decision["action"] == Action.ACCEPT:
        if decision["stage"] == "RCPT":
            yield _command("deny", _client(decision)), "refuse this client from now on"
            if decision["sender"]:
                yield _command("deny", _known(decision, "sender", "SENDER")), "refuse this sender"
        return
    exception = next((fact for fact in decision["facts"] if fact.get("check") == "exceptions"), None)
    if exception is not None and exception.get("fact") == "deny":
        what, named = exception.get("what", "WHAT"), exception.get("named", "")
        if exception.get("suspended"):
            yield f"policyd outgoing lift {shlex.quote(what)}", "end the suspension"
            return
        yield f"policyd exceptions remove {shlex.quote(what)} --as {named}", "take back what denies it"
        return
    check = decision["reason"].partition("-")[0]
    if check in _NOT_BY_EXCEPTION:
        yield "", _NOT_BY_EXCEPTION[check]
        return
    if check == "recipient":
        recipient = _known(decision, "recipient", "RECIPIENT")
        yield f"policyd forget {shlex.quote(recipient)}", "ask the recipient's server anew: it decides"
        return
    if decision["user"]:
        user = _known(decision, "user", "USER")
        yield _command("allow", user, " --as user"), "spare this user points and limits"
    yield _command("allow", _client(decision)), "spare this client points, greylisting and limits"
    if check != "rate" and decision["sender"]:
        sender = _known(decision, "sender", "SENDER")
        yield _command("allow", sender), "spare this sender, whoever claims to be it"
    if check != "rate" and decision["recipient"]:
        recipient = _known(decision, "recipient", "RECIPIENT")
        yield _command("allow", recipient, " --as recipient"), "let everybody reach this recipient"


def advice_on_content(
    outcome: Mapping[str, Any], decisions: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    """The same for what was done with a mail's content.

    Arguments:
        outcome: as :func:`policyd.journal.entry.describe_outcome` tells it.
        decisions: those that are told with it.
    """
    if outcome["action"] == Action.QUARANTINE:
        yield f"contentfilter quarantine release {outcome['id']}", "deliver it after all"
    yield from _on_total(outcome, decisions)
    if outcome["action"] not in (Action.QUARANTINE, Action.REJECT):
        return
    content = outcome.get("content") or {}
    domains = _domains(outcome, decisions)
    digests = dict.fromkeys(fact["digest"] for fact in content.get("facts", ()) if fact.get("digest"))
    for digest in digests:
        to = "".join(f" --to {shlex.quote(domain)}" for domain in domains) or " --to DOMAIN"
        told = f"contentfilter macros allow {digest}{to} --for 180d --why '…'"
        yield told, "let this one macro through to these recipients; read it first"
    cause = re.match(r"[a-z-]+", content.get("cause", ""))
    name = cause.group() if cause else ""
    if not digests and name in _BY_DOMAIN and content.get("flow") in (Flow.INBOUND, Flow.UPSTREAM):
        for domain in domains:
            told = f"domains.{domain}.actions: {{{name}: tag}}"
            yield told, "in the registry: all mail with this passes to that domain, marked"


def _domains(outcome: Mapping[str, Any], decisions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Those of the mail's recipients, each once."""
    instances = {one["instance"] for one in decisions if one["id"] == outcome["id"]}
    same = (one for one in decisions if one["instance"] in instances)
    known = (domain_of(_known(one, "recipient", "")) for one in same)
    return list(dict.fromkeys(filter(None, known)))


def _on_total(
    outcome: Mapping[str, Any], decisions: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    """What would change the total, if that decided."""
    content = outcome.get("content") or {}
    cause = content.get("cause", "")
    # With pseudonyms no cause is kept, for it may name a file.
    if not cause.startswith(f"{TOTAL}(") and (cause or TOTAL not in outcome["findings"]):
        return
    ticket = next((one for one in decisions if one["id"] == outcome["id"]), None)
    if ticket is not None:
        yield from advice({**ticket, "action": Action.REJECT, "reason": TOTAL})
    counted = (clue for clue in content.get("clues", ()) if clue["points"] > 0 and not clue["shadow"])
    strongest = next(counted, None)
    if strongest is not None and _NAME.fullmatch(strongest["name"]):
        told = f"flows.{content['flow']}.points: {{{strongest['name']}: 0}}"
        yield told, "in the configuration: what weighs most counts nothing"


def _command(verb: str, what: str, more: str = "") -> str:
    return f"policyd {verb} {shlex.quote(what)}{more} --for 30d --why '…'"


def _client(decision: Mapping[str, Any]) -> str:
    return _known(decision, "client", "CLIENT")


def _known(decision: Mapping[str, Any], field: str, placeholder: str) -> str:
    """What to put in; a hash would name nobody, and what a stranger sent must not command the terminal."""
    text = str(decision[field])
    if decision.get("pseudonymised") or not text.isprintable() or text[:1] == "-":
        return placeholder
    return text
