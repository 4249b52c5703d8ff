"""How a message gets into the quarantine: one rename makes its file appear, after the content is on disk."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from contentfilter.content.results import ScanFailed
from contentfilter.disposition.verdict import Verdict, refusal_text
from contentfilter.quarantine.entry import MAGIC, SUFFIX, stamp, sync_folder
from contentfilter.quarantine.folder import file_mode
from contentfilter.session.envelope import Envelope
from contentfilter.spool.seal import intact
from contentfilter.spool.unstuffing import unstuffed
from mailbase.vocabulary import Finding, Unscanned

_CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class Wire:
    """A message in its wire form, apart from the spool.

    Arguments:
        descriptor: of it.
        size: octets.
        digest: the seal of what came in; see :mod:`contentfilter.spool.seal`.
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


def store(folder: Path, decision: str, now: float, metadata: dict[str, Any], wire: Wire) -> Path:
    """Write one file and sync it; blocks.

    Arguments:
        decision: decision id, part of the file's name.
        now: seconds since the epoch.
        metadata: what to say of the message; size and digest are added.
        wire: the message.

    Raises:
        OSError: nothing was stored, or it is not known to be on disk.
    """
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
    sync_folder(folder)
    return final


def describe(verdict: Verdict, envelope: Envelope, now: float, reinject: str) -> dict[str, Any]:
    """What is known of a message, as it will stand in its file.

    Arguments:
        now: seconds since the epoch.
        reinject: where it would have gone.
    """
    return {
        "id": verdict.id,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
        "flow": verdict.flow,
        "client": asdict(envelope.client),
        "sender": envelope.sender.address,
        "recipients": [path.address for path in envelope.recipients],
        "reason": refusal_text(verdict.cause),
        "findings": [asdict(fact) for fact in verdict.facts if isinstance(fact, Finding)],
        "unscanned": [asdict(fact) for fact in verdict.facts if isinstance(fact, Unscanned)],
        "failures": [asdict(fact) for fact in verdict.facts if isinstance(fact, ScanFailed)],
        # As on the wire, with the ESMTP parameters, so that a release can say the same.
        "wire": {
            "lmtp": envelope.lmtp,
            "reinject": reinject,
            "xforward": [line.decode("latin-1") for line in envelope.xforward],
            "mail": envelope.sender.line.decode("latin-1"),
            "rcpt": [path.line.decode("latin-1") for path in envelope.recipients],
        },
    }


def _reserve(folder: Path, decision: str, now: float) -> tuple[Path, Path]:
    """A temporary file of our own, and a final name that nobody has or will take meanwhile."""
    while True:
        final = folder / f"{stamp(now)}-{decision}{SUFFIX}"
        temporary = folder / f".{final.name}"
        now += 1e-6
        try:
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, file_mode(folder)))
        except FileExistsError:
            continue
        if not final.exists():
            return temporary, final
        temporary.unlink()


def _write(file: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
