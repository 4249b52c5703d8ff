"""The ticket: what policyd knows of a mail, for contentfilter to ask after.

policyd prepends one header line at DATA that names a decision id and nothing else. Whoever holds the id
gets an answer only together with the client address and the envelope sender it was given for, so a
forged or copied line resolves to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from mailbase.vocabulary import Finding, Flow

HEADER = "X-Postwarden-Id"
"""The header line that carries the id."""

LIFETIME = 6 * 86400.0
"""Seconds a ticket is kept: Postfix's maximal_queue_lifetime is 5 days by default."""

Greylisting = Literal["", "waited", "spared"]
"""Whether greylisting has made this very mail wait, spares who brings it, or neither."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """policyd's knowledge of one mail transaction.

    Arguments:
        id: the decision id in the header line.
        flow: where the mail comes from.
        client: client address in presentation form.
        sender: envelope sender as Postfix gave it, lower case; empty for the null sender.
        user: SASL login name; empty without authentication.
        recipients: accepted recipients, as far as policyd saw them.
        findings: facts of policyd's checks.
        points: what those facts added up to.
        spamtraps: those of the recipients that are spamtraps: they get no mail.
        system: the registered system that the client is, as it is written in the registry; empty for none.
        facts: each with its points, as they stand in policyd's log: ``fcrdns.no-ptr:2``, shadows in brackets.
        greylisting: whether it need not wait once more.
    """

    id: str
    flow: Flow
    client: str
    sender: str
    user: str = ""
    recipients: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    points: float = 0.0
    spamtraps: tuple[str, ...] = ()
    system: str = ""
    facts: tuple[str, ...] = ()
    greylisting: Greylisting = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON types, for the control socket and the store."""
        # By hand: dataclasses.asdict copies everything deeply, at ten times the price, for each mail.
        return {
            "id": self.id,
            "flow": self.flow.value,
            "client": self.client,
            "sender": self.sender,
            "user": self.user,
            "recipients": list(self.recipients),
            "findings": [{"name": one.name, "part": one.part, "detail": one.detail} for one in self.findings],
            "points": self.points,
            "spamtraps": list(self.spamtraps),
            "system": self.system,
            "facts": list(self.facts),
            "greylisting": self.greylisting,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Ticket:
        """The reverse of :meth:`to_dict`; unknown keys are ignored so that the daemons may differ in age.

        Raises:
            ValueError: a field is missing or of the wrong type.
        """
        try:
            return cls(
                id=_text(data["id"]),
                flow=Flow(data["flow"]),
                client=_text(data["client"]),
                sender=_text(data["sender"]),
                user=_text(data.get("user", "")),
                recipients=tuple(_text(address) for address in data.get("recipients", ())),
                findings=tuple(
                    Finding(_text(item["name"]), _text(item.get("part", "")), _text(item.get("detail", "")))
                    for item in data.get("findings", ())
                ),
                points=float(data.get("points", 0.0)),
                spamtraps=tuple(_text(address) for address in data.get("spamtraps", ())),
                system=_text(data.get("system", "")),
                facts=tuple(_text(fact) for fact in data.get("facts", ())),
                greylisting=_greylisting(data.get("greylisting", "")),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a ticket: {error!r}") from error


def _greylisting(value: object) -> Greylisting:
    # What a newer policyd may say besides leads to no second wait.
    return next((one for one in get_args(Greylisting) if one == value), "spared")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {type(value).__name__}")
    return value
