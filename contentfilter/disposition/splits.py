"""Remembers mails whose recipients need different answers, until each of them has had its own. Pure.

SMTP has one reply for all recipients of a mail. Where it cannot be right for all, the client hears 451, and
when it comes again, only those recipients are taken that go together with the first; the others hear
452 4.5.3, and come by themselves later. That a message is the one from before is known by what stands before
DATA: envelope sender, client network, SIZE. A wrong guess costs a delay, never an answer: the verdict is
found anew each time.

Not every client can do that: one may end the transaction at the first 4xx. So what does not come apart within
a few tries is to be answered as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, TypeAlias, TypeVar, get_args

from contentfilter.session.envelope import Envelope
from mailbase.addresses import pack, plain_address

LIFETIME = 4 * 3600.0
"""Seconds until a mail that was told to come again is forgotten; clients wait minutes to an hour."""
MAX_TRIES = 5
"""Times that one mail is told to come again, for some recipients or all; two kinds of answers take two."""
MAX_PUT_OFF = 10
"""Recipients put off in one transaction. Postfix's smtpd cuts a client off after 20 errors."""
ABANDONED = 3600.0
"""Seconds after which a mail may be forgotten for others; it would have come again by then."""
MAX_MAILS = 2_000
MAX_OF_NETWORK = 100
"""Mails remembered of one client network, so that none takes the room of others."""
MAX_RECIPIENTS = 100_000
"""Recipients of all mails remembered."""
NEARLY = 2_048
"""Octets by which a SIZE may differ between two tries of a client; others may not at all."""

Event: TypeAlias = Literal["mail", "recipient", "given-up"]
EVENTS: tuple[Event, ...] = get_args(Event)
"""A mail was told to come again; a recipient was put off; neither, since that came to nothing before."""

_Key = TypeVar("_Key")


class _Mail:
    __slots__ = ("labels", "network", "sender", "size", "tries", "until")

    def __init__(self, sender: str, network: bytes, size: int | None, until: float) -> None:
        self.sender = sender
        self.network = network
        self.size = size
        self.until = until
        self.labels: dict[str, int] = {}
        self.tries = 0

    def may_be(self, network: bytes, size: int | None) -> bool:
        """Whether a mail of the same sender may be this one."""
        if network == self.network:
            return size is None or self.size is None or abs(size - self.size) <= NEARLY
        return size is not None and size == self.size


