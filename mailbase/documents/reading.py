"""From the bytes of a YAML file to plain data that remembers its lines."""

from __future__ import annotations

import os
import pwd
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mailbase.documents.grammar import MAP, MERGE, SEQ, Loader, scalar
from mailbase.documents.problems import MAX_PROBLEMS, ConfigError, Location, Problem, dotted

MAX_BYTES = 64 << 20
"""Size of a file; a registry of 100,000 domains has about 5 MiB."""
MAX_DEPTH = 40
"""Mappings and lists inside one another."""
MAX_ALIASED = 100_000
"""Values that aliases (``*name``) may add to the file, so that a few lines cannot become gigabytes."""

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


_TAB_INDENT = re.compile(" *\t")


@dataclass(frozen=True, slots=True)
class Document:
    """A file's content.

    Arguments:
        source: its name in messages.
        data: mappings with text keys, lists, text, numbers, booleans and None.
        root: the YAML node that ``data`` was made of; None for an empty file.
    """

    source: str
    data: Any
    root: yaml.Node | None

    def where(self, location: Location) -> tuple[str, int]:
        """Source and line of the value at ``location``, or of the nearest one above it."""
        node, line = self.root, 1
        for step in location:
            pair = _descend(node, step)
            if pair is None:
                break
            line, node = pair
        return self.source, line


def read(path: Path) -> Document:
    """The YAML file at ``path``.

    Raises:
        ConfigError: it cannot be read, is not UTF-8, or is not the YAML we read.
    """
    source = str(path)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _failure(source, "no such file; name the right one or create it") from None
    except IsADirectoryError:
        raise _failure(source, "is a folder; expected a file") from None
    except PermissionError:
        raise _failure(
            source, f"{_user()} may not read it; let that user or its group read it, or be root"
        ) from None
    except (OSError, ValueError) as error:
        raise _failure(source, f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return parse(content, source)


def _slip(line: str, column: int) -> str:
    """What postmasters write that is no YAML, in their words; empty for anything else."""
    if _TAB_INDENT.match(line):
        return "a tab; indent with spaces"
    here = line[column : column + 1]
    if here and here in "@%`":
        return f"a value that begins with {here}; put it in quotes"
    if here == ":" and set(":[") & set(line[:column]):
        return "a colon in a value; put the value in quotes"
    return ""


def _user() -> str:
    try:
        return f"the user {pwd.getpwuid(os.geteuid()).pw_name}"
    except KeyError:
        return f"the user {os.geteuid()}"


def parse(content: bytes, source: str) -> Document:
    """The YAML text ``content``, of which errors speak as ``source``.

    Raises:
        ConfigError: not UTF-8, not YAML, keys twice, or a feature that we do not read.
    """
    if len(content) > MAX_BYTES:
        raise _failure(source, f"larger than {MAX_BYTES >> 20} MiB; this is not such a file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"not UTF-8 (byte 0x{content[error.start]:02x}); save the file in that encoding"
        raise _failure(source, message, line) from None
    if wrong := _UNPRINTABLE.search(text):
        line = text.count("\n", 0, wrong.start()) + 1
        raise _failure(
            source, f"a control character (U+{ord(wrong[0]):04X}) that does not belong in text", line
        )
    try:
        root = yaml.compose(text, Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = ", ".join(part for part in (error.problem, error.context) if part)
        if mark:
            message = _slip(_line(text, mark.line), mark.column) or message
        raise _failure(source, f"not valid YAML: {message}", mark.line + 1 if mark else 1) from None
    except yaml.YAMLError as error:
        raise _failure(source, "not valid YAML: " + " ".join(str(error).split()), 1) from None
    except RecursionError:
        raise _failure(source, f"nested deeper than {MAX_DEPTH} levels", 1) from None
    if root is None:
        return Document(source, None, None)
    plain = _Plain(source)
    data = plain.convert(root, (), False)
    if plain.problems:
        raise ConfigError(plain.problems)
    return Document(source, data, root)


class _Plain:
    """Turns nodes into plain data, once, and collects what is wrong on the way."""

    def __init__(self, source: str) -> None:
        self._source = source
        self.problems: list[Problem] = []
        self._seen: set[int] = set()
        self._open: set[int] = set()
        self._aliased = 0

    def convert(self, node: yaml.Node, location: Location, aliased: bool) -> Any:
        aliased = aliased or id(node) in self._seen
        if aliased:
            self._aliased += 1
            if self._aliased > MAX_ALIASED:
                return self._wrong(
                    node, location[:1], f"at most {MAX_ALIASED} values by way of aliases (*name)"
                )
        self._seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            try:
                return scalar(node.tag, node.value)
            except ValueError as error:
                return self._wrong(node, location, f"expected {error}")
        if node.tag not in (MAP, SEQ):
            return self._wrong(node, location, f"expected plain data, without the tag '{node.tag}'")
        if id(node) in self._open:
            return self._wrong(node, location, "an alias (*name) that holds itself")
        if len(self._open) >= MAX_DEPTH:
            return self._wrong(node, location, f"nested deeper than {MAX_DEPTH} levels")
        self._open.add(id(node))
        result: Any
        if isinstance(node, yaml.MappingNode):
            result = self._mapping(node, location, aliased)
        else:
            assert isinstance(node, yaml.SequenceNode)
            result = [
                self.convert(item, (*location, index), aliased) for index, item in enumerate(node.value)
            ]
        self._open.discard(id(node))
        return result

    def _mapping(self, node: yaml.MappingNode, location: Location, aliased: bool) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._wrong(key, location, "a key must be a single word or text")
            elif key.tag == MERGE:
                for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    content = self.convert(source, (*location, "<<"), aliased)
                    if isinstance(content, dict):
                        merged = content | merged
                    else:
                        self._wrong(key, (*location, "<<"), "expected an alias of a mapping")
            elif key.value in own:
                first = lines[key.value]
                self._wrong(key, (*location, key.value), f"stands here twice; first in line {first}")
            else:
                lines[key.value] = key.start_mark.line + 1
                own[key.value] = self.convert(value, (*location, key.value), aliased)
        return merged | own if merged else own

    def _wrong(self, node: yaml.Node, location: Location, message: str) -> None:
        problem = Problem(self._source, node.start_mark.line + 1, dotted(location), message)
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)


def _descend(node: yaml.Node | None, step: str | int) -> tuple[int, yaml.Node] | None:
    """Line and node one step below ``node``; merged mappings (``<<``) are looked into last."""
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and 0 <= step < len(node.value):
        item = node.value[step]
        return item.start_mark.line + 1, item
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return key.start_mark.line + 1, value
        for key, value in node.value:
            if key.tag == MERGE:
                for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    if found := _descend(source, step):
                        return found
    return None


def _line(text: str, number: int) -> str:
    lines = text.split("\n", number + 1)
    return lines[number] if number < len(lines) else ""


def _failure(source: str, message: str, line: int = 0) -> ConfigError:
    return ConfigError([Problem(source, line, "", message)])
