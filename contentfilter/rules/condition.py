"""Conditions as a matcher reads them, and as JSON: what :mod:`contentfilter.rules.model` makes of a file.

They are plain, so that a scan worker needs nothing of what reads and checks files. What they mean, and which
may stand together, is said there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class HeaderTest:
    """See :class:`contentfilter.rules.model.HeaderTest`."""

    field: tuple[str, ...]
    matches: str | None = None
    part: str = "value"
    absent: bool = False
    at_least: int = 1


@dataclass(frozen=True, slots=True)
class TextTest:
    """See :class:`contentfilter.rules.model.TextTest`."""

    matches: str
    at_least: int = 1


@dataclass(frozen=True, slots=True)
class PhrasesTest:
    """See :class:`contentfilter.rules.model.PhrasesTest`."""

    of: tuple[str, ...]
    at_least: int = 1


@dataclass(frozen=True, slots=True)
class UrlTest:
    """See :class:`contentfilter.rules.model.UrlTest`."""

    matches: str | None = None
    host: str | None = None
    path: str | None = None
    at_least: int = 1


@dataclass(frozen=True, slots=True)
class AttachmentTest:
    """See :class:`contentfilter.rules.model.AttachmentTest`."""

    name: str | None = None
    media: str | None = None
    larger: int | None = None
    smaller: int | None = None
    at_least: int = 1


@dataclass(frozen=True, slots=True)
class MimeTest:
    """See :class:`contentfilter.rules.model.MimeTest`."""

    media: str | None = None
    charset: str | None = None
    encoding: str | None = None
    at_least: int = 1


@dataclass(frozen=True, slots=True)
class CountTest:
    """See :class:`contentfilter.rules.model.CountTest`."""

    of: tuple[Condition, ...]
    at_least: int


@dataclass(frozen=True, slots=True)
class Condition:
    """One test, or one combination of conditions; see :class:`contentfilter.rules.model.Condition`."""

    header: HeaderTest | None = None
    phrases: PhrasesTest | None = None
    body: TextTest | None = None
    raw: TextTest | None = None
    mime: MimeTest | None = None
    url: UrlTest | None = None
    attachment: AttachmentTest | None = None
    fact: str | None = None
    rule: str | None = None
    all: tuple[Condition, ...] | None = None
    any: tuple[Condition, ...] | None = None
    negated: Condition | None = None
    count: CountTest | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON types; what is not said is left out."""
        return _said(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Condition:
        """The reverse, of what was checked.

        Raises:
            TypeError: it never was that.
        """
        return cls(**{kind: _READ.get(kind, _as_it_is)(value) for kind, value in data.items()})


Test: TypeAlias = HeaderTest | TextTest | PhrasesTest | UrlTest | AttachmentTest | MimeTest | CountTest


def named(condition: Condition) -> Iterator[str]:
    """The rules that ``condition`` names, wherever in it."""
    if condition.rule is not None:
        yield condition.rule
    for member in members(condition):
        yield from named(member)


def members(condition: Condition) -> Sequence[Condition]:
    """The conditions that ``condition`` combines."""
    if condition.negated is not None:
        return (condition.negated,)
    if condition.count is not None:
        return condition.count.of
    return condition.all or condition.any or ()


def _said(what: Condition | Test) -> dict[str, Any]:
    values = ((field, getattr(what, field.name)) for field in fields(what))
    return {field.name: _plain(value) for field, value in values if value != field.default}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value if isinstance(value, str | int) else _said(value)


def _as_it_is(value: Any) -> Any:
    return value


def _conditions(value: Any) -> tuple[Condition, ...]:
    return tuple(map(Condition.from_dict, value))


_READ: Mapping[str, Callable[[Any], Any]] = {
    "header": lambda value: HeaderTest(**{**value, "field": tuple(value["field"])}),
    "phrases": lambda value: PhrasesTest(**{**value, "of": tuple(value["of"])}),
    "body": lambda value: TextTest(**value),
    "raw": lambda value: TextTest(**value),
    "mime": lambda value: MimeTest(**value),
    "url": lambda value: UrlTest(**value),
    "attachment": lambda value: AttachmentTest(**value),
    "all": _conditions,
    "any": _conditions,
    "negated": Condition.from_dict,
    "count": lambda value: CountTest(_conditions(value["of"]), value["at_least"]),
}
