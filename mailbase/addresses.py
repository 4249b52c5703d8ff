"""IP addresses, domains and mailboxes in the one form in which they are compared.

Nothing here raises on what a client sent: what is not of the form asked for is None.
"""

from __future__ import annotations

import re
import socket
from functools import lru_cache
from typing import NamedTuple

MAX_DOMAIN = 253
"""Octets of a domain name without its last dot (RFC 1035 2.3.4)."""
REMEMBERED, MAX_REMEMBERED = 4096, 320
"""Texts that were looked at lately, of so many characters: one mail's HELO name and addresses are asked about
several times, its recipient's domain by many mails."""
MAPPED = b"\x00" * 10 + b"\xff\xff"
"""First 12 octets of an IPv4-mapped IPv6 address (RFC 4291 2.5.5.2)."""

# Host names have no underscore (RFC 952), mail domains may; who needs a host name asks is_host_name.
_DOMAIN = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_LITERAL = re.compile(r"\[[\x21-\x5a\x5e-\x7e]{1,255}\]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Mailbox(NamedTuple):
    """A mailbox taken apart (RFC 5321 4.1.2).

    Arguments:
        local: local part as sent, quotes included.
        domain: normalised; empty for a mailbox without ``@`` (``postmaster``).
    """

    local: str
    domain: str


def pack(text: str | bytes) -> bytes | None:
    """The 4 or 16 octets of an IP address in presentation form.

    An ``IPv6:`` or ``IPV6:`` prefix (RFC 5321 4.1.3, XFORWARD) is taken off, and an IPv4-mapped IPv6 address
    becomes the IPv4 one. None for anything else.
    """
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    try:
        if ":" not in text:
            return socket.inet_pton(socket.AF_INET, text)
        if text[:5].lower() == "ipv6:":
            text = text[5:]
        packed = socket.inet_pton(socket.AF_INET6, text)
    except (OSError, ValueError):
        return None
    return packed[12:] if packed[:12] == MAPPED else packed


def unpack(packed: bytes) -> str:
    """The presentation form of 4 or 16 octets.

    Raises:
        ValueError: another number of octets.
    """
    if len(packed) not in (4, 16):
        raise ValueError(f"{len(packed)} octets are no IP address")
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def normal_domain(text: str | bytes) -> str | None:
    """A domain in lower case, as A-labels (RFC 5890), without a last dot.

    An address literal (``[192.0.2.1]``) stays one. None for what is no domain. Bytes are read as UTF-8
    (RFC 6531).
    """
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError:
            return None
    return _domain(text) if len(text) <= MAX_REMEMBERED else _domain.__wrapped__(text)


@lru_cache(maxsize=REMEMBERED)
def _domain(text: str) -> str | None:
    if not text.isascii():
        converted = _a_labels(text)
        if converted is None:
            return None
        text = converted
    domain = text.lower()
    if domain[-1:] == ".":
        domain = domain[:-1]
    if len(domain) <= MAX_DOMAIN and _DOMAIN.fullmatch(domain):
        return domain
    return domain if _LITERAL.fullmatch(domain) else None


def _a_labels(text: str) -> str | None:
    if len(text) > MAX_DOMAIN:
        return None
    import idna  # takes 20 ms, and most gateways never meet such a domain

    try:
        return idna.encode(text, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError, ValueError, IndexError):
        return None


def is_below(name: str, zone: str) -> bool:
    """Whether ``name`` is ``zone`` or lies below it, both normalised; all is below the root, ``""``."""
    return not zone or name == zone or name.endswith("." + zone)


def is_host_name(text: str) -> bool:
    """Whether ``text``, normalised, is a full host name: two labels or more, no underscore, no address."""
    return len(text) <= MAX_DOMAIN and _is_host_name(text)


@lru_cache(maxsize=REMEMBERED)
def _is_host_name(text: str) -> bool:
    return (
        "." in text
        and "_" not in text
        and _DOMAIN.fullmatch(text) is not None
        and not text.rpartition(".")[2].isdigit()
    )


def split_mailbox(address: str | bytes) -> Mailbox | None:
    """Local part and normalised domain of an address without angle brackets.

    The last ``@`` divides, so that a quoted local part (``"a@b"@example.org``) stays whole. None for the null
    reverse-path and for what is no mailbox: no local part, a broken domain, control characters, an open
    quote.
    """
    if isinstance(address, bytes):
        try:
            address = address.decode("utf-8")
        except UnicodeDecodeError:
            return None
    return _mailbox(address) if len(address) <= MAX_REMEMBERED else _mailbox.__wrapped__(address)


@lru_cache(maxsize=REMEMBERED)
def _mailbox(address: str) -> Mailbox | None:
    if not address or _CONTROL.search(address):
        return None
    local, at, name = address.rpartition("@")
    if not at or name[-1:] == '"':
        # No @ at all, or none outside the quotes.
        return Mailbox(address, "") if _whole(address) else None
    domain = normal_domain(name)
    return Mailbox(local, domain) if domain and _whole(local) else None


def domain_of(address: str | bytes) -> str | None:
    """The normalised domain of an address; None where there is none."""
    mailbox = split_mailbox(address)
    return mailbox.domain or None if mailbox else None


def normal_address(address: str) -> str | None:
    """The address in lower case with a normalised domain, the form in which addresses are compared.

    RFC 5321 2.4 leaves the case of a local part to its own host; no host that we know tells ``A@`` from
    ``a@``, and a greylist that did would delay mail twice.
    """
    mailbox = split_mailbox(address)
    if mailbox is None:
        return None
    return f"{mailbox.local.lower()}@{mailbox.domain}" if mailbox.domain else mailbox.local.lower()


def plain_address(address: str) -> str:
    """An address in lower case, without what differs between Postfix's form of it and the wire's.

    A policy request has ``a b@example.org`` for what SMTP has as ``<"a b"@example.org>``.
    """
    text = address.lower()
    if text[:1] == "<" and text[-1:] == ">":
        text = text[1:-1]
    return text.replace('"', "").replace("\\", "")


def _whole(local: str) -> bool:
    """Whether a local part is there and its quotes are closed."""
    if local[:1] != '"':
        return bool(local)
    if len(local) < 2 or local[-1] != '"':
        return False
    return (len(local) - 1 - len(local[:-1].rstrip("\\"))) % 2 == 0
