"""Scans one message or document: walks its parts and shows each to every scanner.

Pure computation: runs in a worker process, or at once for ``contentfilter scan``. Nothing here knows what
is done about a finding.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator

from contentfilter.analysis import ANALYSERS, Analysis, analyse
from contentfilter.authentication.given import NAME as AUTHENTICATION
from contentfilter.authentication.given import verified
from contentfilter.containers import libarchive
from contentfilter.content.clues import Clue
from contentfilter.content.familiar import Familiar, spent
from contentfilter.content.limits import Budget, ScanOptions
from contentfilter.content.part import Context, Found, Part, Scanner, base_name, clean_name
from contentfilter.content.results import ScanResult
from contentfilter.content.traits import NO_TRAITS, Traits
from contentfilter.letter.letter import Composer, Letter
from contentfilter.links.common import common_domains
from contentfilter.message import BytesWire, MessageReader, Wire, open_wire
from contentfilter.passwords.passwords import Passwords
from contentfilter.passwords.telling import told_by_mail, told_by_name
from contentfilter.scanners import SCANNERS
from mailbase import organisation
from mailbase.scripts import suffix_of
from mailbase.vocabulary import Finding, Unscanned

__all__ = ["Analysis", "ScanOptions", "preload", "read_letter", "scan_document", "scan_message", "scan_wire"]

Clock = Callable[[], float]

_log = logging.getLogger(__name__)

_EMPTY_LINE = re.compile(rb"\n\r?\n")
_HEAD_STEP = 8 * 1024
_BUDGETS = frozenset({"too-large", "too-deep"})


def scan_message(
    data: bytes | bytearray | memoryview,
    options: ScanOptions | None = None,
    clock: Clock = time.perf_counter,
    analysis: Analysis | None = None,
    familiar: Familiar | None = None,
) -> ScanResult:
    """Scan a message (RFC 5322) that is in memory, without dot-stuffing.

    Arguments:
        options: bounds; the defaults if None.
        clock: monotonic seconds.
        analysis: for the analysers, which read the mail for clues; None: they don't.
        familiar: pieces that need not be searched again; None: all are.
    """
    return _scan_message(BytesWire(data), options or ScanOptions(), clock, analysis, familiar)


def scan_wire(
    source: int | bytes | bytearray | memoryview,
    size: int,
    options: ScanOptions | None = None,
    clock: Clock = time.perf_counter,
    analysis: Analysis | None = None,
    familiar: Familiar | None = None,
    dotted: bool = True,
) -> ScanResult:
    """Scan a message in the dot-stuffed wire form, without the terminating ``.CRLF``.

    Arguments:
        source: a file descriptor, read by position and left open, or the octets.
        size: octets of the wire form.
        options: bounds; the defaults if None.
        clock: monotonic seconds.
        analysis: for the analysers, which read the mail for clues; None: they don't.
        familiar: pieces that need not be searched again; None: all are.
        dotted: false if no line begins with a dot.

    Raises:
        OSError: the descriptor cannot be read.
    """
    wire = open_wire(source, size, dotted)
    return _scan_message(wire, options or ScanOptions(), clock, analysis, familiar)


def scan_document(
    name: str, data: bytes, options: ScanOptions | None = None, clock: Clock = time.perf_counter
) -> ScanResult:
    """Scan a document or archive that came without a message around it.

    Arguments:
        name: its path in the result; what it is, is told from its content alone.
    """
    budget = Budget(options or ScanOptions(), clock)
    walk = _Walk(budget, Passwords(budget, lambda: told_by_name(name)), clock)
    return walk.run(iter((Part(clean_name(name), data, name=base_name(name)),)))


def preload() -> None:
    """Read what most mail needs, so that none has to wait for it.

    What few mails need (olevba, msoffcrypto) they wait for, a tenth of a second, and not each worker at its
    start; confinement leaves workers the files of modules.
    """
    libarchive.available()
    organisation.prepare()
    common_domains()


def _scan_message(
    wire: Wire, options: ScanOptions, clock: Clock, analysis: Analysis | None, familiar: Familiar | None
) -> ScanResult:
    budget = Budget(options, clock)
    passwords = Passwords(budget, lambda: told_by_mail(wire, options))
    source = MessageReader(wire, budget).read()
    walk = _Walk(budget, passwords, clock, familiar=familiar)
    if analysis is None:
        return walk.run(source)
    started = clock()
    composer = Composer() if analysis.knowledge.wanted else None
    result = walk.run(source if composer is None else _composed(source, composer))
    authentication = verified(wire, analysis.task)
    if authentication is not None:
        analysis.traits[AUTHENTICATION] = authentication
    clues: tuple[Clue, ...] = ()
    if composer is not None:
        letter = composer.letter(_header_block(wire, options.header_size), wire.length)
        analysis.findings = frozenset(finding.name for finding in result.findings)
        clues = analyse(letter, analysis, ANALYSERS.values())
    traits = Traits(**analysis.traits) if analysis.traits else NO_TRAITS
    return ScanResult(result.findings, result.unscanned, result.parts, clock() - started, clues, traits)


def read_letter(
    message: bytes | Wire, options: ScanOptions | None = None, clock: Clock = time.perf_counter
) -> Letter:
    """A message as a letter, without scanning it.

    Arguments:
        message: its octets without dot-stuffing, or where they are.
        options: bounds; the defaults if None.
        clock: monotonic seconds.
    """
    wire = BytesWire(message) if isinstance(message, bytes) else message
    bounds = options or ScanOptions()
    composer = Composer()
    for _item in _composed(MessageReader(wire, Budget(bounds, clock)).read(), composer):
        pass
    return composer.letter(_header_block(wire, bounds.header_size), wire.length)


def _composed(source: Iterator[Found], composer: Composer) -> Iterator[Found]:
    """``source``, of which the letter is made as it passes."""
    for item in source:
        if isinstance(item, Part):
            composer.add(item)
        yield item


def _header_block(wire: Wire, limit: int) -> bytes:
    """The message's header, as far as it is read."""
    block = b""
    for size in (_HEAD_STEP, limit):
        block = wire.text(0, min(wire.length, size))
        if block.startswith((b"\n", b"\r\n")):
            return block[:1]
        if found := _EMPTY_LINE.search(block):
            return block[: found.start() + 1]
    return block


