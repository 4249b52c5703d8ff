"""What scanning a mail yields: findings, parts that could not be scanned, and how long it took."""

from __future__ import annotations

from dataclasses import dataclass

from contentfilter.content.clues import Clue
from contentfilter.content.traits import NO_TRAITS, Traits
from mailbase.vocabulary import Finding, Unscanned


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What one scan of one message (or document) established.

    Arguments:
        findings: facts, in the order of the parts.
        unscanned: parts that were not looked into, with the reason.
        parts: how many leaf parts and container members were visited.
        seconds: wall-clock time of the scan.
        clues: what speaks for spam, or against it.
        traits: what is to be looked up for more of that.
    """

    findings: tuple[Finding, ...] = ()
    unscanned: tuple[Unscanned, ...] = ()
    parts: int = 0
    seconds: float = 0.0
    clues: tuple[Clue, ...] = ()
    traits: Traits = NO_TRAITS

    def timed(self, seconds: float) -> ScanResult:
        """The same, after so many seconds."""
        # dataclasses.replace takes several times as long.
        return ScanResult(self.findings, self.unscanned, self.parts, seconds, self.clues, self.traits)


@dataclass(frozen=True, slots=True)
class ScanFailed:
    """A scanner that could not do its work: killed, crashed, unreachable, out of time.

    Never a pass: the mail waits (451) unless the configuration says otherwise.

    Arguments:
        scanner: its name in the configuration and the metrics.
        reason: ``crashed``, ``timed-out``, ``out-of-memory``, ``unavailable``, ``protocol`` or ``overload``.
        detail: private cause, for the log.
    """

    scanner: str
    reason: str
    detail: str = ""
