"""The sample mails of the demo: who sends what to whom, and what a gateway should make of it."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from postwarden.demo import samples
from postwarden.demo.world import NAMES, SPAMTRAP, Client
from postwarden.sandbox import registered
from postwarden.sandbox.gateway import HOSTNAME


class Fate(enum.Enum):
    """What becomes of a mail."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    REFUSED = "refused"
    QUARANTINED = "quarantined"
    SWALLOWED = "accepted, and delivered to nobody"


@dataclass(frozen=True, slots=True)
class Step:
    """One mail.

    Arguments:
        title: for the table.
        origin: who sends it, for the table.
        client: address that the gateway sees.
        recipient: forward-path.
        expected: what should become of it.
        user: SASL user; such mail goes in by the submission port.
        attachment: makes the file to attach.
        retry_of: title of an earlier step whose mail is sent again, after the greylisting delay.
        name: client's verified host name.
        helo: what it calls itself.
        command: arguments of policyd, run before.
        text: of the mail; empty for the usual one.
    """

    title: str
    origin: str
    client: str
    recipient: str
    expected: Fate
    user: str = ""
    attachment: Callable[[], samples.Attachment] | None = None
    retry_of: str = ""
    name: str = "[UNAVAILABLE]"
    helo: str = "client.example"
    command: tuple[str, ...] = ()
    text: str = ""
    sender: str = field(default="alice@outside.example")

    def mail(self, mark: str) -> bytes:
        """The octets to send; ``mark`` finds them again."""
        files = (self.attachment(),) if self.attachment else ()
        text = {"text": self.text} if self.text else {}
        return samples.mail(mark, self.sender, self.recipient, attachments=files, subject=self.title, **text)


_BOB = f"bob@{registered.DOMAIN}"
_EVE = f"eve@{registered.OPEN_DOMAIN}"
_FOREIGN = f"carol@{registered.FOREIGN_DOMAIN}"
_ADA = f"ada@{registered.DOMAIN}"
_FIRST = "clean mail, first try"
_DOUBTFUL = "no PTR, HELO friend, a link to log in"
_BULK_SENDER = "offers@bulk.example"
_SHOP_SENDER = "news@shop.example"


def _from(client: str, title: str, recipient: str, expected: Fate, **more: Any) -> Step:
    """A step of somebody outside, by default in order: a name in DNS that is also the HELO name."""
    name = NAMES.get(client, "[UNAVAILABLE]")
    step = {"origin": f"outside {client}", "name": name, "helo": NAMES.get(client, "friend"), **more}
    return Step(title, client=client, recipient=recipient, expected=expected, **step)


def _good(title: str, recipient: str, expected: Fate, **more: Any) -> Step:
    return _from(Client.GOOD, title, recipient, expected, **more)


def _user(title: str, expected: Fate) -> Step:
    return Step(
        title,
        "user ada (SASL)",
        registered.OUTSIDER,
        _FOREIGN,
        expected,
        user="ada",
        sender=_ADA,
    )


STEPS: tuple[Step, ...] = (
    # Relaying
    Step(
        "clean mail to a foreign domain",
        f"registered {registered.SYSTEM}",
        registered.SYSTEM,
        _FOREIGN,
        Fate.DELIVERED,
        sender=_ADA,
    ),
    _good("clean mail to a foreign domain", _FOREIGN, Fate.REFUSED),
    # Greylisting
    _good(_FIRST, _BOB, Fate.DEFERRED),
    _good("the same mail, second try", _BOB, Fate.DELIVERED, retry_of=_FIRST),
    _from(
        Client.PARTNER,
        "first try, on a list of good servers",
        _BOB,
        Fate.DELIVERED,
        sender="paul@partner.example",
    ),
    # Evidence
    _from(
        Client.NAMELESS,
        "no PTR, HELO friend, made-up sender",
        _EVE,
        Fate.REFUSED,
        sender="you@have-won.example",
    ),
    _from(Client.NAMELESS, "calls itself by our name", _EVE, Fate.REFUSED, helo=HOSTNAME),
    _good(
        "sender that takes no mail (null MX)", _EVE, Fate.DEFERRED, sender="a@silent.example", helo="friend"
    ),
    _good("sender whose SPF record says no", _EVE, Fate.DEFERRED, sender="service@bank.example"),
    _from(Client.BULK, "on a list of bad servers", _EVE, Fate.REFUSED, sender=_BULK_SENDER),
    # The operator's word
    _from(
        Client.BULK,
        "the same, after: policyd allow",
        _EVE,
        Fate.DELIVERED,
        sender=_BULK_SENDER,
        command=("allow", _BULK_SENDER, "--for", "1h", "--why", "the demo"),
    ),
    _good(
        "in order, after: policyd deny",
        _EVE,
        Fate.REFUSED,
        sender="mallory@outside.example",
        command=("deny", "mallory@outside.example", "--for", "1h", "--why", "the demo"),
    ),
    # Recipients
    _good("to somebody whom the server does not know", registered.UNKNOWN, Fate.REFUSED),
    _from(Client.SHOP, "to a spamtrap", SPAMTRAP, Fate.SWALLOWED, sender=_SHOP_SENDER),
    _from(Client.SHOP, "from there, after that", _EVE, Fate.DEFERRED, sender=_SHOP_SENDER),
    # Content
    _good(
        "link that is on a list of such",
        _EVE,
        Fate.REFUSED,
        text="You are our winner!\r\n\r\nhttps://www.have-won.example/claim\r\n",
    ),
    _from(
        Client.NAMELESS,
        _DOUBTFUL,
        _EVE,
        Fate.DEFERRED,
        sender="paul@partner.example",
        text="Please log in to go on:\r\n\r\nhttps://www.partner.example/login\r\n",
    ),
    _from(
        Client.NAMELESS,
        "the same, once it has waited",
        _EVE,
        Fate.DELIVERED,
        sender="paul@partner.example",
        retry_of=_DOUBTFUL,
    ),
    _good("clean Word document", _EVE, Fate.DELIVERED, attachment=samples.clean_document),
    _good("Word macro renamed to .txt", _EVE, Fate.REFUSED, attachment=samples.renamed_macros),
    _good("encrypted ZIP", _EVE, Fate.REFUSED, attachment=samples.locked_zip),
    _good("locked PDF", _EVE, Fate.REFUSED, attachment=samples.locked_pdf),
    Step(
        "Word macro renamed to .txt",
        f"upstream {registered.UPSTREAM}",
        registered.UPSTREAM,
        _EVE,
        Fate.QUARANTINED,
        attachment=samples.renamed_macros,
    ),
    # Users
    _user("submission (after-queue)", Fate.DELIVERED),
    _user("one more (limit: 1 an hour)", Fate.DEFERRED),
)
