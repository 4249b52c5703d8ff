"""What a worker does with a task: the one place where the pool meets the scanners.

Loading this module loads all parsers, before the worker limits itself.
"""

from __future__ import annotations

import os

from contentfilter.limits import ScanOptions
from contentfilter.pool.messages import Task
from contentfilter.results import ScanResult
from contentfilter.scan import scan_document, scan_message, scan_wire

_OPTIONS = ScanOptions()


def scan(task: Task, descriptor: int) -> ScanResult:
    """Scan one message or document.

    Raises:
        OSError: it cannot be read.
    """
    match task.kind:
        case "wire":
            return scan_wire(descriptor, task.size, _OPTIONS)
        case "message":
            return scan_message(_content(descriptor, task.size), _OPTIONS)
        case "document":
            return scan_document(task.name, _content(descriptor, task.size), _OPTIONS)


def _content(descriptor: int, size: int) -> bytes:
    data = os.pread(descriptor, size, 0)
    while len(data) < size and (more := os.pread(descriptor, size - len(data), len(data))):
        data += more
    return data
