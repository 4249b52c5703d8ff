"""The quarantine: a folder with one file per message, each complete or not there.

A file is a line ``postwarden-quarantine 1 LENGTH``, then LENGTH octets of JSON (envelope, client, facts,
written to be read by a person), then the message as its recipient would have got it, octet for octet. One
rename makes it appear, after its content is on disk; the folder is synced before anybody hears 250.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from contentfilter.envelope import Envelope
from contentfilter.results import ScanFailed
from contentfilter.spool import intact
from contentfilter.unstuffing import unstuffed
from contentfilter.verdict import Verdict
from mailbase.vocabulary import Finding, Unscanned

SUFFIX = ".mail"
MAGIC = b"postwarden-quarantine 1 "
MAX_HEAD = 16 << 20
"""Octets of metadata; a thousand recipients with long parameters make two million."""
MAX_WAITING = 100
"""Messages on their way to the disk. One that hangs must not take memory and descriptors without end, long
after their clients have given up."""
STALE = 3600.0
"""Seconds after which an unfinished file is nobody's any more."""

_CHUNK = 256 * 1024


class QuarantineError(Exception):
    """The folder or a file is not as it must be; the text is for the operator."""


class Message(Protocol):
    """What of a spooled message is needed."""

    wire_size: int

    @property
    def digest(self) -> bytes: ...
    def as_fd(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One message in the quarantine.

    Arguments:
        path: its file.
        offset: where in it the message begins.
        metadata: what is known of it; ``id``, ``time``, ``flow``, ``sender``, ``recipients``, ….
    """

    path: Path
    offset: int
    metadata: dict[str, Any]

    def message(self) -> Iterator[bytes]:
        """The message's octets, in pieces."""
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            while chunk := file.read(_CHUNK):
                yield chunk


@dataclass(frozen=True, slots=True)
class _Wire:
    """A message in its wire form, apart from the spool.

    Arguments:
        descriptor: of it.
        size: octets.
        digest: SHA-256 of what came in.
    """

    descriptor: int
    size: int
    digest: bytes

    def pieces(self) -> Iterator[bytes]:
        """The octets.

        Raises:
            OSError: they cannot be read, or are not those that came in.
        """
        return intact(self._read(), self.digest)

    def _read(self) -> Iterator[bytes]:
        offset = 0
        while offset < self.size:
            piece = os.pread(self.descriptor, min(_CHUNK, self.size - offset), offset)
            if not piece:
                raise OSError(errno.EIO, "the spooled message is shorter than it was")
            offset += len(piece)
            yield piece


class Quarantine:
    """Takes messages in.

    Arguments:
        folder: of mode 0700; made if it is missing.
        in_thread: runs a function that blocks on the disk beside the reactor.
    """

    def __init__(self, folder: Path, in_thread: Callable[[Callable[[], Path]], Awaitable[Path]]) -> None:
        self._folder = folder
        self._in_thread = in_thread
        self._turns = threading.Semaphore(MAX_WAITING)

    async def keep(self, verdict: Verdict, envelope: Envelope, message: Message, now: float) -> Path:
        """Store a message; on return it is safe on disk.

        Arguments:
            now: seconds since the epoch.

        Raises:
            OSError: it is not.
        """
        metadata = _metadata(verdict, envelope, now)
        if not self._turns.acquire(blocking=False):
            raise OSError(errno.EBUSY, f"{MAX_WAITING} messages wait for the disk already")
        try:
            # Taken here, where the spool lives; the thread's descriptor outlives the spool.
            wire = _Wire(message.as_fd(), message.wire_size, message.digest)
        except OSError:
            self._turns.release()
            raise

        def work() -> Path:
            try:
                return store(self._folder, verdict.id, now, metadata, wire)
            finally:
                self._turns.release()

        return await self._in_thread(work)

    def take_back(self, name: str) -> None:
        """Delete what was kept a moment ago; nobody was told that we have it.

        Arguments:
            name: of the file.
        """
        try:
            (self._folder / name).unlink(missing_ok=True)
        except OSError:
            # Then somebody gets it twice, at worst.
            return


def prepare(folder: Path, now: float) -> None:
    """Make sure that ``folder`` can be used, and clear away what a killed daemon left unfinished.

    Raises:
        QuarantineError: it cannot.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise QuarantineError(
                f"{folder} is open to others (mode {stat.S_IMODE(status.st_mode):04o}); "
                f"it holds mail, so: chmod 0700 {folder}"
            )
        if status.st_uid != os.geteuid():
            raise QuarantineError(f"{folder} belongs to user {status.st_uid}, the daemon is {os.geteuid()}")
        for path in folder.glob(".*" + SUFFIX):
            if now - path.stat().st_mtime > STALE:
                path.unlink(missing_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise QuarantineError(f"{folder} cannot be written to")
    except OSError as error:
        raise QuarantineError(f"{folder} cannot be used as quarantine: {error.strerror}") from error


def store(folder: Path, decision: str, now: float, metadata: dict[str, Any], wire: _Wire) -> Path:
    """Write one file and sync it; blocks.

    Arguments:
        decision: decision id, part of the file's name.
        now: seconds since the epoch.
        metadata: what to say of the message; size and digest are added.
        wire: the message; its descriptor is closed here.

    Raises:
        OSError: nothing was stored, or it is not known to be on disk.
    """
    try:
        digest, length = hashlib.sha256(), 0
        for piece in unstuffed(wire.pieces()):
            digest.update(piece)
            length += len(piece)
        full = {**metadata, "size": length, "sha256": digest.hexdigest()}
        head = json.dumps(full, indent=1).encode("ascii") + b"\n"
        temporary, final = _reserve(folder, decision, now)
        try:
            with open(temporary, "wb", buffering=0) as file:
                _write(file, MAGIC + b"%d\n" % len(head) + head)
                for piece in unstuffed(wire.pieces()):
                    _write(file, piece)
                os.fsync(file.fileno())
            temporary.rename(final)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(folder)
        return final
    finally:
        os.close(wire.descriptor)


def entries(folder: Path) -> Iterator[Entry]:
    """What is in the quarantine, oldest first; files that are no entries are passed over.

    Raises:
        QuarantineError: the folder cannot be read.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if _is_final(path))
    except OSError as error:
        raise QuarantineError(f"{folder}: {error.strerror}") from error
    for path in paths:
        try:
            yield read(path)
        except QuarantineError:
            continue


