"""policyd, as contentfilter speaks with it over its control socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred

from contentfilter.origin.upstream import Investigator
from contentfilter.origin.upstream import Result as Looked
from contentfilter.reporting import Fate, Reporter
from mailbase.control.peer import ControlClient, ask_once
from mailbase.evidence import VERB as EVIDENCE
from mailbase.logs import Log


class Peer:
    """Connections are made when they are needed.

    Arguments:
        reactor: Twisted's.
        path: of the control socket.
        log: for what goes wrong.
        reported: told how each report fared.
        looked_at: told how each question for evidence ended.

    Attributes:
        questions: is asked about mails.
        reports: is told of mails. A connection of its own: policyd answers in order, and no mail should wait
            behind a report.
        reporter: sends reports on it.
        investigator: asks about the clients of upstream relays, each on a connection of its own, for policyd
            may wait for DNS.
    """

    def __init__(
        self,
        reactor: Any,
        path: str,
        log: Log,
        reported: Callable[[Fate], None],
        looked_at: Callable[[Looked], None],
    ) -> None:
        self.questions = ControlClient(reactor, path)
        self.reports = ControlClient(reactor, path)
        self.reporter = Reporter(self.reports, Deferred.fromCoroutine, reported)

        def ask(question: dict[str, Any], timeout: float) -> Awaitable[dict[str, Any]]:
            return ask_once(reactor, path, EVIDENCE, question, timeout)

        self.investigator = Investigator(ask, log, looked_at)

    def close(self) -> None:
        """Close the connections that are open."""
        self.questions.close()
        self.reports.close()
