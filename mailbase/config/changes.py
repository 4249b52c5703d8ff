"""What a reload changes, for the log and for knowing what takes effect only after a restart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from pydantic import BaseModel

from mailbase.documents import Location
from mailbase.documents.problems import dotted


def changes(old: BaseModel, new: BaseModel) -> list[str]:
    """The keys whose values differ between two settings (or two sections), as ``policyd.greylist.delay``.

    The registry's content is not looked into, only where it lies.
    """
    return [dotted(location) for location in _changes(old, new, ())]


def _changes(old: Any, new: Any, at: Location) -> Iterator[Location]:
    if isinstance(old, BaseModel) and isinstance(new, BaseModel):
        for name, field in type(old).model_fields.items():
            yield from _changes(getattr(old, name), getattr(new, name), (*at, field.alias or name))
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted(old.keys() | new.keys()):
            yield from _changes(old.get(key), new.get(key), (*at, key))
    elif isinstance(old, tuple) and isinstance(new, tuple):
        for index, (before, after) in enumerate(zip_longest(old, new)):
            yield from _changes(before, after, (*at, index))
    elif old != new:
        yield at
