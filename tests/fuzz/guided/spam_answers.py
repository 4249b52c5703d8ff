"""The readers of what Rspamd and spamd answer: whole, and in two pieces, they say the same."""

from __future__ import annotations

from contentfilter.content.clues import MAX_DETAIL
from contentfilter.spamengines import rspamd, spamd
from contentfilter.spamengines.opinion import Opinion
from contentfilter.spamengines.question import Nonsense, Question

_BODY = b'{"is_skipped":false,"score":7.5,"required_score":15.0,"action":"x","symbols":{"A":{"score":1}}}'
SEEDS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(_BODY), _BODY),
    b"HTTP/1.0 500 no\r\n\r\n{}",
    b"SPAMD/1.1 0 EX_OK\r\nContent-length: 3\r\nSpam: True ; 7.5 / 5.0\r\n\r\nA,B",
    b"SPAMD/1.0 79 Timeout\r\n",
    _BODY,
]


def _ask(question: Question, *pieces: bytes) -> bytes | None:
    list(question.frames())
    try:
        for piece in pieces:
            if (answer := question.receive(piece)) is not None:
                return answer
        return question.ended()
    except Nonsense:
        return None


def target(data: bytes) -> None:
    middle = len(data) // 2
    for engine in (rspamd, spamd):
        answer = _ask(engine.ping(), data)
        assert answer == _ask(engine.ping(), data[:middle], data[middle:])
        for said in (data, answer or b""):
            try:
                opinion: Opinion = engine.opinion(said)
            except Nonsense:
                continue
            text = str(opinion)
            assert text.isascii()
            assert text.isprintable()
            assert len(text) <= MAX_DETAIL
