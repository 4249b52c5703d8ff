"""Office documents that need a password (MS-OFFCRYPTO), and those that only pretend to.

Excel opens a workbook locked with ``VelvetSweatshop`` without asking, PowerPoint has such a password too.
What these open is scanned like any document.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from contentfilter.containers.access import is_access, lock_of
from contentfilter.containers.biff import read_workbook, starts_stream
from contentfilter.containers.cfb import MAGIC, CompoundFile, Entry
from contentfilter.containers.ooxmllock import LockError, UnknownLock, read_lock
from contentfilter.containers.word_binary import starts_document
from contentfilter.containers.xlslock import (
    by_rc4,
    by_xor,
    cryptoapi_key,
    open_default,
    plain_records,
    rc4_key,
)
from contentfilter.content.limits import KIB
from contentfilter.content.part import Content, Context, Found, Part
from contentfilter.passwords.passwords import Password

EXCEL, POWERPOINT = "VelvetSweatshop", "/01Hannes Ruescher/01"
DEFAULT_PASSWORDS = (EXCEL, POWERPOINT, "")
"""What the programs try by themselves, and what nobody needs to know."""

_LEGACY_COST = 20_000
_ENCRYPTED_POWERPOINT = 0xF3D1C4DF
_MARKS = (
    (_ENCRYPTED_POWERPOINT.to_bytes(4, "little"), (0xE391C05F).to_bytes(4, "little")),
    ("EncryptedSummary".encode("utf-16-le"), "DecryptedSummary".encode("utf-16-le")),
)
"""What says of a presentation that it is encrypted, and what stands there else (MS-PPT 2.3.2)."""
_FIB_ENCRYPTED = 0x0100
_WORD_ALONE = (b"\xdb\xa5\x2d\0", b"\x9b\xa5\x21\0", b"\xfe\x37\0\x23")
"""Word 1, 2 and 5 kept the same header in a file without containers."""
_WORD_PERFECT, _KEY_AT = b"\xffWPC", 12
"""A checksum of the password stands in the header of WordPerfect 5 and later, zero if there is none."""
_RIGHTS = ("\tdrmcontent", "\tdrmviewercontent", "drmencrypteddataspace", "drmencryptedtransform")
_RIGHTS_ALONE = b".pfile"
_RIGHTS_MESSAGE = b"\x76\xe8\x04\x60\xc4\x11\xe3\x86"
"""``message.rpmsg``: Outlook's whole message, encrypted to its recipients."""


@dataclass(frozen=True, slots=True)
class Lock:
    """How a document is locked.

    Arguments:
        kind: in words.
        cost: microseconds of one attempt.
        open: gives what a password opens, None for a wrong one; absent if no password is of any use here.
        damaged: what a password needs is missing, so nobody can open it.
    """

    kind: str
    cost: int = _LEGACY_COST
    open: Callable[[str], Content | None] | None = None
    damaged: bool = False


class EncryptedOffice:
    """Finds ``office-encrypted`` and ``office-default-password``; hands out what a password opens."""

    name = "encrypted-office"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        if part.data.startswith(_RIGHTS_MESSAGE):
            yield part.unscanned("mail-encrypted", "rights management")
            return
        lock = _lock(part, context)
        if lock is None:
            return
        if lock.damaged:
            yield part.unscanned(
                "malformed", f"{lock.kind}, encrypted, without the data that a password needs"
            )
            return
        opened = _open(lock, context)
        if opened is None:
            yield part.found("office-encrypted", lock.kind)
            yield part.unscanned("encrypted", lock.kind)
            return
        password, content = opened
        if password.told:
            yield part.found("office-encrypted", f"{lock.kind}, the mail tells the password")
            yield part.piece("what a password in the mail opens", content)
        else:
            yield part.found("office-default-password", lock.kind)
            yield part.piece("what a default password opens", content)


def _open(lock: Lock, context: Context) -> tuple[Password, Content] | None:
    if lock.open is None:
        return None
    for password in context.passwords.attempts(lock.cost, DEFAULT_PASSWORDS):
        content = lock.open(password.text)
        if content is not None:
            context.passwords.opened(password)
            return password, content
    return None


def _lock(part: Part, context: Context) -> Lock | None:
    """The document's lock; None if it has none."""
    data, file = part.data, context.cfb
    if file is not None:
        return _of_compound(part, file, context.budget.allowance)
    if is_access(data) and (kind := lock_of(data)):
        return Lock(kind)
    if starts_stream(data) and read_workbook(data).encrypted:
        return Lock("Excel", open=lambda password: open_default(data) if password == EXCEL else None)
    if data.startswith(_WORD_ALONE) and int.from_bytes(data[10:12], "little") & _FIB_ENCRYPTED:
        return Lock("Word")
    if data.startswith(_WORD_PERFECT) and any(data[_KEY_AT : _KEY_AT + 2]):
        return Lock("WordPerfect")
    if data.startswith(_RIGHTS_ALONE):
        return Lock("rights management")
    return None


