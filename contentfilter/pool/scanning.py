"""What a worker does with a task: the one place where the pool meets the scanners.

Importing this module imports all parsers, so that a worker has them before it limits itself.
"""

from __future__ import annotations

import logging
import os

from contentfilter.analysis import Analysis, Knowledge
from contentfilter.content.familiar import Familiar
from contentfilter.content.results import ScanResult
from contentfilter.content.scan import (
    ScanOptions,
    preload,
    read_letter,
    scan_document,
    scan_message,
    scan_wire,
)
from contentfilter.content.traits import Traits
from contentfilter.message import BytesWire, Wire, open_wire
from contentfilter.pool.messages import Task
from contentfilter.statistics.tokens import slots_of
from mailbase.statistics.lesson import encode_lesson, pack

_OPTIONS = ScanOptions()
_FAMILIAR = Familiar()

_log = logging.getLogger(__name__)

preload()


def scan(task: Task, descriptor: int, knowledge: Knowledge) -> ScanResult:
    """Scan one message or document.

    Arguments:
        descriptor: stays the caller's; -1 where the task has the content itself.
        knowledge: for the analysers.

    Raises:
        OSError: it cannot be read.
    """
    match task.kind:
        case "wire":
            analysis = Analysis(knowledge, task.given)
            return scan_wire(
                task.content or descriptor,
                task.size,
                _OPTIONS,
                analysis=analysis,
                familiar=_FAMILIAR,
                dotted=task.dotted,
            )
        case "message":
            analysis = Analysis(knowledge, task.given)
            content = _content(task, descriptor)
            return scan_message(content, _OPTIONS, analysis=analysis, familiar=_FAMILIAR)
        case "document":
            return scan_document(task.name, _content(task, descriptor), _OPTIONS)
        case "wire-lesson":
            return _lesson(open_wire(task.content or descriptor, task.size))
        case "lesson":
            return _lesson(BytesWire(_content(task, descriptor)))


def _lesson(wire: Wire) -> ScanResult:
    """A result with nothing but the lesson of a message; not even that, if nothing is seen in it."""
    try:
        slots = slots_of(read_letter(wire, _OPTIONS))
    except OSError:
        raise
    except Exception:  # noqa: BLE001 - hostile input meets many readers; the worker is as sound as after a scan
        _log.warning("a message cannot be learned", exc_info=True)
        slots = set()
    return ScanResult(traits=Traits(lesson=encode_lesson(pack(slots)))) if slots else ScanResult()


def _content(task: Task, descriptor: int) -> bytes:
    if task.content:
        return task.content
    size = task.size
    data = os.pread(descriptor, size, 0)
    while len(data) < size and (more := os.pread(descriptor, size - len(data), len(data))):
        data += more
    return data
