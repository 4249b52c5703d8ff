"""From what was found to what is done: findings and failures, a flow's policy, one verdict. Pure.

The most severe action wins; among facts of the same severity the one that stands first in the flow's table of
actions is named as the cause. Which scanner finished first plays no part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.disposition.policy import STRANGERS, Policy
from contentfilter.disposition.reasons import BY_DMARC, REASONS, UNSCANNED, Reason, spam_text
from contentfilter.disposition.total import Total
from contentfilter.engines.seat import SPAM, VIRUS
from mailbase.config.replies import POINTS, REFUSED, WAITING
from mailbase.replies import MAX_NAME, MAX_REPLY_TEXT, Reply, header_line, name, printable
from mailbase.scripts import suffix_of
from mailbase.vocabulary import SEVERITY, Action, Finding, Flow, Unscanned, fold

Fact: TypeAlias = Finding | Unscanned | ScanFailed

MAX_LISTED = 20
"""Facts in one header line."""
_NONE: Mapping[str, str] = {}
_PREFIX_ROOM = len("554 5.7.1 ")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done with a mail.

    Arguments:
        id: decision id.
        flow: whose policy it was.
        action: DISCARD only for mail to spamtraps alone, whatever it holds.
        cause: the fact that decided; None if there was nothing to hold against the mail.
        facts: all of them, in the order of scanners and parts.
        total: what the mail comes to; None where points do not count.
        spam: whether that is enough to tag it.
        wait: seconds until it is taken, if it has to wait for its total.
    """

    id: str
    flow: Flow
    action: Action
    cause: Fact | None
    facts: tuple[Fact, ...]
    total: Total | None = None
    spam: bool = False
    wait: int = 0

    @property
    def waits(self) -> bool:
        """Whether the mail has to wait for its total, and nothing else."""
        return self.action is Action.DEFER and isinstance(self.cause, Finding) and self.cause.name == POINTS

    def reply(self, contact: str = "", own: Mapping[str, str] = _NONE) -> Reply:
        """What the client is told, if it is not the reinjection port's reply.

        Arguments:
            contact: URL or text for those who want to ask.
            own: the operator's texts, ``contentfilter.replies``.
        """
        match self.action:
            case Action.REJECT:
                # RFC 9989 7.4 has 550 for what its author's domain wants refused.
                code = 550 if isinstance(self.cause, Finding) and self.cause.name in BY_DMARC else 554
                return Reply(code, "5.7.1", self._told(self._refusal(), contact, own, self._key(), REFUSED))
            case Action.DEFER if self.waits:
                when = f"in {self.wait} s" if self.wait else "later"
                text = f"This message looks like spam and has to wait, please try again {when}"
                return Reply(451, "4.7.1", self._told(text, contact, own, WAITING))
            case Action.DEFER if isinstance(self.cause, ScanFailed) and self.cause.reason == "overload":
                return Reply(
                    451, "4.3.2", _told("Too busy to check this message, try again later", "", self.id)
                )
            case Action.DEFER:
                return Reply(
                    451, "4.3.0", _told("This message cannot be checked now, try again later", "", self.id)
                )
            case Action.QUARANTINE:
                return Reply(250, "2.0.0", _told("Ok, quarantined", "", self.id))
            case Action.ACCEPT | Action.TAG | Action.DISCARD:
                return Reply(250, "2.0.0", _told("Ok", "", self.id))

    def _key(self) -> str:
        """Where the operator's text for a refusal stands."""
        return "" if self.cause is None else _name(self.cause)

    def _told(self, text: str, contact: str, own: Mapping[str, str], *keys: str) -> str:
        """A reply's text: the operator's under the first of ``keys`` that has one, else ours.

        The operator's gives way where it comes out longer than a reply may be, so that no id is cut off.
        """
        template = next((own[key] for key in keys if key in own), None)
        if template is not None:
            values = {
                "text": text,
                "id": self.id,
                "contact": contact.replace("{id}", self.id),
                "attachment": _attachment(self.cause),
                "wait": str(self.wait),
            }
            told = template.format_map(values).rstrip()
            if len(told) <= MAX_REPLY_TEXT - _PREFIX_ROOM:
                return printable(told, MAX_REPLY_TEXT - _PREFIX_ROOM)
        return _told(text, contact, self.id)

    def _refusal(self) -> str:
        if self.total is not None and isinstance(self.cause, Finding) and self.cause.name == POINTS:
            sources = (item.source for item in self.total.counted if item.points > 0)
            return spam_text(sources, own=self.flow not in STRANGERS)
        return refusal_text(self.cause)

    def header(self, prefix: str) -> bytes:
        """Our lines for the top of a mail that is passed.

        Every mail gets ``-Decision``, so that its id can be looked up. Mail from elsewhere gets its total,
        for those who want to set bounds of their own; what was found only if the policy says tag.
        Other mail goes to strangers, whom our suspicions are no business of, unless it says so too.

        Arguments:
            prefix: of the field names, such as ``X-Postwarden``.
        """
        lines = [header_line(f"{prefix}-Decision", f"{self.id} {self.action} flow={self.flow}")]
        if self.total is not None and (self.flow in STRANGERS or self.action is Action.TAG):
            lines += _score(prefix, self.total, self.spam)
        if self.action is Action.TAG:
            findings = [
                f"{fact.name}{_at(fact.part)}"
                for fact in self.facts
                if isinstance(fact, Finding) and fact.name != POINTS
            ]
            gaps = [f"{reason}{_at(part)}" for reason, part in map(_gap, self.facts) if reason]
            lines += [
                header_line(f"{prefix}-{field}", _listed(items))
                for field, items in (("Findings", findings), ("Unscanned", gaps))
                if items
            ]
        return b"".join(lines)


