"""What scanners find in a document or a mail, for tests; none of them may fail at it."""

from __future__ import annotations

from contentfilter.content.results import ScanResult
from contentfilter.content.scan import ScanOptions, scan_document, scan_message
from tests.samples.messages import message, multipart


def scan(data: bytes, options: ScanOptions | None = None, name: str = "x") -> ScanResult:
    """The result of scanning a document."""
    return _whole(scan_document(name, data, options))


def found(data: bytes, options: ScanOptions | None = None, name: str = "x") -> set[str]:
    """The names of findings in a document."""
    return names(scan(data, options, name))


def scanned(data: bytes, options: ScanOptions | None = None, name: str = "x") -> tuple[set[str], set[str]]:
    """The names of findings in a document, and the reasons for what was not scanned."""
    return told(scan(data, options, name))


def mail(*parts: bytes) -> tuple[set[str], set[str]]:
    """The same of a mail with these parts."""
    return told(_whole(scan_message(message(multipart(*parts)))))


def told(result: ScanResult) -> tuple[set[str], set[str]]:
    """The names of findings, and the reasons for what was not scanned."""
    return names(result), reasons(result)


def names(result: ScanResult) -> set[str]:
    """The names of findings."""
    return {finding.name for finding in result.findings}


def reasons(result: ScanResult) -> set[str]:
    """The reasons for what was not scanned."""
    return {item.reason for item in result.unscanned}


def macros(result: ScanResult) -> set[str]:
    """The parts within a document in which macros were found."""
    return {finding.part for finding in result.findings if finding.name == "office-macro"} - {"x"}


def _whole(result: ScanResult) -> ScanResult:
    assert "failed" not in reasons(result), result.unscanned
    return result
