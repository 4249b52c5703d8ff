"""A message on its way through: in memory, and above a bound in a file without a name.

It holds the dot-stuffed wire form, without the terminating "." CRLF, and hands out the same bytes. Nothing
of it survives the process: until the reinjection port or the quarantine has taken the mail, it is the
client's.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from contentfilter.spool.seal import Seal

CHUNK = 256 * 1024
"""Octets handed out at once."""
SMALL = 32 * 1024
"""Octets up to which a message is handed to a worker as it is: to make a file of it costs more."""
GATHERED = 512 * 1024
"""Octets that go to the file at once: it takes two thirds of the time that 64 KiB and 64 KiB take."""
HEAD = 64 * 1024
"""Octets that those look at who need no more than how a message begins."""


class Spool:
    """One message.

    Arguments:
        folder: where the file is made when one is needed; must exist.
        memory: octets kept in memory at most.

    ``write`` and ``settle`` raise OSError when the disk is full or broken; the spool is then of no use but to
    be closed.
    """

    __slots__ = (
        "_buffer",
        "_fd",
        "_folder",
        "_head",
        "_last",
        "_memory",
        "_seal",
        "closed",
        "size",
        "wire_size",
    )

    def __init__(self, folder: Path | str, memory: int) -> None:
        self._folder = folder
        self._memory = memory
        self._buffer = bytearray()
        self._fd = -1
        self._head = b""
        self._seal = Seal()
        self._last = b"\r\n"
        self.wire_size = 0
        self.size = 0
        self.closed = False

    def write(self, data: bytes, size: int | None = None) -> None:
        """Append ``data``, a piece of the wire form.

        Arguments:
            size: its octets un-stuffed, from who has counted them; else they are counted here.

        Raises:
            OSError: no space, no file descriptor, or no folder.
            ValueError: the spool is closed.
        """
        self._check()
        self._buffer += data
        if len(self._buffer) > (self._memory if self._fd < 0 else min(self._memory, GATHERED)):
            self._write_file()
        self._seal.update(data)
        self.wire_size += len(data)
        stuffed = self._stuffed(data) if size is None else len(data) - size
        self.size += len(data) - stuffed

    def settle(self) -> None:
        """All is there: what waits for the file is written, if there is one. Who reads sees to that as well.

        Raises:
            OSError: no space.
        """
        if self._fd >= 0 and self._buffer:
            self._write_file()

    @property
    def digest(self) -> bytes:
        """The seal (:mod:`contentfilter.spool.seal`) of what was written; no more is written from now on."""
        return self._seal.digest

    def seal_from(self, offset: int) -> bytes:
        """The seal of what was written from ``offset`` on; no more is written from now on.

        Raises:
            OSError: the file cannot be read.
            ValueError: the spool is closed.
        """
        self._check()
        if not offset:
            return self.digest
        seen = Seal()
        for chunk in self.chunks(offset=offset):
            seen.update(chunk)
        return seen.digest

    def digest_from(self, offset: int, limit: int | None = None) -> bytes:
        """SHA-256 of what was written from ``offset`` on, or of its first ``limit`` octets.

        Raises:
            OSError: the file cannot be read.
            ValueError: the spool is closed.
        """
        seen = hashlib.sha256()
        end = self.wire_size if limit is None else offset + limit
        while chunk := self._read(offset, min(CHUNK, max(0, end - offset))):
            seen.update(chunk)
            offset += len(chunk)
        return seen.digest()

    def chunks(self, size: int = CHUNK, offset: int = 0) -> Iterator[bytes]:
        """The wire form from ``offset`` on, in pieces of at most ``size`` octets.

        Raises:
            OSError: the file cannot be read.
            ValueError: the spool is closed.
        """
        while offset < self.wire_size:
            chunk = self._read(offset, size)
            if not chunk:
                raise OSError(errno.EIO, "spool file is shorter than what was written to it")
            yield chunk
            offset += len(chunk)

    def head(self) -> bytes:
        """The first :data:`HEAD` octets of the wire form."""
        self._check()
        # Several ask for it once the message is there.
        if len(self._head) < min(HEAD, self.wire_size):
            self._head = self._read(0, HEAD)
        return self._head

    def small(self) -> bytes:
        """All of it, if that is little and in memory; else nothing."""
        return self.head() if self.wire_size <= SMALL and self._fd < 0 else b""

    def as_fd(self) -> int:
        """A new descriptor for the wire form, which the caller owns and closes.

        Its offset means nothing; read it by ``pread`` or ``mmap``. What is done to it does not touch the
        spool: it is open for reading, or a copy.

        Raises:
            OSError: no descriptor or no memory left.
        """
        self._check()
        self.settle()
        if self._fd >= 0:
            # Opened again, since a duplicate could write.
            return os.open(f"/proc/self/fd/{self._fd}", os.O_RDONLY | os.O_CLOEXEC)
        fd = os.memfd_create("message", os.MFD_CLOEXEC)
        try:
            _write_all(fd, self._buffer)
        except OSError:
            os.close(fd)
            raise
        return fd

    def close(self) -> None:
        """Let memory and file go; idempotent."""
        self.closed = True
        self._buffer = bytearray()
        self._head = b""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _read(self, offset: int, size: int) -> bytes:
        self._check()
        self.settle()
        if self._fd >= 0:
            return os.pread(self._fd, size, offset)
        return bytes(memoryview(self._buffer)[offset : offset + size])

    def _write_file(self) -> None:
        if self._fd < 0:
            self._fd = _nameless_file(self._folder)
        data, self._buffer = self._buffer, bytearray()
        _write_all(self._fd, data)

    def _stuffed(self, data: bytes) -> int:
        """How many line-beginning dots ``data`` has; they are stuffing (RFC 5321 4.5.2)."""
        last, self._last = self._last, (self._last + data[-2:])[-2:]
        if b"." not in data:
            return 0
        return data.count(b"\r\n.") + (last + data[:2]).count(b"\r\n.")

    def _check(self) -> None:
        if self.closed:
            raise ValueError("spool is closed")


def _nameless_file(folder: Path | str) -> int:
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        # EISDIR: kernel without O_TMPFILE; EOPNOTSUPP: file system without it.
        if error.errno not in (errno.EISDIR, errno.EOPNOTSUPP, errno.EINVAL):
            raise
    fd, name = tempfile.mkstemp(dir=folder)
    os.unlink(name)
    return fd


def _write_all(fd: int, data: bytes | bytearray) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
