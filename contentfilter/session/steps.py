"""What goes into a session and what comes out beside the server engine's events: closed sets.

The edge reports by an ``EdgeEvent`` and carries out each ``Command``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeAlias

from contentfilter.disposition.disposition import Disposition
from contentfilter.session.envelope import Envelope
from contentfilter.smtp.client import Job, Outcome
from mailbase.replies import Reply


class End(enum.StrEnum):
    """How a transaction that reached DATA ended; a label in the metrics."""

    DELIVERED = "delivered"
    ANSWERED = "answered"
    """By the disposition: rejected, deferred, quarantined or discarded."""
    REFUSED = "refused"
    """By the reinjection port."""
    REINJECTION_FAILED = "reinjection-failed"
    UNKNOWN = "unknown"
    LATE = "late"
    MISMATCH = "mismatch"
    INSPECTION_FAILED = "inspection-failed"
    TOO_LARGE = "too-large"
    BARE_LF = "bare-lf"
    DOT_CR = "dot-cr"
    NO_SPACE = "no-space"
    CLIENT_GONE = "client-gone"


@dataclass(frozen=True, slots=True)
class SpoolFailed:
    """The last ``Store`` did not succeed; the spool is closed."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The inspector has decided.

    Arguments:
        id: decision id.
        disposition: what is to happen.
    """

    id: str
    disposition: Disposition


@dataclass(frozen=True, slots=True)
class InspectionFailed:
    """The inspector raised, or was not through in time."""


@dataclass(frozen=True, slots=True)
class DeliveryEnded:
    """The reinjection is over."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class ClientGone:
    """The connection is lost."""


@dataclass(frozen=True, slots=True)
class ClientSilent:
    """The client did not say anything in time."""


@dataclass(frozen=True, slots=True)
class Stop:
    """The daemon shuts down: end when no transaction is running.

    Arguments:
        at_once: also where none has begun yet; else that client may bring its mail. Postfix connects before
            the queue for one mail, and would answer 451 to whoever sends it.
    """

    at_once: bool = True


EdgeEvent: TypeAlias = (
    SpoolFailed | Verdict | InspectionFailed | DeliveryEnded | ClientGone | ClientSilent | Stop
)


@dataclass(frozen=True, slots=True)
class Say:
    """Answer the pending command."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class TurnAway:
    """No message can be taken now; DATA was answered with 451.

    Arguments:
        envelope: whose.
    """

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class OpenSpool:
    """A message begins."""


@dataclass(frozen=True, slots=True)
class Store:
    """Put this into the spool.

    Arguments:
        data: a piece of the wire form.
        size: its octets un-stuffed.
    """

    data: bytes
    size: int


@dataclass(frozen=True, slots=True)
class CloseSpool:
    """The message is done with, or not worth keeping."""


@dataclass(frozen=True, slots=True)
class Inspect:
    """Ask the inspector what to do with the message in the spool."""

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class CancelInspection:
    """Nobody waits for the verdict any more."""


@dataclass(frozen=True, slots=True)
class Reinject:
    """Hand the message to the reinjection port.

    Arguments:
        job: envelope and needed extensions.
        header: our lines for the top.
    """

    job: Job
    header: bytes


@dataclass(frozen=True, slots=True)
class AbandonReinjection:
    """Nobody waits: stop it if its end of data has not gone out, else let it end."""


@dataclass(frozen=True, slots=True)
class TakeBack:
    """The mail stays the client's: what the quarantine has of it is to go.

    Arguments:
        kept: name of the file.
    """

    kept: str


@dataclass(frozen=True, slots=True)
class Record:
    """A transaction that reached DATA has ended: one line in the log, one count.

    Arguments:
        end: how.
        envelope: what was known.
        size: octets of the message as far as it came, un-stuffed.
        id: decision id, empty without a verdict.
        reply: what the client was told, if anything.
        detail: private cause.
    """

    end: End
    envelope: Envelope
    size: int
    id: str
    reply: Reply | None
    detail: str


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection, after this reply if there is one."""

    reply: Reply | None = None


Command: TypeAlias = (
    Say
    | TurnAway
    | OpenSpool
    | Store
    | CloseSpool
    | Inspect
    | CancelInspection
    | Reinject
    | AbandonReinjection
    | TakeBack
    | Record
    | Close
)
