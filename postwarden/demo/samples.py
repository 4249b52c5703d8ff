"""Sample mails as octets, line ends CRLF, built without any mail library so that every octet is known."""

from __future__ import annotations

import binascii
from dataclasses import dataclass

from postwarden.demo import documents

DATE = "Sun, 01 Nov 2026 10:00:00 +0100"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file in a mail; ``name`` may be any octets that can stand in a header line."""

    name: str
    kind: str
    data: bytes


def mail(
    mark: str,
    sender: str = "alice@outside.example",
    recipient: str = "bob@inst.example",
    text: str = "Good morning,\r\n\r\n.a line with a dot in front\r\n..and one with two\r\n\r\nRegards\r\n",
    attachments: tuple[Attachment, ...] = (),
    subject: str = "Sample",
) -> bytes:
    """A mail with header lines that a gateway might be tempted to drop or change (Bcc, Return-Path).

    Arguments:
        mark: unique text, put in the Message-ID, so that the mail can be found again.
        text: of the first part, with CRLF.
    """
    head = (
        f"Return-Path: <earlier-{mark}@outside.example>\r\n"
        f"Received: from inner.outside.example (inner.outside.example [192.0.2.200])\r\n"
        f"\tby mx.outside.example with ESMTP id 0123456789; {DATE}\r\n"
        f"Message-ID: <{mark}@outside.example>\r\n"
        f"Date: {DATE}\r\n"
        f"From: {sender}\r\n"
        f"To: {recipient}\r\n"
        f"Bcc: hidden-{mark}@outside.example\r\n"
        f"Subject: {subject}\r\n"
        f"X-Strange:  two spaces,\ta tab  \r\n"
        f"MIME-Version: 1.0\r\n"
    )
    if not attachments:
        return f"{head}Content-Type: text/plain; charset=utf-8\r\n\r\n{text}".encode()
    boundary = f"=_{mark}"
    out = f'{head}Content-Type: multipart/mixed; boundary="{boundary}"\r\n\r\n'.encode()
    out += f"--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}".encode()
    for file in attachments:
        out += (
            f"\r\n--{boundary}\r\n"
            f'Content-Type: {file.kind}; name="{file.name}"\r\n'
            f'Content-Disposition: attachment; filename="{file.name}"\r\n'
            f"Content-Transfer-Encoding: base64\r\n\r\n"
        ).encode()
        out += base64_lines(file.data)
    return out + f"\r\n--{boundary}--\r\n".encode()


def base64_lines(data: bytes) -> bytes:
    """``data`` in base64, lines of 76 characters with CRLF."""
    pieces = (binascii.b2a_base64(data[at : at + 57], newline=False) for at in range(0, len(data), 57))
    return b"\r\n".join(pieces) + b"\r\n"


def renamed_macros() -> Attachment:
    """A Word document with a macro, dressed as a text file."""
    return Attachment("notes.txt", "text/plain", documents.macro_document())


def locked_zip() -> Attachment:
    """An encrypted archive."""
    data = documents.locked_archive("invoice.txt", b"You owe us nothing.\r\n", b"infected")
    return Attachment("invoice.zip", "application/zip", data)


def locked_pdf() -> Attachment:
    """A PDF that needs a password to be opened."""
    return Attachment(
        "statement.pdf", "application/pdf", documents.pdf(user="correct horse", owner="battery")
    )


def restricted_pdf() -> Attachment:
    """A PDF that everybody can open, with an owner password against printing."""
    return Attachment("brochure.pdf", "application/pdf", documents.pdf(owner="battery"))


def clean_document() -> Attachment:
    """A Word document without macros."""
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    return Attachment("report.docx", kind, documents.docx(["Nothing to see here."]))


def virus() -> Attachment:
    """The EICAR test file."""
    return Attachment("test.com", "application/octet-stream", documents.eicar())
