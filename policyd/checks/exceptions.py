"""What the operator has said by command: ``policyd allow`` and ``policyd deny``."""

from __future__ import annotations

from collections.abc import Collection

from mailbase.addresses import split_mailbox
from mailbase.vocabulary import Flow
from policyd.context import Context
from policyd.exceptions.matching import Rules
from policyd.facts import Effect, ExceptionFact, Named
from policyd.request import Request, Stage

_NONE = ExceptionFact(Effect.NONE)
_ALL = frozenset(Named)
_BEHIND_RELAYS = _ALL - {Named.SENDER}
"""An upstream relay would have to bounce to a sender who may be forged."""
_COMPLAINTS = frozenset({Named.RECIPIENT, Named.USER})
"""A client or sender that is denied may still complain, unless the operator named that address itself."""
_NOBODY: frozenset[Named] = frozenset()


class ExceptionsCheck:
    """Arguments:
    rules: in force.
    exempt: local parts that a denied client or sender may still mail, lower case.
    """

    name = "exceptions"
    stages = frozenset({Stage.RCPT, Stage.DATA, Stage.END_OF_MESSAGE})

    def __init__(self, rules: Rules, *, exempt: Collection[str] = ()) -> None:
        self._rules = rules
        self._all = rules.all
        self._exempt = frozenset(exempt)

    def check(self, request: Request, context: Context) -> ExceptionFact:
        """The rule that applies; ``context.allowed`` then tells the other checks."""
        if not self._all:
            return _NONE
        origin, recipient = context.origin, request.recipient
        deny = _ALL
        if request.stage is not Stage.RCPT:
            # What was accepted stands; only what allowed it is told.
            deny = _NOBODY
        elif origin.flow is Flow.UPSTREAM:
            deny = _BEHIND_RELAYS
        while True:
            rule = self._rules.match(
                origin.address,
                origin.name,
                request.sender,
                recipient,
                request.sasl_username,
                context.now,
                deny=deny,
            )
            if rule is None:
                return _NONE
            if rule.effect is Effect.ALLOW:
                context.allowed = rule.named
                return rule.fact
            if rule.named in _COMPLAINTS or not self._is_exempt(recipient):
                return rule.fact
            deny &= _COMPLAINTS

    def _is_exempt(self, recipient: str) -> bool:
        mailbox = split_mailbox(recipient)
        return mailbox is not None and mailbox.local.lower().partition("+")[0] in self._exempt
