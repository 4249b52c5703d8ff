"""Who may mail whom through us.

Registered systems and authenticated users may mail anybody. Registered domains and the host names of
registered systems may be mailed by anybody. An upstream relay is trusted to have looked at the mail, not to
mail others through us: it delivers to registered domains only, like every other client, unless it is
registered as a system as well.

A system that is registered by its host name is known by it while Postfix can confirm it. Where it cannot, the
name may be a lie, or DNS may not answer just now: then the answer is 450, so that no mail is lost to it.

A recipient that tells us the way (``user%elsewhere@here``, ``elsewhere!user@here``, ``user@elsewhere@here``,
a source route) is never ours, whatever its last domain: Postfix may follow the way after we have judged the
last domain only.
"""

from __future__ import annotations

from functools import lru_cache

from mailbase.addresses import Mailbox, split_mailbox
from mailbase.registry import Registry
from policyd.evidence.context import Context
from policyd.evidence.facts import RelayFact, Relaying
from policyd.protocol.request import MAX_ADDRESS, Request, Stage

REMEMBERED = 2_000
"""Recipients whose fact is remembered."""

_USER = RelayFact(Relaying.PERMITTED, "authenticated-user")
_SYSTEM = RelayFact(Relaying.PERMITTED, "registered-system")
_DOMAIN = RelayFact(Relaying.SERVED, "registered-domain")
_HOST = RelayFact(Relaying.SERVED, "registered-host")
_OWN = RelayFact(Relaying.OWN, "own-host")
_LOCAL = RelayFact(Relaying.OWN, "no-domain")
_ROUTED = RelayFact(Relaying.DENIED, "routed-recipient")
_BROKEN = RelayFact(Relaying.DENIED, "broken-recipient")
_FOREIGN = RelayFact(Relaying.DENIED, "foreign-domain")
_UNCONFIRMED = RelayFact(Relaying.UNCONFIRMED, "unconfirmed-system")
_UNJUDGED = RelayFact(Relaying.UNJUDGED, "no-registry")


class RelayCheck:
    """Arguments:
    registry: what is registered; None if none is configured, so that relaying is left to Postfix.
    hostname: the gateway's own name.
    """

    name = "relay"
    stages = frozenset({Stage.RCPT})

    def __init__(self, registry: Registry | None, hostname: str) -> None:
        self._registry = registry
        self._hostname = hostname
        self._remembered = lru_cache(maxsize=REMEMBERED)(self._judge)

    def check(self, request: Request, context: Context) -> RelayFact:
        """Whether the recipient may be mailed by this client."""
        if self._registry is None:
            return _UNJUDGED
        if request.sasl_username:
            return _USER
        if context.origin.system is not None:
            return _SYSTEM
        recipient = request.recipient
        fact = self._remembered(recipient) if len(recipient) <= MAX_ADDRESS else self._judge(recipient)
        if fact is _FOREIGN and context.origin.name == "unknown" and self._may_be_system(request):
            return _UNCONFIRMED
        return fact

    def _may_be_system(self, request: Request) -> bool:
        """Whether the client would be a registered system if its name led back to it."""
        assert self._registry is not None
        return self._registry.system_of(None, request.reverse_client_name) is not None

    def _judge(self, recipient: str) -> RelayFact:
        """Whether anybody may mail ``recipient``."""
        assert self._registry is not None
        mailbox = split_mailbox(recipient)
        if mailbox is None:
            return _BROKEN
        if is_routed(mailbox):
            return _ROUTED
        if self._registry.domain(mailbox.domain) is not None:
            return _DOMAIN
        if not mailbox.domain:
            return _LOCAL
        if self._registry.host_system(mailbox.domain) is not None:
            return _HOST
        return _OWN if mailbox.domain == self._hostname else _FOREIGN


def is_routed(mailbox: Mailbox) -> bool:
    """Whether the local part names a way to somewhere else.

    RFC 5321 appendix F.2; Postfix: allow_percent_hack, swap_bangpath. Postfix gives the address without its
    quotes, so quotes protect nothing.
    """
    local = mailbox.local
    return "%" in local or "@" in local or "!" in local
