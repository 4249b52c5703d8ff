"""Files to read requests from: recordings and mail logs, compressed or not, in any order, of many hosts."""

from __future__ import annotations

import gzip
import heapq
import json
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import IO, cast

from mailbase.commandline import LONGEST
from mailbase.replies import printable
from policyd.replay import decisions
from policyd.replay.journald import syslog_lines
from policyd.replay.past import Gap, Line, Recorded
from policyd.replay.postfix import PostfixLog, Tally
from policyd.replay.recording import is_header, line_of
from policyd.replay.stamps import Stamps

MAX_LINE = 1024 * 1024
"""Octets of a line; longer ones are skipped."""
LOOKED_AT = 20_000
"""Lines of a log in which its first stamp and our own decisions are looked for."""
REPORT_EVERY = 20_000
"""Lines between two reports of progress."""

_ROTATED = re.compile(r"(?:\.[0-9]{1,4}|[.-][0-9]{8})?(?:\.gz)?$")

Progress = Callable[[int], None]
"""Told how many lines were read."""


class SourceError(Exception):
    """A file that cannot be read from; the text is for the operator."""


def _unusable(path: object, reason: object) -> SourceError:
    return SourceError(f"{printable(str(path), LONGEST)}: {reason}")


@dataclass(slots=True)
class Counts:
    """How the reading went.

    Arguments:
        lines: read.
        unreadable: damaged ones, and too long ones.
        cut: compressed files that end too early, or are damaged: nothing behind that place was read.
        dropped: requests that were not recorded for want of room.
        pseudonymised: lines of a log that has hashes in place of addresses.
        postfix: what was left out of Postfix's lines.
    """

    lines: int = 0
    unreadable: int = 0
    cut: int = 0
    dropped: int = 0
    pseudonymised: int = 0
    postfix: Tally = field(default_factory=Tally)


@dataclass(slots=True)
class _File:
    path: Path
    is_recording: bool
    begins: float
    written: float
    host: str = ""
    has_decisions: bool = False


