"""A policy request: what Postfix says of one SMTP session at one stage (SMTPD_POLICY_README)."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping

MAX_NUMBER = 18
"""Digits of a number that are believed."""

_XTEXT = re.compile(r"\+([0-9A-F]{2})")


class Stage(enum.StrEnum):
    """``protocol_state``: how far the SMTP session has come."""

    CONNECT = "CONNECT"
    EHLO = "EHLO"
    HELO = "HELO"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    END_OF_MESSAGE = "END-OF-MESSAGE"
    VRFY = "VRFY"
    ETRN = "ETRN"
    OTHER = "other"
    """One that a later Postfix may have; nothing is decided there."""


_STAGES: dict[str, Stage] = {stage.value: stage for stage in Stage if stage is not Stage.OTHER}


class Request:
    """One request. Text is clean Unicode: never a surrogate, never NUL, but otherwise as foreign as it came.

    Attributes hold what nearly every decision needs; :meth:`get` has the rest.

    Arguments:
        attributes: all names and values as received; unknown names are kept and ignored.
    """

    __slots__ = (
        "attributes",
        "client_address",
        "client_name",
        "instance",
        "policy_context",
        "recipient",
        "reverse_client_name",
        "sasl_username",
        "sender",
        "stage",
    )

    def __init__(self, attributes: Mapping[str, str]) -> None:
        get = attributes.get
        self.attributes = attributes
        self.stage = _STAGES.get(get("protocol_state", ""), Stage.OTHER)
        self.client_address = get("client_address", "")
        self.client_name = get("client_name", "")
        """PTR that resolves back; ``unknown`` without one, and after a temporary DNS failure."""
        self.reverse_client_name = get("reverse_client_name", "")
        """PTR, unverified; ``unknown`` without one."""
        self.sender = get("sender", "")
        """Envelope sender; empty for the null reverse-path."""
        self.recipient = get("recipient", "")
        """At DATA and END-OF-MESSAGE only with exactly one accepted recipient."""
        self.instance = get("instance", "")
        """The same for all requests of one mail transaction; empty outside one."""
        self.sasl_username = get("sasl_username", "")
        self.policy_context = get("policy_context", "")

    def get(self, name: str) -> str:
        """Any attribute; empty if Postfix did not send it."""
        return self.attributes.get(name, "")

    def number(self, name: str) -> int:
        """A numeric attribute (``size``, ``recipient_count``, ports, key sizes); 0 if it is none."""
        text = self.attributes.get(name, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_NUMBER else 0

    def xtext(self, name: str) -> str:
        """An attribute that Postfix sends as xtext (``ccert_subject``, ``ccert_issuer``), decoded."""
        return _XTEXT.sub(lambda found: chr(int(found[1], 16)), self.attributes.get(name, ""))

    @property
    def helo_name(self) -> str:
        return self.attributes.get("helo_name", "")

    @property
    def has_ptr(self) -> bool:
        """Whether the client's address has a PTR record, verified or not."""
        return self.client_name not in ("", "unknown") or self.reverse_client_name not in ("", "unknown")
