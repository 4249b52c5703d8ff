"""What DNS and recipients' servers said, as it was recorded, so that a replay need not ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache

from mailbase.config.lists import ListKind
from mailbase.store.recent import Recent
from policyd.callout.result import Result, Target
from policyd.checks import ReputationCheck
from policyd.engine.engine import Watch
from policyd.evidence.facts import Evidence
from policyd.evidence.inquiry import Collected, EvidenceCheck, Gather, Settled, Subject

MAX_TARGETS = 20_000
"""Recipients, in one of two generations, of whom is remembered what their server said."""


class RecordedEvidence:
    """The :class:`~policyd.evidence.inquiry.Gather` of a simulation.

    What was recorded of a check stands, also that it had nothing to state. A check of which nothing is
    recorded may state what it can without asking; where it asks, it has no opinion.

    Arguments:
        watch: told of checks that raise.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self.recorded: tuple[Evidence, ...] = ()
        """Of the request that is decided now."""
        self.asked: frozenset[str] = frozenset()
        """The checks that were asked for it."""

    def gather(
        self,
        checks: Sequence[EvidenceCheck],
        subject: Subject,
        deadline: float,
        counts: bool,
        settled: Settled | None = None,
    ) -> Collected:
        """See :class:`policyd.evidence.inquiry.Gather`."""
        recorded = self.recorded
        wanted = _names(tuple(checks))
        if wanted <= self.asked:
            return Collected(tuple([one for one in recorded if one.check in wanted]))
        facts: list[Evidence] = []
        names = [one.check for one in recorded]
        for check in checks:
            name = check.name
            if name in names:
                facts += [one for one in recorded if one.check == name]
            elif name not in self.asked:
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
        except Exception as error:  # noqa: BLE001 - the boundary of a check, as in the daemon
            self._watch.check_failed(check.name, error)
            return ()
        inquiry.close()
        return ()


@lru_cache(maxsize=64)
def _names(checks: tuple[EvidenceCheck, ...]) -> frozenset[str]:
    """The names of the checks of a flow: always the same few."""
    return frozenset(check.name for check in checks)


KEPT = frozenset({*ListKind, ReputationCheck.name})
"""Checks that are not asked anew with ``--dns``: what a list says today, it may not have said then."""


class AskedEvidence:
    """The :class:`~policyd.evidence.inquiry.Gather` of a simulation that asks DNS.

    Arguments:
        recorded: for the checks in :data:`KEPT`.
        ask: asks the others.
        seconds: the clock of ``ask``, which is not the simulation's.
        patience: seconds that a request waits at most.
    """

    def __init__(
        self, recorded: RecordedEvidence, ask: Gather, seconds: Callable[[], float], patience: float
    ) -> None:
        self._recorded = recorded
        self._ask = ask
        self._seconds = seconds
        self._patience = patience

    def gather(
        self,
        checks: Sequence[EvidenceCheck],
        subject: Subject,
        deadline: float,
        counts: bool,
        settled: Settled | None = None,
    ) -> Collected | Awaitable[Collected]:
        """See :class:`policyd.evidence.inquiry.Gather`."""
        kept = self._recorded.gather(
            [check for check in checks if check.name in KEPT], subject, deadline, counts
        )
        asked = self._ask(
            [check for check in checks if check.name not in KEPT],
            subject,
            self._seconds() + self._patience,
            False,
        )
        names = [check.name for check in checks]
        if isinstance(asked, Collected):
            return _together(kept, asked, names)
        return self._wait(kept, asked, names)

    async def _wait(self, kept: Collected, asked: Awaitable[Collected], names: list[str]) -> Collected:
        return _together(kept, await asked, names)


def _together(kept: Collected, asked: Collected, names: list[str]) -> Collected:
    """All of it, in the order of the checks."""
    evidence = sorted((*kept.evidence, *asked.evidence), key=lambda one: names.index(one.check))
    return Collected(tuple(evidence), asked.late)


class RecordedCallouts:
    """The :class:`~policyd.checks.recipient.Callout` of a simulation.

    Other settings may ask for a recipient at another attempt than then, so what its server said once goes on
    being its answer. Of whom nothing was recorded there is no opinion.
    """

    def __init__(self) -> None:
        self._said: Recent[Target, Result] = Recent(MAX_TARGETS)
        self.recorded: Result | None = None
        """Of the request that is decided now."""

    def ask(self, target: Target, client: bytes | None, deadline: float, *, trace: bool = True) -> Result:
        """See :class:`~policyd.checks.recipient.Callout`."""
        if self.recorded is None:
            return self._said.get(target, Result.UNASKABLE)
        self._said.put(target, self.recorded)
        return self.recorded
