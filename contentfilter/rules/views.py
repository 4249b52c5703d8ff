"""What tests look at: for each kind of test the texts of a letter that its expressions are searched in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from contentfilter.rules.condition import Condition
from contentfilter.rules.reading import Reading

Cells: TypeAlias = Sequence[bytes]
"""Texts in UTF-8; of views with the same rows (``url.host`` and ``url.path``) in the same order."""


@dataclass(frozen=True, slots=True)
class View:
    """Arguments:
    name: of it; unique.
    title: of it, for people.
    cells: takes the texts out of a reading.
    flowing: the texts are one, and matches are counted within it.
    field: the header field that it looks at; without one there are no texts.
    rare: see :class:`contentfilter.rules.pattern.PatternSet`.
    """

    name: str
    title: str
    cells: Callable[[Reading], Cells]
    flowing: bool = False
    field: str = ""
    rare: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """One test: a row fits where each of the columns does.

    Arguments:
        columns: views, and the expression for each.
        at_least: rows that must fit; places, in a flowing view.
        row: what else a row must be, by its number.
    """

    columns: tuple[tuple[View, str], ...]
    at_least: int = 1
    row: Callable[[Reading, int], bool] | None = None


def _octets(texts: Sequence[str]) -> Cells:
    return [text.encode("utf-8", "replace") for text in texts]


_VIEWS: Mapping[str, View] = {
    view.name: view
    for view in (
        View("body", "text", lambda reading: (reading.body,), flowing=True, rare=True),
        View("raw", "source", lambda reading: (reading.raw,), flowing=True),
        View("url.matches", "link", lambda reading: _octets([url.text for url in reading.urls])),
        View("url.host", "link", lambda reading: _octets([url.host for url in reading.urls])),
        View("url.path", "link", lambda reading: _octets([url.rest for url in reading.urls])),
        View(
            "attachment.name",
            "attachment",
            lambda reading: _octets([one.name for one in reading.attachments]),
        ),
        View(
            "attachment.media",
            "attachment",
            lambda reading: _octets([one.media for one in reading.attachments]),
        ),
        View("mime.media", "part", lambda reading: _octets([part.media for part in reading.parts])),
        View("mime.charset", "part", lambda reading: _octets([part.charset for part in reading.parts])),
        View("mime.encoding", "part", lambda reading: _octets([part.encoding for part in reading.parts])),
    )
}


def header_view(name: str, part: str) -> View:
    """The view of one header field."""
    title = name if part == "value" else f"{name} ({part})"

    def cells(reading: Reading) -> Cells:
        if name not in reading.letter:
            return ()
        if part == "raw":
            # Most are in UTF-8 as they are.
            return [
                field.raw if field.raw.isascii() else field.raw.decode("utf-8", "replace").encode("utf-8")
                for field in reading.letter.all(name)
            ]
        return _octets(reading.values(name, part))

    return View(f"header.{name}.{part}", title, cells, field=name)


def searches(condition: Condition) -> list[Search]:
    """A test as searches, of which one is enough; none for conditions that are no search."""
    if (header := condition.header) is not None:
        pattern = "" if header.matches is None else header.matches
        return [
            Search(((header_view(name, header.part), pattern),), header.at_least) for name in header.field
        ]
    for kind in ("body", "raw"):
        if (text := getattr(condition, kind)) is not None:
            return [Search(((_VIEWS[kind], text.matches),), text.at_least)]
    for kind, aspects in (("url", ("matches", "host", "path")), ("mime", ("media", "charset", "encoding"))):
        if (test := getattr(condition, kind)) is not None:
            return [Search(_columns(kind, aspects, test), test.at_least)]
    if (wanted := condition.attachment) is not None:
        larger, smaller = wanted.larger, wanted.smaller
        columns = _columns("attachment", ("name", "media"), wanted) or ((_VIEWS["attachment.name"], ""),)
        if larger is None and smaller is None:
            return [Search(columns, wanted.at_least)]

        def fits(reading: Reading, number: int) -> bool:
            size = reading.attachments[number].size
            return (larger is None or size > larger) and (smaller is None or size < smaller)

        return [Search(columns, wanted.at_least, fits)]
    return []


def _columns(kind: str, aspects: Sequence[str], test: object) -> tuple[tuple[View, str], ...]:
    given = ((aspect, getattr(test, aspect)) for aspect in aspects)
    return tuple((_VIEWS[f"{kind}.{aspect}"], pattern) for aspect, pattern in given if pattern is not None)
