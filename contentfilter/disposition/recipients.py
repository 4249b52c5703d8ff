"""One mail's recipients, each judged by the policy that counts for it, and what that comes to. Pure.

LMTP has a reply for each recipient, SMTP one for all. So on SMTP those whose mail is taken and those whose
mail is not must come apart: the client hears 451 and brings them one after another
(:mod:`contentfilter.disposition.splits`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from contentfilter.content.clues import Clue
from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.disposition.disposition import Answer, Deliver, Disposition
from contentfilter.disposition.policy import Policies, Policy
from contentfilter.disposition.total import add_up
from contentfilter.disposition.verdict import Verdict, decide
from contentfilter.macros.allowlist import Allowlist
from contentfilter.session.envelope import Envelope
from mailbase.evidence import Evidence
from mailbase.replies import Reply
from mailbase.vocabulary import SEVERITY, Action, Finding, Flow

LEFT_OUT = Reply(250, "2.0.0", "Ok")
"""What is said of a spamtrap."""


@dataclass(frozen=True, slots=True)
class Share:
    """Recipients of a mail with whom the same is done, for the same reason.

    Arguments:
        verdict: what, and why.
        places: positions in the envelope, ascending; at least one.
        protected: False if their domain wants no protection.
    """

    verdict: Verdict
    places: tuple[int, ...]
    protected: bool = True

    @property
    def action(self) -> Action:
        return self.verdict.action

    @property
    def reply_class(self) -> int:
        """First digit of the reply that these recipients' mail gets."""
        match self.action:
            case Action.ACCEPT | Action.TAG | Action.QUARANTINE | Action.DISCARD:
                return 2
            case Action.DEFER:
                return 4
            case Action.REJECT:
                return 5


def judge(
    decision_id: str,
    flow: Flow,
    policies: Policies,
    envelope: Envelope,
    left_out: frozenset[int],
    results: Sequence[ScanResult | ScanFailed],
    evidence: Evidence | None,
    allowed: Allowlist | None = None,
    clues: Sequence[Clue] | None = (),
    may_wait: bool = False,
) -> list[Share]:
    """The recipients, but those ``left_out``, by what is done with their mail; the most severe first.

    Arguments:
        left_out: positions of the spamtraps. If there is nobody else, the mail is discarded for all of them.
        results: of the scanners, in their configured order.
        evidence: what policyd knows of client and sender.
        allowed: macros that are.
        clues: for spam, or against it; None: no points are to count, whatever they are.
        may_wait: whether the client may be told to come again for the total. No mail waits that is for
            somebody who takes complaints as well.
    """
    sender = envelope.sender.address
    digests = allowed.digests(results) if allowed is not None else frozenset()
    groups: dict[tuple[Policy, frozenset[str]], list[int]] = {}
    for place, path in enumerate(envelope.recipients):
        if place not in left_out:
            forgiven = digests
            if allowed is not None and digests:
                forgiven = allowed.permitted(digests, sender, path.address)
            groups.setdefault((policies.of(flow, path.address), forgiven), []).append(place)
    if not groups:
        # There is nobody else who could be told, or miss anything.
        verdict = decide(decision_id, flow, policies.of_flow(flow), results)
        return [Share(replace(verdict, action=Action.DISCARD, cause=None), tuple(sorted(left_out)))]
    may_wait = may_wait and all(policy.scored for policy, _ in groups)
    shares = []
    for (policy, forgiven), places in groups.items():
        counted: Sequence[ScanResult | ScanFailed] = results
        if allowed is not None and forgiven:
            addresses = [envelope.recipients[place].address for place in places]
            counted = allowed.excuse(results, sender, addresses)
        total = None if clues is None else add_up(clues, _findings(counted), evidence, policy.points)
        verdict = decide(decision_id, flow, policy, counted, total, may_wait)
        shares.append(Share(verdict, tuple(places), policy.protected))
    # Stable: of equals the one with the first recipient stays in front.
    return sorted(shares, key=lambda share: -SEVERITY[share.action])