def _score(prefix: str, total: Total, spam: bool) -> list[bytes]:
    """The lines that programs of the recipient read.

    The score is never below 0: a minus sign is no digit, and Sieve's ``i;ascii-numeric`` takes what begins
    without one for more than any number (RFC 4790 9.1.1).
    """
    lines = [
        header_line(f"{prefix}-Flag", "YES" if spam else "NO"),
        header_line(f"{prefix}-Score", f"{max(0.0, total.points):g}"),
    ]
    items = [f"{item.name} {item.points:g}" for item in total.counted]
    return [*lines, header_line(f"{prefix}-Report", _listed(items))] if items else lines


def _listed(items: Sequence[str]) -> str:
    return ", ".join(items[:MAX_LISTED]) + (", ..." if items[MAX_LISTED:] else "")


def decide(
    decision_id: str,
    flow: Flow,
    policy: Policy,
    results: Sequence[ScanResult | ScanFailed],
    total: Total | None = None,
    may_wait: bool = False,
) -> Verdict:
    """The verdict.

    Arguments:
        decision_id: as :class:`mailbase.ids.IdSource` makes them.
        flow: where the mail comes from.
        policy: what that flow's settings say, or a domain's for its recipients.
        results: of the scanners, in their configured order.
        total: what the mail comes to; None if that is not to count.
        may_wait: whether it may be told to come again for its total; else it is tagged.
    """
    facts = tuple(fact for result in results for fact in _facts(result))
    verdict = Verdict(decision_id, flow, Action.ACCEPT, None, facts)
    if facts:
        actions = [_action(fact, flow, policy) for fact in facts]
        action = fold(actions)
        order = {fact_name: rank for rank, fact_name in enumerate((*policy.actions, *policy.unscanned))}
        deciding = [
            fact for fact, its in zip(facts, actions, strict=True) if SEVERITY[its] == SEVERITY[action]
        ]
        cause = min(deciding, key=lambda fact: order.get(_name(fact), -1), default=None)
        if action is not Action.ACCEPT:
            verdict = replace(verdict, action=action, cause=cause)
    if total is None or not (policy.scored and policy.protected):
        return verdict
    return _with_total(verdict, total, policy, may_wait)


def come_again(decision_id: str) -> Reply:
    """What the client is told whose recipients must come one after another."""
    text = "Recipients need different answers, please try again: they will be taken one after another"
    return Reply(451, "4.5.3", _told(text, "", decision_id))


