"""Mails that hide one attachment by tricks with MIME, as an attacker would send them.

Each table has the name of a trick and the mail, or a piece of one, made with it.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import itertools
import random
import re
import struct
from collections.abc import Callable, Iterator

HEAD = b"From: a@example.org\r\nTo: b@example.net\r\nSubject: hidden\r\nMIME-Version: 1.0\r\n"
KIND = b"Content-Type: application/octet-stream\r\n"
NAMED = b'Content-Disposition: attachment; filename="invoice.doc"\r\n'
CTE = b"Content-Transfer-Encoding: "
TEXT = b"Content-Type: text/plain\r\n\r\nhello\r\n"
EMPTY_ZIP = base64.encodebytes(b"PK\5\6" + bytes(18)).replace(b"\n", b"\r\n")


def lines(text: bytes, size: int = 76) -> bytes:
    return b"".join(text[at : at + size] + b"\r\n" for at in range(0, len(text), size))


def b64(data: bytes) -> bytes:
    return lines(base64.b64encode(data))


def part(body: bytes, encoding: bytes = CTE + b"base64\r\n", kind: bytes = KIND + NAMED) -> bytes:
    return kind + encoding + b"\r\n" + body


def body_of(boundary: bytes, *parts: bytes) -> bytes:
    return (
        b"".join(b"--" + boundary + b"\r\n" + item + b"\r\n" for item in parts) + b"--" + boundary + b"--\r\n"
    )


def mail(content_type: bytes, boundary: bytes, *parts: bytes) -> bytes:
    return HEAD + b"Content-Type: " + content_type + b"\r\n\r\n" + body_of(boundary, *parts)


def mixed(*parts: bytes) -> bytes:
    return mail(b'multipart/mixed; boundary="b1"', b"b1", TEXT, *parts)


# ---- how the transfer encoding is named ------------------------------------------------------------------

ENCODING_FIELDS: dict[str, bytes] = {
    "no blank": b"Content-Transfer-Encoding:base64\r\n",
    "tab": b"Content-Transfer-Encoding:\tbase64\r\n",
    "vertical tab": b"Content-Transfer-Encoding:\x0bbase64\r\n",
    "bare CR before the value": b"Content-Transfer-Encoding:\rbase64\r\n",
    "mixed case": CTE + b"baSE64\r\n",
    "x-base64": CTE + b"x-base64\r\n",
    "folded": b"Content-Transfer-Encoding:\r\n base64\r\n",
    "folded twice over a blank line": b"Content-Transfer-Encoding:\r\n \r\n base64\r\n",
    "2,000 blanks": CTE + b" " * 2000 + b"base64\r\n",
    "quoted": CTE + b'"base64"\r\n',
    "escaped": CTE + b"base\\64\r\n",
    "encoded word": CTE + b"=?UTF-8?B?YmFzZTY0?=\r\n",
    "broken encoded word": CTE + b"=?UTF-8?Q?base64\r\n",
    "comment before": CTE + b"(xx) base64\r\n",
    "comment inside": CTE + b"bas()e64\r\n",
    "folded comment inside": CTE + b"bas(\r\n )e64\r\n",
    "comment behind": CTE + b"base64 (xx)\r\n",
    "word before": CTE + b"xx base64\r\n",
    "word behind": CTE + b"base64 xx\r\n",
    "letters before": CTE + b"xxbase64\r\n",
    "letters behind": CTE + b"base64xx\r\n",
    "comma behind": CTE + b"base64,\r\n",
    "comma before": CTE + b",base64\r\n",
    "semicolon behind": CTE + b"base64;\r\n",
    "semicolon before": CTE + b";base64\r\n",
    "blank before the colon": b"Content-Transfer-Encoding : base64\r\n",
    "two colons": b"Content-Transfer-Encoding:: base64\r\n",
    "comment in the name": b"Content-Transfer-Encoding (x): base64\r\n",
    "blank before the name": b" Content-Transfer-Encoding: base64\r\n",
    "CR before the name": b"\rContent-Transfer-Encoding: base64\r\n",
    "after another field and a CR": b"X-Foo: bar\rContent-Transfer-Encoding: base64\r\n",
    "no colon": b"Content-Transfer-Encoding base64\r\n",
    "quoted-printable first": CTE + b"quoted-printable\r\n" + CTE + b"base64\r\n",
    "quoted-printable second": CTE + b"base64\r\n" + CTE + b"quoted-printable\r\n",
    "7bit first": CTE + b"7bit\r\n" + CTE + b"base64\r\n",
    "7bit second": CTE + b"base64\r\n" + CTE + b"7bit\r\n",
    "both in one, blank": CTE + b"quoted-printable base64\r\n",
    "both in one, comma": CTE + b"base64,quoted-printable\r\n",
    "empty first": CTE + b"\r\n" + CTE + b"base64\r\n",
    "empty second": CTE + b"base64\r\n" + CTE + b"\r\n",
    "junk first": CTE + b"xxx\r\n" + CTE + b"base64\r\n",
    "junk second": CTE + b"base64\r\n" + CTE + b"xxx\r\n",
    "junk line before": b"XXXXXXXXXX\r\n" + CTE + b"base64\r\n",
    "8-bit junk line before": b"\xe4\xf6\xfc\x01\r\n" + CTE + b"base64\r\n",
    "blank line before": b" \r\n" + CTE + b"base64\r\n",
    "NUL in the name": b"Content-Transfer-\0Encoding: base64\r\n",
    "NUL behind the value": CTE + b"base64\0xx\r\n",
    "NUL in the value": CTE + b"bas\0e64\r\n",
    "8-bit behind the value": CTE + b"base64\xa0\r\n",
}

# ---- base64 ----------------------------------------------------------------------------------------------


def each(pattern: bytes, by: bytes) -> Callable[[bytes], bytes]:
    """base64 whose pieces that match are replaced."""
    return lambda data: re.sub(pattern, by, b64(data).replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")


def small_pieces(size: int, form: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Every few octets in base64 of their own."""
    return lambda data: lines(
        b"".join(form(base64.b64encode(data[at : at + size])) for at in range(0, len(data), size)), 60
    )


