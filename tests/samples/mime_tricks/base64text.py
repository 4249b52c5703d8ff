"""base64 that is not as it should be."""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Callable

from tests.samples.mime_tricks.pieces import EMPTY_ZIP, b64, lines


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
