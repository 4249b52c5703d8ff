"""From facts to the answer: every reply text of policyd stands in this file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple, assert_never

from mailbase.vocabulary import Action
from policyd.checks import RelayCheck
from policyd.context import Scope
from policyd.facts import CheckFailed, Fact, Grey, GreylistFact, RelayFact, Relaying

DUNNO = "DUNNO"
"""No opinion: the list goes on."""
OK = "OK"
"""Ends the list; given to those who may relay, and to nobody else."""


class Verdict(NamedTuple):
    """Arguments:
    action: in the words of the product.
    reply: in the words of Postfix.
    reason: the fact that decided, as a name.
    """

    action: Action
    reply: str
    reason: str


_PASS = Verdict(Action.ACCEPT, DUNNO, "no-opinion")


@dataclass(frozen=True, slots=True)
class Wording:
    """What the operator has to say about the texts.

    Arguments:
        contact: put at the end of every refusal; may be empty.
        on_error: what greylisting does while the store is broken.
    """

    contact: str = ""
    on_error: Literal["pass", "defer"] = "pass"

    def text(self, text: str, decision_id: str) -> str:
        """``text`` with the id, and whom to turn to."""
        return f"{text} [{decision_id}] {self.contact}" if self.contact else f"{text} [{decision_id}]"


def settles(fact: Fact) -> bool:
    """Whether nothing that is still to be found out can change the answer."""
    match fact:
        case RelayFact(relaying=Relaying.DENIED):
            return True
        case CheckFailed(check=RelayCheck.name):
            return True
        case _:
            return False


def judge(facts: Iterable[Fact], scope: Scope, decision_id: str, wording: Wording) -> Verdict:
    """The answer at RCPT.

    Arguments:
        facts: in the order of the checks; the first that keeps the mail out decides.
        scope: OK is never said where Postfix asks for the recipient restrictions.
        decision_id: for the text.
        wording: for the text.
    """
    verdict = _PASS
    for fact in facts:
        match fact:
            case GreylistFact():
                opinion = _greylisting(fact, decision_id, wording)
            case RelayFact():
                opinion = _relaying(fact, scope, decision_id, wording)
            case CheckFailed():
                opinion = _failure(fact, decision_id, wording)
            case _:
                raise TypeError(f"unknown fact {fact!r}")
        if opinion.action is not Action.ACCEPT:
            return opinion
        # OK outweighs DUNNO; of several DUNNO the last says most, unless it says nothing.
        if verdict is _PASS or (verdict.reply != OK and opinion is not _OFF):
            verdict = opinion
    return verdict


def _relaying(fact: RelayFact, scope: Scope, decision_id: str, wording: Wording) -> Verdict:
    reason = f"relay-{fact.reason}"
    match fact.relaying:
        case Relaying.PERMITTED:
            return Verdict(Action.ACCEPT, DUNNO if scope is Scope.RECIPIENT else OK, reason)
        case Relaying.SERVED | Relaying.OWN | Relaying.UNJUDGED:
            return Verdict(Action.ACCEPT, DUNNO, reason)
        case Relaying.DENIED:
            return Verdict(Action.REJECT, wording.text("554 5.7.1 Relay access denied", decision_id), reason)
        case _:
            assert_never(fact.relaying)


def _greylisting(fact: GreylistFact, decision_id: str, wording: Wording) -> Verdict:
    grey = fact.grey
    if grey is Grey.NEW or grey is Grey.EARLY:
        text = f"DEFER_IF_PERMIT 4.2.0 Greylisted, try again in {fact.wait} s"
        return Verdict(Action.DEFER, wording.text(text, decision_id), _REASONS[grey])
    if grey is Grey.UNAVAILABLE and wording.on_error == "defer":
        text = "DEFER_IF_PERMIT 4.3.0 Temporary trouble, try again later"
        return Verdict(Action.DEFER, wording.text(text, decision_id), _REASONS[grey])
    return _GREYLIST_PASSES[grey]


_REASONS = {grey: f"greylist-{grey.value}" for grey in Grey}
_GREYLIST_PASSES = {grey: Verdict(Action.ACCEPT, DUNNO, reason) for grey, reason in _REASONS.items()}
_OFF = _GREYLIST_PASSES[Grey.OFF]


def _failure(fact: CheckFailed, decision_id: str, wording: Wording) -> Verdict:
    reason = f"{fact.check}-failed"
    if fact.check == RelayCheck.name:
        # DUNNO would let Postfix refuse a registered system with 554: our own fault is never 5xx. This turns
        # the refusal into "later", and lets served domains receive.
        text = wording.text("DEFER_IF_REJECT 4.3.0 Temporary trouble, try again later", decision_id)
        return Verdict(Action.DEFER, text, reason)
    return Verdict(Action.ACCEPT, DUNNO, reason)
