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
        left_out: positions of the recipients that do not get it, as if they did; never all of them.
    """

    header: bytes = b""
    left_out: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer the client without delivering: refused, deferred, safely in quarantine, or discarded.

    Arguments:
        reply: 4xx or 5xx; 250 only when the mail lies in the quarantine, file and folder fsynced, or was for
            spamtraps alone.
        left_out: positions of the recipients for which the answer is 250 all the same, where each recipient
            gets a reply of its own.
    """

    reply: Reply
    left_out: frozenset[int] = frozenset()


Disposition: TypeAlias = Deliver | Answer
