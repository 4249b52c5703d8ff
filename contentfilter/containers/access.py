"""Access databases (Jet 3, Jet 4, ACE): whether one needs a password or is encrypted.

Source: the header page as mdbtools' and Jackcess's documentation describe it; there is no specification.
"""

from __future__ import annotations

import struct
from typing import TypeAlias

Content: TypeAlias = bytes | bytearray

_SIGNATURES = (b"\0\1\0\0Standard Jet DB\0", b"\0\1\0\0Standard ACE DB\0")
_VERSION = 0x14
_MASKED, _MASK_KEY = 0x18, b"\xc7\xda\x39\x6b"
_MASK_SIZE = (126, 128)
"""By version: Jet 3, and later ones."""
_KEY, _PASSWORD, _DATE = 0x3E, 0x42, 0x72
_PASSWORD_SIZE = (20, 40)


def _rc4(key: bytes, size: int) -> bytes:
    """The first octets of RC4's stream; libraries refuse a key that is so short."""
    state, other, out = list(range(256)), 0, bytearray()
    for at in range(256):
        other = (other + state[at] + key[at % len(key)]) & 255
        state[at], state[other] = state[other], state[at]
    other = 0
    for at in range(1, size + 1):
        other = (other + state[at & 255]) & 255
        state[at & 255], state[other] = state[other], state[at & 255]
        out.append(state[(state[at & 255] + state[other]) & 255])
    return bytes(out)


_MASK = _rc4(_MASK_KEY, max(_MASK_SIZE))


def is_access(data: Content) -> bool:
    """Whether ``data`` begins like a database."""
    return data.startswith(_SIGNATURES)


def lock_of(data: Content) -> str:
    """How the database is locked, in words; empty if everybody can open it."""
    later = min(data[_VERSION], 1) if len(data) > _VERSION else 0
    size = _MASK_SIZE[later]
    masked = bytes(data[_MASKED : _MASKED + size])
    if len(masked) < size:
        return ""
    plain = bytes(octet ^ mask for octet, mask in zip(masked, _MASK, strict=False))
    password = plain[_PASSWORD - _MASKED :][: _PASSWORD_SIZE[later]]
    if later:
        # The password is masked once more, by the day on which the database was made.
        (day,) = struct.unpack_from("<d", plain, _DATE - _MASKED)
        mask = struct.pack("<i", int(day)) if -(2**31) <= day < 2**31 else bytes(4)
        password = bytes(octet ^ mask[at % 4] for at, octet in enumerate(password))
    if any(password):
        return "Access, a password"
    if any(plain[_KEY - _MASKED :][:4]) and data.startswith(_SIGNATURES[1]):
        # Jet's own scrambling has its key beside it; what ACE encrypts needs a password.
        return "Access, encrypted"
    return ""
