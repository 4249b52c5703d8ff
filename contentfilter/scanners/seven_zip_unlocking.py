"""The locks of 7z archives: of the header, and of folders. A part of the scanner of archives."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from contentfilter.containers.libarchive import ArchiveError, Reader
from contentfilter.containers.noise import is_noise
from contentfilter.containers.sevenzip import (
    SevenZip,
    packed_streams,
    read_7z,
    unpack_header,
    with_header,
    write_7z,
)
from contentfilter.containers.sevenzip_streams import COPY, Folder, SevenZipError, Streams
from contentfilter.containers.sevenziplock import Lock, lock_of, unlocked
from contentfilter.content.part import Content, Context, Found, Part
from contentfilter.passwords.passwords import Password
from contentfilter.scanners.unlocking import DEFAULT, ENCRYPTED, TOLD
from contentfilter.scanners.unpacking import Unpacking

_OCTETS_A_MICROSECOND = 100


def unlock_header(
    data: Content, start: int, directory: SevenZip, unpacking: Unpacking, context: Context
) -> Iterator[Found]:
    """The archive with its header open, if a password opens it; its folders are locked as well."""
    folder, part = directory.header.folders[0], unpacking.part
    lock = lock_of(folder)
    packed = packed_streams(data, directory.header, folder)
    for password in context.passwords.attempts(_cost(lock, packed)) if lock else ():
        header = _header(folder, packed, lock.key(password.text)) if lock else None
        if header is not None:
            context.passwords.opened(password)
            detail = f"7z: {TOLD}" if password.told else "7z: its directory opens with the empty password"
            yield part.found(ENCRYPTED if password.told else DEFAULT, detail)
            yield part.piece("what a password opens", with_header(data, start, header))
            return
    unpacking.locked()


def _header(folder: Folder, packed: list[bytes], key: bytes) -> bytes | None:
    opened = unlocked(folder, packed, key)
    if opened is None or not opened[1]:
        return None
    plain, streams = opened
    archive = SevenZip(header=Streams([(0, len(streams[0]))], [plain]))
    try:
        header = unpack_header(streams[0], archive)
    except SevenZipError:
        return None
    if not header or header[0] not in (1, 0x17):
        return None
    return header if folder.crc is not None or _holds(header) else None


def _holds(header: bytes) -> bool:
    """Whether a header that has no checksum can be read; its first octets alone are met by chance."""
    try:
        return bool(read_7z(with_header(b"", 0, header)).main.folders)
    except SevenZipError:
        return False


class FolderUnlocking:
    """Opens the folders of one archive."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._keys: dict[tuple[int, bytes, str], bytes] = {}
        self._told = 0
        self._by_default = 0

    def open(self, folder: Folder, packed: list[bytes]) -> tuple[Folder, list[bytes]] | None:
        """The folder without its lock; None if nothing opens it, or nothing would tell that it did."""
        lock = lock_of(folder)
        if lock is None or not any(entry.crc is not None for entry in folder.files):
            return None
        for password in self._context.passwords.attempts(_cost(lock, packed)):
            opened = unlocked(folder, packed, self._key(lock, password))
            if opened is not None and self._fits(*opened):
                self._context.passwords.opened(password)
                if password.told:
                    self._told += 1
                else:
                    self._by_default += 1
                return opened
        return None

    def findings(self, part: Part, shut: bool) -> Iterator[Found]:
        """What opened.

        Arguments:
            shut: other folders stayed locked, which is told elsewhere.
        """
        if self._told and not shut:
            yield part.found(ENCRYPTED, f"7z: {TOLD}")
        if self._by_default:
            yield part.found(DEFAULT, "7z: opens with the empty password")

    def _key(self, lock: Lock, password: Password) -> bytes:
        known = (lock.power, lock.salt, password.text)
        if known not in self._keys:
            self._keys[known] = lock.key(password.text)
        return self._keys[known]

    def _fits(self, folder: Folder, packed: list[bytes]) -> bool:
        """Whether the first file with a checksum has it."""
        budget = self._context.budget
        try:
            with Reader(write_7z([(folder, packed)]), ("7zip",)) as reader:
                for entry, _header in zip(folder.files, reader.entries(), strict=False):
                    if entry.crc is not None:
                        result = reader.extract(budget.allowance(), lambda: budget.late)
                        if result.problem or zlib.crc32(result.data) != entry.crc:
                            return False
                        packed_by = {coder.method for coder in folder.coders}
                        return packed_by != {COPY} or not is_noise(result.data)
        except ArchiveError:
            return False
        return False


def _cost(lock: Lock, packed: list[bytes]) -> int:
    return lock.cost + sum(map(len, packed)) // _OCTETS_A_MICROSECOND
