"""A policy request: what Postfix says of one SMTP session at one stage (SMTPD_POLICY_README)."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import Any, Self

MAX_ADDRESS = 320
"""Characters of an address that is remembered in memory; RFC 5321 4.5.3.1 allows 64 + 1 + 255."""
MAX_NUMBER = 18
"""Digits of a number that are believed."""

ATTRIBUTES = frozenset((
    "request", "protocol_state", "protocol_name", "helo_name", "queue_id", "sender", "recipient",
    "recipient_count", "client_address", "client_name", "reverse_client_name", "instance",
    "sasl_method", "sasl_username", "sasl_sender", "size", "ccert_subject", "ccert_issuer",
    "ccert_fingerprint", "ccert_pubkey_fingerprint", "encryption_protocol", "encryption_cipher",
    "encryption_keysize", "etrn_domain", "stress", "client_port", "policy_context", "server_address",
    "server_port", "compatibility_level", "mail_version", "tls_sni",
))  # fmt: skip
"""Names that Postfix 2.1 to 3.12 sends; others are kept and ignored."""

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

    # Enum's own hash is a Python function, and too slow for a key that every request looks up.
    __hash__ = str.__hash__


_STAGES: dict[str, Stage] = {stage.value: stage for stage in Stage if stage is not Stage.OTHER}
_OTHER = Stage.OTHER

FREQUENT = (
    "protocol_state",
    "client_address",
    "client_name",
    "reverse_client_name",
    "sender",
    "recipient",
    "instance",
    "sasl_username",
    "policy_context",
)
"""Attributes that nearly every decision needs, in the order of :meth:`Request.fill`."""


class Request:
    """One request. Text is clean Unicode: never a surrogate, never NUL, but otherwise as foreign as it came.

    ``Request().fill(…)`` makes one, or :func:`request_of` from names and values. It has no constructor:
    Python takes longer to find and call one than to set the attributes.
    """

    __slots__ = (
        "client_address",
        "client_name",
        "instance",
        "policy_context",
        "recipient",
        "reverse_client_name",
        "sasl_username",
        "sender",
        "stage",
        "text",
    )

    stage: Stage
    client_address: str
    client_name: str
    """PTR that resolves back; ``unknown`` without one, and after a temporary DNS failure."""
    reverse_client_name: str
    """PTR, unverified; ``unknown`` without one."""
    sender: str
    """Envelope sender; empty for the null reverse-path."""
    recipient: str
    """At DATA and END-OF-MESSAGE only with exactly one accepted recipient."""
    instance: str
    """The same for all requests of one mail transaction; empty outside one."""
    sasl_username: str
    policy_context: str
    text: str
    """``name=value`` lines; taken apart only when something else is asked for."""

    def fill(self, frequent: tuple[str, ...], text: str) -> Self:
        """Set all attributes; returns the request.

        Arguments:
            frequent: values of :data:`FREQUENT`; empty for what Postfix did not send.
            text: ``name=value`` lines.
        """
        (
            state,
            self.client_address,
            self.client_name,
            self.reverse_client_name,
            self.sender,
            self.recipient,
            self.instance,
            self.sasl_username,
            self.policy_context,
        ) = frequent
        self.stage = _STAGES.get(state, _OTHER)
        self.text = text
        return self

    @property
    def characters(self) -> int:
        """How long it is."""
        return len(self.text)

    @property
    def attributes(self) -> dict[str, str]:
        """All names and values; unknown names are kept and ignored."""
        return attributes_of(self.text)

    def get(self, name: str) -> str:
        """Any attribute; empty if Postfix did not send it."""
        # Looking for one line costs a tenth of taking all apart. Of a name that stands twice the last counts.
        text = self.text
        start = text.rfind(f"\n{name}=") + 1
        if not start and not text.startswith(f"{name}="):
            return ""
        start += len(name) + 1
        end = text.find("\n", start)
        return text[start:] if end < 0 else text[start:end]

    def number(self, name: str) -> int:
        """A numeric attribute (``size``, ``recipient_count``, ports, key sizes); 0 if it is none."""
        text = self.get(name)
        return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_NUMBER else 0

    def xtext(self, name: str) -> str:
        """An attribute that Postfix sends as xtext (``ccert_subject``, ``ccert_issuer``), decoded."""
        return _XTEXT.sub(lambda found: chr(int(found[1], 16)), self.get(name))


def attributes_of(text: str) -> dict[str, str]:
    """Names and values of ``name=value`` lines.

    Raises:
        ValueError: a line has no ``=``.
    """
    # mypy cannot know that a split at most once gives pairs.
    pairs: Any = [line.split("=", 1) for line in text.split("\n")]
    return dict(pairs)


def frequent_of(attributes: Mapping[str, str]) -> tuple[str, ...]:
    """The values of :data:`FREQUENT`."""
    return tuple([attributes.get(name, "") for name in FREQUENT])


def request_of(attributes: Mapping[str, str]) -> Request:
    """The request with these names and values, none of which holds LF."""
    text = "\n".join(f"{name}={value}" for name, value in attributes.items())
    return Request().fill(frequent_of(attributes), text)
