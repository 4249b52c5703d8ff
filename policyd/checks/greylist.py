"""Greylisting: mail of strangers waits until they try again."""

from __future__ import annotations

from collections.abc import Awaitable, Collection
from functools import lru_cache

from mailbase.addresses import split_mailbox
from mailbase.organisation import organisation, prepare
from mailbase.registry import Registry
from mailbase.vocabulary import Flow
from policyd.checks.dynamic import DynamicNames
from policyd.evidence.context import Context
from policyd.evidence.facts import Grey, GreylistFact, keeps_waiting
from policyd.evidence.weights import Weighed
from policyd.greylist.allowlist import ClientList, RecipientList
from policyd.greylist.identity import BY_NAME, Caller
from policyd.greylist.keys import client_network
from policyd.greylist.ledger import Ledger
from policyd.protocol.request import MAX_ADDRESS, Request, Stage

REMEMBERED = 2_000
"""Recipients of which is remembered whether they are spared."""

DNSWL = "dnswl"
"""The check that finds clients on lists of good senders."""
REPUTATION = "reputation"
"""The check that knows what clients' networks have done."""
FCRDNS, CONFIRMED = "fcrdns", "confirmed"
"""The check that looks the client's name up where Postfix has none; its fact that there is one."""
SPF, PASS, PLUS_ALL = "spf", "pass", "plus-all"
"""The check that knows for which domain a client may send; its facts that it may, and that anybody may."""

_INBOUND = Flow.INBOUND
_CALLER = "greylist"
"""Our note on an origin."""
_SPARED = Caller(b"", ())
_OFF = GreylistFact(Grey.OFF)
_EXCEPTED = GreylistFact(Grey.EXCEPTED)
_EXEMPT = GreylistFact(Grey.EXEMPT)
_CLIENT = GreylistFact(Grey.CLIENT_ALLOWED)
_RECIPIENT = GreylistFact(Grey.RECIPIENT_ALLOWED)
_LISTED = GreylistFact(Grey.CLIENT_LISTED)
_REPUTED = GreylistFact(Grey.CLIENT_REPUTED)
_SENDER = GreylistFact(Grey.SENDER_ALLOWED)