def split_at(rest: int) -> Callable[[bytes], bytes]:
    def encode(data: bytes) -> bytes:
        cut = len(data) // 6 * 3 + rest
        return b64(data[:cut]) + b64(data[cut:])

    return encode


def equals_for_a(data: bytes) -> bytes:
    text = base64.b64encode(data)
    head, tail = text[: len(text) // 4 * 3], text[len(text) // 4 * 3 :]
    return lines(re.sub(rb"A(?=[^A=])", b"=", head) + tail)


def mixed_lengths(data: bytes) -> bytes:
    text, out = base64.b64encode(data), b""
    for size in itertools.cycle((4, 4, 8, 8, 16, 16, 32, 64)):
        if not text:
            return out
        out, text = out + text[:size] + b"\r\n", text[size:]
    return out


BASE64: dict[str, Callable[[bytes], bytes]] = {
    "plain": b64,
    "lines of mixed length": mixed_lengths,
    "one line": base64.b64encode,
    "lines of 3": lambda data: lines(base64.b64encode(data), 3),
    "lines of 5": lambda data: lines(base64.b64encode(data), 5),
    "lines of 4 and one too many": lambda data: re.sub(rb"(.{1,4})", rb"\1X\r\n", base64.b64encode(data)),
    "lines of 4 and three too many": lambda data: re.sub(rb"(.{1,4})", rb"\1XXX\r\n", base64.b64encode(data)),
    "lines of 4 and padding": lambda data: re.sub(rb"(.{1,4})", rb"\1=\r\n", base64.b64encode(data)),
    "empty lines": each(rb"\n", b"\n\n"),
    "blanks": each(rb"(.)", rb"\1 "),
    "tabs": each(rb"(.)", rb"\1\t"),
    "vertical tabs": each(rb"(.)", b"\\1\x0b"),
    "bare CR": each(rb"(.)", rb"\1\r"),
    "letter by letter with empty lines": each(rb"(.)", rb"\1\n\n"),
    "hashes": each(rb"(.)", rb"\1#"),
    "colons": each(rb"(.)", rb"\1:"),
    "dots": each(rb"(.)", rb"\1."),
    "percent": each(rb"(.)", rb"\1%"),
    "hyphens": each(rb"(.)", rb"\1-"),
    "underscores": each(rb"(.)", rb"\1_"),
    "8-bit": each(rb"(.)", b"\\1\xe4"),
    "NUL": each(rb"(.)", b"\\1\0"),
    "four, a hash and more base64": lambda data: re.sub(
        rb"(.{1,4})", rb"\1#abce01234567fghj\r\n", base64.b64encode(data)
    ),
    "three, a hash and more base64": lambda data: re.sub(
        rb"(.{1,3})", rb"\1#abce01234567fghj\r\n", base64.b64encode(data)
    ),
    "a letter and an empty line": lambda data: b"A\r\n\r\n" + b64(data),
    "three letters and an empty line": lambda data: b"ABC\r\n\r\n" + b64(data),
    "header of uuencode": lambda data: b"begin-base64 744 x.doc\r\n" + b64(data) + b"====\r\n",
    "padding at the end of lines": each(rb"\n", b"=\n"),
    "padding first": lambda data: b"=\r\n" + b64(data),
    "four paddings first": lambda data: b"====\r\n" + b64(data),
    "padding after four": each(rb"([\w+/]{4})", rb"\1="),
    "padding inside four": each(rb"([\w+/]{2})([\w+/]{2})", rb"\1=\2"),
    "padding at the start of lines": each(rb"(?m)^", b"="),
    "octet by octet, one padding missing": small_pieces(1, lambda text: text.replace(b"==", b"=")),
    "two octets, padding first": small_pieces(
        2, lambda text: b"=" + text[:-1] if text.endswith(b"=") else text
    ),
    "two octets, padding second": small_pieces(
        2, lambda text: text[:1] + b"=" + text[1:3] if text[3:] == b"=" else text
    ),
    "two octets, padding third": small_pieces(
        2, lambda text: text[:2] + b"=" + text[2:3] if text[3:] == b"=" else text
    ),
    "two octets, padding fourth": small_pieces(2, lambda text: text),
    "padding for A": equals_for_a,
    "goes on after one padding": split_at(2),
    "goes on after two paddings": split_at(1),
    "another file after the padding": lambda data: b64(data + b"\0" * (-len(data) % 3 + 1)) + EMPTY_ZIP,
    "another file before": lambda data: EMPTY_ZIP + b64(data),
    "no padding": lambda data: lines(base64.b64encode(data).rstrip(b"=")),
    "URL-safe": lambda data: lines(base64.urlsafe_b64encode(data)),
    "a footer behind": lambda data: (
        b64(data) + b"\r\n_______________\r\nthe list\r\nhttp://list.example/\r\n"
    ),
    "text in front": lambda data: b"!!! please open !!!\r\n" + b64(data),
}

# ---- quoted-printable ------------------------------------------------------------------------------------


def escaped(data: bytes, form: bytes = b"=%02X", end: bytes = b"=\r\n", width: int = 24) -> bytes:
    """Every octet escaped."""
    return b"".join(
        b"".join(form % byte for byte in data[at : at + width]) + end for at in range(0, len(data), width)
    )


QUOTED: dict[str, Callable[[bytes], bytes]] = {
    "all escaped": escaped,
    "octet by octet": lambda data: escaped(data, width=1),
    "lower case": lambda data: escaped(data, b"=%02x"),
    "blank before the line end": lambda data: escaped(data, end=b"= \r\n"),
    "tab before the line end": lambda data: escaped(data, end=b"=\t \r\n"),
    "needless equals signs": lambda data: escaped(data, b"=Z=%02X"),
    "two equals signs": lambda data: escaped(data, b"==%02X"),
    "half an escape before": lambda data: escaped(data, b"=0=%02X"),
    "half an escape and a letter before": lambda data: escaped(data, b"=0X=%02X"),
    "two letters before": lambda data: escaped(data, b"=XX=%02X"),
    "a blank before": lambda data: escaped(data, b"= =%02X"),
    "a NUL first": lambda data: b"\0" + escaped(data),
    "NUL here and there": lambda data: escaped(data).replace(b"=\r\n", b"\0=\r\n"),
    "line ends as they are, blanks before the others": lambda data: escaped(data, end=b"= \r\n").replace(
        b"=0A", b"\r\n"
    ),
    "line ends as they are, escapes cut": lambda data: re.sub(
        rb"=(.)(.)(?=(?:=..)*=\r)", rb"=\1=\r\n\2", escaped(data).replace(b"=0A", b"\r\n")
    ),
    "long lines": lambda data: escaped(data, width=5000),
    "a form feed before the line end": lambda data: escaped(data, end=b"=\x0c\r\n"),
    "escapes cut by line ends": lambda data: re.sub(rb"=(.)(.)", rb"=\1=\r\n\2", escaped(data, end=b"")),
    "equals signs cut from their escapes": lambda data: escaped(data, b"==\r\n%02X", b""),
}

# ---- other encodings -------------------------------------------------------------------------------------


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


# ---- where the header ends -------------------------------------------------------------------------------


def breaks(data: bytes) -> Iterator[tuple[str, bytes]]:
    head, body = KIND + NAMED + CTE + b"base64\r\n", b64(data)
    for name, middle in {
        "nothing between header and body": b"",
        "a blank line": b" \r\n",
        "two blank lines": b" \r\n \r\n",
        "a tab": b"\t\r\n",
        "a vertical tab": b"\x0b\r\n",
        "a line of base64 and an empty line": b"ABCD\r\n\r\n",
        "a line with padding and an empty line": b"ABC=\r\n\r\n",
        "a line of base64 and a blank line": b"ABCD\r\n \r\n",
        "a line of base64": b"ABCD\r\n",
        "two lines of base64 and an empty line": b"ABCD\r\nABCD\r\n\r\n",
        "a NUL": b"\0\r\n\r\n",
        "a bare CR": b"\r\r\n",
        "an unfinished field": b"X-Foo\r\n\r\n",
    }.items():
        yield name, head + middle + body
    yield "the first four octets in the header", head + body[:4] + b"\r\n\r\n" + body[4:]
    yield "another file after an empty line", head + body + b"\r\n" + EMPTY_ZIP
    for name, first in {
        "a CR first": b"\r",
        "an empty line first": b"\r\n",
        "a vertical tab first": b"\x0b",
        "a blank line first": b" \r\n",
        "a colon first": b":\r\n",
        "a From line first": b"From me Thu Jan  1 00:00:00 1970\r\n",
    }.items():
        yield name, first + head + b"\r\n" + body
    yield "encoding first, after a blank", b" " + CTE + b"base64\r\n" + KIND + NAMED + b"\r\n" + body
    yield "encoding alone, after a blank", b" " + CTE + b"base64\r\n\r\n" + body
    yield "encoding first", CTE + b"base64\r\n" + KIND + NAMED + b"\r\n" + body


# ---- how the boundary is declared ------------------------------------------------------------------------

T = b"multipart/mixed"
DECLARED: dict[str, tuple[bytes, bytes]] = {
    # name: (Content-Type, boundary in the body)
    "no quotes": (T + b"; boundary=b1", b"b1"),
    "folded": (T + b";\r\n boundary=b1", b"b1"),
    "folded over a blank line": (T + b";\r\n \r\n boundary=b1", b"b1"),
    "next line, not folded": (T + b";\r\nboundary=b1", b"b1"),
    "in another field": (T + b"\r\nX-Priority: 3\r\n boundary=b1", b"b1"),
    "unneeded escapes": (T + b"; boundary=bound\\_1", b"bound_1"),
    "escapes in both": (T + b"; boundary=bound\\_1", b"bound\\_1"),
    "quoted escapes": (T + b'; boundary="bound\\_1"', b"bound_1"),
    "misspelt": (T + b"; oundary=b1", b"b1"),
    "escape in the key": (T + b"; bou\\ndary=b1", b"b1"),
    "blank before the sign": (T + b"; boundary =b1", b"b1"),
    "blank after the sign": (T + b"; boundary= b1", b"b1"),
    "folded around the sign": (T + b"; boundary\r\n =\r\n b1", b"b1"),
    "escaped sign": (T + b"; boundary\\=b1", b"b1"),
    "escape after the sign": (T + b"; boundary=\\b1", b"b1"),
    "twice, first": (T + b"; boundary=b1; boundary=bad", b"b1"),
    "twice, second": (T + b"; boundary=bad; boundary=b1", b"b1"),
    "extended, then false": (T + b"; boundary*=''b1; boundary=bad", b"b1"),
    "false, then extended": (T + b"; boundary=bad; boundary*=''b1", b"b1"),
    "extended false, then plain": (T + b"; boundary*=''bad; boundary=b1", b"b1"),
    "plain, then extended false": (T + b"; boundary=b1; boundary*=''bad", b"b1"),
    "quoted with a leading blank": (T + b'; boundary=" b1"', b" b1"),
    "quoted with a blank inside": (T + b'; boundary="b 1"', b"b 1"),
    "quoted with a last blank": (T + b'; boundary="b1 "', b"b1 "),
    "last blank only declared": (T + b'; boundary="b1 "', b"b1"),
    "last blank only used": (T + b'; boundary="b1"', b"b1 "),
    "leading blank without quotes": (T + b"; boundary=  b1", b"  b1"),
    "blank inside without quotes": (T + b"; boundary=b 1", b"b 1"),
    "only the first word": (T + b"; boundary=b1 x y", b"b1"),
    "single quotes": (T + b"; boundary='b1'", b"b1"),
    "single quotes in both": (T + b"; boundary='b1'", b"'b1'"),
    "extended with %20": (T + b"; boundary*=''b%201", b"b 1"),
    "different after the blank": (T + b'; boundary="b1 XXX"', b"b1 YYY"),
    "CR at the end": (T + b'; boundary="b1\r"', b"b1"),
    "empty": (T + b'; boundary=""', b""),
    "only a blank": (T + b'; boundary=" "', b" "),
    "extended in UTF-16": (T + b"; boundary*=UTF-16''b%001%00", b"b1"),
    "extended in UTF-16BE": (T + b"; boundary*=UTF-16''%00b%001", b"b1"),
    "extended": (T + b"; boundary*=''b1", b"b1"),
    "extended and escaped": (T + b"; boundary*=us-ascii'en'%62%31", b"b1"),
    "extended, taken as it stands": (T + b"; boundary*=''b1", b"''b1"),
    "continued": (T + b"; boundary*0=b; boundary*1=1", b"b1"),
    "continued, only one piece": (T + b"; boundary*0=b1", b"b1"),
    "continued and extended": (T + b"; boundary*0*=''%62; boundary*1*=%31", b"b1"),
    "continued, pieces turned round": (T + b"; boundary*1=1; boundary*0=b", b"b1"),
    "continued, order as written": (T + b"; boundary*1=b; boundary*0=1", b"b1"),
    "continued, first piece twice": (T + b"; boundary*0=bad; boundary*0=b; boundary*1=1", b"b1"),
    "continued, only the first piece counts": (T + b"; boundary*0=b1; boundary*1=xyz", b"b1"),
    "encoded word, quoted-printable": (T + b'; boundary="=?us-ascii?Q?b=31?="', b"b1"),
    "encoded word, base64": (T + b'; boundary="=?us-ascii?B?YjE=?="', b"b1"),
    "encoded word, taken as it stands": (T + b'; boundary="=?us-ascii?Q?b1?="', b"=?us-ascii?Q?b1?="),
    "escaped semicolon": (T + b"; boundary=b\\;1", b"b;1"),
    "escaped semicolon cuts": (T + b"; boundary=b1\\;x", b"b1"),
    "escaped semicolon cuts after the escape": (T + b"; boundary=b1\\;x", b"b1\\"),
    "semicolon inside": (T + b"; boundary=b1;2", b"b1;2"),
    "semicolon in quotes": (T + b'; boundary="b;1"', b"b;1"),
    "escaped quotes": (T + b'; boundary=b\\"1\\"', b'b"1"'),
    "escaped quotes cut": (T + b'; boundary=b1\\"x\\"', b"b1"),
    "text between escaped quotes": (T + b'; boundary=x\\"b1\\"', b"b1"),
    "quotes inside": (T + b'; boundary=b"1"', b'b"1"'),
    "quotes inside cut": (T + b'; boundary=b1"x"', b"b1"),
    "text between quotes inside": (T + b'; boundary=x"b1"', b"b1"),
    "text behind the quotes": (T + b'; boundary="b1"x', b"b1"),
    "text behind the quotes counts": (T + b'; boundary="b"1', b"b1"),
    "quotes do not end": (T + b'; boundary="b1', b"b1"),
    "quotes do not end, taken as they stand": (T + b'; boundary="b1', b'"b1'),
    "quotes only at the end": (T + b'; boundary=b1"', b"b1"),
    "folded inside quotes": (T + b'; boundary="b\r\n 1"', b"b 1"),
    "folded inside quotes, joined": (T + b'; boundary="b\r\n 1"', b"b1"),
    "none": (T, b"b1"),
    "type missing": (b"boundary=b1", b"b1"),
    "no semicolon": (T + b" boundary=b1", b"b1"),
    "comma": (T + b", boundary=b1", b"b1"),
    "no semicolon after another": (T + b"; foo=bla boundary=b1", b"b1"),
    "behind a quote": (T + b'; foo=bla"boundary=b1', b"b1"),
    "behind an escaped semicolon": (T + b"; foo=bla\\;boundary=b1", b"b1"),
    "inside another's quotes": (T + b'; foo="bla;boundary=b1"', b"b1"),
    "inside another's quotes, with the quote": (T + b'; foo="bla;boundary=b1"', b'b1"'),
    "after quotes that do not end": (T + b'; foo="bla;boundary=b1', b"b1"),
    "after an escaped quote": (T + b'; foo="bla\\";boundary=b1', b"b1"),
    "boundary is the word": (T + b"; boundary=boundary=b1", b"boundary"),
    "boundary behind the word": (T + b"; boundary=boundary=b1", b"b1"),
    "word and boundary": (T + b"; boundary=boundary=b1", b"boundary=b1"),
    "all in quotes": (T + b'; "boundary=b1"', b"b1"),
    "comment after the key": (T + b"; boundary()=b1", b"b1"),
    "comment before the value": (T + b"; boundary=()b1", b"b1"),
    "comment behind the value": (T + b"; boundary=b1()", b"b1"),
    "comment is of the value": (T + b"; boundary=b1()", b"b1()"),
    "comment inside": (T + b"; boundary=b()1", b"b1"),
    "comment cuts": (T + b"; boundary=b1()xx", b"b1"),
    "another boundary in a comment": (T + b"; boundary=(boundary=bad)b1", b"b1"),
    "the boundary in a comment": (T + b"; boundary=(boundary=b1)bad", b"b1"),
    "comment in the key": (T + b"; boun()dary=b1", b"b1"),
    "comment before the key": (T + b"; ()boundary=b1", b"b1"),
    "parameter in a comment": (T + b"; ( boundary=b1 )", b"b1"),
    "parameter in a nested comment": (T + b"; (() boundary=b1 )", b"b1"),
    "comment before the type": (b"() " + T + b"; boundary=b1", b"b1"),
    "comment in the type": (b"multipar()t/mixed; boundary=b1", b"b1"),
    "comment behind the type": (T + b"(); boundary=b1", b"b1"),
    "8-bit": (T + b'; boundary="b\xe4"', b"b\xe4"),
    "NUL": (T + b'; boundary="b1\0x"', b"b1"),
    "NUL, cleared": (T + b'; boundary="b\x001"', b"b1"),
    "250 octets": (T + b'; boundary="' + b"x" * 250 + b'"', b"x" * 250),
    "charset": (T + b'; charset="utf-8"; boundary="b1"', b"b1"),
    "encoded type": (b"=?UTF-8?B?bXVsdGlwYXJ0?=/mixed; boundary=b1", b"b1"),
    "quoted type": (b'"multipart/mixed"; boundary=b1', b"b1"),
    "type in mixed case": (b"mULtiPart/mIxed; BOUNDARY=b1", b"b1"),
    "type x-multipart": (b"x-multipart/mixed; boundary=b1", b"b1"),
    "type ultipart": (b"ultipart/mixed; boundary=b1", b"b1"),
    "type singlepart": (b"singlepart/mixed; boundary=b1", b"b1"),
    "type without a slash": (b"multipart; boundary=b1", b"b1"),
    "type without a subtype": (b"multipart/; boundary=b1", b"b1"),
    "type with a blank": (b"multipart / mixed; boundary=b1", b"b1"),
    "type with an escape": (b"multi\\part/mixed; boundary=b1", b"b1"),
    "type text": (b"text/plain; boundary=b1", b"b1"),
    "unknown subtype": (b"multipart/x-nonsense; boundary=b1", b"b1"),
    "subtype signed": (b'multipart/signed; protocol="application/pkcs7-signature"; boundary=b1', b"b1"),
    "subtype encrypted": (b'multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b1', b"b1"),
    "second field after text": (b"text/plain\r\nContent-Type: multipart/mixed; boundary=b1", b"b1"),
    "first field before text": (b"multipart/mixed; boundary=b1\r\nContent-Type: text/plain", b"b1"),
    "two fields, first": (
        b"multipart/mixed; boundary=b1\r\nContent-Type: multipart/mixed; boundary=bad",
        b"b1",
    ),
    "two fields, second": (
        b"multipart/mixed; boundary=bad\r\nContent-Type: multipart/mixed; boundary=b1",
        b"b1",
    ),
    "after a bare CR": (b"text/plain\r\nX-Foo: bar\rContent-Type: multipart/mixed; boundary=b1", b"b1"),
    "in a continuation": (b"text/plain\r\nX-Foo :bar\r\n Content-Type: multipart/mixed; boundary=b1", b"b1"),
    "after junk and folded": (
        b"text/plain\r\nX-Foo-bar\r\n Content-Type: multipart/mixed; boundary=b1",
        b"b1",
    ),
    "two colons": (b": multipart/mixed; boundary=b1", b"b1"),
}


def wrapped(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The same part, in structures that are not what they seem."""
    leaf = part(mixed_lengths(data))
    inner = body_of(b"in", leaf)
    plain = T + b"; boundary="
    head = HEAD + b"Content-Type: "

    def delimited(mark: bytes) -> bytes:
        return mail(plain + b"b1", b"b1", TEXT).replace(b"--b1--", mark + b"\r\n" + leaf + b"\r\n--b1--")

    for name, mark in {
        "delimiter with text": b"--b1X",
        "delimiter with a word": b"--b1 X",
        "delimiter with a hyphen": b"--b1-",
        "delimiter with a tab": b"--b1\t",
        "delimiter with a vertical tab": b"--b1\x0b",
        "delimiter with a NUL": b"--b1\0",
        "delimiter with NUL and text": b"--b1\0xyz",
        "delimiter with blank before": b" --b1",
        "delimiter after a blank and CR": b" \r--b1",
        "delimiter after LF and CR": b"\r\n\r--b1",
        "delimiter in upper case": b"--B1",
        "closing delimiter with text": b"--b1--xyz",
    }.items():
        yield name, delimited(mark)
    coded = b64(data)
    yield (
        "delimiter and header in one line",
        mail(plain + b"b1", b"b1", TEXT).replace(
            b"--b1--", b"--b1" + part(coded, b"", CTE + b"base64\r\n") + b"\r\n--b1--"
        ),
    )
    yield "delimiter that ends in a bare CR", delimited(b"--b1").replace(b"--b1\r\n" + KIND, b"--b1\r" + KIND)
    yield "after the closing delimiter", mail(plain + b"b1", b"b1", TEXT) + leaf
    yield (
        "after the closing delimiter, a colon in the next line",
        mail(plain + b"b1", b"b1", TEXT) + part(b64(data), b"", CTE[:-2] + b"\r\n : base64\r\n" + KIND),
    )
    yield (
        "after the closing delimiter, uuencode behind a signature",
        mail(plain + b"b1", b"b1", TEXT) + TEXT + b"-- \r\nme\r\n" + uuencoded(data),
    )
    yield "after the closing delimiter, with one", mail(plain + b"b1", b"b1", TEXT) + body_of(b"b1", leaf)
    yield "after the closing delimiter, with another", mail(plain + b"b1", b"b1", TEXT) + body_of(b"b2", leaf)
    yield "before the first delimiter", head + plain + b"b1\r\n\r\n" + leaf + body_of(b"b1", TEXT)
    yield (
        "before the first, with one of its own",
        head + plain + b"b1\r\n\r\n" + body_of(b"bx", leaf) + body_of(b"b1", TEXT),
    )
    yield "nothing but what is before", head + plain + b"b1\r\n\r\n" + leaf
    yield "no closing delimiter", mixed(leaf).removesuffix(b"--b1--\r\n")
    yield (
        "no inner closing delimiter",
        mail(
            plain + b"b1",
            b"b1",
            b"Content-Type: " + plain + b"in\r\n\r\n" + inner.removesuffix(b"--in--\r\n"),
        ),
    )
    yield (
        "no outer closing delimiter",
        mail(plain + b"b1", b"b1", b"Content-Type: " + plain + b"in\r\n\r\n" + inner).removesuffix(
            b"--b1--\r\n"
        ),
    )
    for name, outer, within in (
        ("outer end is the inner boundary", b"b1", b"b1--"),
        ("inner boundary is the outer", b"b1", b"b1"),
        ("outer extends inner", b"b1_", b"b1"),
        ("inner extends outer", b"b1", b"b1_"),
    ):
        nested = b"Content-Type: " + plain + within + b"\r\n\r\n" + body_of(within, leaf)
        yield name, mail(plain + outer, outer, nested)
    nested = b"Content-Type: " + plain + b"in\r\n\r\n"
    yield (
        "inner goes on behind outer",
        head
        + plain
        + b"b1\r\n\r\n"
        + b"--b1\r\n"
        + nested
        + b"--in\r\n"
        + TEXT
        + b"--b1--\r\n--in\r\n"
        + leaf
        + b"--in--\r\n",
    )
    yield (
        "outer delimiter in inner base64",
        mail(
            plain + b"####", b"####", nested + inner.replace(b"base64\r\n\r\n", b"base64\r\n\r\n--####\r\n")
        ),
    )
    yield (
        "outer end in the header",
        head + plain + b"b:1\r\n--b:1--\r\n\r\n--b:1\r\n" + nested + inner + b"--b:1--\r\n",
    )
    yield (
        "outer end in the inner header",
        mail(plain + b"b:1", b"b:1", b"Content-Type: " + plain + b"in\r\n--b:1--\r\n\r\n" + inner),
    )
    yield (
        "outer delimiter in the inner header",
        mail(plain + b"b:1", b"b:1", b"Content-Type: " + plain + b"in\r\n--b:1\r\n\r\n" + inner),
    )
    whole = nested + inner
    yield "whole in base64", head + plain + b"in\r\n" + CTE + b"base64\r\n\r\n" + b64(inner)
    yield (
        "whole in quoted-printable",
        head + plain + b"in\r\n" + CTE + b"quoted-printable\r\n\r\n" + escaped(inner),
    )
    yield "whole in an unknown encoding", head + plain + b"in\r\n" + CTE + b"xyz\r\n\r\n" + b64(inner)
    yield (
        "multipart that is base64 of the file",
        head + plain + b"b1\r\n" + CTE + b"base64\r\n\r\n" + b64(data),
    )
    for kind in (b"message/rfc822", b"message/global", b"message/news", b"text/plain", b"message/x-unknown"):
        label = kind.decode()
        yield f"in {label}", mixed(b"Content-Type: " + kind + b"\r\n\r\n" + HEAD + whole)
        yield f"in {label}, base64", mixed(part(b64(HEAD + whole), kind=b"Content-Type: " + kind + b"\r\n"))
        yield (
            f"in {label}, quoted-printable",
            mixed(
                part(escaped(HEAD + whole), CTE + b"quoted-printable\r\n", b"Content-Type: " + kind + b"\r\n")
            ),
        )
    for kind in (b"message/x-unknown", b"message/feedback-report", b'application/x; name="a.eml"'):
        yield (
            f"in {kind.decode()}, base64, after a line that is no field",
            mixed(part(b64(b"begin 644 x\r\n" + whole), kind=b"Content-Type: " + kind + b"\r\n")),
        )
    for label, found in (("NUL", b"\0"), ("bare CR", b"\r")):
        hidden = HEAD + whole.replace(b"Content-Transfer-Encoding: ", b"Content-Transfer-Encoding:" + found)
        yield (
            f"{label} in message/rfc822, base64",
            mixed(part(b64(hidden), kind=b"Content-Type: message/rfc822\r\n")),
        )
    yield "in a nameless file", mixed(part(b64(HEAD + whole), kind=KIND))
    yield "in a file without fields of a mail", mixed(part(b64(whole), kind=KIND))
    yield "in a digest", mail(b"multipart/digest; boundary=b1", b"b1", b"\r\n" + HEAD + whole)
    yield "in a digest, header and all", mail(b"multipart/digest; boundary=b1", b"b1", b"From: me\r\n" + leaf)
    yield (
        "in message/partial",
        HEAD + b'Content-Type: message/partial; id="x"; number=1; total=1\r\n\r\n' + HEAD + whole,
    )
    yield (
        "in message/external-body",
        mixed(b"Content-Type: message/external-body; access-type=local-file\r\n\r\n" + leaf),
    )
    yield "a mailbox's From line first", b"From x Thu Jan  1 00:00:00 1970\r\n" + mixed(leaf)
    yield "an empty line first", b"\r\n" + mixed(leaf)
    yield "blank lines first", b" \r\n\t\r\n" + mixed(leaf)
    yield "a byte order mark first", b"\xef\xbb\xbf" + mixed(leaf)
    yield "no header", body_of(b"b1", leaf)
    yield "no MIME-Version", mixed(leaf).replace(b"MIME-Version: 1.0\r\n", b"")
    yield "headers of CR", mixed(leaf).replace(b"\r\n", b"\r")
    yield "headers of LF", mixed(leaf).replace(b"\r\n", b"\n")
    yield "all in upper case", mixed(leaf).replace(CTE, CTE.upper()).replace(b"Content-Type", b"CONTENT-TYPE")
    yield "a header of 100 KiB first", b"X-Long: " + b"x" * 100_000 + b"\r\n" + mixed(leaf)
    yield (
        "15 levels",
        head
        + b"".join(b"%sl%d\r\n\r\n--l%d\r\nContent-Type: " % (plain, n, n) for n in range(15))
        + leaf.removeprefix(b"Content-Type: "),
    )
    yield "the single part", HEAD + leaf
    yield "the single part, as multipart", HEAD + part(b64(data), kind=b"Content-Type: multipart/mixed\r\n")
    yield "base64 in text that nothing announces", mixed(b"Content-Type: text/plain\r\n\r\n" + b64(data))
    yield "an empty type", mixed(part(b64(data), kind=b"Content-Type:\r\n"))
    yield "type of a picture", mixed(part(b64(data), kind=b'Content-Type: image/png; name="a.png"\r\n'))
    yield (
        "type of an attached message, but a document",
        mixed(part(b64(data), kind=b"Content-Type: message/rfc822\r\n")),
    )
    yield (
        "type of a partial message, but a document",
        mixed(part(b64(data), kind=b"Content-Type: message/partial\r\n")),
    )


def tricks(data: bytes) -> dict[str, bytes]:
    """Every trick by name, with ``data`` hidden in it."""
    found: dict[str, bytes] = {}
    for name, field in ENCODING_FIELDS.items():
        found[f"encoding field: {name}"] = mixed(part(mixed_lengths(data), field))
        found[f"encoding field of the mail: {name}"] = HEAD + part(b64(data), field)
    for name, encode in BASE64.items():
        found[f"base64: {name}"] = mixed(part(encode(data)))
    for name, encode in QUOTED.items():
        found[f"quoted-printable: {name}"] = mixed(part(encode(data), CTE + b"quoted-printable\r\n"))
    for name, entity in other_encodings(data):
        found[f"other encoding: {name}"] = mixed(entity)
    for name, entity in breaks(data):
        found[f"header's end: {name}"] = mixed(entity)
        found[f"mail header's end: {name}"] = entity
    for name, (declared, used) in DECLARED.items():
        found[f"boundary: {name}"] = mail(declared, used, TEXT, part(mixed_lengths(data)))
    for name, message in wrapped(data):
        found[f"structure: {name}"] = message
    return found


def combined(data: bytes, count: int, seed: int) -> dict[str, bytes]:
    """Mails with three tricks and more each, drawn at random but the same each time."""
    draw, found = random.Random(seed), {}
    while len(found) < count:
        field_name, field = draw.choice(list(ENCODING_FIELDS.items()))
        code_name, encode = draw.choice(list(BASE64.items()))
        declared_name, (declared, used) = draw.choice(list(DECLARED.items()))
        name = f"{declared_name} / {field_name} / {code_name}"
        leaf = part(encode(data), field)
        message = mail(declared, used, TEXT, leaf)
        match draw.randrange(5):
            case 0:
                outer_name, (outer, outer_used) = draw.choice(list(DECLARED.items()))
                name += f" / in {outer_name}"
                entity = b"Content-Type: " + declared + b"\r\n\r\n" + body_of(used, leaf)
                message = mail(outer, outer_used, TEXT, entity)
            case 1:
                name += " / forwarded"
                message = mixed(b"Content-Type: message/rfc822\r\n\r\n" + message)
            case 2:
                name += " / NUL in the header"
                at = draw.randrange(len(HEAD))
                message = message[:at] + b"\0" + message[at:]
        found[name] = message
    return found
