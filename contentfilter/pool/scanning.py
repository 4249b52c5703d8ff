"""What a worker does with a task: the one place where the pool meets the scanners.

Loading this module loads all parsers, before the worker limits itself.
"""

from __future__ import annotations

from contentfilter.pool.messages import Task
from contentfilter.results import ScanResult
from contentfilter.scan import ScanOptions, scan_document, scan_message, scan_wire

_OPTIONS = ScanOptions()


def scan(task: Task, data: bytes | memoryview) -> ScanResult:
    """Scan one message or document."""
    match task.kind:
        case "wire":
            return scan_wire(data, _OPTIONS)
        case "message":
            return scan_message(data, _OPTIONS)
        case "document":
            return scan_document(task.name, data, _OPTIONS)
