"""What is wrong with the gateway."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from postwarden.registry.check.finding import Severity


class Check(enum.StrEnum):
    """What was looked at."""

    NAME = "name"
    """Addresses, PTR records and HELO of the relays."""
    LISTED = "listed"
    SPF = "spf"
    DMARC = "dmarc"
    POSTFIX = "postfix"
    """main.cf."""
    WIRING = "wiring"
    """How Postfix and the daemons lead to each other."""
    DAEMON = "daemon"


@dataclass(frozen=True, slots=True)
class Symptom:
    """One thing to change.

    Arguments:
        subject: name, address, parameter or daemon that it is about.
        check: what was looked at.
        severity: how bad it is.
        found: what there is; may hold foreign text.
        change: what to do.
    """

    subject: str
    check: Check
    severity: Severity
    found: str
    change: str
