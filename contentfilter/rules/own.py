"""The operator's rule file, as it was read and checked once, on its way to the workers.

A worker starts whenever another one ends, and the file may be half written by then. So what the daemon has
put in force is handed over as rules, and not as the name of a file; they are checked here alone, once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from contentfilter.rules.ruleset import assemble, shipped_documents
from contentfilter.rules.ruling import RuleSet
from mailbase.documents import ConfigError, Document, Problem, parse

if TYPE_CHECKING:
    from mailbase.config.rules import RuleSettings

MAX_CONTENT = 4 << 20
"""Octets of the operator's file."""
MAX_PACKED = 120 * 1024
"""Octets of all rules, packed, in an argument of a process: Linux takes 128 KiB. The program's take 35."""


@dataclass(frozen=True, slots=True)
class OwnRules:
    """Arguments:
    source: name of the operator's file; empty without one.
    content: its octets.
    shipped: whether the program's own rules are in force.
    packed: all rules in force, for the workers (:meth:`RuleSet.unpack`).
    """

    source: str = ""
    content: bytes = b""
    shipped: bool = True
    packed: str = field(default="", compare=False, repr=False)

    @classmethod
    def read(cls, settings: RuleSettings) -> OwnRules:
        """The file that the configuration names, checked together with the program's own rules.

        Raises:
            ConfigError: it cannot be read, or is not right; with every problem found.
        """
        rules = cls(shipped=settings.shipped)
        try:
            with settings.file.open("rb") as stream:
                rules = cls(str(settings.file), stream.read(MAX_CONTENT + 1), settings.shipped)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _failure(str(settings.file), f"cannot be read: {error.strerror}") from None
        if len(rules.content) > MAX_CONTENT:
            raise _too_large(rules.source)
        rules = replace(rules, packed=_packed(rules))
        if len(rules.packed) > MAX_PACKED:
            raise _too_large(rules.source)
        return rules

    def ruleset(self, checked: bool = False) -> RuleSet:
        """All rules in force.

        Arguments:
            checked: they are known to be right; what takes long to check is not checked again.

        Raises:
            ConfigError: the file is not right.
        """
        return assemble(list(self._documents()), checked)

    def _documents(self) -> Iterator[Document]:
        if self.shipped:
            yield from shipped_documents()
        if self.source:
            yield parse(self.content, self.source)


@lru_cache(maxsize=2)
def _packed(rules: OwnRules) -> str:
    # A reload most often finds what it had; to read and check it again takes some tenths of a second.
    return rules.ruleset().pack()


def _too_large(source: str) -> ConfigError:
    return _failure(source, "too large; expected some hundred rules, not word lists")


def _failure(source: str, message: str) -> ConfigError:
    return ConfigError([Problem(source, 0, "", message)])
