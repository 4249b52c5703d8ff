"""Encodings that were there before MIME, announced and not."""

from __future__ import annotations

import base64
import binascii
import gzip
import re
import struct
from collections.abc import Iterator

from tests.samples.mime_tricks.pieces import CTE, KIND, b64, lines, part


def uu_lines(data: bytes) -> bytes:
    return b"".join(
        binascii.b2a_uu(data[at : at + 45]).replace(b"\n", b"\r\n") for at in range(0, len(data), 45)
    )


def uuencoded(data: bytes, name: bytes = b"invoice.doc") -> bytes:
    return b"begin 644 " + name + b"\r\n" + uu_lines(data) + b"`\r\nend\r\n"


def yencoded(data: bytes) -> bytes:
    out = bytearray()
    for byte in data:
        byte = (byte + 42) & 255
        out += bytes((61, (byte + 64) & 255)) if byte in b"\0\r\n=\t ." else bytes((byte,))
    body = lines(bytes(out), 128)
    while re.search(rb"=\r\n.", body):
        body = re.sub(rb"=\r\n(.)", rb"\r\n=\1", body, flags=re.DOTALL)
    return b"=ybegin line=128 size=%d name=invoice.doc\r\n%s=yend size=%d\r\n" % (len(data), body, len(data))


BINHEX = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
PLAIN64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def binhexed(data: bytes, preamble: bool = True) -> bytes:
    head = b"\x0binvoice.doc\0W8BNMSWD\0\0" + struct.pack(">II", len(data), 0)
    stream = head + b"\0\0" + data + b"\0\0\0\0"
    packed = re.sub(
        rb"([^\x90])\1{3,253}",
        lambda m: m[1] + b"\x90" + bytes((len(m[0]),)),
        stream.replace(b"\x90", b"\x90\0"),
    )
    text = base64.b64encode(packed).rstrip(b"=").translate(bytes.maketrans(PLAIN64, BINHEX))
    said = b"(This file must be converted with BinHex 4.0)\r\n\r\n" if preamble else b""
    return said + lines(b":" + text + b":", 64)


def other_encodings(data: bytes) -> Iterator[tuple[str, bytes]]:
    for word in (b"uuencode", b"x-uuencode", b"x-uue", b"uue", b"x-uu", b"uu-encoded"):
        yield f"{word.decode()}, no begin", part(uu_lines(data), CTE + word + b"\r\n")
        yield f"{word.decode()}, with begin and end", part(uuencoded(data), CTE + word + b"\r\n")
    yield "yEnc, announced", part(yencoded(data), CTE + b"x-yencode\r\n")
    yield "yEnc in text", b"Content-Type: text/plain\r\n\r\nsee:\r\n" + yencoded(data)
    yield "uuencode in text", b"Content-Type: text/plain\r\n\r\nsee:\r\n" + uuencoded(data)
    yield "uuencode in base64", part(b64(uuencoded(data)), kind=b"Content-Type: text/plain\r\n")
    yield (
        "uuencode after false beginnings",
        b"Content-Type: text/plain\r\n\r\nbegin 644 \r\nbegin 7 x\r\nbegin now\r\n" + uuencoded(data),
    )
    for line in (b"begin 644", b"begin 100644 x.doc", b"begin  x.doc", b"begin 644 \r\nbegin 644 x.doc"):
        text = line + b"\r\n" + uu_lines(data) + b"`\r\nend\r\n"
        label = line.decode().replace("\r\n", ", ")
        yield f"uuencode, {label!r}", b"Content-Type: text/plain\r\n\r\nsee:\r\n" + text
        yield f"uuencode, {label!r}, announced", part(text, CTE + b"x-uuencode\r\n")
    yield (
        "uuencode whose name is a path",
        b"Content-Type: text/plain\r\n\r\n" + uuencoded(data, b"../../x y.doc"),
    )
    coded = uuencoded(data)
    first, rest = coded.split(b"\r\n", 1)
    for label, text in {
        "words first": first + b"\r\nsee below:\r\n" + rest,
        "words in capitals first": first + b"\r\nSEE BELOW\r\n" + rest,
        "words between": coded[:700] + coded[700:].replace(b"\r\n", b"\r\nand so on\r\n", 3),
        "another beginning between": coded[:700] + coded[700:].replace(b"\r\n", b"\r\nbegin 644 x\r\n", 1),
        "a table": first
        + b"\r\ntable\r\n !#$%&'()*+,-./0123456789:;<=>?\r\n@ABCDEFGHIJKLMNOPQRSTUVWXYZ\r\n"
        + rest,
        "indented": re.sub(rb"(?m)^(?!begin|end)", b" ", coded),
    }.items():
        yield f"uuencode with {label}", b"Content-Type: text/plain\r\n\r\nsee:\r\n" + text
        yield f"uuencode with {label}, announced", part(text, CTE + b"x-uuencode\r\n")
    yield "BinHex in text", b"Content-Type: text/plain\r\n\r\nsee:\r\n" + binhexed(data)
    for word in (b"binhex", b"binhex40", b"mac-binhex40", b"x-binhex"):
        yield f"{word.decode()}, announced", part(binhexed(data), CTE + word + b"\r\n")
    yield "binhex, announced, without its first line", part(binhexed(data, False), CTE + b"binhex\r\n")
    yield "BinHex by its type", part(binhexed(data), b"", b"Content-Type: application/mac-binhex40\r\n")
    yield "gzip64", part(b64(gzip.compress(data)), CTE + b"gzip64\r\n")
    yield "x-gzip64", part(b64(gzip.compress(data)), CTE + b"x-gzip64\r\n")
    yield "binary", part(data, CTE + b"binary\r\n")
    yield "8bit, without a name", part(data, CTE + b"8bit\r\n", KIND)
