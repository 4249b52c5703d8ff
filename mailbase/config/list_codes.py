"""Which answers of a DNS list a code stands for, as the operator writes it.

``127.0.0.2``, ``127.0.0.4-127.0.0.7`` or shorter ``127.0.0.4-7``, ``127.0.*.3`` (any octet there), and for
lists whose answers are bits ``mask 8`` or ``mask 0.0.0.8``: any of these bits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailbase.documents.problems import shown

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_ADDRESS = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_ANY = rf"(?:{_OCTET}|\*)(?:\.(?:{_OCTET}|\*)){{3}}"
_RANGE = re.compile(rf"({_ADDRESS})(?: ?- ?({_ADDRESS}|{_OCTET}))?", re.ASCII)
_LIKE = re.compile(_ANY, re.ASCII)
_MASK = re.compile(rf"mask ({_ADDRESS}|0x[0-9a-fA-F]{{1,6}}|[0-9]{{1,8}})", re.ASCII)

LOOPBACK = 127
"""First octet of every answer that means something (RFC 5782 2.1)."""


@dataclass(frozen=True, slots=True)
class Between:
    """The addresses from ``low`` to ``high``, both included."""

    low: int
    high: int

    def matches(self, address: int) -> bool:
        """Whether ``address``, as a number, is one of them."""
        return self.low <= address <= self.high


@dataclass(frozen=True, slots=True)
class Like:
    """The addresses that are ``value`` in the bits of ``mask``."""

    mask: int
    value: int

    def matches(self, address: int) -> bool:
        """Whether ``address``, as a number, is one of them."""
        return address & self.mask == self.value


@dataclass(frozen=True, slots=True)
class Bits:
    """The addresses that have any of the bits of ``mask``."""

    mask: int

    def matches(self, address: int) -> bool:
        """Whether ``address``, as a number, is one of them."""
        return address & self.mask != 0


Pattern = Between | Like | Bits


def parse_code(text: str) -> Pattern:
    """The answers that ``text`` stands for.

    Raises:
        ValueError: with the message for the operator.
    """
    words = " ".join(text.split())
    if found := _RANGE.fullmatch(words):
        low = _number(found[1])
        end = found[2] or found[1]
        high = _number(end) if "." in end else (low & ~0xFF) | int(end)
        if low >> 24 == high >> 24 == LOOPBACK and low <= high:
            return Between(low, high)
    elif _LIKE.fullmatch(words):
        octets = words.split(".")
        if octets[0] == str(LOOPBACK):
            mask = _number(".".join("0" if octet == "*" else "255" for octet in octets))
            return Like(mask, _number(words.replace("*", "0")))
    elif found := _MASK.fullmatch(words):
        mask = _number(found[1]) if "." in found[1] else int(found[1], 0 if found[1][:2] == "0x" else 10)
        if 0 < mask < 1 << 24:
            return Bits(mask)
    raise ValueError(
        "expected answers of a list: 127.0.0.2, 127.0.0.4-127.0.0.7, 127.0.*.3 or mask 8, "
        f"all in 127.0.0.0/8; got {shown(text)}"
    )


def _number(address: str) -> int:
    return int.from_bytes(bytes(map(int, address.split("."))))
