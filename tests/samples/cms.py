"""S/MIME messages made for tests: as many octets of BER (X.690, RFC 5652) as a reader needs."""

from __future__ import annotations

import zlib

PKCS7 = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07"
SMIME = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01"
DATA, SIGNED, ENVELOPED, DIGESTED, ENCRYPTED = (PKCS7 + bytes((n,)) for n in (1, 2, 3, 5, 6))
AUTHENTICATED, COMPRESSED, AUTH_ENVELOPED = (SMIME + bytes((n,)) for n in (2, 9, 23))
VERSION = b"\x02\x01\x01"
EMPTY_SET = b"\x31\x00"


def tlv(tag: int, content: bytes) -> bytes:
    """An element of definite length."""
    size = len(content)
    if size < 128:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def endless(tag: int, content: bytes) -> bytes:
    """An element of indefinite length."""
    return bytes((tag, 0x80)) + content + b"\0\0"


def pieces(content: bytes, size: int = 100, levels: int = 1) -> bytes:
    """A constructed octet string, its pieces constructed again."""
    cut = [content[at : at + size] for at in range(0, len(content), size)]
    out = b"".join(tlv(4, piece) for piece in cut)
    for _ in range(levels):
        out = endless(0x24, out)
    return out


def cms(kind: bytes, body: bytes, wrap=tlv) -> bytes:  # type: ignore[no-untyped-def]
    """A ContentInfo."""
    return wrap(0x30, tlv(6, kind) + wrap(0xA0, body))


def inner(content: bytes | None, wrap=tlv, kind: bytes = DATA) -> bytes:  # type: ignore[no-untyped-def]
    """An EncapsulatedContentInfo around an octet string that is encoded already."""
    return wrap(0x30, tlv(6, kind) + (b"" if content is None else wrap(0xA0, content)))


def signed(content: bytes | None, wrap=tlv) -> bytes:  # type: ignore[no-untyped-def]
    """Signed-data; ``content`` is an octet string that is encoded already."""
    return cms(SIGNED, wrap(0x30, VERSION + EMPTY_SET + inner(content, wrap) + EMPTY_SET), wrap)


def compressed(content: bytes) -> bytes:
    """Compressed-data (RFC 3274)."""
    algorithm = tlv(0x30, tlv(6, SMIME[:-1] + b"\x03\x08"))
    return cms(COMPRESSED, tlv(0x30, VERSION + algorithm + inner(tlv(4, zlib.compress(content)))))


def enveloped(kind: bytes = ENVELOPED) -> bytes:
    """Something encrypted."""
    return cms(kind, tlv(0x30, VERSION + EMPTY_SET + tlv(0x30, tlv(6, DATA) + tlv(0x80, b"secret" * 20))))
