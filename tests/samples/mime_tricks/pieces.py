"""What mails are put together of, honest ones too."""

from __future__ import annotations

import base64

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
