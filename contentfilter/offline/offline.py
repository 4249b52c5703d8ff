"""``contentfilter scan``: files through the same workers and the same verdict, without a daemon."""

from __future__ import annotations

import os
import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from contentfilter.analysis.knowledge import sources_of
from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.disposition.account import clue
from contentfilter.disposition.policy import Policies
from contentfilter.disposition.total import add_up
from contentfilter.disposition.verdict import Verdict, decide
from contentfilter.offline.batch import Batch, Row, Unreadable
from contentfilter.pool.member import Fate
from contentfilter.pool.messages import Kind, Task
from contentfilter.pool.pool import Pool
from contentfilter.pool.process import ProcessLauncher
from contentfilter.pool.worker import Settings as WorkerSettings
from contentfilter.rules.own import OwnRules
from mailbase.config import FINDING_NAMES, Settings
from mailbase.ids import IdSource
from mailbase.logs import Log
from mailbase.vocabulary import Action, Flow, Unscanned

HEAD = 8192
"""Octets that tell a message from a document."""

_FIELD = rb"[!-9;-~]{1,100}[ \t]*:"
_MESSAGE = re.compile(rb"(?:From [^\r\n]*\r?\n)?(?:" + _FIELD + rb"[^\r\n]*\r?\n(?:[ \t][^\r\n]*\r?\n)*){2}")
_TELLING = re.compile(
    rb"(?im)^(?:received|from|to|date|subject|message-id|mime-version|return-path|content-type):"
)


class Count:
    """What became of the workers; nobody asks here."""

    def worker_ended(self, fate: Fate) -> None: ...


def files(paths: Iterable[Path], failed: Callable[[Unreadable], None]) -> Iterator[Path]:
    """The files at ``paths``, folders with all they hold, in the order of their names.

    A folder without any is told of like one that cannot be read: its name may be a slip.
    """
    for path in paths:
        if is_folder(path):
            yield from _files_below(path, failed)
        else:
            yield path


def is_folder(path: Path) -> bool:
    """Whether there is a folder at ``path``; what cannot be seen is none, and reading it says why."""
    # Not Path.is_dir, which raises where the way to it is closed, or its name too long.
    return os.path.isdir(path)


def _files_below(top: Path, failed: Callable[[Unreadable], None]) -> Iterator[Path]:
    empty = True

    def problem(error: OSError) -> None:
        nonlocal empty
        empty = False
        failed(Unreadable(f"{error.filename}: {error.strerror}"))

    for folder, folders, names in os.walk(top, onerror=problem):
        folders.sort()
        for name in sorted(names):
            file = Path(folder, name)
            if file.is_file():
                empty = False
                yield file
    if empty:
        failed(Unreadable(f"{top}: no files there"))


def is_message(name: str, head: bytes) -> bool:
    """Whether a file is a message (RFC 5322) and no document: by its name, or by how it begins."""
    if name.lower().endswith(".eml"):
        return True
    return _MESSAGE.match(head) is not None and _TELLING.search(head) is not None


def open_task(path: Path) -> tuple[Task, int]:
    """What a worker needs to scan the file at ``path``: task and descriptor.

    Raises:
        Unreadable: it cannot be read, or is no file.
    """
    try:
        # Not blocking: a FIFO would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from error
    try:
        if not path.is_file():
            raise Unreadable(f"{path}: not a file")
        head = os.pread(descriptor, HEAD, 0)
        kind: Kind = "message" if is_message(path.name, head) else "document"
        return Task(kind, os.fstat(descriptor).st_size, path.name), descriptor
    except OSError as error:
        os.close(descriptor)
        raise Unreadable(f"{path}: {error.strerror}") from error
    except Unreadable:
        os.close(descriptor)
        raise


