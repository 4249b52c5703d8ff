"""Whether the recipient is known to its registered server, by a callout.

Asked of recipients in registered domains and of registered systems' host names only, whoever brings the mail.
``postmaster`` is never asked for: every domain must take it (RFC 5321 4.5.1). ``abuse`` is asked for like any
other: whoever complains should learn at once that nobody reads it there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from mailbase.addresses import split_mailbox
from mailbase.registry import Registry
from mailbase.vocabulary import Action, Flow
from policyd.callout.result import Result, Target
from policyd.checks.relay import is_routed
from policyd.evidence.context import Context
from policyd.evidence.facts import Named, RecipientFact, keeps_waiting
from policyd.protocol.request import MAX_ADDRESS, Request, Stage

REMEMBERED = 2_000
"""Recipients of which is remembered whose they are."""
POSTMASTER = "postmaster"

_UNASKED = RecipientFact(None)


class Callout(Protocol):
    """Asks servers."""

    def ask(
        self, target: Target, client: bytes | None, deadline: float, *, trace: bool = True
    ) -> Result | Awaitable[Result]:
        """What is known of ``target``; at once where it is in memory.

        Arguments:
            client: whose budget is charged, packed; None: nobody's.
            deadline: seconds since the epoch at which ``TEMPORARY`` is the answer.
            trace: False to charge nobody.
        """


@dataclass(frozen=True, slots=True)
class FlowTerms:
    """The check in one flow.

    Arguments:
        enabled: whether recipients are asked for where their domain's registration does not say.
        shadow: counted and logged, not acted on.
        unavailable: what becomes of mail while the server cannot say.
    """

    enabled: bool = False
    shadow: bool = False
    unavailable: Action = Action.DEFER

    def action(self, result: Result) -> Action:
        """What follows from ``result``."""
        match result:
            case Result.UNKNOWN | Result.UNFIT:
                return Action.REJECT
            case Result.OVER_BUDGET:
                return Action.DEFER
            case Result.TEMPORARY | Result.BUSY:
                return self.unavailable
            case Result.KNOWN | Result.CATCH_ALL | Result.UNASKABLE:
                return Action.ACCEPT


class RecipientCheck:
    """Arguments:
    registry: knows whose the recipient is.
    callout: asks.
    terms: of each flow.
    """

    name = "recipient"
    stages = frozenset({Stage.RCPT})

    def __init__(self, registry: Registry, callout: Callout, terms: Mapping[Flow, FlowTerms]) -> None:
        self._registry = registry
        self._callout = callout
        self._terms = terms
        self._facts = {
            (flow, result): RecipientFact(result, of.action(result), of.shadow)
            for flow, of in terms.items()
            for result in Result
        }
        self._remembered = lru_cache(maxsize=REMEMBERED)(self._find)

    def check(self, request: Request, context: Context) -> RecipientFact | Awaitable[RecipientFact]:
        """What is known of the recipient; nobody is asked for one that is kept out anyway."""
        flow = context.origin.flow
        recipient = request.recipient
        target, own_choice = (
            self._remembered(recipient) if len(recipient) <= MAX_ADDRESS else self._find(recipient)
        )
        if target is None or not (self._terms[flow].enabled if own_choice is None else own_choice):
            return _UNASKED
        if keeps_waiting(context.facts):
            return _UNASKED
        if context.allowed is Named.RECIPIENT:
            # The operator knows better than its server.
            return _UNASKED
        # An upstream relay brings everybody's mail, and a user has said who he is.
        client = None if flow is Flow.UPSTREAM or flow is Flow.SUBMISSION else context.origin.address
        found = self._callout.ask(target, client, context.deadline, trace=context.trace)
        if isinstance(found, Result):
            return self._facts[flow, found]
        return self._wait(found, flow)

    async def _wait(self, waiting: Awaitable[Result], flow: Flow) -> RecipientFact:
        return self._facts[flow, await waiting]

    def _find(self, recipient: str) -> tuple[Target | None, bool | None]:
        """Whom to ask for, and what the domain's registration says; None: nobody, or nothing."""
        mailbox = split_mailbox(recipient)
        if mailbox is None or is_routed(mailbox) or mailbox.local.lower() == POSTMASTER:
            return None, None
        domain = self._registry.domain(mailbox.domain)
        if domain is not None:
            return Target(mailbox.local, mailbox.domain, domain.server), domain.callout
        system = self._registry.host_system(mailbox.domain)
        return (None if system is None else Target(mailbox.local, mailbox.domain, system.server)), None
