"""Whether a mail is signed, in whose name, by which keys: one mail at a time, in the daemon."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from contentfilter.assessing import Mail, Name, StampFailed
from contentfilter.content.results import ScanFailed
from contentfilter.disposition.recipients import Share
from contentfilter.origin.origin import ticket_id
from contentfilter.signing.author import NoAuthor, author_domain
from contentfilter.signing.entitlement import SIGNED_FLOWS, may_sign, owner, registration_of
from contentfilter.signing.messages import Result, Signed, SignTask, Unsigned, signed_for
from contentfilter.signing.public import Algorithm, PublicKey
from contentfilter.signing.reasons import Reason
from mailbase.registry import Registry
from mailbase.ticket import Ticket

_RECEIVED = re.compile(rb"(?im)^received[ \t]*:")


class Meter(Protocol):
    """Counts."""

    def signed(self, algorithm: Algorithm) -> None:
        """A signature was made."""

    def unsigned(self, reason: Reason) -> None:
        """A mail of our customers goes without."""


class Signers(Protocol):
    """The processes that sign; see :class:`contentfilter.pool.pool.Pool`."""

    def submit(self, task: SignTask, descriptor: int) -> Awaitable[Result | ScanFailed]: ...


class Choice(Protocol):
    """Knows which domain signs with which key; see :class:`contentfilter.signing.watch.Watch`."""

    async def choose(self, domain: str) -> tuple[PublicKey, ...] | None: ...


class SigningStamper:
    """Puts DKIM signatures on top.

    Arguments:
        registry: says whose domain is whose.
        choice: says which keys a domain has.
        signers: make the signatures.
        meter: counts.
        now: seconds since the epoch.
        used: told of the keys with which a mail was signed.
    """

    name: Name = "signing"

    def __init__(
        self,
        registry: Registry,
        choice: Choice,
        signers: Signers,
        meter: Meter,
        now: Callable[[], float],
        used: Callable[[Sequence[PublicKey]], None] = lambda keys: None,
    ) -> None:
        self._registry = registry
        self._choice = choice
        self._signers = signers
        self._meter = meter
        self._now = now
        self._used = used

    async def stamp(self, mail: Mail, shares: Sequence[Share]) -> bytes:
        """The signatures; empty if the mail is not to be signed.

        Raises:
            StampFailed: it is, and cannot be for trouble of ours.
        """
        if mail.flow not in SIGNED_FLOWS:
            return b""
        try:
            head = mail.spool.head()
            domain = author_domain(head)
        except OSError as error:
            raise StampFailed(f"the message cannot be read: {error.strerror}") from error
        except NoAuthor as error:
            return self._without(error.reason)
        refusal = self._refusal(mail, user_of(mail.ticket, head), domain)
        if refusal is not None and not (mail.unasked and owner(self._registry, domain)):
            return self._without(refusal)
        keys = await self._choice.choose(domain)
        if keys is None:
            raise StampFailed(f"DNS does not say whether {domain} can be signed for")
        if not keys:
            return self._without(refusal or "not-set-up")
        if refusal is not None:
            # It may well be its owner's: policyd knows, and cannot be asked.
            raise StampFailed("policyd does not say whose mail it is")
        return await self._signed(mail, domain, keys)

    def _refusal(self, mail: Mail, user: str, domain: str) -> Reason | None:
        client = mail.envelope.client
        registration = registration_of(self._registry, mail.flow, user, client.address, client.name)
        if may_sign(self._registry, registration, domain):
            return None
        return "foreign-from" if registration else "unknown-sender"

    async def _signed(self, mail: Mail, domain: str, keys: Sequence[PublicKey]) -> bytes:
        selectors = tuple(key.selector for key in keys)
        task = SignTask(mail.spool.wire_size, domain, selectors, int(self._now()))
        try:
            descriptor = mail.spool.as_fd()
        except OSError as error:
            raise StampFailed(f"the message cannot be read: {error.strerror}") from error
        match await self._signers.submit(task, descriptor):
            case Signed(lines):
                if signed_for(lines) != [domain] * len(keys):
                    raise StampFailed("the signer answered for another mail")
                for key in keys:
                    self._meter.signed(key.algorithm)
                self._used(keys)
                return lines
            case Unsigned(reason):
                return self._without(reason)
            case ScanFailed() as failed:
                raise StampFailed(f"{failed.reason}: {failed.detail}")

    def _without(self, reason: Reason) -> bytes:
        self._meter.unsigned(reason)
        return b""


def user_of(ticket: Ticket | None, head: bytes) -> str:
    """The SASL user whom a ticket names, if it is surely the ticket of this mail; empty otherwise.

    policyd's line stands above Postfix's own Received line. Below it stands what the client wrote: the id of
    another's mail perhaps, sent from the same address with the same envelope sender, while policyd was away.
    """
    if ticket is None or not ticket.user:
        return ""
    received = _RECEIVED.search(head)
    above = head if received is None else head[: received.start()]
    return ticket.user if ticket_id(above) == ticket.id else ""
