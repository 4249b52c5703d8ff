"""Postfix's policy delegation protocol without a socket: bytes in, requests out (SMTPD_POLICY_README).

A request is ``name=value`` lines, each ended by LF, and an empty line. :class:`PolicyProtocol` gives the same
events however the input is split. After an error it gives nothing more: the connection is to be closed
without a reply, for a reply to half-understood input could be taken for another request's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from mailbase.replies import MAX_POLICY_TEXT, printable
from policyd.protocol.layout import Layout, layout_of
from policyd.protocol.request import Request, attributes_of, frequent_of

MAX_REQUEST = 64 * 1024
"""Octets of a request, its empty line included."""
REQUEST_TYPE = "smtpd_access_policy"

REASONS = ("too-large", "nul", "malformed", "no-request", "unknown-request")
"""Why input is given up; names for log and metrics."""


@dataclass(frozen=True, slots=True)
class ProtocolError:
    """Input that is no policy request.

    Arguments:
        reason: one of :data:`REASONS`.
    """

    reason: str


Event: TypeAlias = "Request | ProtocolError"


class PolicyProtocol:
    """Takes bytes apart; holds at most one incomplete request."""

    __slots__ = ("_buffer", "_failed", "_layout")

    def __init__(self) -> None:
        self._buffer = b""
        self._failed = False
        self._layout: Layout | None = None

    @property
    def buffered(self) -> int:
        """Octets held of an incomplete request."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Event]:
        """The requests that ``data`` completes, in order; a :class:`ProtocolError` is the last event ever."""
        if self._failed:
            return []
        layout = self._layout
        if layout is not None and not self._buffer and len(data) <= MAX_REQUEST and 0 not in data:
            # What nearly always comes: one whole request, as the last one was. NUL is looked for as a number:
            # given octets, Python first fails to take them for one.
            request = layout.request(data.decode("utf-8", "replace"))
            if request is not None:
                return [request]
        if self._buffer:
            # The end may be split, so one octet of what was searched before is searched again.
            start = len(self._buffer) - 1
            data = self._buffer + data
        else:
            start = 0
        events: list[Event] = []
        begin = 0
        while (end := data.find(b"\n\n", start)) >= 0:
            block = data[begin:end]
            begin = start = end + 2
            event = self._parse(block)
            events.append(event)
            if type(event) is ProtocolError:
                return self._fail(events)
        self._buffer = data[begin:] if begin else data
        if len(self._buffer) >= MAX_REQUEST:
            events.append(ProtocolError("too-large"))
            return self._fail(events)
        return events

    def _parse(self, block: bytes) -> Event:
        if len(block) + 2 > MAX_REQUEST:
            return ProtocolError("too-large")
        if b"\0" in block:
            return ProtocolError("nul")
        # Invalid UTF-8 becomes U+FFFD, once and here, so that nothing behind ever meets a surrogate.
        text = block.decode("utf-8", "replace")
        try:
            attributes = attributes_of(text)
        except ValueError:
            # A line without "=".
            return ProtocolError("malformed")
        if attributes.get("request") != REQUEST_TYPE:
            return ProtocolError("unknown-request" if "request" in attributes else "no-request")
        self._layout = layout_of(
            tuple([line.partition("=")[0] for line in text.split("\n")]), request=REQUEST_TYPE
        )
        return Request().fill(frequent_of(attributes), text)

    def _fail(self, events: list[Event]) -> list[Event]:
        self._failed = True
        self._buffer = b""
        return events


def encode(action: str) -> bytes:
    """The reply for ``action``, such as ``DUNNO`` or ``554 5.7.1 text``: printable ASCII, bounded."""
    if action == "DUNNO":
        return b"action=DUNNO\n\n"
    return b"action=" + printable(action, MAX_POLICY_TEXT).encode("ascii") + b"\n\n"
