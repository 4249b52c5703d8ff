"""The sample mails of the demo: who sends what to whom, and what a gateway should make of it."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field

from postwarden.demo import samples
from postwarden.sandbox import registered


class Fate(enum.Enum):
    """What becomes of a mail."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    REFUSED = "refused"
    QUARANTINED = "quarantined"


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
    sender: str = field(default="alice@outside.example")

    def mail(self, mark: str) -> bytes:
        """The octets to send; ``mark`` finds them again."""
        files = (self.attachment(),) if self.attachment else ()
        return samples.mail(mark, self.sender, self.recipient, attachments=files, subject=self.title)


_BOB = f"bob@{registered.DOMAIN}"
_EVE = f"eve@{registered.OPEN_DOMAIN}"
_FOREIGN = f"carol@{registered.FOREIGN_DOMAIN}"
_ADA = f"ada@{registered.DOMAIN}"
_OUTSIDE = f"outside {registered.OUTSIDER}"
_SYSTEM = f"registered {registered.SYSTEM}"
_UPSTREAM = f"upstream {registered.UPSTREAM}"
_FIRST = "clean mail, first try"

STEPS: tuple[Step, ...] = (
    Step(_FIRST, _OUTSIDE, registered.OUTSIDER, _BOB, Fate.DEFERRED),
    Step("the same mail, second try", _OUTSIDE, registered.OUTSIDER, _BOB, Fate.DELIVERED, retry_of=_FIRST),
    Step("clean mail to a foreign domain", _SYSTEM, registered.SYSTEM, _FOREIGN, Fate.DELIVERED, sender=_ADA),
    Step("clean mail to a foreign domain", _OUTSIDE, registered.OUTSIDER, _FOREIGN, Fate.REFUSED),
    Step("clean mail to nobody", _OUTSIDE, registered.OUTSIDER, registered.UNKNOWN, Fate.REFUSED),
    Step(
        "Word macro renamed to .txt",
        _OUTSIDE,
        registered.OUTSIDER,
        _EVE,
        Fate.REFUSED,
        attachment=samples.renamed_macros,
    ),
    Step("encrypted ZIP", _OUTSIDE, registered.OUTSIDER, _EVE, Fate.REFUSED, attachment=samples.locked_zip),
    Step("locked PDF", _OUTSIDE, registered.OUTSIDER, _EVE, Fate.REFUSED, attachment=samples.locked_pdf),
    Step(
        "clean Word document",
        _OUTSIDE,
        registered.OUTSIDER,
        _EVE,
        Fate.DELIVERED,
        attachment=samples.clean_document,
    ),
    Step(
        "Word macro renamed to .txt",
        _UPSTREAM,
        registered.UPSTREAM,
        _EVE,
        Fate.QUARANTINED,
        attachment=samples.renamed_macros,
    ),
    Step(
        "submission (after-queue)",
        "user ada (SASL)",
        registered.OUTSIDER,
        _FOREIGN,
        Fate.DELIVERED,
        user="ada",
        sender=_ADA,
    ),
)
