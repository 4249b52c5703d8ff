"""Where the header of a part ends."""

from __future__ import annotations

from collections.abc import Iterator

from tests.samples.mime_tricks.pieces import CTE, EMPTY_ZIP, KIND, NAMED, b64


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
