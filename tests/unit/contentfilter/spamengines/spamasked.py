"""What a spam engine is sent, and what its answer is taken for."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from contentfilter.spamengines.question import Asked

from ..enginedoubles import Message
from ..spamdoubles import HAM
from ..spamdoubles import http as http_answer

CONTENT = b"Subject: x\r\n\r\n.dot\r\n"
SPOOL = Message(b"Subject: x\r\n", b"\r\n..dot\r\n")
SPOOL.size = len(CONTENT)
MAIL = Asked(SPOOL, "a@x.example", ("b@y.example",))


def sent(asked: Any) -> bytes:
    return b"".join(asked.frames())


def answered(asked: Any, *pieces: bytes) -> Any:
    """The answer in ``pieces``, or None; a real one comes after the question has gone out."""
    sent(asked)
    for piece in pieces:
        if (answer := asked.receive(piece)) is not None:
            return answer
    return None


SPLITS = [
    http_answer(HAM),
    http_answer(HAM, close=False),
    b"HTTP/1.1 100 Continue\r\n\r\n" + http_answer(HAM),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n"
    % (HAM[:5], len(HAM) - 5, HAM[5:]),
]


def pieces(data: bytes) -> st.SearchStrategy[list[bytes]]:
    places = st.lists(st.integers(0, len(data)), max_size=6).map(sorted)
    return places.map(lambda cuts: [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)])
