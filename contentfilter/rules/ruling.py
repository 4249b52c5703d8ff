"""The rules in force, and the form in which the daemon hands them to its workers."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from contentfilter.rules.condition import Condition

if TYPE_CHECKING:
    # Not in a worker, which gets what was read.
    from contentfilter.rules.model import Sample


@dataclass(frozen=True, slots=True)
class Ruling:
    """A rule as it is in force.

    Arguments:
        name: of the rule; its clue is ``rule.<name>``.
        condition: when it fires.
        points: what it adds; None for one that is only named by others.
        shadow: it is reported and adds nothing.
        unless: an operator's exception to it.
        off: it never holds.
        source, line: where it stands.
        description: what it recognises.
        hits, misses: mails that it must, or must not, fire on.
    """

    name: str
    condition: Condition
    points: float | None
    shadow: bool
    unless: Condition | None = None
    off: bool = False
    source: str = ""
    line: int = 0
    description: str = ""
    hits: tuple[Sample, ...] = ()
    misses: tuple[Sample, ...] = ()

    def to_list(self) -> list[Any]:
        """As JSON types, without what is there for people alone."""
        unless = None if self.unless is None else self.unless.to_dict()
        return [self.name, self.condition.to_dict(), self.points, self.shadow, unless, self.off]

    @classmethod
    def from_list(cls, data: list[Any]) -> Ruling:
        """The reverse."""
        name, condition, points, shadow, unless, off = data
        exception = None if unless is None else Condition.from_dict(unless)
        return cls(name, Condition.from_dict(condition), points, shadow, exception, off)


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules by name; none names another that comes after it, so they can be decided in this order."""

    rulings: Mapping[str, Ruling]

    def points(self) -> dict[str, float]:
        """What each rule with points adds to a total; nothing where it is a shadow."""
        return {
            ruling.name: 0.0 if ruling.shadow else ruling.points
            for ruling in self.rulings.values()
            if ruling.points is not None and not ruling.off
        }

    def pack(self) -> str:
        """The rules for :meth:`unpack`, in a form that an argument of a process can carry."""
        rulings = [ruling.to_list() for ruling in self.rulings.values()]
        text = json.dumps(rulings, ensure_ascii=False, separators=(",", ":"))
        return base64.b64encode(zlib.compress(text.encode("utf-8", "surrogatepass"))).decode("ascii")

    @classmethod
    def unpack(cls, packed: str) -> RuleSet:
        """What :meth:`pack` was given, without what is there for people alone.

        Raises:
            ValueError: it gave something else.
        """
        try:
            text = zlib.decompress(base64.b64decode(packed, validate=True)).decode("utf-8", "surrogatepass")
            rulings = map(Ruling.from_list, json.loads(text))
            return cls(MappingProxyType({ruling.name: ruling for ruling in rulings}))
        except (LookupError, TypeError, ValueError, zlib.error, binascii.Error) as error:
            raise ValueError(f"rules: {error}") from error
