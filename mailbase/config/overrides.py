"""``--set key.path=value``: single values laid over the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mailbase.documents import ConfigError, Document, Location, Problem, parse
from mailbase.documents.problems import dotted, readable

SOURCE = "--set"


@dataclass(slots=True)
class Layered:
    """A file's data with overrides on top; knows which of both a value came from."""

    document: Document
    data: Any
    _set: list[Location] = field(default_factory=list)

    def where(self, location: Location) -> tuple[str, int]:
        """Source and line of a value, as :meth:`Document.where`."""
        if any(location[: len(path)] == path for path in self._set):
            return SOURCE, 0
        if any(path[: len(location)] == location for path in self._set) and not self._in_file(location):
            return SOURCE, 0
        return self.document.where(location)

    def _in_file(self, location: Location) -> bool:
        data: Any = self.document.data
        for step in location:
            try:
                data = data[step]
            except (KeyError, IndexError, TypeError):
                return False
        return True

    def set(self, path: Location, value: Any) -> None:
        """Put ``value`` at ``path``; mappings on the way are made where there are none.

        Raises:
            ValueError: something on the way is neither a mapping nor a list that has the position.
        """
        self.data = _with(self.data, path, value)
        self._set.append(path)


def apply(document: Document, overrides: Sequence[str]) -> Layered:
    """``document`` with ``overrides`` of the form ``key.path=value`` on top, the value in YAML.

    Raises:
        ConfigError: with every override that cannot be read or placed.
    """
    layered = Layered(document, document.data)
    problems = []
    for text in overrides:
        key, equals, value = text.partition("=")
        path = _path(key)
        if not equals or path is None:
            problems.append(Problem(SOURCE, 0, "", f"expected key.path=value, got '{readable(text, 80)}'"))
            continue
        try:
            layered.set(path, parse(value.encode("utf-8", "surrogateescape"), SOURCE).data)
        except ConfigError as error:
            problems += [Problem(SOURCE, 0, dotted(path), problem.message) for problem in error.problems]
        except ValueError as error:
            problems.append(Problem(SOURCE, 0, dotted(path), str(error)))
    if problems:
        raise ConfigError(problems)
    return layered


def _path(key: str) -> Location | None:
    steps = key.strip().replace("[", ".").replace("]", "").split(".")
    if not all(steps):
        return None
    return tuple(int(step) if step.isascii() and step.isdigit() and len(step) < 6 else step for step in steps)


def _with(data: Any, path: Location, value: Any) -> Any:
    """A copy of ``data`` with ``value`` at ``path``; what is beside the way is shared."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(data, list):
        if not isinstance(step, int) or step >= len(data):
            raise ValueError(f"expected a position in the list, 0 to {len(data) - 1}, got '{step}'")
        return [*data[:step], _with(data[step], rest, value), *data[step + 1 :]]
    if data is None:
        if isinstance(step, int):
            raise ValueError("the file has no list here; set the whole list, as in key=[first, second]")
        data = {}
    if not isinstance(data, dict):
        raise ValueError(f"'{step}' cannot be set: what is above it is a single value")
    return data | {str(step): _with(data.get(str(step)), rest, value)}
