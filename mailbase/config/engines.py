"""``contentfilter.clamd`` and ``contentfilter.command``: the virus engines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator

from mailbase.config.places import ConnectPlace
from mailbase.config.units import Duration, Size, between, format_duration
from mailbase.documents import Count, FilledListing, FilledText, Flag, Listing, Location, Section, Text
from mailbase.documents.problems import shown

FILE = "{file}"
"""Stands in a command for the path of the message's file."""
MAX_ADDRESSES = 8
SUSPECTED = ("Heuristics.Phishing.", "Heuristics.Structured.", "PUA.")
"""Beginnings of names that clamd gives to what is no known malware."""


def few(addresses: tuple[str, ...]) -> tuple[str, ...]:
    if len(addresses) > MAX_ADDRESSES:
        raise ValueError(f"expected at most {MAX_ADDRESSES} addresses, got {len(addresses)}")
    if len(set(addresses)) < len(addresses):
        raise ValueError("expected each address once")
    return addresses


def _program(command: tuple[str, ...]) -> tuple[str, ...]:
    if not command[0].startswith("/"):
        raise ValueError(
            f"expected the program's path from the root, such as /usr/bin/clamscan, got {shown(command[0])}"
        )
    if any("\0" in word for word in command):
        raise ValueError("expected words without NUL")
    return command


def _pattern(text: str) -> str:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise ValueError(f"expected a regular expression, got {shown(text)}: {error}") from None
    if pattern.groups < 1:
        raise ValueError(
            f"expected a regular expression with a group (...) around the name, got {shown(text)}"
        )
    return text


Status = Annotated[Count, between(0, 255)]


class ClamdSettings(Section):
    addresses: Annotated[FilledListing[ConnectPlace], AfterValidator(few)] = ("unix:/run/clamav/clamd.ctl",)
    """Sockets of clamd; mail goes to the one with the least to do, the first of equals."""
    timeout: Annotated[Duration, between("1s", "10m")] = 30.0
    """Seconds for one message, waiting included."""
    max_size: Annotated[Size, between("1KiB", "4GiB")] = 25 << 20
    """Octets of the largest message that is given to clamd (its StreamMaxLength)."""
    at_once: Annotated[Count, between(1, 200)] = 10
    """Messages at once at each address (its MaxThreads)."""
    wait: Annotated[Duration, between("0s", "5m")] = 20.0
    """Seconds that messages wait for a clamd to come back, from when the last one went."""
    suspected: Listing[FilledText] = SUSPECTED
    """Beginnings of names that are a guess: ``virus-suspected`` in place of ``virus``."""
    self_test: Flag = True
    """Whether each must find the test virus, at start and every hour."""


class CommandSettings(Section):
    run: Annotated[FilledListing[Text], AfterValidator(_program)]
    """Program and arguments; ``{file}`` is the message's file, else the message is at standard input."""
    timeout: Annotated[Duration, between("1s", "10m")] = 30.0
    """Seconds for one message, waiting included; then the program is killed."""
    max_size: Annotated[Size, between("1KiB", "4GiB")] = 25 << 20
    """Octets of the largest message that is given to it."""
    at_once: Annotated[Count, between(1, 64)] = 2
    """Programs that run at once."""
    wait: Annotated[Duration, between("0s", "5m")] = 20.0
    """Seconds that messages wait for the program to be there again."""
    clean: FilledListing[Status] = (0,)
    """Exit statuses that mean that nothing was found."""
    infected: FilledListing[Status] = (1,)
    """Likewise, that something was found."""
    incomplete: Listing[Status] = ()
    """Likewise, that something could not be looked into; every other is a failure."""
    name: Annotated[Text, AfterValidator(_pattern)] = r": (.+) FOUND"
    """Finds the name of the malware in what the program says: the first group."""
    suspected: Listing[FilledText] = SUSPECTED
    """As for clamd."""
    self_test: Flag = True
    """As for clamd."""


def engine_conflicts(
    clamd: ClamdSettings | None, command: CommandSettings | None, limit: float
) -> Iterator[tuple[Location, str]]:
    """What must not be said of the engines, as (location within ``contentfilter``, message).

    Arguments:
        limit: ``contentfilter.timeouts.reinject``.
    """
    for name, engine in (("clamd", clamd), ("command", command)):
        if engine is not None and engine.timeout > limit:
            yield (
                (name, "timeout"),
                f"expected at most contentfilter.timeouts.reinject ({format_duration(limit)}), "
                f"got {format_duration(engine.timeout)}",
            )
    if command is None:
        return
    seen: dict[int, str] = {}
    for key in ("clean", "infected", "incomplete"):
        for status in getattr(command, key):
            if status in seen:
                yield ("command", key), f"exit status {status} is in {seen[status]} already"
            seen.setdefault(status, key)
