"""A message's header as signatures cover it: each field as it was sent (RFC 6376 3.4, RFC 5322 2.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from contentfilter.authentication.tags import read_tags
from contentfilter.message.wire import Wire

MAX_HEADER = 256 * 1024
"""Octets of a header that are read; Postfix keeps 102,400 (``header_size_limit``)."""
MAX_FIELDS = 4000
"""Fields of a header."""

_FIELD = re.compile(rb"([!-9;-~]+)([ \t]*):([^\n]*\n(?:[ \t][^\n]*\n)*)")
_BLANK = re.compile(rb"\r?\n")
_MBOX = re.compile(rb">?From [^\n]*\n")


class Field:
    """One field.

    Arguments:
        name: as it is written.
        gap: blanks in front of the colon; only mail from before 2001 has any.
        value: what stands behind the colon, folded as it is, with the last CRLF.
    """

    __slots__ = ("_relaxed", "_tags", "gap", "key", "name", "value")

    def __init__(self, name: bytes, gap: bytes, value: bytes) -> None:
        self.name = name
        self.gap = gap
        self.value = value
        self.key = name.lower()
        self._relaxed: bytes | None = None
        self._tags: dict[bytes, bytes] | None = None

    @property
    def simple(self) -> bytes:
        """The octets to be signed under ``simple`` (RFC 6376 3.4.1)."""
        return b"%b%b:%b" % (self.name, self.gap, self.value)

    @property
    def relaxed(self) -> bytes:
        """The octets to be signed under ``relaxed`` (RFC 6376 3.4.2)."""
        if self._relaxed is None:
            self._relaxed = b"%b:%b\r\n" % (self.key, unfolded(self.value))
        return self._relaxed

    def tags(self) -> dict[bytes, bytes]:
        """The value as a tag list; not to be changed.

        Raises:
            Malformed: it is none.
        """
        if self._tags is None:
            self._tags = read_tags(unfolded(self.value))
        return self._tags


@dataclass(slots=True)
class Header:
    """A message's header.

    Arguments:
        fields: in their order.
        body: position in the wire at which the body begins.
        complete: False if there is more of it than is read.
    """

    fields: list[Field]
    body: int
    complete: bool = True


def with_line_ends(text: bytes) -> bytes:
    """``text`` with a CR in front of every LF."""
    if text.count(b"\n") == text.count(b"\r\n"):
        return text
    return text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def compressed(text: bytes) -> bytes:
    """``text`` with each run of blanks one space."""
    if b"\t" in text:
        text = text.replace(b"\t", b" ")
    # Half as many in each turn.
    while b"  " in text:
        text = text.replace(b"  ", b" ")
    return text


def unfolded(value: bytes) -> bytes:
    """A value in one line, each run of blanks one space, none at its ends (RFC 6376 3.4.2)."""
    return compressed(value.replace(b"\r\n", b"")).strip(b" ")


def read_header(wire: Wire) -> Header:
    """The header of a message.

    Lines end where Postfix ends them, with LF, CR or none before it; a first line that is no field is the
    first of the body, as it is for Postfix.

    Raises:
        OSError: the message cannot be read.
    """
    text = wire.text(0, min(wire.length, MAX_HEADER))
    if wire.length <= MAX_HEADER and not text.endswith(b"\n"):
        text += b"\r\n"
    fields: list[Field] = []
    mbox = _MBOX.match(text)
    at = mbox.end() if mbox else 0
    while len(fields) < MAX_FIELDS:
        found = _FIELD.match(text, at)
        if found is None:
            break
        name, gap, value = found.groups()
        value = with_line_ends(value)
        fields.append(Field(name, gap, value))
        at = found.end()
    else:
        return Header(fields, wire.length, complete=False)
    if len(text) < wire.length and b"\n" not in text[at:]:
        return Header(fields, wire.length, complete=False)
    blank = _BLANK.match(text, at)
    end = blank.end() if blank else at
    return Header(fields, min(_in_wire(wire, text, end), wire.length))


def _in_wire(wire: Wire, text: bytes, at: int) -> int:
    """The position in the wire of one in ``text``, its beginning without dot-stuffing."""
    dots = text.startswith(b".", 0, at) + text.count(b"\r\n.", 0, at)
    if not dots or wire.raw(0, at) == text[:at]:
        return at
    return at + dots
