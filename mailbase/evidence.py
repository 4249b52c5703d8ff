"""What contentfilter asks of policyd about a client that only a Received line names, and the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

VERB = "evidence"
"""Of policyd's control socket."""
MAX_TEXT = 1000
"""Characters of one field."""
MAX_FACTS = 100


@dataclass(frozen=True, slots=True)
class Question:
    """Whom the evidence is to be about.

    Arguments:
        id: of the ticket, for the log; empty without one.
        client: address in presentation form.
        helo: what it called itself, as far as it was written down.
        name: its name by reverse DNS; empty without one, or if it is doubtful.
        sender: envelope sender; empty for the null sender.
    """

    id: str
    client: str
    helo: str
    name: str
    sender: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, for the control socket."""
        return {name: value[:MAX_TEXT] for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Question:
        """The reverse of :meth:`to_dict`; unknown keys are ignored.

        Raises:
            ValueError: a field is missing or of the wrong type.
        """
        try:
            return cls(*(_text(data[name]) for name in ("id", "client", "helo", "name", "sender")))
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a question for evidence: {error!r}") from error


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of it.

    Arguments:
        points: what the facts add up to.
        facts: as they stand in policyd's log: ``fcrdns.no-ptr:2``, shadows in brackets.
        late: whether some of it was not known in time.
    """

    points: float = 0.0
    facts: tuple[str, ...] = ()
    late: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, for the control socket."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Evidence:
        """The reverse of :meth:`to_dict`; unknown keys are ignored.

        Raises:
            ValueError: a field is missing or of the wrong type.
        """
        try:
            facts = data["facts"]
            if not isinstance(facts, list | tuple):
                raise TypeError("expected facts: a list")
            points = float(data["points"])
            if points != points or abs(points) > 1e6:
                raise TypeError("expected points: a number")
            return cls(points, tuple(map(_text, facts[:MAX_FACTS])), data.get("late") is True)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not evidence: {error!r}") from error


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise TypeError(f"expected text of at most {MAX_TEXT} characters, got {type(value).__name__}")
    # JSON may hold lone surrogates, which no log can.
    return value.encode("utf-8", "replace").decode("utf-8")