def _of_compound(part: Part, file: CompoundFile, allowance: Callable[[], int]) -> Lock | None:
    kind = encryption(file)
    if not kind:
        return None
    if kind == "OOXML":
        return _ooxml(file, allowance)
    if kind == "rights management":
        return Lock(kind)
    streams = {stream.key: stream for stream in reversed(file.streams)}
    if kind == "Excel" and "workbook" not in streams:
        book = file.read(streams["book"])
        return Lock(kind, open=lambda password: open_default(book) if password == EXCEL else None)
    cost = _LEGACY_COST + len(part.data) // 50
    if kind == "Excel":
        book = file.read(streams["workbook"])
        return Lock(kind, cost, lambda password: _open_excel(part.data, book, password))
    return Lock(kind, cost, lambda password: _open_legacy(part.data, password))


def encryption(file: CompoundFile) -> str:
    """How the document is locked, in words; empty if it isn't."""
    streams: dict[str, Entry] = {}
    for stream in file.streams:
        streams.setdefault(stream.key, stream)
    if any(entry.key in _RIGHTS for entry in file.entries):
        return "rights management"
    if "encryptedpackage" in streams or "encryptioninfo" in streams:
        return "OOXML"
    if "worddocument" in streams:
        head = file.read(streams["worddocument"], 32)
        if starts_document(head) and int.from_bytes(head[10:12], "little") & _FIB_ENCRYPTED:
            return "Word"
    for name in ("workbook", "book"):
        if name in streams and read_workbook(file.read(streams[name])).encrypted:
            return "Excel"
    if "current user" in streams:
        # CurrentUserAtom (MS-PPT 2.3.2): record header, size, then the token that says it.
        if int.from_bytes(file.read(streams["current user"], 16)[12:16], "little") == _ENCRYPTED_POWERPOINT:
            return "PowerPoint"
        if "encryptedsummary" in streams:
            return "PowerPoint"
    return ""


def _ooxml(file: CompoundFile, allowance: Callable[[], int]) -> Lock:
    streams = {stream.key: stream for stream in reversed(file.streams)}
    if "encryptioninfo" not in streams or "encryptedpackage" not in streams:
        return Lock("OOXML")
    try:
        lock = read_lock(file.read(streams["encryptioninfo"], 64 * KIB))
    except LockError:
        return Lock("OOXML", damaged=True)
    except UnknownLock as error:
        return Lock(f"OOXML, {error}")

    def open_with(password: str) -> Content | None:
        key = lock.key(password)
        if key is None:
            return None
        return lock.decrypt(key, file.read(streams["encryptedpackage"]), allowance())

    return Lock("OOXML", lock.cost, open_with)


class _Memory:
    """Stands in for the module tempfile: what a password opens is written to no disk, and workers write no
    files."""

    TemporaryFile = io.BytesIO


def load_msoffcrypto() -> Any:
    """The module msoffcrypto, which keeps its hands off the disk; importing it takes a while."""
    import msoffcrypto
    from msoffcrypto.format import doc97, ppt97, xls97

    for module in (doc97, ppt97, xls97):
        module.tempfile = _Memory
    return msoffcrypto


def _open_legacy(data: Content, password: str) -> Content | None:
    """Word's and PowerPoint's binary formats, by msoffcrypto: XOR, RC4, RC4 of the CryptoAPI."""
    out = io.BytesIO()
    try:
        _unlocked(data, password).decrypt(out)
    except Exception:  # noqa: BLE001 - the library lets whatever its parsers raise through; the file stays locked
        return None
    content = out.getvalue()
    if not content.startswith(MAGIC):
        return None
    for mark, plain in _MARKS:  # which the library leaves in
        content = content.replace(mark, plain)
    return content


def _open_excel(data: Content, book: Content, password: str) -> Content | None:
    """Excel's: the password is tested by msoffcrypto, whose decrypting takes a second for each MiB."""
    import olefile
    from msoffcrypto.method.xor_obfuscation import DocumentXOR

    out = io.BytesIO(data)
    try:
        lock = _unlocked(data, password)
        if lock.type == "xor":
            cipher = by_xor(bytes(DocumentXOR.create_xor_array_method1(password)))
        elif lock.type == "rc4":
            cipher = by_rc4(book, rc4_key(password, lock.salt))
        else:
            cipher = by_rc4(book, cryptoapi_key(password, lock.salt, lock.keySize))
        plain = bytes(plain_records(book, cipher))
        olefile.OleFileIO(out, write_mode=True).write_stream("Workbook", plain)
    except Exception:  # noqa: BLE001 - as above
        return None
    return out.getvalue()


def _unlocked(data: Content, password: str) -> Any:
    """The document with its key; raises whatever the library raises if the password is wrong."""
    msoffcrypto = load_msoffcrypto()
    logging.getLogger("msoffcrypto").setLevel(logging.CRITICAL + 1)
    document = msoffcrypto.OfficeFile(io.BytesIO(data))
    document.load_key(password=password)
    return document
