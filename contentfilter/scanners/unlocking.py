"""Locked members of archives, tried with the message's passwords: what the empty one opens is open to all,
what the mail itself tells is looked into and stays locked for whoever judges the mail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from contentfilter.content.part import Context
from contentfilter.passwords.passwords import Password

Opened = TypeVar("Opened")

ENCRYPTED, DEFAULT = "archive-encrypted", "archive-default-password"
TOLD = "the mail tells the password"


def try_passwords(
    context: Context, cost: int, open_with: Callable[[bytes], Opened | None], charsets: tuple[str, ...]
) -> tuple[Password, Opened] | None:
    """The first password that opens something, and what it opened.

    Arguments:
        cost: microseconds of one attempt.
        open_with: returns None for a wrong password.
        charsets: in which a password may be meant, the likeliest first.
    """
    for password in context.passwords.attempts(cost):
        for raw in _octets(password.text, charsets):
            opened = open_with(raw)
            if opened is not None:
                context.passwords.opened(password)
                return password, opened
    return None


def _octets(text: str, charsets: tuple[str, ...]) -> Iterator[bytes]:
    if text.isascii():
        yield text.encode(charsets[0])
        return
    seen: set[bytes] = set()
    for charset in charsets:
        raw = text.encode(charset, "ignore")
        if raw not in seen:
            seen.add(raw)
            yield raw
