"""The one encoder for everything that leaves us as a reply or a header line.

Bytes from outside (HELO names, addresses, DNS texts, attachment names) may hold line ends, NULs or
invalid UTF-8. Echoed raw they could end a policy reply early, forge a header line, or make Postfix fall
back to its default action. So text becomes printable ASCII here, bounded, and nowhere else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_POLICY_TEXT = 500
"""Bytes of a policy action that Postfix keeps are 510; a margin for the decision id stays."""
MAX_REPLY_TEXT = 480
"""RFC 5321 4.5.3.1.5 allows 512 octets for a reply line, code and CRLF included."""
MAX_NAME = 60
"""Attachment names are cut to this many characters."""

_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")
_CODES = re.compile(r"[2-5][0-9][0-9](?:[ -][245]\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9.]))?")
_REPLY = re.compile(rb"[2-5][0-9][0-9][ -]")


def printable(text: str | bytes, limit: int = MAX_REPLY_TEXT) -> str:
    """``text`` as printable ASCII of at most ``limit`` characters.

    Every other character becomes ``?``; a cut is shown by three dots. Bytes are taken one by one, so
    that no encoding trick survives.
    """
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    clean = _UNPRINTABLE.sub("?", text[: limit + 1])
    return clean if len(clean) <= limit else clean[: limit - 3] + "..."


def name(text: str | bytes) -> str:
    """An attachment name or similar, quoted, safe inside a reply or header line."""
    return '"' + printable(text, MAX_NAME).replace('"', "'").replace("\\", "/") + '"'


@dataclass(frozen=True, slots=True)
class Reply:
    """An SMTP reply of ours (RFC 5321 4.2, RFC 2034).

    Arguments:
        code: three digits, 200 to 599.
        status: enhanced status code such as ``5.7.1``; empty for replies that have none (220, 354, EHLO).
        text: public text; encoded on the way out.
        verbatim: a back end's reply, lines without CRLF, passed on as it came; the other fields then only
            classify it.
    """

    code: int
    status: str
    text: str
    verbatim: tuple[bytes, ...] = ()

    def __str__(self) -> str:
        """The reply in one line, as it stands in a log."""
        if self.verbatim:
            return printable(b" / ".join(self.verbatim))
        return (
            f"{self.code} {self.status} {printable(self.text)}"
            if self.status
            else f"{self.code} {printable(self.text)}"
        )

    @property
    def bare(self) -> str:
        """As :meth:`__str__`; a refusal without its words, which may name somebody, or a file."""
        text = str(self)
        found = None if self.positive else _CODES.match(text)
        return text if found is None else found[0]

    def encode(self) -> bytes:
        """The bytes for the wire, CRLF included."""
        if self.verbatim:
            return b"".join(line + b"\r\n" for line in self.verbatim)
        return str(self).encode("ascii") + b"\r\n"

    @classmethod
    def relayed(cls, lines: list[bytes]) -> Reply:
        """A back end's reply, to be passed on unchanged.

        Arguments:
            lines: as received, without CRLF; each must start with the same three-digit code.

        Raises:
            ValueError: not an SMTP reply.
        """
        if not lines or not all(
            _REPLY.match(line + b" ") and b"\n" not in line and b"\r" not in line for line in lines
        ):
            raise ValueError("not an SMTP reply")
        return cls.read(lines)

    @classmethod
    def read(cls, lines: list[bytes]) -> Reply:
        """Likewise, of lines that are known to be a reply."""
        return cls(int(lines[0][:3]), "", printable(lines[-1][4:]), tuple(lines))

    @property
    def positive(self) -> bool:
        return 200 <= self.code < 400


def header_line(field: str, text: str) -> bytes:
    """One header line ``field: text`` CRLF, printable ASCII, at most 998 octets (RFC 5322 2.1.1)."""
    return f"{field}: {printable(text, 990 - len(field))}\r\n".encode("ascii")
