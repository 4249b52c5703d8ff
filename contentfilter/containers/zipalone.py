"""One member of a ZIP archive by itself, for libarchive to decrypt, or to expand where Python has no library.

Interface: :func:`unlock` opens an encrypted member with one password (the traditional encryption, and AES as
WinZip has it); :func:`expand_alone` expands a plain one. What our own reader found is written as an archive
whose headers agree, so it does not matter which of them libarchive believes. Which passwords are tried, and
how many, is for the caller.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from contentfilter.containers.libarchive import ArchiveError, Reader
from contentfilter.containers.zipmember import AES, Content, Expanded, Member

BY_LIBARCHIVE = frozenset({93, 98})
"""Methods that libarchive expands and Python does not: Zstandard, PPMd."""

_NAME = b"x"
_ENCRYPTED, _DESCRIPTOR = 0x0001, 0x0008
_AES_FIELD = struct.Struct("<HHH2sBH")
_MAX_SIZE = 0xFFFF_FFFE


def unlock(
    data: Content, member: Member, password: bytes, limit: int, late: Callable[[], bool]
) -> Expanded | None:
    """The content of an encrypted member.

    Arguments:
        data: the archive that ``member`` is of.
        password: in the charset that the archive was made with.
        limit: octets that may come out.
        late: whether to stop.

    Returns:
        None if it is not the password. A wrong one passes the test of the traditional encryption once in 256
        times; then the content is ``malformed``.
    """
    for method in dict.fromkeys(member.methods):
        result = _extract(data, member, method, limit, late, password)
        if result is not None:
            return result
    return None


def expand_alone(
    data: Content, member: Member, method: int, limit: int, late: Callable[[], bool] = lambda: False
) -> Expanded:
    """The content of a member that is not encrypted, by one of the methods that it may have.

    Arguments:
        data: the archive that ``member`` is of.
        limit: octets that may come out.
        late: whether to stop.
    """
    result = _extract(data, member, method, limit, late, None)
    return result if result is not None else Expanded(b"", "malformed")


def _extract(
    data: Content,
    member: Member,
    method: int,
    limit: int,
    late: Callable[[], bool],
    password: bytes | None,
) -> Expanded | None:
    packed = bytes(data[member.start : min(member.end, len(data))]) if member.start >= 0 else b""
    lone = _archive(member, method, packed, password is not None)
    try:
        with Reader(lone, ("zip_seekable",), passwords=(password,) if password else ()) as reader:
            for _entry in reader.entries():
                result = reader.extract(limit, late)
                if result.problem == "encrypted":
                    return None
                problem = result.problem or ("malformed" if len(result.data) < member.size else "")
                return Expanded(result.data, problem, len(packed))
    except ArchiveError as error:
        return None if error.reason == "encrypted" else Expanded(b"", error.reason)
    return Expanded(b"", "malformed")


def _archive(member: Member, method: int, packed: bytes, locked: bool) -> bytes:
    """An archive of that member alone."""
    # The descriptor's bit says which octet the traditional encryption is tested by, so it stays.
    flags = (member.flags & _DESCRIPTOR) | _ENCRYPTED if locked else 0
    extra = b""
    if method == AES:
        extra = struct.pack("<HH", 0x9901, len(member.aes)) + member.aes
    size = min(member.size, _MAX_SIZE)
    common = (51, flags, method, member.time, 0x21, member.crc, len(packed), size, len(_NAME), len(extra))
    local = struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", *common) + _NAME + extra
    central = struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\x01\x02", 51, *common, 0, 0, 0, 0, 0) + _NAME + extra
    body = local + packed
    return body + central + struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 1, 1, len(central), len(body), 0)
