"""Domain names: as text in the one form in which they are compared, and as octets of a packet.

As text a name is lower case and has no last dot; the root is the empty text. Only printable ASCII without a
backslash can be asked for. A name that a server sent may hold any octet; what is not printable, and dots
and backslashes within a label, become ``\\DDD`` (RFC 1035 5.1), so that no such name can be asked for again
or be taken for another one.
"""

from __future__ import annotations

import re
from operator import add

from mailbase.addresses import MAX_DOMAIN

MAX_OCTETS = 255
"""Octets of a name in a packet (RFC 1035 2.3.4)."""

_LABEL = r"[ -\-/-\[\]-~]{1,63}"
_NAME = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}\.?")
_OWN_LABEL = r"[ -\-/-@\[\]-~]{1,63}"
_NORMAL = re.compile(rf"{_OWN_LABEL}(?:\.{_OWN_LABEL})*")
_COUNTS = [bytes((count,)) for count in range(64)]
_ODD = re.compile(rb"[^ -\-/-\[\]-~]")


class Malformed(Exception):
    """A packet that cannot be read; the text says why."""


def normal(name: str) -> str | None:
    """``name`` in the form in which it is asked for, or None where it cannot be."""
    if len(name) <= MAX_DOMAIN and _NORMAL.fullmatch(name) is not None:
        return name  # as nearly all are
    if len(name) > MAX_DOMAIN + 1 or _NAME.fullmatch(name) is None:
        return None
    name = name.lower()
    if name[-1] == ".":
        name = name[:-1]
    return name if len(name) <= MAX_DOMAIN else None


def encode(name: str) -> bytes:
    """The octets of a :func:`normal` name, uncompressed."""
    if not name:
        return b"\0"
    labels = name.encode("ascii").split(b".")
    return b"".join(map(add, map(_COUNTS.__getitem__, map(len, labels)), labels)) + b"\0"


def decode(packet: bytes, at: int) -> tuple[str, int]:
    """The name at an offset of a packet, and the offset behind it (RFC 1035 4.1.4).

    Every pointer must lead further to the front than the last, so that a loop cannot be; the work is bounded
    by the 255 octets of a name.

    Raises:
        Malformed: no name.
    """
    labels: list[str] = []
    octets = 0
    end = -1
    front = at
    try:
        while length := packet[at]:
            if length < 64:
                at += 1
                label = packet[at : at + length]
                if len(label) < length:
                    raise Malformed("a name runs off the packet")
                octets += length + 1
                if octets >= MAX_OCTETS:
                    raise Malformed("a name of more than 255 octets")
                labels.append(_text(label))
                at += length
            elif length >= 192:
                target = (length & 0x3F) << 8 | packet[at + 1]
                if end < 0:
                    end = at + 2
                if target >= front or target < 12:
                    raise Malformed("a pointer that does not lead to the front")
                at = front = target
            else:
                raise Malformed("a label of an unknown kind")
    except IndexError:
        raise Malformed("a name runs off the packet") from None
    return ".".join(labels), end if end >= 0 else at + 1


def _text(label: bytes) -> str:
    if _ODD.search(label) is None:
        return label.decode("ascii").lower()
    return _ODD.sub(lambda found: b"\\%03d" % found[0][0], label).decode("ascii").lower()


def reversed_address(packed: bytes) -> str:
    """The labels of an address, last first, as they stand before a DNSBL's zone (RFC 5782 2.1, 2.4).

    Arguments:
        packed: 4 or 16 octets.

    Raises:
        ValueError: another number of octets.
    """
    if len(packed) == 4:
        return ".".join(map(str, reversed(packed)))
    if len(packed) == 16:
        return ".".join(reversed(packed.hex()))
    raise ValueError(f"{len(packed)} octets are no IP address")


def reverse_name(packed: bytes) -> str:
    """The name whose PTR records name an address (RFC 1035 3.5, RFC 3596 2.5).

    Raises:
        ValueError: as :func:`reversed_address`.
    """
    return reversed_address(packed) + (".in-addr.arpa" if len(packed) == 4 else ".ip6.arpa")
