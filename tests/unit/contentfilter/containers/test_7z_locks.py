"""Locked 7z archives, and the passwords that are tried on them."""

from __future__ import annotations

import functools
import hashlib
import lzma
import struct
import zlib
from dataclasses import replace
from random import Random

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from contentfilter.containers.noise import is_noise
from contentfilter.containers.sevenzip import read_7z, with_header, write_7z
from contentfilter.containers.sevenzip_streams import AES, COPY, LZMA2, Coder, FileEntry, Folder
from contentfilter.containers.sevenziplock import Lock, lock_of, unlocked
from tests.samples.messages import attachment, text
from tests.samples.noise import noise
from tests.samples.office import docm, docx

from ..scanned import mail

MACROS = {"office-macro", "office-macro-suspicious"}
START = bytes(range(100, 116))


@functools.cache
def key(password: str, salt: bytes, power: int) -> bytes:
    """One round at a time."""
    digest = hashlib.sha256()
    for count in range(1 << power):
        digest.update(salt + password.encode("utf-16-le") + struct.pack("<Q", count))
    return digest.digest()


def folder(
    files: dict[str, bytes], password: str | None, packed: bool = True, power: int = 5, salt: bytes = b""
) -> tuple[Folder, list[bytes]]:
    content = b"".join(files.values())
    entries = [FileEntry(len(data), zlib.crc32(data), name) for name, data in files.items()]
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 24}]
    data = lzma.compress(content, lzma.FORMAT_RAW, filters=filters) if packed else content
    coder = Coder(LZMA2, b"\x18") if packed else Coder(COPY, b"")
    if password is None:
        return Folder([coder], [], [0], 0, [len(content)], None, entries), [data]
    first = power | 0x40 | (0x80 if salt else 0)
    second = 15 | (len(salt) - 1 << 4 if salt else 0)
    lock = Coder(AES, bytes((first, second)) + salt + START)
    padded = data + bytes(-len(data) % 16)
    locked = Cipher(algorithms.AES(key(password, salt, power)), modes.CBC(START)).encryptor().update(padded)
    if not packed:
        return Folder([lock], [], [0], 0, [len(content)], None, entries), [locked]
    return Folder([lock, coder], [(1, 0)], [0], 0, [len(data), len(content)], None, entries), [locked]


def header_locked(archive: bytes, password: str, packed: bool = True, checked: bool = True) -> bytes:
    """The archive with its header in a locked folder, as ``7z -mhe=on`` makes it; it packs large ones."""
    offset, size = struct.unpack_from("<QQ", archive, 12)
    body, header = archive[32 : 32 + offset], archive[32 + offset : 32 + offset + size]
    plain, streams_of_it = folder({"": header}, password, packed)
    # The streams of a header are described like those of an archive with one file.
    described = write_7z([(plain, streams_of_it)])
    at, length = struct.unpack_from("<QQ", described, 12)
    streams = described[32 + at : 32 + at + length]
    position = streams.index(b"\x06\0") + 1
    streams = streams[2:position] + b"\xff" + struct.pack("<Q", len(body)) + streams[position + 1 :]
    streams = (
        b"\x17"
        + streams[: streams.index(b"\0\x08\x0d")]
        + (b"\x0a\x01" + struct.pack("<I", zlib.crc32(header)) if checked else b"")
        + b"\0\0"
    )
    return with_header(bytes(32) + body + streams_of_it[0], 0, streams)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("salt", [b"", b"salty"])
def test_what_opens(packed: bool, salt: bytes):
    data = write_7z([folder({"a.doc": docm(), "b.txt": b"text " * 9}, "Kx7", packed, salt=salt)])
    assert mail(attachment(data), text(b"Password: Kx7\r\n")) == ({"archive-encrypted", *MACROS}, set())
    assert mail(attachment(data), text(b"Password: Kx8\r\n")) == ({"archive-encrypted"}, {"encrypted"})
    data = write_7z([folder({"a.doc": docm()}, "", packed, salt=salt)])
    assert mail(attachment(data)) == ({"archive-default-password", *MACROS}, set())


def test_folders_with_passwords_of_their_own():
    data = write_7z(
        [folder({"a.doc": docm()}, "one"), folder({"b": b"b" * 70}, ""), folder({"c": docx()}, None)]
    )
    told = text(b"Password: one\r\n")
    assert mail(attachment(data), told) == ({"archive-encrypted", "archive-default-password", *MACROS}, set())
    names, reasons = mail(attachment(data), text(b"another\r\n"))
    assert (names, reasons) == ({"archive-encrypted", "archive-default-password"}, {"encrypted"})


