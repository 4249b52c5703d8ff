"""Locked Office documents: which kinds there are, what opens them, and what only looks locked."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import itertools
import struct
import tempfile
import time
from dataclasses import replace

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from contentfilter.containers.access import lock_of
from contentfilter.containers.ooxmllock import Agile, LockError, Standard, UnknownLock, read_lock
from contentfilter.content.scan import ScanOptions, scan_document
from tests.samples.compound import compound_file
from tests.samples.messages import attachment, text
from tests.samples.office import (
    BOF,
    EOF,
    doc,
    docm,
    docx,
    encrypted_ooxml,
    encrypted_xls,
    record,
    workbook,
    xls,
)

from ..scanned import mail, scanned

MACROS = {"office-macro", "office-macro-suspicious"}


# OOXML.


def standard(package: bytes, password: str, bits: int = 128) -> bytes:
    """As Office 2007 locks it (MS-OFFCRYPTO 2.3.4.5 to 2.3.4.9)."""

    def sha1(data: bytes) -> bytes:
        return hashlib.sha1(data).digest()

    salt = bytes(range(16))
    digest = sha1(salt + password.encode("utf-16-le"))
    for number in range(50_000):
        digest = sha1(struct.pack("<I", number) + digest)
    digest = sha1(digest + bytes(4)).ljust(64, b"\0")
    key = b"".join(sha1(bytes(mask ^ octet for octet in digest)) for mask in (0x36, 0x5C))[: bits // 8]
    encrypt = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update
    verifier = b"sixteen octets.."
    header = struct.pack("<8I", 0x24, 0, 0x660E, 0x8004, bits, 0x18, 0, 0) + "AES\0".encode("utf-16-le")
    info = struct.pack("<HHII", 3, 2, 0x24, len(header)) + header + struct.pack("<I", 16) + salt
    info += encrypt(verifier) + struct.pack("<I", 20) + encrypt(sha1(verifier).ljust(32, b"\0"))
    body = struct.pack("<Q", len(package)) + encrypt(package + bytes(-len(package) % 16))
    return compound_file({"EncryptionInfo": info, "EncryptedPackage": body})


def agile_of_2010(package: bytes, password: str, bits: int = 128, spin: int = 1000) -> bytes:
    """As Office 2010 locks it: SHA-1, and keys that are shorter (MS-OFFCRYPTO 2.3.4.10 to 2.3.4.15)."""

    def sha1(data: bytes) -> bytes:
        return hashlib.sha1(data).digest()

    def encrypt(key: bytes, start: bytes, data: bytes) -> bytes:
        data += bytes(-len(data) % 16)
        return Cipher(algorithms.AES(key), modes.CBC(start)).encryptor().update(data)

    salt, of_package, size = bytes(range(16)), bytes(range(16, 32)), bits // 8
    digest = sha1(salt + password.encode("utf-16-le"))
    for number in range(spin):
        digest = sha1(struct.pack("<I", number) + digest)
    verifier, secret = b"sixteen octets..", bytes(range(100, 100 + size))
    sealed = {}
    for name, block, data in (
        ("encryptedVerifierHashInput", "fea7d2763b4b9e79", verifier),
        ("encryptedVerifierHashValue", "d7aa0f6d3061344e", sha1(verifier)),
        ("encryptedKeyValue", "146e0be7abacd0d6", secret),
    ):
        key = sha1(digest + bytes.fromhex(block))[:size].ljust(size, b"\x36")
        sealed[name] = encrypt(key, salt, data)
    values = " ".join(f'{name}="{base64.b64encode(data).decode()}"' for name, data in sealed.items())
    about = (
        f'saltSize="16" blockSize="16" keyBits="{bits}" hashSize="20" cipherAlgorithm="AES"'
        ' cipherChaining="ChainingModeCBC" hashAlgorithm="SHA1" saltValue="%s"'
    )
    info = f"""<?xml version="1.0"?><encryption><keyData {about % base64.b64encode(of_package).decode()}/>
