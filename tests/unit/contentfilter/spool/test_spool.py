"""The spool: the same bytes out as in, from memory and from a file without a name."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
from pathlib import Path

import pytest

from contentfilter.smtp.data import DataReader
from contentfilter.spool.seal import seal
from contentfilter.spool.spool import GATHERED, HEAD, SMALL, Spool

WIRE = b"Subject: x\r\n\r\n..dot\r\n.. two\r\nno dot . here\r\n" * 50


@pytest.mark.parametrize("memory", [0, 1, 100, len(WIRE) - 1, len(WIRE), 1 << 20])
@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1000, 1 << 20])
def test_spool_gives_back_what_it_got(tmp_path: Path, memory: int, piece: int) -> None:
    spool = Spool(tmp_path, memory)
    for i in range(0, len(WIRE), piece):
        spool.write(WIRE[i : i + piece])
        assert spool.head() == WIRE[: i + piece], "it grows with what is written"
    assert b"".join(spool.chunks(100)) == WIRE
    assert max(len(chunk) for chunk in spool.chunks(100)) == 100
    assert b"".join(spool.chunks()) == WIRE
    assert spool.head() == WIRE[:HEAD]
    assert spool.wire_size == len(WIRE)
    assert spool.size == len(WIRE) - 100
    for offset in (0, 1, 100, len(WIRE)):
        assert spool.seal_from(offset) == seal(WIRE[offset:])
    assert spool.digest == seal(WIRE)
    reader, told = DataReader(), Spool(tmp_path, memory)
    for part in [*(WIRE[i : i + piece] for i in range(0, len(WIRE), piece)), b".\r\n"]:
        before = reader.size
        content, _ = reader.feed(part)
        told.write(content, reader.size - before)
    assert (told.size, told.wire_size) == (spool.size, spool.wire_size), "as told, as counted"
    fd = spool.as_fd()
    spool.close()
    try:
        assert os.pread(fd, len(WIRE) + 1, 0) == WIRE
        assert os.fstat(fd).st_nlink == 0
    finally:
        os.close(fd)


@pytest.mark.parametrize("memory", [0, 100])
def test_who_gets_a_descriptor_cannot_change_the_spool(tmp_path: Path, memory: int) -> None:
    spool = Spool(tmp_path, memory)
    spool.write(b"Subject: x\r\n")
    fd = spool.as_fd()
    with contextlib.suppress(OSError):
        os.pwrite(fd, b"Z", 0)
    with contextlib.suppress(PermissionError), mmap.mmap(fd, 0) as shared:
        shared[0] = ord("Z")
    os.close(fd)
    assert b"".join(spool.chunks()) == b"Subject: x\r\n"
    spool.close()


@pytest.mark.parametrize(
    ("octets", "memory", "small"), [(SMALL, 1 << 20, True), (SMALL + 1, 1 << 20, False), (5, 0, False)]
)
def test_a_small_message_in_memory_is_handed_over_as_it_is(
    tmp_path: Path, octets: int, memory: int, small: bool
) -> None:
    spool = Spool(tmp_path, memory)
    spool.write(b"x" * octets)
    assert spool.small() == (b"x" * octets if small else b"")
    spool.close()


def test_spool_counts_a_dot_at_the_very_start() -> None:
    spool = Spool("/nowhere", 100)
    spool.write(b"..\r\n")
    spool.write(b"..\r\n")
    assert spool.size == 6
    spool.close()


def test_spool_stays_in_memory_up_to_its_bound(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    spool = Spool(missing, 10)
    spool.write(b"a" * 10)
    with pytest.raises(FileNotFoundError):
        spool.write(b"b")
    spool.close()


def test_spool_leaves_nothing_in_the_folder(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 0)
    spool.write(b"secret")
    assert list(tmp_path.iterdir()) == []
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_spool_works_without_nameless_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def refusing(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "not supported")
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refusing)
    spool = Spool(tmp_path, 0)
    spool.write(b"secret")
    assert list(tmp_path.iterdir()) == []
    fd = spool.as_fd()
    assert os.fstat(fd).st_mode & 0o077 == 0
    os.close(fd)
    assert b"".join(spool.chunks()) == b"secret"
    spool.close()


def test_spool_writes_much_at_once_and_what_is_left_when_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    real = os.write

    def noting(fd: int, data: bytes) -> int:
        written.append(len(data))
        return real(fd, data)

    monkeypatch.setattr(os, "write", noting)
    spool = Spool(tmp_path, 2 * GATHERED)
    piece = b"x" * (GATHERED // 4)
    for _ in range(8):
        spool.write(piece)
    assert written == []
    for number in range(1, 12):
        spool.write(piece)
        assert spool.wire_size - sum(written) <= GATHERED, "no more waits"
        assert len(written) <= 1 + number // 4
    fd = spool.as_fd()
    assert os.fstat(fd).st_size == spool.wire_size == sum(written)
    os.close(fd)
    spool.write(b"more")
    spool.settle()
    spool.settle()
    assert written[-1] == 4
    assert b"".join(spool.chunks())[-6:] == b"xxmore"
    spool.close()


def test_spool_in_memory_has_nothing_to_settle() -> None:
    spool = Spool("/nowhere", 100)
    spool.write(b"a" * 100)
    spool.settle()
    assert spool.head() == b"a" * 100
    spool.close()


def test_spool_full_disk_is_an_oserror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    spool = Spool(tmp_path, 4)
    spool.write(b"abcd")
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        spool.write(b"e")
    spool.close()


def test_spool_short_writes_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data[:3])))
    spool = Spool(tmp_path, 0)
    spool.write(WIRE)
    assert b"".join(spool.chunks()) == WIRE
    spool.close()


def test_spool_truncated_file_is_noticed(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 0)
    spool.write(WIRE)
    os.ftruncate(spool._fd, 10)
    with pytest.raises(OSError, match="shorter"):
        list(spool.chunks())
    spool.close()


def test_spool_closed_gives_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 0)
    spool.write(b"x")
    spool.close()
    spool.close()
    assert spool.closed
    for call in (lambda: spool.write(b"x"), spool.head, spool.as_fd, lambda: list(spool.chunks())):
        with pytest.raises(ValueError, match="closed"):
            call()


def test_spool_releases_descriptors(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for memory in (0, 100):
        spool = Spool(tmp_path, memory)
        spool.write(b"x")
        os.close(spool.as_fd())
        spool.close()
    assert len(os.listdir("/proc/self/fd")) == before