class GreylistCheck:
    """Arguments:
    ledger: what is remembered.
    clients: clients that are spared.
    recipients: recipients that are spared.
    registry: knows which domains want it otherwise.
    exempt: local parts that are spared in every domain, lower case.
    enabled: whether inbound mail is greylisted where a domain's registration does not say.
    shadow: whether that is counted and logged only. Mail that is deferred for its points waits all the same.
    network_v4: prefix length of a client network.
    network_v6: the same for IPv6.
    dynamic: knows names that say nothing of who runs a machine.
    identities: by what callers are known again: ``network`` (else the address alone), ``spf``, ``ptr``.
    sender_domains: spared, with all below them, when SPF passes.
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
        shadow: bool = False,
        network_v4: int = 24,
        network_v6: int = 64,
        dynamic: DynamicNames | None = None,
        identities: Collection[str] = ("network", "spf", "ptr"),
        sender_domains: Collection[str] = (),
    ) -> None:
        self._ledger = ledger
        self._clients = clients
        self._recipients = recipients
        self._registry = registry
        self._exempt = frozenset(exempt)
        self._enabled = enabled
        self._shadow = shadow
        self._prefixes = (network_v4, network_v6)
        self._names_organisation = (dynamic or DynamicNames()).names_organisation
        self._by_network = "network" in identities
        self._by_spf = "spf" in identities
        self._by_name = "ptr" in identities
        if self._by_name:
            prepare()
        self._sender_domains = frozenset(sender_domains)
        self._recipient = lru_cache(maxsize=REMEMBERED)(self._judge_recipient)

    def check(self, request: Request, context: Context) -> GreylistFact | Awaitable[GreylistFact]:
        """How this attempt stands; only mail of strangers is ever made to wait.

        Mail that is deferred for its points waits here also where the domain wants no greylisting.
        """
        origin = context.origin
        address = origin.address
        if origin.flow is not _INBOUND or address is None:
            return _OFF
        if context.allowed is not None:
            return _EXCEPTED
        recipient = request.recipient
        known = len(recipient) <= MAX_ADDRESS
        spared = self._recipient(recipient) if known else self._judge_recipient(recipient)
        if spared is not None and (spared is not _OFF or not keeps_waiting(context.facts)):
            return spared
        if spared is _OFF and self._recipients.matches(recipient):
            return _RECIPIENT
        caller: Caller | None = origin.notes.get(_CALLER)
        if caller is None:
            caller = origin.notes[_CALLER] = self._judge_client(address, origin.name, origin.has_ptr)
        if caller is _SPARED:
            return _CLIENT
        if context.weighed is not None:
            judged = self._judge_evidence(context.weighed, caller)
            if isinstance(judged, GreylistFact):
                return judged
            caller = judged
        attempt = self._ledger.attempt(caller, request.sender, recipient, context.now, trace=context.trace)
        if self._shadow and not keeps_waiting(context.facts):
            return _shadow(attempt) if isinstance(attempt, GreylistFact) else _shadow_later(attempt)
        return attempt

    def prepare(self, context: Context) -> None:
        """Find out who the client is and note it: half of what there is to do with a new one."""
        origin = context.origin
        if origin.flow is not _INBOUND or origin.address is None or _CALLER in origin.notes:
            return
        origin.notes[_CALLER] = self._judge_client(origin.address, origin.name, origin.has_ptr)

    def caller(self, address: bytes, name: str, spf_domain: str) -> Caller | None:
        """Who brings a mail; None if it is on a list of those who never wait.

        Arguments:
            address: packed.
            name: confirmed, lower case; empty without one.
            spf_domain: for which it passed SPF; empty for none.
        """
        caller = self._judge_client(address, name or "unknown", bool(name))
        if caller is _SPARED or (spf_domain and self._is_allowed(spf_domain)):
            return None
        return caller.and_by_spf(spf_domain) if spf_domain and self._by_spf else caller

    def _judge_client(self, address: bytes, name: str, has_ptr: bool) -> Caller:
        """The caller as far as its address and name tell; :data:`_SPARED` if it is on a list."""
        if self._clients.matches(address, name):
            return _SPARED
        exact = not (self._by_network and has_ptr)
        network = client_network(address, *self._prefixes, exact=exact)
        return self._caller(address, network, name)

    def _caller(self, address: bytes, network: str, name: str) -> Caller:
        """The caller by its network and its confirmed name."""
        domain = organisation(name) if self._by_name else None
        if domain is None:
            return Caller(address, (network,))
        return Caller(address, (network, BY_NAME + domain), name, self._names_organisation)

    def _judge_evidence(self, weighed: Weighed, caller: Caller) -> Caller | GreylistFact:
        """The caller with what the other checks found out, or why it is spared; shadows have no say."""
        if weighed.favoured_by(DNSWL):
            return _LISTED
        if weighed.favoured_by(REPUTATION):
            return _REPUTED
        domain, anybody = "", False
        for one, counts in zip(weighed.evidence, weighed.acted_on, strict=True):
            if one.check == SPF and counts:
                if one.name == PASS:
                    domain = one.detail
                elif one.name == PLUS_ALL:
                    anybody = True
            elif one.check == FCRDNS and one.name == CONFIRMED and one.detail and counts:
                # Postfix could not tell, and we can.
                caller = self._caller(caller.address, caller.identities[0], one.detail)
        # Where anybody may send for a domain, that says nothing of who does.
        if not domain or anybody:
            return caller
        if self._sender_domains and self._is_allowed(domain):
            return _SENDER
        return caller.and_by_spf(domain) if self._by_spf else caller

    def _is_allowed(self, domain: str) -> bool:
        """Whether a domain, or one above it, is on the operator's list."""
        while domain not in self._sender_domains:
            _, dot, domain = domain.partition(".")
            if not dot:
                return False
        return True

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


_SOLID = frozenset({Grey.KNOWN, Grey.CLIENT_EARNED, Grey.CLIENT_ALLOWED})
"""What is the same in a shadow."""


@lru_cache(maxsize=REMEMBERED)
def _shadow(fact: GreylistFact) -> GreylistFact:
    """The same, counted and not acted on; always the same object for the same fact."""
    return fact if fact.grey in _SOLID else GreylistFact(fact.grey, fact.wait, True)


async def _shadow_later(attempt: Awaitable[GreylistFact]) -> GreylistFact:
    return _shadow(await attempt)