def test_what_opens_a_locked_header():
    data = header_locked(write_7z([folder({"a.doc": docm()}, "Kx7")]), "Kx7")
    assert read_7z(data).locked
    assert mail(attachment(data), text(b"Password: Kx7\r\n")) == ({"archive-encrypted", *MACROS}, set())
    assert mail(attachment(data), text(b"Password: Kx8\r\n")) == ({"archive-encrypted"}, {"encrypted"})
    data = header_locked(write_7z([folder({"a.doc": docm()}, "")]), "")
    assert mail(attachment(data)) == ({"archive-default-password", *MACROS}, set())


@pytest.mark.parametrize("checked", [True, False])
def test_locked_header_that_begins_like_one_when_it_is_not_opened(checked: bool):
    archive = write_7z([folder({"a.doc": docm()}, "Kx7")])
    resembling = 0
    for number in range(2000):
        password = f"p{number}"
        header = archive[32 + int.from_bytes(archive[12:20], "little") :]
        _plain, streams = folder({"": header}, password, packed=False)
        decryptor = Cipher(algorithms.AES(key("", b"", 5)), modes.CBC(START)).decryptor()
        if decryptor.update(streams[0])[0] == 1:
            resembling += 1
            data = header_locked(archive, password, packed=False, checked=checked)
            assert mail(attachment(data)) == ({"archive-encrypted"}, {"encrypted"})
    assert resembling
    data = header_locked(write_7z([folder({"a.doc": docm()}, "")]), "", packed=False, checked=checked)
    assert mail(attachment(data)) == ({"archive-default-password", *MACROS}, set())


@pytest.mark.parametrize("power", [0, 1, 7, 8, 15, 16, 17, 18])
@pytest.mark.parametrize("salt", [b"", b"salty"])
def test_key(power: int, salt: bytes):
    assert Lock(power, salt, START).key("pässword") == key("pässword", salt, power)
    assert Lock(63, b"salt", START).key("x") == b"saltx\0".ljust(32, b"\0")


def test_work_is_bounded_by_its_cost():
    plain, packed = folder({"a.doc": docm()}, "4711")
    lock = plain.coders[0]
    for first in (24, 25, 62):
        heavy = replace(
            plain,
            coders=[
                replace(lock, properties=bytes((first | 0x40,)) + lock.properties[1:]),
                *plain.coders[1:],
            ],
        )
        assert mail(attachment(write_7z([(heavy, packed)])), text(b"code 4711\r\n"))[0] == {
            "archive-encrypted"
        }
    assert Lock(24, b"", START).cost > 1_000_000
    assert lock_of(replace(plain, coders=[replace(lock, properties=b"\x59\x0f"), *plain.coders[1:]])) is None
    assert lock_of(folder({"a": b""}, None)[0]) is None


def test_lock_with_no_salt_and_no_first_vector_of_its_own():
    plain, _packed = folder({"a": b""}, "x")
    (lock, *others) = plain.coders
    assert lock_of(replace(plain, coders=[replace(lock, properties=b"\x05\0"), *others])) == Lock(
        5, b"", bytes(16)
    )
    assert lock_of(replace(plain, coders=[replace(lock, properties=b"\x05"), *others])) is None


def test_lock_in_an_odd_place():
    plain, packed = folder({"a": docx()}, "x")
    assert unlocked(replace(plain, streams=[1]), packed, bytes(32)) is None
    assert unlocked(plain, [], bytes(32)) is None
    assert unlocked(replace(plain, sizes=[]), packed, bytes(32)) is None


def test_without_a_checksum_nothing_tells_that_it_opened():
    plain, packed = folder({"a.doc": docm()}, "")
    plain.files[0].crc = None
    assert mail(attachment(write_7z([(plain, packed)])))[0] == {"archive-encrypted"}


def test_noise_with_the_right_checksum_did_not_open():
    # Somebody may look for octets that have one checksum under two passwords.
    data = write_7z([folder({"a": noise(500)}, "", packed=False)])
    assert mail(attachment(data))[0] == {"archive-encrypted"}


@pytest.mark.parametrize(
    ("data", "noise"),
    [
        (Random(1).randbytes(5000), True),
        (Random(1).randbytes(10), True),
        (b"text", False),
        (b"text " * 100, False),
        (docm(), False),
        (bytes(500), False),
        (b"", False),
    ],
)
def test_noise(data: bytes, noise: bool):
    assert is_noise(data) == noise


def test_cut_anywhere_is_no_crash_and_no_pass():
    data = write_7z([folder({"a.doc": docx()}, "4711")])
    for size in range(40, len(data), 29):
        names, reasons = mail(attachment(data[:size]), text(b"code 4711\r\n"))
        assert names or reasons, size