class Sources:
    """Requests from files, in the order of their time.

    The files of one host, which were rotated, are read one after another in the order of their first lines;
    those of several hosts side by side.

    Arguments:
        paths: recordings (:mod:`policyd.replay.recording`) or mail logs.
        year: of the first line of logs whose lines have none; None to find it out.
        progress: told now and then how many lines were read.

    Raises:
        SourceError: a file cannot be opened, or is a recording of another version.
    """

    def __init__(
        self, paths: Sequence[Path], year: int | None = None, progress: Progress = lambda lines: None
    ) -> None:
        self._year = year
        self._progress = progress
        files = sorted((self._look_at(path) for path in paths), key=lambda file: file.begins)
        self._hosts: dict[str, list[_File]] = {}
        for file in files:
            self._hosts.setdefault(file.host, []).append(file)
        self.has_decisions = any(file.has_decisions for file in files)
        """Whether a log has policyd's own decisions: then Postfix's lines are not needed."""
        self.counts = Counts()

    def __iter__(self) -> Iterator[Line]:
        """Read all files, from the beginning.

        Raises:
            SourceError: a file cannot be read further.
        """
        self.counts = Counts()
        streams = [self._host(files) for files in self._hosts.values()]
        return streams[0] if len(streams) == 1 else _by_time(streams)

    def _host(self, files: Sequence[_File]) -> Iterator[Line]:
        postfix = PostfixLog(self.counts.postfix)
        decided = self.has_decisions
        for file in files:
            if file.is_recording:
                yield from self._recording(file)
                continue
            stamps = Stamps(file.written, self._year)
            for text in self._lines(file.path):
                line = text.decode("utf-8", "replace").rstrip("\r\n")
                if decisions.may_be_decision(line):
                    decided = True
                    recorded = decisions.decision_of(line)
                    if recorded is None:
                        self.counts.unreadable += 1
                    elif decisions.is_pseudonymised(recorded):
                        self.counts.pseudonymised += 1
                    else:
                        yield recorded
                elif not decided and "postfix" in line and (stamp := stamps.read(line)) is not None:
                    postfix.feed(stamp, line[stamp.text :])
                    yield from postfix.ready(stamp.time)
        yield from postfix.rest()

    def _recording(self, file: _File) -> Iterator[Line]:
        for number, text in enumerate(self._lines(file.path)):
            if not number:
                continue
            try:
                line = line_of(json.loads(text.decode("utf-8", "replace")))
            except (ValueError, RecursionError):
                # The last line of a recording that was cut off, or a damaged one.
                self.counts.unreadable += 1
                continue
            if type(line) is Gap:
                self.counts.dropped += line.dropped
            yield line

    def _lines(self, path: Path) -> Iterator[bytes]:
        counts = self.counts

        def cut() -> None:
            counts.cut += 1

        for line in _lines(path, cut):
            counts.lines += 1
            if not counts.lines % REPORT_EVERY:
                self._progress(counts.lines)
            if line:
                yield line
            else:
                counts.unreadable += 1

    def _look_at(self, path: Path) -> _File:
        """What kind of file that is, and when it begins."""
        try:
            written = path.stat().st_mtime
        except OSError as error:
            raise _unusable(path, error.strerror or error) from error
        stamps = Stamps(written, self._year)
        file = _File(path, False, written, written)
        begins: float | None = None
        for number, line in enumerate(_lines(path)):
            if not number:
                try:
                    if is_header(line):
                        head = json.loads(line)
                        return _File(path, True, float(head.get("time", 0)), written, str(head.get("host")))
                except (ValueError, TypeError) as error:
                    raise _unusable(path, error) from error
            text = line.decode("utf-8", "replace")
            if begins is None and (stamp := stamps.read(text)) is not None:
                begins, file.host = stamp.time, stamp.host
            if decisions.may_be_decision(text) and (recorded := decisions.decision_of(text.rstrip())):
                begins = recorded.time if begins is None else begins
                file.has_decisions = True
                break
            if number >= LOOKED_AT:
                break
        if begins is not None:
            file.begins = begins
        if not file.host:
            # Lines that do not say who wrote them: rotated files have one name.
            file.host = str(path.parent / _ROTATED.sub("", path.name))
        return file


def _by_time(streams: Sequence[Iterator[Line]]) -> Iterator[Line]:
    """Several streams as one; what has no time comes with what stands before it."""

    def timed(stream: Iterator[Line]) -> Iterator[tuple[float, Line]]:
        time = 0.0
        for line in stream:
            if type(line) is Recorded:
                time = line.time
            yield time, line

    return (line for _, line in heapq.merge(*map(timed, streams), key=itemgetter(0)))


def _lines(path: Path, cut: Callable[[], None] = lambda: None) -> Iterator[bytes]:
    """The lines of a file, or of a journal's entries; an empty one for each that cannot be read.

    Arguments and errors as for :func:`_raw_lines`.
    """
    return syslog_lines(_raw_lines(path, cut))


def _raw_lines(path: Path, cut: Callable[[], None]) -> Iterator[bytes]:
    """The lines of a file; an empty one for each that is too long.

    Arguments:
        cut: called where a compressed file ends too early, or is damaged; that is its end.

    Raises:
        SourceError: it cannot be read.
    """
    try:
        with path.open("rb") as raw:
            compressed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            file = cast("IO[bytes]", gzip.GzipFile(fileobj=raw) if compressed else raw)
            try:
                while line := file.readline(MAX_LINE):
                    if len(line) < MAX_LINE:
                        yield line
                        continue
                    while line and not line.endswith(b"\n"):
                        line = file.readline(MAX_LINE)
                    yield b""
            except (EOFError, zlib.error, gzip.BadGzipFile):
                # Still being written, or cut off: what is whole was read.
                cut()
    except OSError as error:
        raise _unusable(path, error.strerror or error) from error