<keyEncryptors><keyEncryptor><p:encryptedKey spinCount="{spin}" {about % base64.b64encode(salt).decode()}
{values}/></keyEncryptor></keyEncryptors></encryption>"""
    body = struct.pack("<Q", len(package))
    for number, at in enumerate(range(0, len(package), 4096)):
        start = sha1(of_package + struct.pack("<I", number))[:16]
        body += encrypt(secret, start, package[at : at + 4096])
    head = struct.pack("<HHI", 4, 4, 0x40)
    return compound_file({"EncryptionInfo": head + info.encode(), "EncryptedPackage": body})


LOCKED = {
    "agile": lambda password: encrypted_ooxml(docm(), password),
    "agile, 128 bits": lambda password: agile_of_2010(docm(), password),
    "agile, 192 bits": lambda password: agile_of_2010(docm(), password, 192),
    "standard": lambda password: standard(docm(), password),
    "standard, 256 bits": lambda password: standard(docm(), password, 256),
}


@pytest.mark.parametrize("lock", LOCKED.values(), ids=LOCKED.keys())
def test_what_opens_a_document(lock):
    assert scanned(lock("secret")) == ({"office-encrypted"}, {"encrypted"})
    for password in ("VelvetSweatshop", "/01Hannes Ruescher/01", ""):
        assert scanned(lock(password)) == ({"office-default-password", *MACROS}, set())
    data = lock("Kx7-gehéim")
    for parts in itertools.permutations((text("Passwort: Kx7-gehéim\r\n".encode()), attachment(data))):
        assert mail(*parts) == ({"office-encrypted", *MACROS}, set())


def agile(**changed: str) -> bytes:
    file = io.BytesIO(encrypted_ooxml(docx(), "secret"))
    import olefile

    info = olefile.OleFileIO(file).openstream("EncryptionInfo").read()
    for name, value in changed.items():
        at = info.rindex(f' {name}="'.encode())
        end = info.index(b'"', at + len(name) + 3)
        info = info[:at] + f' {name}="{value}"'.encode() + info[end + 1 :]
    return compound_file({"EncryptionInfo": info, "EncryptedPackage": bytes(5000)})


@pytest.mark.parametrize("spin", [10_000_000, 4_000_001])
def test_document_that_wants_too_much_work_is_not_tried(spin: int):
    started = time.process_time()
    assert scanned(agile(spinCount=str(spin))) == ({"office-encrypted"}, {"encrypted"})
    assert time.process_time() - started < 0.5


def test_work_on_many_documents_is_bounded():
    data = agile(spinCount="1000000")
    started = time.process_time()
    parts = [attachment(data, f"{n}.docx") for n in range(20)]
    assert mail(text(b"one two three four five\r\n"), *parts) == ({"office-encrypted"}, {"encrypted"})
    assert time.process_time() - started < 15


@pytest.mark.parametrize(
    "changed",
    [
        {"spinCount": "10000001"},
        {"spinCount": "x"},
        {"keyBits": "99"},
        {"blockSize": "1"},
        {"saltValue": "x"},
        {"encryptedKeyValue": "AAAA"},
    ],
)
def test_lock_that_no_program_could_open_is_damage(changed: dict[str, str]):
    assert scanned(agile(**changed)) == (set(), {"malformed"})


@pytest.mark.parametrize(
    "info",
    [
        struct.pack("<HHI", 4, 3, 0x10) + bytes(100),
        struct.pack("<HHI", 3, 3, 0x10) + bytes(100),
        struct.pack("<HHI", 9, 9, 0) + bytes(100),
        struct.pack("<HHI", 4, 4, 0x40) + b"<keyData/><keyEncryptors uri='certificate'/>",
    ],
    ids=["extensible", "extensible, old", "unknown", "certificate"],
)
def test_locks_that_nothing_here_opens(info: bytes):
    data = compound_file({"EncryptionInfo": info, "EncryptedPackage": bytes(5000)})
    assert scanned(data) == ({"office-encrypted"}, {"encrypted"})


@pytest.mark.parametrize(
    "data",
    [
        compound_file({"EncryptedPackage": bytes(5000)}),
        compound_file({"\x06DataSpaces": {"D": {"DRMEncryptedDataSpace": b"x"}}, "EncryptedPackage": b"x"}),
        compound_file({"\tDRMContent": bytes(5000), "WordDocument": b"\xec\xa5" + bytes(5000)}),
        b".pfile\2\0" + bytes(100),
    ],
    ids=["no lock", "rights, ooxml", "rights, doc", "rights, any file"],
)  # fmt: skip
def test_rights_management_is_a_lock(data: bytes):
    assert scanned(data) == ({"office-encrypted"}, {"encrypted"})


def test_message_for_its_recipients_alone():
    assert scanned(b"\x76\xe8\x04\x60\xc4\x11\xe3\x86" + bytes(100)) == (set(), {"mail-encrypted"})


def test_what_opens_is_bounded():
    data = encrypted_ooxml(docm(), "VelvetSweatshop")
    assert scanned(data, ScanOptions(member_size=1000))[0] >= {"office-default-password"}


@given(st.binary(max_size=300))
def test_any_octets_are_a_lock_or_none(info: bytes):
    for head in (struct.pack("<HHI", 4, 4, 0x40), struct.pack("<HHI", 3, 2, 0x24), b""):
        with contextlib.suppress(LockError, UnknownLock):
            assert isinstance(read_lock(head + info), (Agile, Standard))


def test_lock_cut_or_changed_anywhere():
    import olefile

    file = olefile.OleFileIO(io.BytesIO(encrypted_ooxml(docx(), "x")))
    info = file.openstream("EncryptionInfo").read()
    for at in range(len(info)):
        for broken in (info[:at], info[:at] + bytes((info[at] ^ 1,)) + info[at + 1 :]):
            try:
                lock = read_lock(broken)
            except (LockError, UnknownLock):
                continue
            if isinstance(lock, Agile):
                assert replace(lock, spin=1).key("wrong") is None


# Binary formats.


def test_what_only_looks_locked():
    # Recommended as read-only (fReadOnlyRecommended, 0x0400), write reservation, protected sheets.
    assert scanned(doc(None, flags=0x0400)) == (set(), set())
    assert scanned(doc(None, flags=0x0800)) == (set(), set())
    sharing = record(0x005B, struct.pack("<HHH", 1, 0x1234, 0))
    assert scanned(xls(workbook(sharing, record(0x0012, b"\1\0"), record(0x0013, b"\x34\x12")))) == (
        set(),
        set(),
    )
    protected = docx(
        extra={"xl/workbook.xml": b'<workbook><workbookProtection lockStructure="1"/></workbook>'}
    )
    assert scanned(protected) == (set(), set())
    assert scanned(docx(extra={"word/settings.xml": b'<w:documentProtection w:hash="x"/>'})) == (set(), set())


def test_workbook_of_excel_97_is_opened_without_touching_the_disk(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_arguments: object, **_options: object) -> None:
        raise PermissionError("a worker writes no files")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert scanned(encrypted_xls("secret")) == ({"office-encrypted"}, {"encrypted"})
    assert scanned(encrypted_xls("VelvetSweatshop")) == ({"office-default-password"}, set())


def test_workbook_without_a_container():
    for magic in (0x0009, 0x0209, 0x0409):
        head = record(magic, struct.pack("<HHH", 0, 0x10, 0))
        assert scanned(head + record(0x002F, b"\x12\x34\x56\x78") + EOF)[0] == {"office-encrypted"}
    default = (
        record(0x0409, struct.pack("<HHH", 0, 0x10, 0)) + record(0x002F, bytes.fromhex("59b30a9a")) + EOF
    )
    assert scanned(default)[0] == {"office-default-password"}


def test_word_without_a_container():
    head = struct.pack("<HHHHHH", 0xA5DB, 0x2D, 0, 0, 0, 0x0100)
    assert scanned(head + bytes(500)) == ({"office-encrypted"}, {"encrypted"})
    assert "office-encrypted" not in scanned(head[:10] + bytes(500))[0]


@pytest.mark.parametrize("kind", [0, 1])
def test_lock_of_a_workbook_that_cannot_be_opened(kind: int):
    data = xls(BOF + record(0x002F, struct.pack("<H", kind) + bytes(52)) + EOF)
    assert scanned(data) == ({"office-encrypted"}, {"encrypted"})


def formula_sheet() -> bytes:
    """Records of a workbook with an Excel 4 macro sheet that holds a formula."""
    sheet = (
        record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0040, 0, 0, 0, 0)) + record(0x0006, bytes(30)) + EOF
    )
    head = record(0x0085, struct.pack("<IBB", 0, 0, 1) + b"\x06\x00Macro1")
    return head + record(0x00FC, b"text " * 700) + EOF + sheet


def locked_workbook(kind: str, password: str) -> bytes:
    """A workbook locked with the keys as msoffcrypto makes them, octet by octet."""
    from msoffcrypto.method import rc4, rc4_cryptoapi
    from msoffcrypto.method.xor_obfuscation import DocumentXOR

    salt, verifier = bytes(range(16)), b"sixteen octets.."

    def keystream(block: int, size: int) -> bytes:
        key = rc4._makekey(password, salt, block)
        if kind == "CryptoAPI":
            key = rc4_cryptoapi._makekey(password, salt, 128, block)
        return Cipher(ARC4(key), None).encryptor().update(bytes(size))

    if kind == "XOR":
        check = next(n for n in range(1 << 16) if DocumentXOR.verifypw(password, n))
        lock = struct.pack("<HHH", 0, DocumentXOR.create_xor_key_method1(password), check)
    else:
        mask = keystream(0, 64)
        hashed = (hashlib.sha1 if kind == "CryptoAPI" else hashlib.md5)(verifier).digest()
        sealed = bytes(a ^ b for a, b in zip(verifier + hashed, mask, strict=False))
        if kind == "CryptoAPI":
            header = struct.pack("<8I", 4, 0, 0x6801, 0x8004, 128, 1, 0, 0) + "x\0".encode("utf-16-le")
            lock = struct.pack("<HHHII", 1, 2, 2, 4, len(header)) + header + struct.pack("<I", 16) + salt
            lock += sealed[:16] + struct.pack("<I", 20) + sealed[16:]
        else:
            lock = struct.pack("<HHH", 1, 1, 1) + salt + sealed
    stream = bytearray(BOF + record(0x002F, lock))
    body = formula_sheet()
    body = body[:4] + struct.pack("<I", len(stream) + body.index(b"\x09\x08")) + body[8:]
    at = 0
    while at < len(body):
        number, size = struct.unpack_from("<HH", body, at)
        stream += body[at : at + 4]
        for place in range(size):
            octet, where = body[at + 4 + place], len(stream)
            if number != 0x0809 and not (number == 0x0085 and place < 4):
                if kind == "XOR":
                    array = DocumentXOR.create_xor_array_method1(password)
                    octet = (octet << 5 | octet >> 3) & 255
                    octet ^= array[(where + size) % 16]
                else:
                    octet ^= keystream(where // 1024, 1024)[where % 1024]
            stream.append(octet)
        at += 4 + size
    return xls(bytes(stream))


@pytest.mark.parametrize("kind", ["XOR", "RC4", "CryptoAPI"])
def test_what_opens_a_workbook(kind: str):
    data = locked_workbook(kind, "VelvetSweatshop")
    result = scan_document("x", data)
    assert {found.name for found in result.findings} == {"office-default-password", "office-xlm-macro"}
    assert any("Macro1" in found.detail for found in result.findings)
    data = locked_workbook(kind, "Kx7")
    assert scanned(data)[0] == {"office-encrypted"}
    names, reasons = mail(text(b"Password: Kx7\r\n"), attachment(data))
    assert (names, reasons) == ({"office-encrypted", "office-xlm-macro"}, set())


def test_large_workbook_opens_in_little_time():
    lock = record(0x002F, b"\0\0" + bytes.fromhex("59b30a9a"))
    data = xls(BOF + lock + record(0x00FD, bytes(8000)) * 800 + EOF)
    started = time.process_time()
    assert scanned(data)[0] == {"office-default-password"}
    assert time.process_time() - started < 4


# Access.


def access(
    version: int, password: str = "", key: int = 0, engine: str = "Jet", day: float = 40000.5
) -> bytes:
    plain = bytearray(128)
    struct.pack_into("<I", plain, 0x3E - 0x18, key)
    raw = password.encode("utf-16-le" if version else "ascii")
    struct.pack_into("<d", plain, 0x72 - 0x18, day)
    mask = struct.pack("<i", int(day)) if version and day == day else bytes(4)
    for at in range(40 if version else 20):
        plain[0x42 - 0x18 + at] = (raw[at] if at < len(raw) else 0) ^ mask[at % 4]
    size = 128 if version else 126
    # RC4 with that key takes nothing but a key of 32 bits; four times the same is the same stream.
    masked = Cipher(ARC4(b"\xc7\xda\x39\x6b" * 4), None).encryptor().update(bytes(plain[:size]))
    head = f"\0\1\0\0Standard {engine} DB\0".encode() + bytes((version, 0, 0, 0))
    return (head + masked).ljust(4096, b"\0")


@pytest.mark.parametrize(
    ("data", "lock"),
    [
        (access(0), ""),
        (access(1), ""),
        (access(2, engine="ACE"), ""),
        (access(1, key=77), ""),
        (access(0, "secret"), "Access, a password"),
        (access(1, "secret"), "Access, a password"),
        (access(1, "x", day=float("nan")), "Access, a password"),
        (access(2, key=77, engine="ACE"), "Access, encrypted"),
        (access(1)[:60], ""),
    ],
)
def test_databases(data: bytes, lock: str):
    assert lock_of(data) == lock
    assert ("office-encrypted" in scanned(data)[0]) == bool(lock)
