"""Greylisting: mail of strangers waits until they try again."""

from __future__ import annotations

from collections.abc import Awaitable, Collection

from mailbase.vocabulary import Flow
from policyd.context import Context
from policyd.facts import Grey, GreylistFact
from policyd.greylist.allowlist import ClientList, RecipientList
from policyd.greylist.keys import client_network
from policyd.greylist.ledger import Ledger
from policyd.request import Request, Stage

_OFF = GreylistFact(Grey.OFF)
_EXEMPT = GreylistFact(Grey.EXEMPT)
_CLIENT = GreylistFact(Grey.CLIENT_ALLOWED)
_RECIPIENT = GreylistFact(Grey.RECIPIENT_ALLOWED)


class GreylistCheck:
    """Arguments:
    ledger: what is remembered.
    clients: clients that are spared.
    recipients: recipients that are spared.
    exempt: local parts that are spared in every domain, lower case.
    enabled: whether inbound mail is greylisted where a domain's registration does not say.
    network_v4: prefix length of a client network.
    network_v6: the same for IPv6.
    """

    name = "greylist"
    stages = frozenset({Stage.RCPT})

    def __init__(
        self,
        ledger: Ledger,
        clients: ClientList,
        recipients: RecipientList,
        *,
        exempt: Collection[str] = (),
        enabled: bool = True,
        network_v4: int = 24,
        network_v6: int = 64,
    ) -> None:
        self._ledger = ledger
        self._clients = clients
        self._recipients = recipients
        self._exempt = frozenset(exempt)
        self._enabled = enabled
        self._prefixes = (network_v4, network_v6)

    def check(self, request: Request, context: Context) -> GreylistFact | Awaitable[GreylistFact]:
        """How this attempt stands; only mail of strangers is ever made to wait."""
        if context.flow is not Flow.INBOUND or context.address is None:
            return _OFF
        domain = context.domain
        if not (self._enabled if domain is None or domain.greylisting is None else domain.greylisting):
            return _OFF
        mailbox = context.mailbox
        if mailbox is not None and mailbox.local.lower().partition("+")[0] in self._exempt:
            return _EXEMPT
        if self._clients.matches(context.address, request.client_name):
            return _CLIENT
        if self._recipients.matches(request.recipient):
            return _RECIPIENT
        network = client_network(context.address, *self._prefixes, exact=not request.has_ptr)
        return self._ledger.attempt(
            network, context.address, request.sender, request.recipient, context.now, trace=context.trace
        )
