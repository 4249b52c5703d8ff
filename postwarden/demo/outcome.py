"""What became of each sample mail, found out from the outside: the answer, the sink, the quarantine."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from mailbase.ids import is_id
from mailbase.ticket import HEADER
from postwarden.demo.scenario import Fate, Step
from postwarden.sandbox.client import Reply
from postwarden.sandbox.sink import Sink
from postwarden.sandbox.waiting import DeadlineMissed, wait_until

ARRIVAL = 15.0
"""Seconds until an accepted mail must be somewhere."""
ABSENCE = 1.0
"""Seconds after which a mail that should be nowhere is."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One line of the demo's table."""

    step: Step
    reply: Reply
    fate: Fate | None
    arrived: str
    decision: str

    @property
    def expected(self) -> bool:
        return self.fate is self.step.expected

    def to_dict(self) -> dict[str, str | bool]:
        """For the output as JSON."""
        return {
            "sent": self.step.title,
            "from": self.step.origin,
            "to": self.step.recipient,
            "answer": str(self.reply),
            "arrived": self.arrived,
            "decision": self.decision,
            "expected": self.expected,
        }


def observe(step: Step, mark: str, mail: bytes, reply: Reply, sink: Sink, quarantine: Path) -> Outcome:
    """Find out what became of ``mail`` after the gateway answered ``reply``."""
    if not reply.positive:
        fate = Fate.REFUSED if reply.code >= 500 else Fate.DEFERRED
        came = len(sink.find(mark.encode()))
        return Outcome(
            step,
            reply,
            fate if not came else None,
            "arrived all the same" if came else "nothing",
            decision(str(reply)),
        )
    needle = mark.encode()
    swallowed = step.expected is Fate.SWALLOWED
    try:
        wait_until(
            lambda: sink.find(needle) or quarantined(quarantine, needle),
            ABSENCE if swallowed else ARRIVAL,
            "the mail is somewhere",
        )
    except DeadlineMissed:
        if swallowed:
            return Outcome(step, reply, Fate.SWALLOWED, "nothing", decision(str(reply)))
        return Outcome(step, reply, None, "nothing: lost?", decision(str(reply)))
    if found := sink.find(needle):
        same = found[0].data.endswith(mail)
        return Outcome(
            step,
            reply,
            Fate.DELIVERED if same and len(found) == 1 else None,
            ("mail, byte for byte" if same else "mail, but changed")
            + (f", {len(found)} times" if len(found) > 1 else ""),
            decision(found[0].field(HEADER)) or decision(str(reply)),
        )
    files = quarantined(quarantine, needle)
    return Outcome(
        step,
        reply,
        Fate.QUARANTINED,
        "in the quarantine",
        decision(str(reply)) or decision(" ".join(p.name for p in files)),
    )


def quarantined(folder: Path, needle: bytes) -> list[Path]:
    """Files in the quarantine that hold ``needle``."""
    return [path for path in folder.rglob("*") if path.is_file() and needle in path.read_bytes()]


def decision(text: str) -> str:
    """The last decision id in ``text``; empty if there is none."""
    return next((word for word in reversed(re.findall(r"[0-9a-z]+", text)) if is_id(word)), "")


def json_lines(outcomes: list[Outcome]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(outcome.to_dict(), separators=(",", ":")) + "\n" for outcome in outcomes)