def find(folder: Path, decision: str) -> list[Entry]:
    """The entries of one decision; a mail that came in several transactions has several.

    Raises:
        QuarantineError: there is none, or it cannot be read.
    """
    paths = sorted(path for path in folder.glob(f"*-{decision}{SUFFIX}") if _is_final(path))
    if not paths:
        raise QuarantineError(f"nothing in {folder} has the id {decision}")
    return [read(path) for path in paths]


def read(path: Path) -> Entry:
    """One entry.

    Raises:
        QuarantineError: the file is none, or damaged, or cannot be read.
    """
    try:
        with open(path, "rb") as file:
            first = file.readline(len(MAGIC) + 12)
            length = first.removeprefix(MAGIC).strip()
            if not first.startswith(MAGIC) or not length.isdigit() or int(length) > MAX_HEAD:
                raise QuarantineError(f"{path} is no quarantined message")
            metadata = json.loads(file.read(int(length)))
    except OSError as error:
        raise QuarantineError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise QuarantineError(f"{path} is damaged: {error}") from error
    if not isinstance(metadata, dict):
        raise QuarantineError(f"{path} is damaged: no JSON object")
    return Entry(path, len(first) + int(length), metadata)


def _metadata(verdict: Verdict, envelope: Envelope, now: float) -> dict[str, Any]:
    return {
        "id": verdict.id,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
        "flow": verdict.flow,
        "client": asdict(envelope.client),
        "sender": envelope.sender.address,
        "recipients": [path.address for path in envelope.recipients],
        "findings": [asdict(fact) for fact in verdict.facts if isinstance(fact, Finding)],
        "unscanned": [asdict(fact) for fact in verdict.facts if isinstance(fact, Unscanned)],
        "failures": [asdict(fact) for fact in verdict.facts if isinstance(fact, ScanFailed)],
        # As on the wire, with the ESMTP parameters, so that a release can say the same.
        "wire": {
            "lmtp": envelope.lmtp,
            "xforward": [line.decode("latin-1") for line in envelope.xforward],
            "mail": envelope.sender.line.decode("latin-1"),
            "rcpt": [path.line.decode("latin-1") for path in envelope.recipients],
        },
    }


def _reserve(folder: Path, decision: str, now: float) -> tuple[Path, Path]:
    """A temporary file of our own, and a final name that nobody has or will take meanwhile."""
    while True:
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06d}Z"
        final = folder / f"{stamp}-{decision}{SUFFIX}"
        temporary = folder / f".{final.name}"
        now += 1e-6
        try:
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            continue
        if not final.exists():
            return temporary, final
        temporary.unlink()


def _write(file: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_final(path: Path) -> bool:
    return path.name.endswith(SUFFIX) and not path.name.startswith(".")
