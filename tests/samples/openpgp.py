"""OpenPGP messages made for tests: as many packets (RFC 9580) as a reader needs."""

from __future__ import annotations

import base64
import bz2
import zlib

ONE_PASS = b"\x90\x0d\x03\0\x0a\1" + bytes(8) + b"\1"
SIGNATURE = b"\x88\x06\x04\0\1\x0a\0\0"
MARKER = b"\xa8\x03PGP"
FOR_A_KEY = b"\x85\x01\x0c\x03" + bytes(267)
SEALED = b"\xd2\x05\1\0\0\0\0"


def old(tag: int, body: bytes, kind: int = 2) -> bytes:
    """A packet with a header of the old form; ``kind`` 3: as long as there is anything."""
    size = b"" if kind == 3 else len(body).to_bytes(1 << kind)
    return bytes((0x80 | tag << 2 | kind,)) + size + body


def new(tag: int, body: bytes) -> bytes:
    """A packet with a header of the new form."""
    if len(body) < 192:
        size = bytes((len(body),))
    elif len(body) < 8384:
        size = bytes(((len(body) - 192 >> 8) + 192, len(body) - 192 & 0xFF))
    else:
        size = b"\xff" + len(body).to_bytes(4)
    return bytes((0xC0 | tag,)) + size + body


def partial(tag: int, body: bytes, power: int = 9) -> bytes:
    """A packet in pieces of 2 to the ``power`` octets."""
    out, step = bytearray((0xC0 | tag,)), 1 << power
    while len(body) > step:
        out += bytes((224 | power,)) + body[:step]
        body = body[step:]
    return bytes(out) + new(tag, body)[1:]


def literal(content: bytes, name: bytes = b"", form: bytes = b"b") -> bytes:
    """The body of a literal packet."""
    return form + bytes((len(name),)) + name + bytes(4) + content


def compressed(message: bytes, algorithm: int = 1) -> bytes:
    """The body of a compressed packet."""
    match algorithm:
        case 1:
            stream = zlib.compressobj(wbits=-15)
            packed = stream.compress(message) + stream.flush()
        case 2:
            packed = zlib.compress(message)
        case 3:
            packed = bz2.compress(message)
        case _:
            packed = message
    return bytes((algorithm,)) + packed


def armour(message: bytes, line: bytes = b"\r\n", quote: bytes = b"", headers: bytes = b"") -> bytes:
    """A message in ASCII."""
    lines = [b"-----BEGIN PGP MESSAGE-----", *headers.splitlines(), b""]
    lines += [*base64.encodebytes(message).splitlines(), b"=abcd", b"-----END PGP MESSAGE-----"]
    return b"".join(quote + one + line for one in lines)
