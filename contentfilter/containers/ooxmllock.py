"""Locks of OOXML documents (MS-OFFCRYPTO 2.3.4): agile and standard encryption.

Interface: :func:`read_lock` reads the stream ``EncryptionInfo``; a lock says what one attempt costs, whether
a password fits, and decrypts ``EncryptedPackage`` with the key. Nothing is decrypted for a wrong password,
and the document's word on how often to hash is a cost before it is work.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from cryptography.hazmat.decrepit.ciphers.modes import CFB8
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

Content: TypeAlias = bytes | bytearray

MAX_SPIN = 10_000_000
"""What MS-OFFCRYPTO 2.3.4.10 allows; Office writes 100,000."""
_SEGMENT = 4096
_STANDARD_SPIN = 50_000
_STANDARD, _EXTENSIBLE, _AGILE = 2, 3, 4
_HASHES = {
    b"SHA1": "sha1", b"SHA-1": "sha1", b"SHA256": "sha256", b"SHA384": "sha384", b"SHA512": "sha512",
    b"MD5": "md5",
}  # fmt: skip
_INPUT = bytes.fromhex("fea7d2763b4b9e79")
_VALUE = bytes.fromhex("d7aa0f6d3061344e")
_KEY = bytes.fromhex("146e0be7abacd0d6")
_ELEMENT = re.compile(rb"<(?:[\w.-]{1,40}:)?(keyData|encryptedKey)\b([^<>]{0,20000})>")
_ATTRIBUTE = re.compile(rb"([A-Za-z]{1,40})\s{0,20}=\s{0,20}(?:\"([^\"]{0,4000})\"|'([^']{0,4000})')")
_FLAG_AES = 0x20


class LockError(ValueError):
    """No program can open it with any password: what a password needs is missing or damaged."""


class UnknownLock(ValueError):
    """Locked in a way that is not opened here: extensible encryption, certificates, ciphers nobody uses."""


def read_lock(info: Content) -> Agile | Standard:
    """The lock that ``EncryptionInfo`` describes.

    Raises:
        LockError: it is damaged.
        UnknownLock: it is of another kind.
    """
    if len(info) < 8:
        raise LockError("EncryptionInfo is too short")
    major, minor = int.from_bytes(info[:2], "little"), int.from_bytes(info[2:4], "little")
    if (major, minor) == (4, _AGILE):
        return _read_agile(bytes(info[8:]))
    if minor == _STANDARD and major in (2, 3, 4):
        return _read_standard(bytes(info))
    if minor == _EXTENSIBLE:
        raise UnknownLock("extensible encryption")
    raise UnknownLock(f"encryption {major}.{minor}")


# Agile encryption: 2.3.4.10 to 2.3.4.15.


@dataclass(frozen=True, slots=True)
class _Parameters:
    """One element's attributes."""

    salt: bytes
    block_size: int
    key_size: int
    hash_name: str
    hash_size: int
    mode: Callable[[bytes], Any]

    def digest(self, data: bytes) -> bytes:
        return hashlib.new(self.hash_name, data, usedforsecurity=False).digest()

    def fitted(self, data: bytes, size: int) -> bytes:
        return data[:size].ljust(size, b"\x36")

    def decrypt(self, key: bytes, start: bytes, data: bytes) -> bytes:
        data = data[: len(data) & ~15]
        return Cipher(algorithms.AES(key), self.mode(start)).decryptor().update(data)


@dataclass(frozen=True, slots=True)
class Agile:
    """A lock that each document describes in XML.

    Arguments:
        package: how the package is encrypted.
        password: how the key is.
        spin: rounds of hashing.
        sealed: the encrypted verifier's input and value, and the encrypted key.
    """

    package: _Parameters
    password: _Parameters
    spin: int
    sealed: tuple[bytes, bytes, bytes]

    @property
    def cost(self) -> int:
        return 2_000 + self.spin * 3 // 2

    def key(self, password: str) -> bytes | None:
        """The package's key; None if the password does not fit."""
        how = self.password
        round_hash = getattr(hashlib, how.hash_name)
        digest = round_hash(how.salt + password.encode("utf-16-le", "surrogatepass")).digest()
        for number in range(self.spin):
            digest = round_hash(number.to_bytes(4, "little") + digest).digest()
        keys = (how.fitted(how.digest(digest + block), how.key_size) for block in (_INPUT, _VALUE, _KEY))
        start = how.fitted(how.salt, how.block_size)
        plain, value, key = (
            how.decrypt(key, start, data) for key, data in zip(keys, self.sealed, strict=True)
        )
        expected = how.digest(plain[: len(how.salt)])
        # Some store a hash that is cut, or filled up.
        size = min(len(expected), how.hash_size, len(value))
        fits = size > 0 and hmac.compare_digest(expected[:size], value[:size])
        return key[: self.package.key_size] if fits else None

    def decrypt(self, key: bytes, package: Content, limit: int) -> bytes:
        """The document in ``EncryptedPackage``, at most ``limit`` octets of it."""
        size, how = min(int.from_bytes(package[:8], "little"), limit), self.package
        out = bytearray()
        for number, at in enumerate(range(8, min(len(package), 8 + size), _SEGMENT)):
            start = how.fitted(how.digest(how.salt + number.to_bytes(4, "little")), how.block_size)
            out += how.decrypt(key, start, bytes(package[at : at + _SEGMENT]))
        return bytes(out[:size])


