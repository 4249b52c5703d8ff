"""Applies the allowed macros to what was found in a mail; an allowed one stays a finding, by another name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.macros.entry import Entry
from contentfilter.macros.file import AllowlistError, read
from mailbase.addresses import domain_of
from mailbase.logs import Log
from mailbase.vocabulary import Finding

ALLOWED = "office-macro-allowed"
"""What becomes of ``office-macro`` where the macro is allowed."""
_FORGIVEN = frozenset({"office-macro", "office-macro-suspicious"})


class Allowlist:
    """The allowed macros, read again when their file has changed.

    Arguments:
        path: of the file; the attribute may be changed.
        log: told when the file was read again, or cannot be.
        now: seconds since the epoch.
    """

    def __init__(self, path: Path, log: Log, now: Callable[[], float]) -> None:
        self.path = path
        self._log = log
        self._now = now
        self._entries: dict[str, list[Entry]] = {}
        self._seen: tuple[object, ...] = ()

    def digests(self, results: Sequence[ScanResult | ScanFailed]) -> frozenset[str]:
        """The macros in ``results`` that can be allowed."""
        found = frozenset(
            finding.digest
            for result in results
            if isinstance(result, ScanResult)
            for finding in result.findings
            if finding.digest
        )
        if found:
            self.refresh()
        return found

    def permitted(self, digests: frozenset[str], sender: str, recipient: str) -> frozenset[str]:
        """Those of ``digests`` that are allowed from ``sender`` to ``recipient``, both envelope addresses."""
        origin, target = domain_of(sender) or "", {domain_of(recipient) or ""}
        return frozenset(digest for digest in digests if self._permits(digest, origin, target))

    def excuse(
        self, results: Sequence[ScanResult | ScanFailed], sender: str, recipients: Iterable[str]
    ) -> list[ScanResult | ScanFailed]:
        """The results; a macro that is allowed for each of the recipients is ``office-macro-allowed`` there.

        Arguments:
            sender: envelope sender; empty for the null reverse-path.
            recipients: to whom one verdict applies. A macro that is allowed for some of them is not excused.
        """
        found = self.digests(results)
        if not found:
            return list(results)
        origin = domain_of(sender) or ""
        targets = {domain_of(address) or "" for address in recipients}
        allowed = frozenset(digest for digest in found if self._permits(digest, origin, targets))
        return [
            replace(result, findings=excused(result.findings, allowed))
            if isinstance(result, ScanResult)
            else result
            for result in results
        ]

    def _permits(self, digest: str, sender: str, recipients: set[str]) -> bool:
        now, entries = self._now(), self._entries.get(digest, ())
        return bool(recipients) and all(
            any(entry.permits(sender, recipient, now) for entry in entries) for recipient in recipients
        )

    def refresh(self) -> None:
        """Read the file again if it has changed; without it nothing is allowed."""
        try:
            status = self.path.stat()
            seen: tuple[object, ...] = (self.path, status.st_ino, status.st_mtime_ns, status.st_size)
        except OSError:
            seen = (self.path,)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            entries = read(self.path)
        except AllowlistError as error:
            # What was in force stays so; after a start that is nothing.
            self._log.error("allowed-macros-unreadable", problem=str(error))
            return
        self._entries = {}
        for entry in entries:
            self._entries.setdefault(entry.macro, []).append(entry)
        self._log.info("allowed-macros", entries=len(entries), file=str(self.path))


def excused(findings: Iterable[Finding], allowed: frozenset[str]) -> tuple[Finding, ...]:
    """The findings, where those about macros with an allowed digest are one that says so."""
    kept: dict[Finding, None] = {}
    for finding in findings:
        if finding.digest not in allowed or finding.name not in _FORGIVEN:
            kept[finding] = None
        elif finding.name == "office-macro":
            kept[replace(finding, name=ALLOWED)] = None
    return tuple(kept)
