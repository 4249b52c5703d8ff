"""What Rspamd is asked, and what its answers mean (rspamd.com/doc/developers/protocol.html). Pure.

A mail goes to ``/checkv2`` whole, with what the envelope says in header fields. Of the JSON that comes back
only the fields that are needed are read, as they come: behind them stand URLs and addresses out of the mail,
as many as it has.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NoReturn

from contentfilter.spamengines.http import HttpQuestion
from contentfilter.spamengines.opinion import Opinion, Symbol, heaviest, number
from contentfilter.spamengines.question import KEPT, Asked, Nonsense
from mailbase.replies import printable

MAX_FIELDS = 32 * 1024
"""Octets of recipients that it is told of; it takes 80 KiB of header."""
MAX_ACTION = 30
"""Characters of an action."""

_WANTED = frozenset({"is_skipped", "score", "required_score", "action", "symbols"})
_SPACE = " \t\r\n"


def check(asked: Asked) -> HttpQuestion:
    """The question what it thinks of a mail."""
    return HttpQuestion("POST", "/checkv2", list(_fields(asked)), asked.size, asked.content())


def ping() -> HttpQuestion:
    """The question whether it is there."""
    return HttpQuestion("GET", "/ping")


def pong(answer: bytes) -> bool:
    """Whether this answers :func:`ping`."""
    return answer.strip() == b"pong"


def opinion(answer: bytes) -> Opinion:
    """What it says of a mail.

    Arguments:
        answer: the body; what is longer than ``KEPT`` is cut.

    Raises:
        Nonsense: it says nothing that can be understood.
    """
    fields: dict[str, Any] = {}
    try:
        for key, value in _members(answer.decode("utf-8", "replace")):
            if key in _WANTED:
                fields.setdefault(key, value)
                if len(fields) == len(_WANTED):
                    break
    except (ValueError, RecursionError) as error:
        # What was cut off in the middle of the symbols has a score all the same.
        if len(answer) < KEPT or "score" not in fields:
            raise Nonsense(f"not its JSON: {printable(str(error), 100)}") from error
    if "score" not in fields:
        raise Nonsense("an answer without a score")
    symbols = fields.get("symbols", {})
    if not isinstance(symbols, dict):
        raise Nonsense("symbols that are no object")
    required, action = fields.get("required_score"), fields.get("action", "")
    top, more = heaviest(_symbols(symbols))
    return Opinion(
        number(fields["score"]),
        None if required is None else number(required),
        top,
        more,
        printable(action, MAX_ACTION) if isinstance(action, str) else "",
        fields.get("is_skipped") is True,
    )


def _fields(asked: Asked) -> Iterator[tuple[bytes, bytes]]:
    yield b"From", b"<%b>" % _value(asked.sender)
    room = MAX_FIELDS
    for recipient in asked.recipients:
        value = b"<%b>" % _value(recipient)
        room -= len(value) + len("Rcpt: \r\n")
        if room < 0:
            break
        yield b"Rcpt", value
    if len(asked.recipients) == 1:
        yield b"Deliver-To", _value(asked.recipients[0])
    for name, text in (
        (b"IP", asked.address),
        (b"Helo", asked.helo),
        (b"Hostname", asked.name),
        (b"User", asked.user),
        (b"Queue-Id", asked.id),
    ):
        if value := _value(text):
            yield name, value


def _value(text: str) -> bytes:
    """``text`` so that it can stand in a header field: no control characters, no space around it."""
    raw = text.encode("utf-8", "replace")
    return bytes(octet if octet > 31 and octet != 127 else 63 for octet in raw).strip()


def _symbols(found: dict[str, Any]) -> Iterator[Symbol]:
    for name, about in found.items():
        # Versions of the field: metric_score has a factor for the number of hits in it.
        score = about.get("metric_score", about.get("score")) if isinstance(about, dict) else None
        yield Symbol(name, None if score is None else number(score))


def _members(text: str) -> Iterator[tuple[str, Any]]:
    """The members of a JSON object, one by one, so that nothing need be read behind those that are wanted.

    Raises:
        ValueError: it is none.
        RecursionError: it is too deep.
    """
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    place = _next(text, 0, "{")
    if text[_skip(text, place) :].startswith("}"):
        return
    while True:
        key, place = decoder.raw_decode(text, _skip(text, place))
        if not isinstance(key, str):
            raise ValueError("a key that is no text")
        value, place = decoder.raw_decode(text, _skip(text, _next(text, place, ":")))
        yield key, value
        place = _skip(text, place)
        if text.startswith("}", place):
            return
        place = _next(text, place, ",")


def _skip(text: str, place: int) -> int:
    while place < len(text) and text[place] in _SPACE:
        place += 1
    return place


def _next(text: str, place: int, wanted: str) -> int:
    """The place behind ``wanted``, which must come next."""
    place = _skip(text, place)
    if not text.startswith(wanted, place):
        raise ValueError(f"expected {wanted} at {place}")
    return place + 1


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
