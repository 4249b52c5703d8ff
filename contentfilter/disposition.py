"""What is to happen with a mail after its end-of-data: a closed set, matched with ``match``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from mailbase.replies import Reply


@dataclass(frozen=True, slots=True)
class Deliver:
    """Hand the mail to the reinjection port.

    Arguments:
        header: our header lines for the top, each with CRLF; may be empty.
    """

    header: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer the client without delivering: refused, deferred, or safely in quarantine.

    Arguments:
        reply: 4xx or 5xx; 250 only when the mail lies in the quarantine, file and folder fsynced.
    """

    reply: Reply


Disposition: TypeAlias = Deliver | Answer
