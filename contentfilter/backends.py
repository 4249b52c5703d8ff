"""Who is asked about a mail, as a whole: what a reload of the configuration replaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.disposition.policy import Policies
from contentfilter.disposition.total import Total
from contentfilter.engines.seat import Name as EngineName
from contentfilter.macros.allowlist import Allowlist
from contentfilter.origin.origin import Investigator, Policyd
from contentfilter.panel import Panel
from contentfilter.quarantine.keeper import Quarantine
from contentfilter.spool.spool import Spool
from mailbase.config import Settings
from mailbase.report import Report
from mailbase.spamtraps import Spamtraps
from mailbase.vocabulary import Flow

NOTHING: Mapping[str, Any] = {}


class Pool(Protocol):
    """The scan pool."""

    async def scan(
        self,
        message: int | bytes,
        wire_size: int,
        timeout: float | None = None,
        given: Mapping[str, Any] = NOTHING,
        dotted: bool = True,
    ) -> ScanResult | ScanFailed: ...


class Engine(Protocol):
    """A virus engine; see :class:`contentfilter.engines.engine.Engine`."""

    name: EngineName

    @property
    def idle(self) -> bool: ...

    async def scan(self, message: Spool, timeout: float | None = None) -> ScanResult | ScanFailed: ...


class Reporter(Protocol):
    """Tells policyd what became of a mail; see :class:`contentfilter.reporting.Reporter`."""

    def report(self, report: Report) -> None: ...


class Student(Protocol):
    """Learns mail by itself; see :class:`contentfilter.learning.student.Student`."""

    def graded(self, flow: Flow, spool: Spool, total: Total | None, trapped: bool) -> None: ...


@dataclass(slots=True)
class Backends:
    """Who is asked; replaced as a whole when the configuration is reloaded.

    Arguments:
        settings: in force.
        pool: of scan workers.
        engines: that look for viruses.
        policyd: for the ticket.
        quarantine: for what must be kept.
        reporter: told what became of each mail with a ticket.
        investigator: looks at the clients of upstream relays.
        panel: others who are asked about each mail, and write lines for its top; None: nobody.
        traps: dummy addresses, where policyd does not tell.
        allowed: the macros that the postmaster allows; None: none.
        student: learns mail by itself; None: nobody does.
        policies: of ``settings``.
    """

    settings: Settings
    pool: Pool
    engines: Sequence[Engine]
    policyd: Policyd
    quarantine: Quarantine
    reporter: Reporter
    investigator: Investigator
    panel: Panel | None = None
    traps: Spamtraps = field(default_factory=Spamtraps)
    allowed: Allowlist | None = None
    student: Student | None = None
    policies: Policies = field(init=False)

    def __post_init__(self) -> None:
        self.policies = Policies(self.settings)
