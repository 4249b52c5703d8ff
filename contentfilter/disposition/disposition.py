"""What is to happen with a mail after its end-of-data: a closed set, matched with ``match``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from mailbase.replies import Reply


@dataclass(frozen=True, slots=True)
class Deliver:
    """Hand the mail to the reinjection port.

    Arguments:
        header: our header lines for the top, each with CRLF; may be empty.
        apart: recipients that do not get it, by position, with the reply for each where each gets a reply of
            its own; never all of them. Where one reply is for all, it is the reinjection port's, and these
            say 250.
        kept: name of the quarantine's file with the mail for some of those ``apart``; to be taken back if the
            client keeps the mail for all of them.
    """

    header: bytes = b""
    apart: Mapping[int, Reply] = field(default_factory=dict)
    kept: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer the client without delivering: refused, deferred, safely in quarantine, or discarded.

    Arguments:
        reply: 4xx or 5xx; 250 only when the mail lies in the quarantine, file and folder fsynced, or was for
            spamtraps alone.
        apart: recipients with another reply, by position, where each recipient gets a reply of its own.
    """

    reply: Reply
    apart: Mapping[int, Reply] = field(default_factory=dict)


Disposition: TypeAlias = Deliver | Answer
