"""What an analyser needs to know beside the mail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contentfilter.rules.matcher import Matcher
from contentfilter.rules.own import OwnRules


@dataclass(slots=True)
class Knowledge:
    """What the daemon gives a worker at its start; read before the worker confines itself.

    Arguments:
        rules: ready for mail; None: there are none.
    """

    rules: Matcher | None = None

    @classmethod
    def load(cls, sources: Mapping[str, Any]) -> Knowledge:
        """Arguments:
            sources: what to read, as JSON types: paths, and settings.

        Raises:
            OSError: something cannot be read.
            ValueError: or is not what it should be.
        """
        return cls(rules=OwnRules.matcher(sources["rules"]) if "rules" in sources else None)
