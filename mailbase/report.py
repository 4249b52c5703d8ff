"""The report: what became of a mail with a ticket, told to policyd by contentfilter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mailbase.vocabulary import Action

VERB = "report"
"""Of policyd's control socket."""
QUEUED = "queued"
"""Likewise, once Postfix has taken the mail: the ticket's ``id`` and the ``queue_id`` behind the filter."""
MAX_FINDINGS = 20
MAX_NAME = 60


@dataclass(frozen=True, slots=True)
class Report:
    """What contentfilter did with a mail.

    Arguments:
        id: of the ticket.
        client: address in presentation form, as it was given for the ticket.
        sender: envelope sender, likewise.
        action: what was done. After DEFER the mail comes again, so that is not the last word on it.
        findings: names of what was found in it.
        size: octets, un-stuffed.
        origin: address of the client that an upstream relay had the mail from; empty where it is not known.
    """

    id: str
    client: str
    sender: str
    action: Action
    findings: tuple[str, ...] = ()
    size: int = 0
    origin: str = ""

    @property
    def final(self) -> bool:
        """Whether this is the last word on the mail."""
        return self.action is not Action.DEFER

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, for the control socket."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Report:
        """The reverse of :meth:`to_dict`; unknown keys are ignored so that the daemons may differ in age.

        Raises:
            ValueError: a field is missing or of the wrong type.
        """
        try:
            findings = data.get("findings", ())
            size = data.get("size", 0)
            if not isinstance(findings, list | tuple) or not isinstance(size, int):
                raise TypeError("expected findings: a list, and size: a number")
            return cls(
                id=_text(data["id"]),
                client=_text(data["client"]),
                sender=_text(data["sender"]),
                action=Action(data["action"]),
                findings=tuple(_text(name)[:MAX_NAME] for name in findings[:MAX_FINDINGS]),
                size=size,
                origin=_text(data.get("origin", "")),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a report: {error!r}") from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {type(value).__name__}")
    # JSON may hold lone surrogates, which no table and no log can.
    return value.encode("utf-8", "replace").decode("utf-8")
