"""Lets the filter judge ham and spam: the scan workers' findings and clues, added up as the daemon adds them.

What the daemon asks others (name servers, policyd, other filters) is not asked: of mail that came long ago it
would hear something else than it heard then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.disposition.policy import Policies
from contentfilter.disposition.total import add_up
from contentfilter.disposition.verdict import Fact, decide
from contentfilter.offline.offline import Run, make_pool
from contentfilter.tuning.figures import Judged
from mailbase.config import Settings
from mailbase.ids import IdSource
from mailbase.vocabulary import SEVERITY, Action, Finding, Flow


class Judging(Run[Judged]):
    """One run over the mails of two kinds; see :class:`contentfilter.offline.offline.Run`.

    Arguments:
        reactor: Twisted's, not running.
        settings: whose points count.
        flow: likewise.
        jobs: mails at once.
        step: called after each mail.
        complain: gets what cannot be read or judged.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        flow: Flow,
        jobs: int,
        step: Callable[[], None],
        complain: Callable[[str], None],
    ) -> None:
        super().__init__(reactor, make_pool(reactor, settings, jobs), jobs, self._keep, complain)
        self._policy = Policies(settings).of_flow(flow)
        self._flow = flow
        self._ids = IdSource()
        self._step = step
        self._spam: frozenset[Path] = frozenset()
        self._mails: list[Judged] = []

    def judge(self, ham: Sequence[Path], spam: Sequence[Path]) -> list[Judged]:
        """Judge mail files; returns those that could be judged, when the last is.

        Arguments:
            ham: files of mail that is no spam.
            spam: files of spam, none of them among ``ham``.
        """
        self._spam = frozenset(spam)
        self.run([*ham, *spam])
        return self._mails

    def _row(self, path: Path, result: ScanResult | ScanFailed, seconds: float) -> Judged | None:
        if isinstance(result, ScanFailed):
            return None
        total = add_up(result.clues, result.findings, None, self._policy.points)
        # Without the total: what is refused for what it holds, is refused whatever its points are.
        verdict = decide(self._ids.next(), self._flow, self._policy, [result])
        severe = SEVERITY[verdict.action] > SEVERITY[Action.TAG]
        counted = {item.name: item.points for item in total.counted}
        others = frozenset(item.name for item in total.items if item.name not in counted)
        refused = _name(verdict.cause) if severe else ""
        return Judged(str(path), path in self._spam, total.points, counted, others, refused)

    def _keep(self, mail: Judged) -> None:
        self._mails.append(mail)
        self._step()


def _name(cause: Fact | None) -> str:
    return cause.name if isinstance(cause, Finding) else "unscanned"
