"""Greylisting: mail of strangers waits until they try again."""

from __future__ import annotations

from collections.abc import Awaitable, Collection
from functools import lru_cache

from mailbase.addresses import split_mailbox
from mailbase.registry import Registry
from mailbase.vocabulary import Flow
from policyd.context import Context
from policyd.facts import Grey, GreylistFact
from policyd.flow import Origin
from policyd.greylist.allowlist import ClientList, RecipientList
from policyd.greylist.keys import client_network
from policyd.greylist.ledger import Ledger
from policyd.request import MAX_ADDRESS, Request, Stage

REMEMBERED = 2_000
"""Recipients of which is remembered whether they are spared."""

_INBOUND = Flow.INBOUND
_NETWORK = "greylist"
"""Our note on an origin."""
_OFF = GreylistFact(Grey.OFF)
_EXCEPTED = GreylistFact(Grey.EXCEPTED)
_EXEMPT = GreylistFact(Grey.EXEMPT)
_CLIENT = GreylistFact(Grey.CLIENT_ALLOWED)
_RECIPIENT = GreylistFact(Grey.RECIPIENT_ALLOWED)


class GreylistCheck:
    """Arguments:
    ledger: what is remembered.
    clients: clients that are spared.
    recipients: recipients that are spared.
    registry: knows which domains want it otherwise.
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
        registry: Registry,
        *,
        exempt: Collection[str] = (),
        enabled: bool = True,
        network_v4: int = 24,
        network_v6: int = 64,
    ) -> None:
        self._ledger = ledger
        self._clients = clients
        self._recipients = recipients
        self._registry = registry
        self._exempt = frozenset(exempt)
        self._enabled = enabled
        self._prefixes = (network_v4, network_v6)
        self._recipient = lru_cache(maxsize=REMEMBERED)(self._judge_recipient)

    def check(self, request: Request, context: Context) -> GreylistFact | Awaitable[GreylistFact]:
        """How this attempt stands; only mail of strangers is ever made to wait."""
        origin = context.origin
        address = origin.address
        if origin.flow is not _INBOUND or address is None:
            return _OFF
        if context.allowed is not None:
            return _EXCEPTED
        recipient = request.recipient
        known = len(recipient) <= MAX_ADDRESS
        spared = self._recipient(recipient) if known else self._judge_recipient(recipient)
        if spared is not None:
            return spared
        network: bytes | None = origin.notes.get(_NETWORK)
        if network is None:
            network = origin.notes[_NETWORK] = self._judge_client(origin, address)
        if not network:
            return _CLIENT
        return self._ledger.attempt(
            network, address, request.sender, recipient, context.now, trace=context.trace
        )

    def _judge_client(self, origin: Origin, address: bytes) -> bytes:
        """The client's network; empty if the client is spared."""
        if self._clients.matches(address, origin.name):
            return b""
        return client_network(address, *self._prefixes, exact=not origin.has_ptr)

    def _judge_recipient(self, recipient: str) -> GreylistFact | None:
        """Why ``recipient`` is spared; None if it is not."""
        mailbox = split_mailbox(recipient)
        if mailbox is not None:
            domain = self._registry.domain(mailbox.domain)
            if not (self._enabled if domain is None or domain.greylisting is None else domain.greylisting):
                return _OFF
            if mailbox.local.lower().partition("+")[0] in self._exempt:
                return _EXEMPT
        elif not self._enabled:
            return _OFF
        return _RECIPIENT if self._recipients.matches(recipient) else None
