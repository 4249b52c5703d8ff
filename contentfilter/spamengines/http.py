"""HTTP/1.1 as far as Rspamd is asked by it (RFC 9112): one request with a body that is streamed, one answer.

h11 reads the answer; here stands what is sent, and how much of an answer is kept. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import h11

from contentfilter.spamengines.question import KEPT, MAX_ANSWER, Nonsense
from mailbase.replies import printable

MAX_HEADER = 16 * 1024
"""Octets of the answer's header."""
SMALL = 64 * 1024
"""Octets that go out in one write."""
MAX_TEXT = 200
"""Characters of an error that are kept."""


class HttpQuestion:
    """See :class:`contentfilter.spamengines.question.Question`; the answer is the body of a ``200``.

    Arguments:
        method: ``GET`` or ``POST``.
        target: path on the server.
        fields: header fields; values without line ends.
        size: octets of the body.
        body: its pieces; read only as they are sent.
    """

    closing = False
    """Rspamd would take it for a client that is gone."""

    def __init__(
        self,
        method: str,
        target: str,
        fields: Sequence[tuple[bytes, bytes]] = (),
        size: int = 0,
        body: Iterable[bytes] = (),
    ) -> None:
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEADER)
        length = [(b"Content-Length", b"%d" % size)] if method == "POST" else []
        self._request = h11.Request(
            method=method,
            target=target,
            headers=[(b"Host", b"localhost"), *fields, *length, (b"Connection", b"keep-alive")],
        )
        self._body = body
        self._status = 0
        self._reason = ""
        self._kept = bytearray()
        self._seen = 0

    @property
    def reusable(self) -> bool:
        """Whether the server keeps the connection, and nothing came behind the answer."""
        connection = self._connection
        # Both DONE: both said all, and neither said that it would close.
        done = connection.our_state is h11.DONE and connection.their_state is h11.DONE
        return done and connection.trailing_data == (b"", False)

    def frames(self) -> Iterator[bytes]:
        """See there."""
        out = self._send(self._request)
        for piece in self._body:
            out += self._send(h11.Data(data=piece))
            if len(out) >= SMALL:
                yield out
                out = b""
        yield out + self._send(h11.EndOfMessage())

    def receive(self, data: bytes) -> bytes | None:
        """See there."""
        # To h11 nothing is the end.
        return self._receive(data) if data else None

    def ended(self) -> bytes:
        """See there."""
        answer = self._receive(b"")
        if answer is None:
            raise Nonsense("the connection was closed before the end of the answer")
        return answer

    def _receive(self, data: bytes) -> bytes | None:
        try:
            self._connection.receive_data(data)
            return self._read()
        except h11.RemoteProtocolError as error:
            raise Nonsense(f"not HTTP: {printable(str(error), MAX_TEXT)}") from error

    def _send(self, event: h11.Event) -> bytes:
        return self._connection.send(event) or b""

    def _read(self) -> bytes | None:
        while True:
            event = self._connection.next_event()
            match event:
                case h11.Response():
                    self._status = event.status_code
                    self._reason = printable(bytes(event.reason), MAX_TEXT)
                case h11.Data():
                    self._seen += len(event.data)
                    if self._seen > MAX_ANSWER:
                        raise Nonsense(f"an answer of more than {MAX_ANSWER} octets")
                    self._kept += event.data[: KEPT - len(self._kept)]
                case h11.EndOfMessage():
                    return self._answer()
                case h11.InformationalResponse():
                    pass
                case _:
                    # Nothing more for now, or the connection has ended.
                    return None

    def _answer(self) -> bytes:
        if self._status != 200:
            said = printable(bytes(self._kept), MAX_TEXT)
            raise Nonsense(f"HTTP {self._status} {self._reason}: {said}".rstrip(": "))
        return bytes(self._kept)