class Run(Batch[Path, Row]):
    """One run over many files; see :class:`contentfilter.offline.batch.Batch`."""

    @abstractmethod
    def _row(self, path: Path, result: ScanResult | ScanFailed, seconds: float) -> Row | None:
        """What is shown of a file; None for nothing.

        Arguments:
            seconds: from handing the file over to the answer.
        """

    def _items(self, paths: Iterable[Path]) -> Iterator[Path]:
        return files(paths, self._cannot_read)

    async def _one(self, item: Path) -> Row | None:
        try:
            task, descriptor = open_task(item)
        except Unreadable as error:
            self._cannot_read(error)
            return None
        started = self._reactor.seconds()
        result = await self._pool.submit(task, descriptor)
        seconds = self._reactor.seconds() - started
        if isinstance(result, ScanFailed):
            self._complain(f"{item}: not scanned: {result.detail or result.reason}")
        return self._row(item, result, seconds)


class Scan(Run[dict[str, Any]]):
    """What ``contentfilter scan`` does; see :class:`Run`.

    Arguments:
        settings: for policy and contact.
        flow: whose policy decides.

    Attributes:
        objectionable: whether there was a finding, or a file would not be let through.
    """

    def __init__(
        self,
        reactor: Any,
        pool: Pool[ScanResult],
        settings: Settings,
        flow: Flow,
        jobs: int,
        show: Callable[[dict[str, Any]], None],
        complain: Callable[[str], None],
    ) -> None:
        super().__init__(reactor, pool, jobs, show, complain)
        self._contact = settings.identity.contact
        self._own = settings.contentfilter.replies
        self._policy = Policies(settings).of_flow(flow)
        self._flow = flow
        self._ids = IdSource()
        self.objectionable = False

    def _row(self, path: Path, result: ScanResult | ScanFailed, seconds: float) -> dict[str, Any]:
        read = result if isinstance(result, ScanResult) else ScanResult()
        total = add_up(read.clues, read.findings, None, self._policy.points)
        verdict = decide(self._ids.next(), self._flow, self._policy, [result], total)
        self.objectionable |= verdict.action is not Action.ACCEPT or bool(read.findings)
        return describe(path, result, verdict, seconds, self._contact, self._own)


def describe(
    path: Path,
    result: ScanResult | ScanFailed,
    verdict: Verdict,
    seconds: float,
    contact: str,
    own: Mapping[str, str],
) -> dict[str, Any]:
    """One line of the output, as JSON types.

    Arguments:
        seconds: from handing the file over to the answer.
        contact: for the reply's text.
        own: the operator's texts.
    """
    if isinstance(result, ScanFailed):
        gap = Unscanned("", "timed-out" if result.reason == "timed-out" else "failed")
        result = ScanResult(unscanned=(gap,))
    return {
        "path": str(path),
        "disposition": verdict.action,
        "reply": str(verdict.reply(contact, own)),
        "score": 0.0 if verdict.total is None else verdict.total.points,
        "seconds": round(seconds, 3),
        "findings": [
            {"name": f.name, "part": f.part, "detail": f.detail} | ({"macro": f.digest} if f.digest else {})
            for f in result.findings
        ],
        "unscanned": [{"part": u.part, "reason": u.reason} for u in result.unscanned],
        "parts": result.parts,
        "clues": [] if verdict.total is None else [clue(item) for item in verdict.total.items],
    }


def make_scan(
    reactor: Any,
    settings: Settings,
    flow: Flow,
    jobs: int,
    show: Callable[[dict[str, Any]], None],
    complain: Callable[[str], None],
) -> Scan:
    """A run with real workers; see :class:`Scan`.

    Arguments:
        jobs: worker processes.
    """
    return Scan(reactor, make_pool(reactor, settings, jobs), settings, flow, jobs, show, complain)


def make_pool(reactor: Any, settings: Settings, jobs: int) -> Pool[ScanResult]:
    """As many real workers as ``jobs``, not started."""
    log = Log("contentfilter", style=settings.logging.format, level="error")
    limits = settings.contentfilter.workers.model_copy(update={"count": jobs})
    knowledge = sources_of(settings, OwnRules.read(settings.contentfilter.rules))
    worker = WorkerSettings(os.getpid(), limits.memory, limits.cpu_time, knowledge=knowledge)
    launcher = ProcessLauncher(reactor, worker, FINDING_NAMES, log)
    return Pool(reactor, limits, launcher, log, Count())
