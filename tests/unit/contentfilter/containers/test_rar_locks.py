"""Locked RAR archives, and the passwords that are tried on them."""

from __future__ import annotations

import hashlib
import struct
import zlib

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from contentfilter.containers.rar import Block5
from contentfilter.containers.rarlock import Lock, read_lock, unpadded
from tests.samples.messages import attachment, text
from tests.samples.office import docm, docx
from tests.samples.rar import MARK4, MARK5, block4, block5, number, squeezed5

from ..scanned import mail

MACROS = {"office-macro", "office-macro-suspicious"}
SALT, START = bytes(range(16)), bytes(range(16, 32))


def encrypted(key: bytes, start: bytes, data: bytes) -> bytes:
    data += bytes(-len(data) % 16)
    return Cipher(algorithms.AES(key), modes.CBC(start)).encryptor().update(data)


def record5(password: str, power: int, flags: int = 1) -> bytes:
    """The encryption record as WinRAR writes it."""
    test = hashlib.pbkdf2_hmac("sha256", password.encode(), SALT, (1 << power) + 32)
    check = bytes(8)
    for at in range(0, 32, 8):
        check = bytes(a ^ b for a, b in zip(check, test[at : at + 8], strict=True))
    return bytes((0, flags, power)) + SALT + START + check + hashlib.sha256(check).digest()[:4]


def rar5(
    files: dict[str, tuple[bytes, str]], packed: bool = False, power: int = 6, tweaked: bool = False
) -> bytes:
    """Each member with its content and password."""
    out = MARK5 + block5(1, 0, number(0))
    for name, (content, password) in files.items():
        key = hashlib.pbkdf2_hmac("sha256", password.encode(), SALT, 1 << power)
        data = encrypted(key, START, squeezed5(content) if packed else content)
        crc = 7 if tweaked else zlib.crc32(content)
        fields = number(4) + number(len(content)) + number(0x81A4) + struct.pack("<I", crc)
        fields += number(3 << 7 if packed else 0) + number(1) + number(len(name)) + name.encode()
        record = number(1) + record5(password, power, 3 if tweaked else 1)
        out += block5(2, 0, fields, number(len(record)) + record, data)
    return out + block5(5, 0, number(0))


def headers_locked(archive: bytes, password: str, power: int = 6) -> bytes:
    """The same, as ``rar -hp`` makes it."""
    record = record5(password, power)
    out = MARK5 + block5(4, 0, record[:19] + record[35:])
    key = hashlib.pbkdf2_hmac("sha256", password.encode(), SALT, 1 << power)
    at = len(MARK5)
    while at < len(archive):
        block = Block5(archive, at)
        out += START + encrypted(key, START, archive[at : block.end])
        out += archive[block.end : block.end + block.data_size]
        at = block.end + block.data_size
    return out


def rar4(content: bytes, password: str, salt: bytes = b"saltsalt") -> bytes:
    """One stored member, with its key made one round at a time."""
    digest, start = hashlib.sha1(), bytearray()
    for count in range(1 << 18):
        digest.update(password.encode("utf-16-le") + salt + count.to_bytes(3, "little"))
        if count % (1 << 14) == 0:
            start.append(digest.digest()[-1])
    raw = digest.digest()
    key = b"".join(raw[at : at + 4][::-1] for at in range(0, 16, 4))
    data = encrypted(key, bytes(start), content)
    entry = struct.pack(
        "<IIBIIBBHI", len(data), len(content), 3, zlib.crc32(content), 0x21 << 16, 29, 0x30, 1, 0x81A4
    )
    flags = 0x8000 | 4 | (0x400 if salt else 0)
    out = MARK4 + block4(0x73, 0, bytes(6)) + block4(0x74, flags, entry + b"a" + salt)
    return out + data + block4(0x7B, 0x4000, b"")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("tweaked", [False, True])
