"""The lock of 7z folders: AES-256 in CBC with a key from SHA-256 in many rounds.

Interface: :func:`lock_of` finds the locks of a folder; :func:`unlocked` gives the folder as it is without
them, for whoever unpacks it. The format keeps nothing to test a password by; the checksum of what comes out
must tell.

Source: 7zFormat.txt of the LZMA SDK for the folders; the coder 06F10701 has no description but 7-Zip.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from contentfilter.containers.sevenzip_streams import AES, COPY, Coder, Folder

_NO_ROUNDS = 0x3F
_MAX_POWER = 24
"""What 7-Zip takes; it writes 19."""
_CHUNK = 1 << 16
_LOW_OCTETS, _HIGH_OCTETS = bytes(range(256)) * 256, bytes(number >> 8 for number in range(_CHUNK))
"""The two lower octets of the numbers in a chunk."""


@dataclass(frozen=True, slots=True)
class Lock:
    """What a coder's properties say.

    Arguments:
        power: logarithm of the rounds; 63 for none.
        salt: may be empty.
        start: CBC's first vector.
    """

    power: int
    salt: bytes
    start: bytes

    @property
    def cost(self) -> int:
        """Microseconds that one attempt takes, without the data."""
        return 100 if self.power == _NO_ROUNDS else 100 + (1 << self.power) // 16

    def key(self, password: str) -> bytes:
        seed = self.salt + password.encode("utf-16-le", "surrogatepass")
        if self.power == _NO_ROUNDS:
            return seed[:32].ljust(32, b"\0")
        # Each round hashes the seed and its number in eight octets; here many rounds at a time.
        rounds = 1 << self.power
        count, size = min(rounds, _CHUNK), len(seed)
        block = bytearray(seed + bytes(8)) * count
        block[size :: size + 8] = _LOW_OCTETS[:count]
        block[size + 1 :: size + 8] = _HIGH_OCTETS[:count]
        digest = hashlib.sha256(usedforsecurity=False)
        for high in range(max(1, rounds // _CHUNK)):
            # 24 bits of power at most: the other five octets stay nought.
            block[size + 2 :: size + 8] = bytes((high,)) * count
            digest.update(block)
        return digest.digest()


def lock_of(folder: Folder) -> Lock | None:
    """The lock of a folder; None if there is none, or one that is not known here.

    It may have several, before several packed streams; they are alike but for their first vectors.
    """
    locks = [_read(coder) for coder in folder.coders if coder.method == AES]
    if not locks or None in locks or len({(lock.power, lock.salt) for lock in locks if lock}) != 1:
        return None
    return locks[0]


def _read(coder: Coder) -> Lock | None:
    if len(coder.properties) < 2 or coder.inputs != 1 or coder.outputs != 1:
        return None
    first, second = coder.properties[:2]
    salt_size = (first >> 7) + (second >> 4)
    start_size = (first >> 6 & 1) + (second & 15)
    power, rest = first & 0x3F, coder.properties[2:]
    if len(rest) < salt_size + start_size or (power > _MAX_POWER and power != _NO_ROUNDS):
        return None
    return Lock(power, rest[:salt_size], rest[salt_size : salt_size + start_size].ljust(16, b"\0"))


def unlocked(folder: Folder, streams: Sequence[bytes], key: bytes) -> tuple[Folder, list[bytes]] | None:
    """The folder and its packed streams without the locks; None if a lock does not stand right before a
    packed stream, which no program makes.

    Arguments:
        streams: its packed streams.
        key: for all its locks.
    """
    plain = list(streams)
    while folder.encrypted:
        number = next(n for n, coder in enumerate(folder.coders) if coder.method == AES)
        lock = _read(folder.coders[number])
        takes = sum(coder.inputs for coder in folder.coders[:number])
        gives = sum(coder.outputs for coder in folder.coders[:number])
        if lock is None or takes not in folder.streams or gives >= len(folder.sizes):
            return None
        place = folder.streams.index(takes)
        if place >= len(plain):
            return None
        data = plain[place][: len(plain[place]) & ~15]
        data = Cipher(algorithms.AES(key), modes.CBC(lock.start)).decryptor().update(data)
        plain[place] = data[: folder.sizes[gives]]
        if len(folder.coders) == 1:
            folder = replace(folder, coders=[Coder(COPY, b"")])
        else:
            folder = folder.without_coder(number)
    return folder, plain
