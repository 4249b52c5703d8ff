"""What locks say of themselves: Office, Access, RAR, 7z, ZIP; and what a password makes of them."""

from __future__ import annotations

import contextlib
import struct
from dataclasses import replace

from contentfilter.containers import rarlock, sevenziplock
from contentfilter.containers.access import lock_of
from contentfilter.containers.noise import is_noise
from contentfilter.containers.ooxmllock import Agile, LockError, UnknownLock, read_lock
from contentfilter.containers.sevenzip_streams import AES, Coder, Folder
from contentfilter.containers.xlslock import by_rc4, by_xor, cryptoapi_key, plain_records, rc4_key
from contentfilter.containers.ziparchive import ZipArchive
from contentfilter.containers.ziplock import fits, open_member
from tests.samples.archives import archive
from tests.samples.office import BOF, EOF, record
from tests.samples.ziplocks import aes, traditional

_ATTRIBUTES = (
    b'saltSize="16" blockSize="16" keyBits="256" hashSize="64" cipherAlgorithm="AES" '
    b'cipherChaining="ChainingModeCBC" hashAlgorithm="SHA512" saltValue="AAAAAAAAAAAAAAAAAAAAAA==" '
)
_SEALED = b'="AAAAAAAAAAAAAAAAAAAAAA==" '
_KEY = b"encryptedVerifierHashInput" + _SEALED + b"encryptedVerifierHashValue" + _SEALED
SEEDS = [
    struct.pack("<HHI", 4, 4, 0x40) + b"<keyData " + _ATTRIBUTES + b"/><p:encryptedKey " + _ATTRIBUTES
    + b'spinCount="1" ' + _KEY + b"encryptedKeyValue" + _SEALED + b"/>",
    struct.pack("<HHIIIIII", 3, 2, 0x24, 32, 0x24, 0, 0x660E, 0x8004) + struct.pack("<I", 128) + bytes(100),
    b"\0\1\0\0Standard Jet DB\0\1" + bytes(200),
    b"\0\1\6" + bytes(47),
    b"\x53\x0f" + bytes(40),
    BOF + record(0x002F, bytes(6)) + record(0x0085, bytes(12)) + record(0x00FC, b"text") + EOF,
    archive([traditional("a", b"x" * 20, b"x" * 20, b"", 0), aes("b", b"y" * 20, 20, b"", 256, 0)]),
]  # fmt: skip


def target(data: bytes) -> None:
    with contextlib.suppress(LockError, UnknownLock):
        lock = read_lock(data)
        if isinstance(lock, Agile):
            lock = replace(lock, spin=min(lock.spin, 10))
            lock.key("password")
            assert len(lock.decrypt(bytes(lock.package.key_size), data, 100)) <= 100
    lock_of(data)
    for version in (4, 5):
        if (rar := rarlock.read_lock(version, data)) is not None:
            assert rar.cost > 0
    rarlock.unpadded(data)
    assert rarlock.plain_headers(data, 0, bytes(32)).startswith(b"Rar!")
    folder = Folder([Coder(AES, data[:40])], [], [0], 0, [len(data)])
    if (seven := sevenziplock.lock_of(folder)) is not None:
        assert seven.cost > 0
        opened = sevenziplock.unlocked(folder, [data], bytes(32))
        assert opened is not None
        assert not opened[0].encrypted
    for cipher in (
        by_xor(bytes(range(16))),
        by_rc4(data, rc4_key("x", b"")),
        by_rc4(data, cryptoapi_key("x", b"", 40)),
    ):
        assert len(plain_records(data, cipher)) == len(data)
    is_noise(data)
    found = ZipArchive.find(data, 5)
    for member in found.members if found else ():
        for password in (b"", b"x"):
            fits(data, member, password)
            if (result := open_member(data, member, password, 1000, lambda: False)) is not None:
                assert len(result.data) <= 1000