def test_what_opens_rar_5(packed: bool, tweaked: bool):
    data = rar5(
        {"a.doc": (docm(), "Kx7-geheim"), "b.txt": (b"x" * 50, "Kx7-geheim")}, packed, tweaked=tweaked
    )
    told = text(b"Password: Kx7-geheim\r\n")
    assert mail(attachment(data), told) == ({"archive-encrypted", *MACROS}, set())
    assert mail(attachment(data)) == ({"archive-encrypted"}, {"encrypted"})
    data = rar5({"a.doc": (docm(), "")}, packed, tweaked=tweaked)
    assert mail(attachment(data)) == ({"archive-default-password", *MACROS}, set())
    data = rar5({"a.doc": (docx(), ""), "b.doc": (docm(), "unknown")}, packed, tweaked=tweaked)
    assert mail(attachment(data)) == ({"archive-default-password", "archive-encrypted"}, {"encrypted"})


@pytest.mark.parametrize("size", [0, 1, 15, 16, 255, 256, 5000, 70_000])
def test_what_fills_the_last_block_is_taken_away(size: int):
    packed = squeezed5(bytes(range(256)) * (size // 256) + bytes(size % 256))
    for filled in (0, 1, 15):
        assert unpadded(packed + bytes(filled)) == packed
    # Flags, a checksum, a size, and so many octets.
    for packed in (b"\x40\0\0", b"\x40\0\1\xff", b"\0\0\1\xff\x40\0\2\xff\xff", b"\x48\0\1\0\xff"):
        assert unpadded(packed + bytes(12)) == unpadded(packed) == packed


def test_what_opens_locked_headers():
    data = headers_locked(rar5({"a.doc": (docm(), "Kx7"), "b": (b"x", "Kx7")}), "Kx7")
    assert mail(attachment(data), text(b"Password: Kx7\r\n")) == ({"archive-encrypted", *MACROS}, set())
    assert mail(attachment(data), text(b"Password: Kx8\r\n")) == ({"archive-encrypted"}, {"encrypted"})
    data = headers_locked(rar5({"b": (b"x" * 40, "Kx7"), "a.doc": (docm(), "Kx7")}), "Kx7")
    assert mail(attachment(data), text(b"Password: Kx7\r\n")) == ({"archive-encrypted", *MACROS}, set())
    data = headers_locked(rar5({"a.doc": (docm(), "")}), "")
    assert mail(attachment(data)) == ({"archive-default-password", *MACROS}, set())
    for size in range(60, len(data), 41):
        names, reasons = mail(attachment(data[:size]))
        assert names or reasons, size


def test_what_opens_rar_4():
    data = rar4(docm(), "Kx7")
    assert mail(attachment(data), text(b"Password: Kx7\r\n")) == ({"archive-encrypted", *MACROS}, set())
    assert mail(attachment(data), text(b"Kx8\r\n")) == ({"archive-encrypted"}, {"encrypted"})
    assert mail(attachment(rar4(docm(), ""))) == ({"archive-default-password", *MACROS}, set())
    data = rar4(docm(), "Kx7", salt=b"")
    assert mail(attachment(data), text(b"Password: Kx7\r\n")) == ({"archive-encrypted", *MACROS}, set())


def test_work_is_bounded_by_its_cost():
    assert Lock(5, SALT, power=24).cost > 6_000_000
    data = rar5({"a": (b"x", "4711")}, power=6).replace(bytes((0, 1, 6)), bytes((0, 1, 24)))
    assert mail(attachment(data), text(b"code 4711\r\n"))[0] >= {"archive-encrypted"}


@pytest.mark.parametrize(
    "record",
    [
        b"",
        record5("x", 6)[:46],
        b"\1" + record5("x", 6)[1:],
        record5("x", 6, flags=0),
        b"\0\1\x19" + record5("x", 6)[3:],
        record5("x", 6)[:-1] + b"?",
    ],
    ids=["none", "cut", "version", "no test", "rounds", "test's checksum"],
)
def test_locks_that_are_not_tried(record: bytes):
    assert read_lock(5, record) is None


def test_cut_anywhere_is_no_crash_and_no_pass():
    data = rar5({"a.doc": (docx(), "4711")})
    for size in range(40, len(data), 37):
        names, reasons = mail(attachment(data[:size]), text(b"code 4711\r\n"))
        assert names or reasons, size
