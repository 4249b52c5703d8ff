"""From facts to the answer: every reply text of policyd stands in this file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from mailbase.config.limits import Of, Per
from mailbase.remembered import Remembered
from mailbase.vocabulary import Action
from policyd.callout.result import Result
from policyd.checks import GreylistCheck, RelayCheck
from policyd.evidence.context import Scope
from policyd.evidence.facts import (
    CheckFailed,
    CheckLate,
    Effect,
    ExceptionFact,
    Fact,
    Grey,
    GreylistFact,
    Limited,
    LimitFact,
    Named,
    PointsFact,
    RecipientFact,
    RelayFact,
    Relaying,
    SpamtrapFact,
    is_free,
)

DUNNO = "DUNNO"
"""No opinion: the list goes on."""
OK = "OK"
"""Ends the list; given to those who may relay, and to nobody else."""

REMEMBERED = 4096
"""Combinations of facts whose verdict is remembered: some dozen, and one for each second to wait."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Arguments:
    action: in the words of the product.
    reply: in the words of Postfix; :mod:`policyd.engine.texts` makes the whole reply of it.
    reason: the fact that decided, as a name: the check, ``-``, what it found.
    wait: seconds until trying again makes sense; 0 where nobody knows.
    """

    action: Action
    reply: str
    reason: str
    wait: int = 0


WORDS = {
    ("reputation", "spamtrap"): "your network writes to addresses that nobody ever gave away",
    ("reputation", "refused-content"): "your network has sent mail that was refused for its content",
    ("reputation", "spam-network"): "nearly all mail of your network was spam lately",
    ("reputation", "spam-domain"): "nearly all mail of the sender's domain was spam lately",
    ("reputation", "good-network"): "your network has sent no spam for a long time",
    ("fcrdns", "no-ptr"): "your address has no PTR record",
    ("fcrdns", "not-confirmed"): "the name of your address does not lead back to it",
    ("fcrdns", "dynamic-name"): "your address has the name of a dynamic or customer line",
    ("fcrdns", "confirmed"): "your address has a confirmed name",
    ("helo", "forged-own-name"): "your HELO is our name",
    ("helo", "forged-address"): "your HELO is our address",
    ("helo", "forged-served-domain"): "your HELO is a name of ours",
    ("helo", "not-fqdn"): "your HELO is not a full host name",
    ("helo", "unusual-top-level"): "your HELO is a name for private use",
    ("helo", "unresolvable"): "your HELO name is not in DNS",
    ("helo", "address-literal"): "your HELO is an address in place of a name",
    ("helo", "resolves-elsewhere"): "your HELO name leads to another address",
    ("helo", "equals-ptr"): "your HELO is the name of your address",
    ("sender_domain", "no-mail-host"): "the sender's domain cannot receive mail",
    ("sender_domain", "null-mx"): "the sender's domain says that it receives no mail",
    ("spf", "pass"): "the sender's domain lets you send for it",
    ("spf", "fail"): "the sender's domain does not let you send for it (SPF)",
    ("spf", "softfail"): "the sender's domain may not let you send for it (SPF)",
    ("spf", "neutral"): "the sender's domain does not say whether you may send for it (SPF)",
    ("spf", "none"): "the sender's domain does not say who may send for it (SPF)",
    ("spf", "permerror"): "the sender's domain has a broken SPF record",
    ("spf", "plus-all"): "the sender's domain lets everybody send for it (SPF)",
    ("spf", "helo-pass"): "your HELO name lets you use it (SPF)",
    ("spf", "helo-fail"): "your HELO name does not let you use it (SPF)",
    ("spf", "helo-softfail"): "your HELO name may not let you use it (SPF)",
    ("spf", "helo-neutral"): "your HELO name does not say whether you may use it (SPF)",
    ("spf", "helo-none"): "your HELO name does not say who may use it (SPF)",
    ("spf", "helo-permerror"): "your HELO name has a broken SPF record",
    ("spf", "helo-plus-all"): "your HELO name lets everybody use it (SPF)",
    ("sender_domain", "private-mx"): "the sender's domain has only unreachable mail servers",
}
"""Every fact that has built-in points, as the reason in a reply."""
LISTED = {"dnsbl": "your address is listed by", "rhsbl": "your domain or host name is listed by"}
"""What stands before the name of a list, which only the configuration knows."""

_RECIPIENT = {
    Result.UNKNOWN: "550 5.1.1 The recipient's server takes no mail for this address",
    Result.UNFIT: "550 5.1.3 The recipient's server takes no mail for such an address",
    Result.OVER_BUDGET: "DEFER_IF_PERMIT 4.7.1 Too many recipients to be verified, try again later",
}
"""Neutral: what the server said is its own business."""
_UNVERIFIED = "DEFER_IF_PERMIT 4.1.1 The recipient cannot be verified now, try again later"

_Question: TypeAlias = tuple[tuple[Fact, ...], Scope, Literal["pass", "defer"]]

_ACCEPT = Action.ACCEPT
_NO_OPINION = Verdict(Action.ACCEPT, DUNNO, "no-opinion")
_SPAMTRAP = Verdict(Action.ACCEPT, DUNNO, "spamtrap")
_OFF = f"greylist-{Grey.OFF}"


def _settles(fact: Fact) -> bool:
    if isinstance(fact, RelayFact):
        return fact.relaying is Relaying.DENIED or fact.relaying is Relaying.UNCONFIRMED
    if isinstance(fact, ExceptionFact):
        return fact.effect is Effect.DENY
    if isinstance(fact, GreylistFact):
        # It has to come again: then is the time to ask its server for the recipient.
        return (fact.grey is Grey.NEW or fact.grey is Grey.EARLY) and not fact.shadow
    if isinstance(fact, PointsFact):
        # What is deferred for its points waits as greylisting says.
        return fact.action is Action.REJECT
    if isinstance(fact, SpamtrapFact):
        return fact.hit
    if isinstance(fact, LimitFact):
        return fact.action is not _ACCEPT
    return isinstance(fact, CheckFailed) and fact.check == RelayCheck.name


settles = Remembered(_settles, REMEMBERED).__getitem__
"""Whether nothing that is still to be found out can change the answer; asked of a fact."""


def judge(facts: tuple[Fact, ...], scope: Scope, on_error: Literal["pass", "defer"]) -> Verdict:
    """The answer.

    Arguments:
        facts: in the order of the checks; the first that keeps the mail out decides.
        scope: OK is never said where Postfix asks for the recipient restrictions.
        on_error: what greylisting does while the store is broken.
    """
    verdict = _NO_OPINION
    deferred: PointsFact | None = None
    for fact in facts:
        match fact:
            case GreylistFact():
                opinion = _greylisting(fact, on_error)
                if deferred is not None:
                    if not is_free(fact):
                        return _points(deferred, fact.wait)
                    deferred = None
            case RelayFact():
                opinion = _relaying(fact, scope)
            case PointsFact():
                if fact.action is _ACCEPT:
                    continue
                if fact.action is Action.DEFER:
                    # Greylisting says whether it has waited.
                    deferred = fact
                    continue
                opinion = _points(fact)
            case ExceptionFact():
                if fact.effect is Effect.NONE:
                    continue
                opinion = _exception(fact)
            case LimitFact():
                if fact.action is _ACCEPT:
                    continue
                opinion = _limit(fact)
            case RecipientFact():
                if fact.action is _ACCEPT:
                    continue
                opinion = _recipient(fact)
            case SpamtrapFact():
                if not fact.hit:
                    continue
                opinion = _SPAMTRAP
            case CheckFailed():
                opinion = _failure(fact)
            case CheckLate():
                opinion = _lateness(fact, on_error)
            case _:
                raise TypeError(f"unknown fact {fact!r}")
        if opinion.action is not _ACCEPT:
            return opinion if deferred is None else _points(deferred)
        # OK outweighs DUNNO; of several DUNNO the last says most, unless it says nothing.
        if verdict is _NO_OPINION or (verdict.reply != OK and opinion.reason != _OFF):
            verdict = opinion
    return verdict if deferred is None else _points(deferred)


judged = Remembered[_Question, Verdict](lambda question: judge(*question), REMEMBERED).__getitem__
"""The same, remembered; the arguments are one tuple."""


def _relaying(fact: RelayFact, scope: Scope) -> Verdict:
    reason = f"relay-{fact.reason}"
    match fact.relaying:
        case Relaying.PERMITTED:
            return Verdict(Action.ACCEPT, DUNNO if scope is Scope.RECIPIENT else OK, reason)
        case Relaying.SERVED | Relaying.OWN | Relaying.UNJUDGED:
            return Verdict(Action.ACCEPT, DUNNO, reason)
        case Relaying.DENIED:
            return Verdict(Action.REJECT, "554 5.7.1 Relay access denied", reason)
        case Relaying.UNCONFIRMED:
            # Postfix says the same of a name that is wrong and of one that DNS could not tell just now.
            words = "450 4.7.1 Relay access denied for now: your host name could not be confirmed"
            return Verdict(Action.DEFER, words, reason)


def _exception(fact: ExceptionFact) -> Verdict:
    reason = f"exceptions-{fact.effect}-{fact.named}"
    if fact.suspended is not _ACCEPT:
        # To those who are ours, who may not know yet what somebody does in their name.
        whose = "your account" if fact.named is Named.USER else "your system"
        words = f"{whose} is suspended, for it sent unusually much; ask your postmaster"
        reason = f"exceptions-suspended-{fact.named}"
        if fact.suspended is Action.REJECT:
            return Verdict(Action.REJECT, f"554 5.7.1 Refused: {words}", reason)
        return Verdict(Action.DEFER, f"450 4.7.1 Not now: {words}", reason)
    if fact.effect is Effect.DENY:
        # Says no more than it must: whom it names is the operator's affair.
        return Verdict(Action.REJECT, "554 5.7.1 Refused by local policy", reason)
    return Verdict(Action.ACCEPT, DUNNO, reason)


def _points(fact: PointsFact, wait: int = 0) -> Verdict:
    words = _words(fact)
    reason = f"{fact.check}-{fact.name}" if fact.check else "points"
    if fact.action is Action.REJECT:
        return Verdict(Action.REJECT, f"554 5.7.1 Refused: {words}", reason)
    when = f"in {wait} s" if wait else "later"
    return Verdict(Action.DEFER, f"450 4.7.1 Not now: {words}; try again {when}", reason, wait)


def _words(fact: PointsFact) -> str:
    if fact.check in LISTED:
        return f"{LISTED[fact.check]} {fact.name.partition('.')[0]}"
    return WORDS.get((fact.check, fact.name), "too much speaks against this mail")


LIMITED = {
    Of.MESSAGES: "too many messages",
    Of.RECIPIENTS: "too many recipients",
    Of.BYTES: "too much mail",
    Of.CONNECTIONS: "too many connections",
}
WHOSE = {
    Per.CLIENT: "from your address",
    Per.NETWORK: "from your network",
    Per.USER: "from your account",
    Per.SENDER_DOMAIN: "from the sender's domain",
    Per.SYSTEM: "from your system",
    Per.RECIPIENT_DOMAIN: "to the recipient's domain",
}


def _limit(fact: LimitFact) -> Verdict:
    reason = f"rate-{fact.limit}"
    words = f"{LIMITED[fact.of]} {WHOSE[fact.per]} (limit {fact.limit})"
    if fact.limited is Limited.NEVER:
        return Verdict(Action.REJECT, f"554 5.7.1 Refused: {words}, with this one mail alone", reason)
    words += f"; free again in {_long(fact.wait)}"
    if fact.action is Action.REJECT:
        return Verdict(Action.REJECT, f"554 5.7.1 Refused: {words}", reason, fact.wait)
    # 421 ends the connection, which is what there is too much of.
    code = "421 4.7.0" if fact.of is Of.CONNECTIONS else "450 4.7.1"
    return Verdict(Action.DEFER, f"{code} Not now: {words}", reason, fact.wait)


def _long(seconds: int) -> str:
    """A wait in the largest unit that is not too coarse, rounded up."""
    if seconds < 120:
        return f"{seconds} s"
    return f"{-(-seconds // 60)} min" if seconds < 7200 else f"{-(-seconds // 3600)} h"


def _recipient(fact: RecipientFact) -> Verdict:
    assert fact.result is not None
    if fact.shadow:
        return Verdict(Action.ACCEPT, DUNNO, f"(recipient-{fact.result})")
    return Verdict(fact.action, _RECIPIENT.get(fact.result, _UNVERIFIED), f"recipient-{fact.result}")


def _greylisting(fact: GreylistFact, on_error: Literal["pass", "defer"]) -> Verdict:
    reason = f"greylist-{fact.grey}"
    if fact.shadow:
        return Verdict(Action.ACCEPT, DUNNO, f"({reason})")
    match fact.grey:
        case Grey.NEW | Grey.EARLY:
            text = f"DEFER_IF_PERMIT 4.2.0 Greylisted, try again in {fact.wait} s"
            return Verdict(Action.DEFER, text, reason, fact.wait)
        case Grey.UNAVAILABLE if on_error == "defer":
            text = "DEFER_IF_PERMIT 4.3.0 Temporary trouble, try again later"
            return Verdict(Action.DEFER, text, reason)
        case _:
            return Verdict(Action.ACCEPT, DUNNO, reason)


def _failure(fact: CheckFailed) -> Verdict:
    reason = f"{fact.check}-failed"
    if fact.check == RelayCheck.name:
        # DUNNO would let Postfix refuse a registered system with 554: our own fault is never 5xx. This turns
        # the refusal into "later", and lets served domains receive.
        return Verdict(Action.DEFER, "DEFER_IF_REJECT 4.3.0 Temporary trouble, try again later", reason)
    return Verdict(Action.ACCEPT, DUNNO, reason)


def _lateness(fact: CheckLate, on_error: Literal["pass", "defer"]) -> Verdict:
    reason = f"{fact.check}-late"
    if fact.check == GreylistCheck.name and on_error == "defer":
        return Verdict(Action.DEFER, "DEFER_IF_PERMIT 4.3.0 Temporary trouble, try again later", reason)
    return Verdict(Action.ACCEPT, DUNNO, reason)