def _read_agile(text: bytes) -> Agile:
    found: dict[bytes, dict[bytes, bytes]] = {}
    for match in _ELEMENT.finditer(text):
        attributes = {item[1]: item[2] or item[3] or b"" for item in _ATTRIBUTE.finditer(match[2])}
        found.setdefault(match[1], attributes)
    try:
        data, key = found[b"keyData"], found[b"encryptedKey"]
        spin = int(key[b"spinCount"])
        if not 0 <= spin <= MAX_SPIN:
            raise LockError("spinCount beyond what Office takes")
        names = (b"encryptedVerifierHashInput", b"encryptedVerifierHashValue", b"encryptedKeyValue")
        first, second, third = (_base64(key[name]) for name in names)
        if min(map(len, (first, second, third))) < 16:
            raise LockError("a verifier is too short")
        return Agile(_parameters(data), _parameters(key), spin, (first, second, third))
    except KeyError as error:
        if b"keyEncryptors" in text and b"encryptedKey" not in found and b"certificate" in text:
            raise UnknownLock("certificates") from None
        raise LockError(f"no attribute {error}") from None
    except ValueError as error:
        if isinstance(error, (LockError, UnknownLock)):
            raise
        raise LockError("an attribute has no value") from None


def _parameters(given: dict[bytes, bytes]) -> _Parameters:
    if given[b"cipherAlgorithm"] != b"AES":
        raise UnknownLock("no AES")
    modes_known: dict[bytes, Callable[[bytes], Any]] = {
        b"ChainingModeCBC": modes.CBC,
        b"ChainingModeCFB": CFB8,
    }
    mode = modes_known.get(given[b"cipherChaining"])
    hash_name = _HASHES.get(given[b"hashAlgorithm"].upper())
    bits, block, hash_size = int(given[b"keyBits"]), int(given[b"blockSize"]), int(given[b"hashSize"])
    if mode is None or hash_name is None:
        raise UnknownLock("chaining or hash")
    if bits not in (128, 192, 256) or block != 16 or not 0 < hash_size <= 64:
        raise LockError("sizes that AES does not have")
    return _Parameters(_base64(given[b"saltValue"]), block, bits // 8, hash_name, hash_size, mode)


def _base64(text: bytes) -> bytes:
    try:
        return base64.b64decode(text)
    except binascii.Error:
        raise LockError("base64") from None


# Standard encryption: 2.3.4.5 to 2.3.4.9.


@dataclass(frozen=True, slots=True)
class Standard:
    """The lock of Office 2007: AES in ECB, SHA-1.

    Arguments:
        salt: 16 octets.
        key_size: octets.
        verifier: encrypted.
        verifier_hash: encrypted.
    """

    salt: bytes
    key_size: int
    verifier: bytes
    verifier_hash: bytes

    @property
    def cost(self) -> int:
        return _STANDARD_SPIN * 3 // 2

    def key(self, password: str) -> bytes | None:
        """The package's key; None if the password does not fit."""
        digest = _sha1(self.salt + password.encode("utf-16-le", "surrogatepass"))
        for number in range(_STANDARD_SPIN):
            digest = _sha1(number.to_bytes(4, "little") + digest)
        digest = _sha1(digest + bytes(4))
        wide = b"".join(
            _sha1(bytes(mask ^ octet for octet in digest.ljust(64, b"\0"))) for mask in (0x36, 0x5C)
        )
        key = wide[: self.key_size]
        plain = _ecb(key, self.verifier)
        fits = hmac.compare_digest(_sha1(plain), _ecb(key, self.verifier_hash)[:20])
        return key if fits else None

    def decrypt(self, key: bytes, package: Content, limit: int) -> bytes:
        """The document in ``EncryptedPackage``, at most ``limit`` octets of it."""
        size = min(int.from_bytes(package[:8], "little"), limit)
        return _ecb(key, bytes(package[8 : 8 + size + 16]))[:size]


def _read_standard(info: bytes) -> Standard:
    header_size = int.from_bytes(info[8:12], "little")
    header, verifier = info[12 : 12 + header_size], info[12 + header_size :]
    if header_size < 32 or len(header) < 32 or len(verifier) < 4 + 16 + 16 + 4 + 32:
        raise LockError("EncryptionInfo is too short")
    flags, algorithm, bits = (int.from_bytes(header[at : at + 4], "little") for at in (0, 8, 16))
    if not flags & _FLAG_AES and algorithm not in (0x660E, 0x660F, 0x6610):
        raise UnknownLock("no AES")
    if bits not in (128, 192, 256):
        raise LockError("a key size that AES does not have")
    return Standard(verifier[4:20], bits // 8, verifier[20:36], verifier[40:72])


def _sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()


def _ecb(key: bytes, data: bytes) -> bytes:
    data = data[: len(data) & ~15]
    return Cipher(algorithms.AES(key), modes.ECB()).decryptor().update(data)  # noqa: S305 - as the format has it
