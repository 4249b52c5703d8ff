"""What is to be changed."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(enum.StrEnum):
    ERROR = "error"
    """Mail goes astray, is refused, or bounces."""
    WARNING = "warning"
    """It works, and not as it should."""


class Check(enum.StrEnum):
    """What was looked at."""

    MX = "mx"
    FORWARD = "forward"
    PTR = "ptr"
    CONNECTION = "connection"
    CALLOUT = "callout"
    STARTTLS = "starttls"
    CERTIFICATE = "certificate"
    SIZE = "size"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to change.

    Arguments:
        server: registered server that it belongs to.
        subject: domain, host name or address that it is about.
        check: what was looked at.
        severity: how bad it is.
        found: what there is; may hold foreign text.
        change: what to do.
    """

    server: str
    subject: str
    check: Check
    severity: Severity
    found: str
    change: str