class _Walk:
    """One scan. Depth first, so that at any time only the containers around one part are in memory."""

    def __init__(
        self,
        budget: Budget,
        passwords: Passwords,
        clock: Clock,
        scanners: Iterable[Scanner] = SCANNERS.values(),
        *,
        familiar: Familiar | None = None,
    ) -> None:
        self._budget = budget
        self._passwords = passwords
        self._clock = clock
        self._scanners = tuple(scanners)
        self._familiar = familiar
        self._findings: dict[Finding, None] = {}
        self._unscanned: dict[Unscanned, None] = {}
        self._listed: dict[str, int] = {}
        self._visited = 0

    def run(self, source: Iterator[Found]) -> ScanResult:
        started = self._clock()
        stack = [self._guarded("message", "", source)]
        while stack:
            if self._budget.late:
                self._add(Unscanned("", "timed-out", "the rest of the message"))
                break
            item = next(stack[-1], None)
            match item:
                case None:
                    stack.pop()
                case Finding() | Unscanned():
                    self._add(item)
                case Part():
                    if not self._budget.take_part():
                        limit = f"more than {self._budget.options.parts} parts"
                        self._add(Unscanned("", "too-large", limit))
                        break
                    if self._admit(item):
                        self._visited += 1
                        stack.append(self._look_once(item))
        seconds = self._clock() - started
        return ScanResult(tuple(self._findings), tuple(self._unscanned), self._visited, seconds)

    def _admit(self, part: Part) -> bool:
        """Whether this part may be scanned; says so if not."""
        if part.depth > self._budget.options.depth:
            reason, detail = "too-deep", f"more than {self._budget.options.depth} containers"
        elif part.depth and not self._budget.allowance():
            reason, detail = "too-large", "too much in containers"
        else:
            if part.depth:
                self._budget.spend(len(part.data))
            return True
        self._add(part.unscanned(reason, detail))
        return False

    def _look_once(self, part: Part) -> Iterator[Found]:
        """As :meth:`_look`, unless it is a piece in which there is nothing, as is known."""
        familiar = self._familiar
        if familiar is None or not (key := familiar.key(part)):
            return self._look(part)
        return iter(()) if key in familiar else self._first_look(part, key, familiar)

    def _first_look(self, part: Part, key: bytes, familiar: Familiar) -> Iterator[Found]:
        before, empty = spent(self._budget), True
        for item in self._look(part):
            empty = False
            yield item
        if empty and spent(self._budget) == before and not self._budget.exhausted:
            familiar.add(key)

    def _look(self, part: Part) -> Iterator[Found]:
        context = Context(part, self._budget, self._passwords)
        for scanner in self._scanners:
            # As in _guarded, which would take as long as the scanners that have nothing to say.
            try:
                yield from scanner.scan(part, context)
            except GeneratorExit:
                raise
            except Exception as error:  # noqa: BLE001 - hostile input meets many parsers
                yield self._failed(scanner.name, part.path, error)

    def _guarded(self, name: str, path: str, source: Iterator[Found]) -> Iterator[Found]:
        """What ``source`` yields; its failure is a part left unscanned, not the end of the scan."""
        try:
            yield from source
        except GeneratorExit:
            raise
        except Exception as error:  # noqa: BLE001 - hostile input meets many parsers; whatever they raise is no pass
            yield self._failed(name, path, error)

    @staticmethod
    def _failed(name: str, path: str, error: Exception) -> Unscanned:
        _log.warning("scanner %s failed", name, exc_info=True)
        return Unscanned(path, "failed", f"{name}: {type(error).__name__}")

    def _add(self, item: Finding | Unscanned) -> None:
        """Keep a fact, once, and not endlessly many of a kind."""
        if isinstance(item, Unscanned) and item.reason in _BUDGETS:
            # A part that ran into a bound of ours may hide anything: that is a finding, wherever it happened.
            self._add(Finding(item.reason, item.part, item.detail))
        # Scripts that are let through must not crowd out the programs behind them.
        kind = item.name + suffix_of(item.detail) if isinstance(item, Finding) else item.reason
        count = self._listed.get(kind, 0)
        if count >= self._budget.options.listed:
            return
        if isinstance(item, Finding):
            if item not in self._findings:
                self._findings[item] = None
                self._listed[kind] = count + 1
        elif item not in self._unscanned:
            self._unscanned[item] = None
            self._listed[kind] = count + 1
