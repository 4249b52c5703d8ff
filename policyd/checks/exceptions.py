"""What the operator has said by command: ``policyd allow`` and ``policyd deny``."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from mailbase.addresses import split_mailbox
from mailbase.vocabulary import Action, Flow
from policyd.evidence.context import Context
from policyd.evidence.facts import Effect, ExceptionFact, Named
from policyd.evidence.flow import Origin
from policyd.exceptions.matching import Rules
from policyd.exceptions.rule import Rule, client_form
from policyd.protocol.request import Request, Stage

_NONE = ExceptionFact(Effect.NONE)
_ALL = frozenset(Named)
_BEHIND_RELAYS = _ALL - {Named.SENDER}
"""An upstream relay would have to bounce to a sender who may be forged."""
_COMPLAINTS = frozenset({Named.RECIPIENT, Named.USER})
"""A client or sender that is denied may still complain, unless the operator named that address itself."""
_NOBODY: frozenset[Named] = frozenset()
_OURSELVES = frozenset({Named.CLIENT, Named.USER})
_OWN = frozenset({Flow.SUBMISSION, Flow.OUTBOUND})
"""Whose mail can be suspended."""


class ExceptionsCheck:
    """Arguments:
    rules: in force.
    exempt: local parts that a denied client or sender may still mail, lower case.
    suspended: what is done with mail of those who were suspended for what they sent: defer or reject.
    """

    name = "exceptions"
    stages = frozenset({Stage.RCPT, Stage.DATA, Stage.END_OF_MESSAGE})

    def __init__(
        self, rules: Rules, *, exempt: Collection[str] = (), suspended: Action = Action.DEFER
    ) -> None:
        self._suspended = suspended
        self._rules = rules
        self._all = rules.all
        self._exempt = frozenset(exempt)

    def check(self, request: Request, context: Context) -> ExceptionFact:
        """The rule that applies; ``context.allowed`` then tells the other checks."""
        if not self._all:
            return _NONE
        origin, recipient = context.origin, request.recipient
        deny, late = _ALL, request.stage is not Stage.RCPT
        if late:
            # What was accepted stands, unless its sender was suspended meanwhile.
            deny = _OURSELVES if request.stage is Stage.DATA and origin.flow in _OWN else _NOBODY
        elif origin.flow is Flow.UPSTREAM:
            deny = _BEHIND_RELAYS
        past: tuple[Rule, ...] = ()
        while True:
            rule = self._rules.match(
                origin.address,
                origin.name,
                request.sender,
                recipient,
                request.sasl_username,
                context.now,
                deny=deny,
                past=past,
            )
            if rule is None:
                return _NONE
            if rule.effect is Effect.ALLOW:
                context.allowed = rule.named
                return rule.fact
            if rule.suspends:
                spared = rule.named is Named.CLIENT and self._is_exempt(recipient)
                if _concerns(rule, origin) and not spared:
                    return suspension(rule.named, rule.what, self._suspended)
                # Of what else is said of its address, or of a network around it, it takes nothing back.
                past += (rule,)
                continue
            if late:
                deny = _NOBODY
                continue
            if rule.named in _COMPLAINTS or not self._is_exempt(recipient):
                return rule.fact
            deny &= _COMPLAINTS

    def _is_exempt(self, recipient: str) -> bool:
        mailbox = split_mailbox(recipient)
        return mailbox is not None and mailbox.local.lower().partition("+")[0] in self._exempt


def _concerns(rule: Rule, origin: Origin) -> bool:
    """Whether this mail is of the user or system that is meant, and not of another at its address."""
    if rule.named is Named.USER:
        return True
    return (
        origin.flow is Flow.OUTBOUND
        and origin.system is not None
        and client_form(origin.system.text) == rule.what
    )


@lru_cache(maxsize=4096)
def suspension(named: Named, what: str, action: Action) -> ExceptionFact:
    """The fact, always the same object for the same arguments."""
    return ExceptionFact(Effect.DENY, named, what, action)
