"""What a worker does with a task: the one place where the pool meets the scanners.

Importing this module imports all parsers, so that a worker has them before it limits itself.
"""

from __future__ import annotations

import os

from contentfilter.analysis import Analysis, Knowledge
from contentfilter.pool.messages import Task
from contentfilter.results import ScanResult
from contentfilter.scan import ScanOptions, preload, scan_document, scan_message, scan_wire

_OPTIONS = ScanOptions()

preload()


def scan(task: Task, descriptor: int, knowledge: Knowledge) -> ScanResult:
    """Scan one message or document.

    Arguments:
        descriptor: stays the caller's.
        knowledge: for the analysers.

    Raises:
        OSError: it cannot be read.
    """
    match task.kind:
        case "wire":
            return scan_wire(descriptor, task.size, _OPTIONS, analysis=Analysis(knowledge, task.given))
        case "message":
            analysis = Analysis(knowledge, task.given)
            return scan_message(_content(descriptor, task.size), _OPTIONS, analysis=analysis)
        case "document":
            return scan_document(task.name, _content(descriptor, task.size), _OPTIONS)


def _content(descriptor: int, size: int) -> bytes:
    data = os.pread(descriptor, size, 0)
    while len(data) < size and (more := os.pread(descriptor, size - len(data), len(data))):
        data += more
    return data
