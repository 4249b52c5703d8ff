"""Postfix, as it asks of mail that has limits."""

from __future__ import annotations

import itertools
from typing import Any

from twisted.internet.defer import Deferred

USER = {"sasl_username": "anna", "recipient": "b@elsewhere.example"}
FREE = "person@quiet.example"
"""Not greylisted."""


def limits(flow: str = "submission", **named: str) -> str:
    inside = ", ".join(f"{name.replace('_', '-')}: {{{text}}}" for name, text in named.items())
    return f"flows: {{{flow}: {{limits: {{{inside}}}}}}}"


class Postfix:
    """Asks at each stage of a mail, as a real one does."""

    def __init__(self, bench: Any) -> None:
        self.bench = bench
        self.numbers = itertools.count(1)

    def mail(self, recipients: Any = (USER["recipient"],), size: int = 1000, **who: str) -> str:
        """The first answer that keeps the mail out; empty if none does."""
        number = next(self.numbers)
        common = {"client_port": str(40000 + number), **USER, **who, "instance": f"mail{number}"}
        accepted = []
        for recipient in recipients:
            reply = self.bench.reply(**{**common, "recipient": recipient})
            if reply in ("OK", "DUNNO"):
                accepted.append(recipient)
        if not accepted:
            return str(reply)
        common |= {
            "recipient": accepted[0] if len(accepted) == 1 else "",
            "recipient_count": str(len(accepted)),
        }
        reply = self.bench.reply(**common, protocol_state="DATA")
        if not reply.startswith("PREPEND"):
            return str(reply)
        self.ticket = reply.rpartition(" ")[2]
        reply = self.bench.reply(**common, protocol_state="END-OF-MESSAGE", size=str(size))
        return "" if reply == "DUNNO" else str(reply)

    def pass_(self, times: int, **who: Any) -> None:
        for _ in range(times):
            assert self.mail(**who) == ""

    def used(self) -> dict[str, float]:
        """Units in use by limit and subject."""
        now = self.bench.clock.seconds()

        async def collect() -> dict[str, float]:
            rates = {limit.label: limit.rate for limit in self.bench.engine.policy.limits}
            return {
                f"{name} {subject}": round((full_at - now) / rates[name].interval, 3)
                async for page in self.bench.limits.pages(now)
                for _key, (full_at, name, subject, _expires) in page
            }

        found: list[Any] = []
        Deferred.fromCoroutine(collect()).addCallback(found.append)
        return dict(found[0])

    def counted(self, name: str, flow: str = "submission") -> dict[str, int]:
        return {
            outcome: count
            for (its_flow, its_name, outcome), count in self.bench.metrics.limits.items()
            if (its_flow, its_name) == (flow, name) and count
        }