class Splits:
    """All mails that are to come apart.

    Arguments:
        now: seconds, of any clock.
        exempt: whether the client at an address must never be told to come again: an upstream relay.
        count: told what happened.
    """

    def __init__(
        self,
        now: Callable[[], float],
        exempt: Callable[[bytes], bool] = lambda address: False,
        count: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self._now = now
        self._exempt = exempt
        self._count = count
        self._of_sender: dict[str, list[_Mail]] = {}
        self._of_network: dict[bytes, list[_Mail]] = {}
        self._in_order: dict[_Mail, None] = {}
        self._recipients = 0

    def __len__(self) -> int:
        """Mails remembered."""
        return len(self._in_order)

    @property
    def recipients(self) -> int:
        """Recipients of the mails remembered."""
        return self._recipients

    def begin(self, envelope: Envelope) -> Parting | None:
        """Who decides which recipients of a transaction are taken; None for all of them, as nearly always.

        Arguments:
            envelope: with client and sender.
        """
        if not self._of_sender:
            return None
        known = self._known(envelope)
        if not known or self._exempt(pack(envelope.client.address) or b""):
            return None
        return Parting(known, self._count)

    def remember(self, envelope: Envelope, labels: Mapping[int, int]) -> bool:
        """Remember a mail that the client will be told to bring again.

        Arguments:
            envelope: of the mail.
            labels: position of each recipient → a number that is the same for those that go together.

        Returns:
            Whether that has a chance; else the mail must be answered as one.
        """
        addresses = {_plain(envelope.recipients[place].address): label for place, label in labels.items()}
        # A mail to many comes in several transactions, which have nothing to do with each other.
        known = [mail for mail in self._known(envelope) if not addresses.keys().isdisjoint(mail.labels)]
        tries = 1 + max((mail.tries for mail in known), default=0)
        for mail in known:
            # What an earlier try said of these recipients is out of date.
            self._strike(mail, addresses)
        # Room is not made by forgetting others: all would hear 451 for ever, in turn.
        if envelope.inseparable or tries > MAX_TRIES or not self._has_room(envelope, len(addresses)):
            self._count("given-up")
            return False
        new = self._new(envelope)
        new.tries = tries
        new.labels = addresses
        self._recipients += len(addresses)
        self._count("mail")
        return True

    def answered(self, envelope: Envelope) -> None:
        """The recipients of ``envelope`` have had the answer that is theirs."""
        if self._of_sender:
            addresses = {_plain(path.address) for path in envelope.recipients}
            for mail in self._known(envelope):
                self._strike(mail, addresses)

    def _known(self, envelope: Envelope) -> list[_Mail]:
        self._expire()
        mails = self._of_sender.get(_plain(envelope.sender.address))
        if not mails:
            return []
        network = _network(envelope.client.address)
        return [mail for mail in mails if mail.may_be(network, envelope.size)]

    def _new(self, envelope: Envelope) -> _Mail:
        sender, network = _plain(envelope.sender.address), _network(envelope.client.address)
        mail = _Mail(sender, network, envelope.size, self._now() + LIFETIME)
        self._of_sender.setdefault(sender, []).append(mail)
        self._of_network.setdefault(network, []).append(mail)
        self._in_order[mail] = None
        return mail

    def _has_room(self, envelope: Envelope, recipients: int) -> bool:
        of_network = self._of_network.get(_network(envelope.client.address), [])
        if len(of_network) >= MAX_OF_NETWORK:
            self._forget_abandoned(of_network[0])
        while self._in_order and not self._fits(recipients):
            if not self._forget_abandoned(next(iter(self._in_order))):
                break
        return len(of_network) < MAX_OF_NETWORK and self._fits(recipients)

    def _fits(self, recipients: int) -> bool:
        return len(self) < MAX_MAILS and self._recipients + recipients <= MAX_RECIPIENTS

    def _forget_abandoned(self, mail: _Mail) -> bool:
        abandoned = mail.until - LIFETIME + ABANDONED <= self._now()
        if abandoned:
            self._forget(mail)
        return abandoned

    def _strike(self, mail: _Mail, addresses: Iterable[str]) -> None:
        for address in addresses:
            if mail.labels.pop(address, None) is not None:
                self._recipients -= 1
        if not mail.labels:
            self._forget(mail)

    def _forget(self, mail: _Mail) -> None:
        self._recipients -= len(mail.labels)
        mail.labels.clear()
        del self._in_order[mail]
        _remove(self._of_sender, mail.sender, mail)
        _remove(self._of_network, mail.network, mail)

    def _expire(self) -> None:
        now = self._now()
        while self._in_order and (oldest := next(iter(self._in_order))).until <= now:
            self._forget(oldest)


class Parting:
    """Decides in one transaction which recipients are taken.

    Arguments:
        mails: that it may be.
        count: told what happened.
    """

    def __init__(self, mails: Sequence[_Mail], count: Callable[[Event], None]) -> None:
        self._mails = mails
        self._count = count
        self._begun = False
        self._together: tuple[_Mail, int] | None = None
        self._mail: _Mail | None = None
        self._put_off = 0

    def takes(self, address: str, envelope: Envelope) -> bool:
        """Whether the recipient goes together with the first one.

        Arguments:
            address: as it stood on the wire.
            envelope: of the transaction; marked as inseparable if this is not to go on.
        """
        which = self._label(_plain(address))
        if not self._begun:
            self._begun = True
            self._together = which
            return True
        if which == self._together or envelope.inseparable:
            return True
        if self._mail is None:
            # The first that comes apart here; one of both is remembered, since they differ.
            self._mail = next(known[0] for known in (which, self._together) if known is not None)
            self._mail.tries += 1
        mail = self._mail
        if self._put_off >= MAX_PUT_OFF or mail.tries > MAX_TRIES:
            envelope.inseparable = True
            return True
        self._put_off += 1
        self._count("recipient")
        return False

    def _label(self, address: str) -> tuple[_Mail, int] | None:
        for mail in self._mails:
            label = mail.labels.get(address)
            if label is not None:
                return mail, label
        return None


def _plain(address: str) -> str:
    return plain_address(address).removesuffix(".")


def _network(address: str) -> bytes:
    """The /24 or /64 of an IP address; empty for what is none."""
    packed = pack(address) or b""
    return packed[:3] if len(packed) == 4 else packed[:8]


def _remove(table: dict[_Key, list[_Mail]], key: _Key, mail: _Mail) -> None:
    mails = table[key]
    mails.remove(mail)
    if not mails:
        del table[key]