def _findings(results: Iterable[ScanResult | ScanFailed]) -> Iterator[Finding]:
    return (finding for result in results if isinstance(result, ScanResult) for finding in result.findings)


def differ(shares: Iterable[Share]) -> bool:
    """Whether no single reply is right for all."""
    return len({share.reply_class for share in shares}) > 1


def overloaded(shares: Iterable[Share]) -> bool:
    """Whether some wait only since there was too much to do: soon the same answer may be right for all."""
    causes = (share.verdict.cause for share in shares if share.action is Action.DEFER)
    return any(isinstance(cause, ScanFailed) and cause.reason == "overload" for cause in causes)


def in_one_answer(shares: Sequence[Share]) -> list[Share]:
    """The shares so that one reply is right for all, where the client cannot be asked to come again for some.

    What would be refused is quarantined. If anything waits, all wait: that is no refusal, and passes.
    """
    waiting = next((share for share in shares if share.action is Action.DEFER), None)
    if waiting is not None:
        return [with_action(share, Action.DEFER, waiting.verdict) for share in shares]
    return [
        with_action(share, Action.QUARANTINE) if share.action is Action.REJECT else share for share in shares
    ]


def put_off(shares: Sequence[Share], wait: int) -> list[Share]:
    """The shares, where some have to wait for their total; nobody comes apart only for that.

    Arguments:
        wait: seconds.
    """
    told = [
        replace(share, verdict=replace(share.verdict, wait=wait)) if share.verdict.waits else share
        for share in shares
    ]
    return told if any(share.action is Action.REJECT for share in told) else in_one_answer(told)


def with_action(share: Share, action: Action, cause: Verdict | None = None) -> Share:
    """The share with another action, for the cause of another verdict if one is given."""
    verdict = replace(share.verdict, action=action)
    if cause is not None:
        verdict = replace(verdict, cause=cause.cause, facts=cause.facts, wait=cause.wait)
    return replace(share, verdict=verdict)


def places_of(shares: Iterable[Share], action: Action) -> tuple[int, ...]:
    """Positions of the recipients with whom ``action`` is done, ascending."""
    return tuple(sorted(place for share in shares if share.action is action for place in share.places))


def dispose(
    shares: Sequence[Share],
    left_out: frozenset[int] = frozenset(),
    header_prefix: str = "X-Postwarden",
    contact: str = "",
    kept: str = "",
    stamps: bytes = b"",
    own: Mapping[str, str] | None = None,
) -> Disposition:
    """What the proxy is to do.

    Arguments:
        shares: most severe first; on SMTP one reply must be right for all.
        left_out: positions of the recipients that do not get the mail, and hear that all is well.
        header_prefix: of our header lines.
        contact: URL or text for those who want to ask.
        kept: name of the quarantine's file, if some of the mail went there.
        stamps: header lines of others for the top of what is delivered.
        own: the operator's texts for refusals, ``contentfilter.replies``.
    """
    own = own or {}
    apart = dict.fromkeys(left_out, LEFT_OUT)
    delivered = [share for share in shares if share.action in (Action.ACCEPT, Action.TAG)]
    # Who is delivered to is delivered to at once: the lines on top state facts, and say the same to all.
    main = delivered[0] if delivered else shares[0]
    if main.verdict.total is None:
        main = next(
            (share for share in delivered if share.action is main.action and share.verdict.total is not None),
            main,
        )
    for share in shares:
        if share is not main and share not in delivered:
            apart |= dict.fromkeys(share.places, share.verdict.reply(contact, own))
    if delivered:
        return Deliver(main.verdict.header(header_prefix) + stamps, apart, kept)
    if main.action is Action.DISCARD:
        return Answer(main.verdict.reply())
    return Answer(main.verdict.reply(contact, own), apart)
