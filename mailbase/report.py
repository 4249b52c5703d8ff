"""The report: what became of a mail with a ticket, told to policyd by contentfilter."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NotRequired, TypedDict

from mailbase.vocabulary import Action

VERB = "report"
"""Of policyd's control socket."""
QUEUED = "queued"
"""Likewise, once Postfix has taken the mail: the ticket's ``id`` and the ``queue_id`` behind the filter."""
UNQUARANTINED = "unquarantined"
"""Likewise, once a command has taken the mail out of the quarantine: its ``id``, the ``event`` (one of
:data:`TAKEN_OUT`), and the ``queue_id`` if Postfix has it."""
TAKEN_OUT = ("released", "deleted")
"""How a mail leaves the quarantine by command."""
MAX_FINDINGS = 20
MAX_NAME = 60
MAX_TEXT = 300
"""Characters of a reply, of a fact's part and of its detail."""
MAX_STAGES = 20
MAX_CLUES = 30
MAX_SEEN = 120
"""Characters of a clue's detail."""
_DIGEST = re.compile(r"[0-9a-f]{40}")
KINDS = ("finding", "unscanned", "failure")


class ContentFact(TypedDict):
    """What a scanner established: a finding, a part that was not scanned, or a scanner that failed.

    Attributes:
        digest: of a macro, by which it can be allowed; apart from ``detail``, which may hold foreign text.
    """

    kind: str
    name: str
    part: str
    detail: str
    digest: NotRequired[str]


class ContentClue(TypedDict):
    """What has points in the total.

    Attributes:
        name: of a clue, a finding or a fact of policyd's.
        points: what it is worth.
        shadow: whether that is told and not added.
        detail: what was seen.
    """

    name: str
    points: float
    shadow: bool
    detail: str


class Content(TypedDict):
    """What contentfilter can say of a decision on a mail's content.

    Attributes:
        flow: whose policy it was.
        cause: the fact that decided, in short.
        actions: one for each group of recipients with whom the same is done: ``reject 2``.
        facts: what was found, the most telling first.
        parts: how many there were in the mail.
        seconds: by stage.
        score: points in all; None where none were to count. An older contentfilter says nothing of it.
        clues: what has points, the most first.
    """

    flow: str
    cause: str
    actions: list[str]
    facts: list[ContentFact]
    parts: int
    seconds: dict[str, float]
    score: NotRequired[float | None]
    clues: NotRequired[list[ContentClue]]


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
        reply: what the client was told, if it was contentfilter's decision.
        content: the decision in full; None from a contentfilter that does not tell.
    """

    id: str
    client: str
    sender: str
    action: Action
    findings: tuple[str, ...] = ()
    size: int = 0
    origin: str = ""
    reply: str = ""
    content: Content | None = field(default=None, hash=False)

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
                reply=_text(data.get("reply", ""))[:MAX_TEXT],
                content=None if data.get("content") is None else _content(data["content"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a report: {error!r}") from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {type(value).__name__}")
    # JSON may hold lone surrogates, which no table and no log can.
    return value.encode("utf-8", "replace").decode("utf-8")


def _content(data: Any) -> Content:
    if not isinstance(data, Mapping):
        raise TypeError("expected content: a mapping")
    facts, seconds, parts, actions = data["facts"], data["seconds"], data["parts"], data["actions"]
    if not isinstance(facts, list) or not isinstance(seconds, Mapping) or not isinstance(actions, list):
        raise TypeError("expected facts and actions: lists, and seconds: a mapping")
    if not isinstance(parts, int) or isinstance(parts, bool):
        raise TypeError("expected parts: a number")
    return Content(
        flow=_text(data["flow"])[:MAX_NAME],
        cause=_text(data["cause"])[:MAX_TEXT],
        actions=[_text(action)[:MAX_NAME] for action in actions[:MAX_FINDINGS]],
        facts=[_fact(fact) for fact in facts[:MAX_FINDINGS]],
        parts=parts,
        seconds={_text(stage)[:MAX_NAME]: _number(taken) for stage, taken in [*seconds.items()][:MAX_STAGES]},
        score=None if data.get("score") is None else _number(data["score"]),
        clues=[_clue(clue) for clue in _list(data.get("clues", []))[:MAX_CLUES]],
    )


def _clue(data: Any) -> ContentClue:
    if not isinstance(data, Mapping):
        raise TypeError("expected a clue")
    return ContentClue(
        name=_text(data["name"])[: 2 * MAX_NAME],
        points=_number(data["points"]),
        shadow=data["shadow"] is True,
        detail=_text(data["detail"])[:MAX_SEEN],
    )


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("expected a list")
    return value


def _fact(data: Any) -> ContentFact:
    if not isinstance(data, Mapping) or data.get("kind") not in KINDS:
        raise TypeError("expected a fact")
    fact = ContentFact(
        kind=data["kind"],
        name=_text(data["name"])[:MAX_NAME],
        part=_text(data["part"])[:MAX_TEXT],
        detail=_text(data["detail"])[:MAX_TEXT],
    )
    if _DIGEST.fullmatch(digest := _text(data.get("digest", ""))):
        fact["digest"] = digest
    return fact


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise TypeError("expected a number")
    return float(value)
