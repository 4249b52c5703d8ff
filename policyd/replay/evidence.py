"""Evidence as it was recorded, so that a replay asks nobody.

What was recorded of a check stands. A check of which nothing is recorded may state what it can without
asking; where it asks, it has no opinion.
"""

from __future__ import annotations

from collections.abc import Sequence

from policyd.facts import Evidence
from policyd.inquiry import Collected, EvidenceCheck, Settled, Subject


class RecordedEvidence:
    """The :class:`~policyd.inquiry.Gather` of a simulation."""

    def __init__(self) -> None:
        self.recorded: tuple[Evidence, ...] = ()
        """Of the request that is decided now."""
        self.failures = 0
        """Checks that raised."""

    def gather(
        self,
        checks: Sequence[EvidenceCheck],
        subject: Subject,
        deadline: float,
        counts: bool,
        settled: Settled | None = None,
    ) -> Collected:
        """See :class:`policyd.inquiry.Gather`."""
        facts: list[Evidence] = []
        recorded = self.recorded
        names = [one.check for one in recorded]
        for check in checks:
            name = check.name
            if name in names:
                facts += [one for one in recorded if one.check == name]
            else:
                facts += self._alone(check, subject)
        return Collected(tuple(facts))

    def _alone(self, check: EvidenceCheck, subject: Subject) -> Sequence[Evidence]:
        """What a check says by itself."""
        inquiry = check.inquire(subject)
        try:
            next(inquiry)
        except StopIteration as stop:
            said: tuple[Evidence, ...] = stop.value
            return said
        except Exception:  # noqa: BLE001 - the boundary of a check, as in the daemon
            self.failures += 1
            return ()
        inquiry.close()
        return ()
