"""The operator's rule file, as it was read and checked once, on its way to the workers.

A worker starts whenever another one ends, and the file may be half written by then. So what the daemon has
put in force is handed over with its content, not with its name.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contentfilter.rules.matcher import Matcher
from contentfilter.rules.ruleset import RuleSet, assemble, shipped_documents
from mailbase.documents import ConfigError, Document, Problem, parse

if TYPE_CHECKING:
    # As in contentfilter.analysis.knowledge.
    from mailbase.config.rules import RuleSettings

MAX_CONTENT = 4 << 20
"""Octets of the operator's file."""
MAX_PACKED = 96 * 1024
"""Octets of it, compressed, in an argument of a process: Linux takes 128 KiB."""


@dataclass(frozen=True, slots=True)
class OwnRules:
    """Arguments:
    source: name of the operator's file; empty without one.
    content: its octets.
    shipped: whether the program's own rules are in force.
    """

    source: str = ""
    content: bytes = b""
    shipped: bool = True

    @classmethod
    def read(cls, settings: RuleSettings, known: OwnRules | None = None) -> OwnRules:
        """The file that the configuration names, checked together with the program's own rules.

        Arguments:
            known: what is in force and need not be checked again, since that takes some tenths of a second.

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
        if len(rules.content) > MAX_CONTENT or len(rules.packed) > MAX_PACKED:
            raise _failure(rules.source, "too large; expected some hundred rules, not word lists")
        if rules != known:
            rules.ruleset()
        return rules

    def ruleset(self, checked: bool = False) -> RuleSet:
        """All rules in force.

        Arguments:
            checked: they are known to be right; what takes long to check is not checked again.

        Raises:
            ConfigError: the file is not right.
        """
        return assemble(self._documents(), checked)

    def _documents(self) -> list[Document]:
        documents = list(shipped_documents()) if self.shipped else []
        if self.source:
            documents.append(parse(self.content, self.source))
        return documents

    @property
    def packed(self) -> str:
        """The content, as an argument of a process carries it."""
        return base64.b64encode(zlib.compress(self.content)).decode("ascii")

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {"source": self.source, "packed": self.packed, "shipped": self.shipped}

    @classmethod
    def matcher(cls, data: Any) -> Matcher:
        """What :meth:`to_dict` gave, ready for mail.

        Raises:
            ValueError: it is not that.
        """
        try:
            content = zlib.decompress(base64.b64decode(data["packed"], validate=True))
            return Matcher(cls(data["source"], content, data["shipped"]).ruleset(checked=True))
        except (KeyError, TypeError, zlib.error, binascii.Error, ConfigError) as error:
            raise ValueError(f"rules: {error}") from error


def _failure(source: str, message: str) -> ConfigError:
    return ConfigError([Problem(source, 0, "", message)])
