"""What the analysers learn of a mail beside clues, for the daemon to look up or to compare. Pure.

A worker that a hostile mail has broken into may say anything here; so every field is bounded and checked when
it arrives, and nothing in it is worth more than a question to a name server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contentfilter.authentication.outcome import Authentication
from mailbase.bulk import KEY_SIZE, MAX_KEYS
from mailbase.statistics.lesson import decode_lesson

MAX_HOSTS = 50
"""Hosts of links that are told."""
MAX_HOST = 255
"""Characters of one (RFC 1035 2.3.4)."""


@dataclass(frozen=True, slots=True)
class Traits:
    """Arguments:
    hosts: of the links in the mail, as they are looked up: lower case, without port; the most telling first.
    authentication: who vouches for the mail; None if that was not looked at.
    lesson: what statistics would learn of the mail (:mod:`mailbase.statistics.lesson`), in base64; empty
        but in the answer to a task that asks for it.
    bulk: keys of the text's fuzzy digest (:mod:`contentfilter.statistics.digest`), in hexadecimal.
    """

    hosts: tuple[str, ...] = ()
    authentication: Authentication | None = None
    lesson: str = ""
    bulk: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON types; what is empty is left out."""
        data: dict[str, Any] = {}
        if self.hosts:
            data["hosts"] = list(self.hosts[:MAX_HOSTS])
        if self.authentication is not None:
            data["authentication"] = self.authentication.to_json()
        if self.lesson:
            data["lesson"] = self.lesson
        if self.bulk:
            data["bulk"] = list(self.bulk[:MAX_KEYS])
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Traits:
        """The reverse of :meth:`to_dict`.

        Raises:
            ValueError: a field is of the wrong type, or beyond its bound.
        """
        authentication = data.get("authentication")
        return cls(
            hosts=_texts(data.get("hosts", ()), MAX_HOSTS, MAX_HOST),
            authentication=None if authentication is None else Authentication.from_json(authentication),
            lesson=_lesson(data.get("lesson", "")),
            bulk=_texts(data.get("bulk", ()), MAX_KEYS, 2 * KEY_SIZE),
        )


NO_TRAITS = Traits()


def _texts(value: object, count: int, length: int) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or len(value) > count:
        raise ValueError(f"expected at most {count} texts")
    if not all(isinstance(item, str) and len(item) <= length and item.isprintable() for item in value):
        raise ValueError(f"expected texts of at most {length} characters")
    return tuple(value)


def _lesson(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("expected a lesson")
    if value:
        decode_lesson(value)
    return value
