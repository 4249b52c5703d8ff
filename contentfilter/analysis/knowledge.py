"""What an analyser needs to know beside the mail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contentfilter.rules.matcher import Matcher
from contentfilter.rules.ruling import RuleSet
from mailbase.statistics.model import Model, ModelError

if TYPE_CHECKING:
    # Not in a worker, which would need half a second for it at its start.
    from contentfilter.rules.own import OwnRules
    from mailbase.config import Settings


@dataclass(slots=True)
class Knowledge:
    """What the daemon gives a worker at its start; read before the worker confines itself.

    Arguments:
        rules: ready for mail; None: there are none.
        model: of statistics, mapped: what is learned later is seen in it. None: there is none.
        bulk: whether the digest of each mail is told, so that it can be counted.
        wanted: False where nobody wants clues.
    """

    rules: Matcher | None = None
    model: Model | None = None
    bulk: bool = False
    wanted: bool = True

    @classmethod
    def load(cls, sources: Mapping[str, Any]) -> Knowledge:
        """Arguments:
            sources: what to read, as JSON types: paths, and settings.

        Raises:
            OSError: something cannot be read.
            ValueError: or is not what it should be.
        """
        return cls(
            rules=Matcher(RuleSet.unpack(sources["rules"])) if "rules" in sources else None,
            model=_model(sources.get("model")),
            bulk=bool(sources.get("bulk")),
            wanted=bool(sources.get("wanted", True)),
        )


def _model(path: str | None) -> Model | None:
    """The model at ``path``; None where nobody has made one yet, or only one of another version."""
    if not path:
        return None
    try:
        return Model.open(Path(path))
    except (OSError, ModelError):
        # No reason to scan no mail. The daemon starts workers anew when there is one.
        return None


def sources_of(settings: Settings, rules: OwnRules, bulk: bool = False) -> dict[str, Any]:
    """What :meth:`Knowledge.load` gets.

    Arguments:
        rules: of the postmaster's own.
        bulk: whether somebody counts.
    """
    if not settings.contentfilter.analysis:
        return {"wanted": False}
    statistics = settings.statistics
    model = str(statistics.model) if statistics.enabled else ""
    return {"rules": rules.packed, "model": model, "bulk": bulk}