def _with_total(verdict: Verdict, total: Total, policy: Policy, may_wait: bool) -> Verdict:
    """The verdict, where the total asks for something more severe than what was found."""
    action = policy.action_at(total.points)
    tag = Action.ACCEPT if policy.tag_at is None else Action.TAG
    verdict = replace(verdict, total=total, spam=action is not Action.ACCEPT and tag is Action.TAG)
    if verdict.flow is Flow.UPSTREAM and action in (Action.DEFER, Action.REJECT):
        # As for findings.
        action = Action.QUARANTINE
    elif action is Action.DEFER and not may_wait:
        action = tag
    if action is Action.ACCEPT:
        return verdict
    listed = ", ".join(map(str, list(total.counted)[:MAX_LISTED]))
    found = Finding(POINTS, "", f"{total.points:g}: {listed}")
    verdict = replace(verdict, facts=(*verdict.facts, found))
    if SEVERITY[action] <= SEVERITY[verdict.action]:
        return verdict
    return replace(verdict, action=action, cause=found)


def refusal_text(cause: Fact | None) -> str:
    """Why the mail is refused, for the sender: names the attachment, the reason, and what to do."""
    match cause:
        case Finding(finding, _, domain) if finding in BY_DMARC and domain:
            return f"This message fails DMARC: {domain} does not vouch for it. {REASONS[finding].advice}"
        case Finding(finding, part):
            reason = REASONS.get(finding, Reason("is not accepted here"))
        case Unscanned(part, why):
            reason = UNSCANNED.get(why, Reason("cannot be checked"))
        case _:
            part, reason = "", Reason("is not accepted here")
    return f"{_subject(part)} {reason.what}. {reason.advice}".strip()


def _facts(result: ScanResult | ScanFailed) -> Iterator[Fact]:
    if isinstance(result, ScanFailed):
        yield result
    else:
        yield from result.findings
        yield from result.unscanned


def _action(fact: Fact, flow: Flow, policy: Policy) -> Action:
    if not policy.protected:
        return Action.ACCEPT
    match fact:
        case Finding("executable", _, detail) if suffix_of(detail) in policy.passed_scripts:
            return Action.ACCEPT
        case Finding(finding):
            # A finding that no table knows is none to let pass.
            action = policy.actions.get(finding, Action.REJECT)
        case Unscanned(_, reason):
            action = policy.unscanned.get(reason, Action.DEFER)
        case ScanFailed(scanner, "overload") if scanner not in SPAM:
            action = Action.DEFER
        case ScanFailed():
            action = policy.unscanned.get(_failure(fact), Action.DEFER)
    if action is Action.DISCARD:
        # No mail is dropped for what it holds.
        action = Action.REJECT
    if action is Action.REJECT and flow is Flow.UPSTREAM:
        # The upstream would have to bounce it, to a sender who is forged more often than not.
        action = Action.QUARANTINE
    if action is Action.REJECT and policy.instead is not None:
        action = policy.instead
    return action


def _failure(failed: ScanFailed) -> str:
    if failed.scanner in VIRUS:
        return "engine-failed"
    if failed.scanner in SPAM:
        return "spam-engine-failed"
    return "timed-out" if failed.reason == "timed-out" else "failed"


def _name(fact: Fact) -> str:
    match fact:
        case Finding(finding):
            return finding
        case Unscanned(_, reason):
            return reason
        case ScanFailed():
            return _failure(fact)


def _gap(fact: Fact) -> tuple[str, str]:
    """Reason and part of what was not scanned; nothing for a finding."""
    match fact:
        case Unscanned(part, reason):
            return reason, part
        case ScanFailed(scanner):
            return _failure(fact), scanner
        case Finding():
            return "", ""


def _subject(part: str) -> str:
    """The part of the message as the sender knows it: by the names of the attachment and what is inside."""
    names = [item for item in part.split("/") if item and not item.isdigit()]
    if not names:
        return "A part of this message" if part else "This message"
    if len(names) == 1:
        return f"The attachment {name(names[0])}"
    return f"{name(names[-1])} in the attachment {name(names[0])}"


def _attachment(cause: Fact | None) -> str:
    """The name of what the cause was found in, bounded; empty where that is the message itself."""
    part = cause.part if isinstance(cause, (Finding, Unscanned)) else ""
    names = [item for item in part.split("/") if item and not item.isdigit()]
    return printable(names[-1], MAX_NAME) if names else ""


def _told(text: str, contact: str, decision_id: str) -> str:
    """A reply's text whose end, contact and id, is never cut."""
    end = f" {contact.replace('{id}', decision_id)}" if contact else ""
    end += f" [{decision_id}]"
    return printable(text, MAX_REPLY_TEXT - _PREFIX_ROOM - len(end)) + end


def _at(part: str) -> str:
    return f" {name(part)}" if part else ""
