"""Messages made for tests."""

from __future__ import annotations

import base64

HEAD = b"From: a@example.org\r\nTo: b@example.net\r\nSubject: test\r\nMIME-Version: 1.0\r\n"


def base64_lines(data: bytes) -> bytes:
    return base64.encodebytes(data).replace(b"\n", b"\r\n")


def attachment(data: bytes, name: str = "file.bin", kind: str = "application/octet-stream") -> bytes:
    """An entity with its header, base64."""
    return (
        f"Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n"
        f'Content-Disposition: attachment; filename="{name}"\r\n\r\n'
    ).encode() + base64_lines(data)


def text(body: bytes = b"hello\r\n") -> bytes:
    """A plain text entity."""
    return b"Content-Type: text/plain\r\n\r\n" + body


def multipart(*parts: bytes, boundary: bytes = b"=_b", kind: bytes = b"mixed") -> bytes:
    """A multipart entity with its header."""
    head = b'Content-Type: multipart/%s; boundary="%s"\r\n\r\n' % (kind, boundary)
    body = b"".join(b"--%s\r\n%s\r\n" % (boundary, part) for part in parts)
    return head + body + b"--%s--\r\n" % boundary


def message(entity: bytes) -> bytes:
    """A mail that is this entity."""
    return HEAD + entity
