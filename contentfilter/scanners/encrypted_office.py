"""Office documents that need a password (MS-OFFCRYPTO), and those that only pretend to.

Excel opens a workbook locked with ``VelvetSweatshop`` without asking, PowerPoint has such a password too.
What these open is scanned like any document.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator

from contentfilter.containers.biff import open_default, read_workbook
from contentfilter.containers.cfb import MAGIC, CompoundFile, Entry
from contentfilter.limits import KIB
from contentfilter.part import Context, Found, Part

DEFAULT_PASSWORDS = ("VelvetSweatshop", "/01Hannes Ruescher/01")

_COST = 160_000
_ENCRYPTED_POWERPOINT = 0xF3D1C4DF
_FIB_ENCRYPTED = 0x0100
_WORD_MAGIC = (b"\xec\xa5", b"\xdc\xa5", b"\xdb\xa5", b"\x5e\xa6")


class EncryptedOffice:
    """Finds ``office-encrypted`` and ``office-default-password``; hands out what a default password opens."""

    name = "encrypted-office"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        file = context.cfb
        if file is None:
            return
        kind = encryption(file)
        if not kind:
            return
        if kind == "OOXML" and damaged(file):
            yield part.unscanned("malformed", "encrypted OOXML without the data that a password needs")
            return
        for password in context.passwords.attempts(_COST, DEFAULT_PASSWORDS) if affordable(file) else ():
            content = _open(part, file, password.text)
            if content is None:
                continue
            context.passwords.opened(password)
            if password.told:
                yield part.found("office-encrypted", f"{kind}, the mail tells the password")
                yield part.piece("what a password in the mail opens", content)
            else:
                yield part.found("office-default-password", kind)
                yield part.piece("what a default password opens", content)
            return
        yield part.found("office-encrypted", kind)
        yield part.unscanned("encrypted", kind)


def encryption(file: CompoundFile) -> str:
    """How the document is locked, in words; empty if it isn't."""
    streams: dict[str, Entry] = {}
    for stream in file.streams:
        streams.setdefault(stream.key, stream)
    if "encryptedpackage" in streams or "encryptioninfo" in streams:
        return "OOXML"
    if "worddocument" in streams:
        head = file.read(streams["worddocument"], 32)
        if head[:2] in _WORD_MAGIC and int.from_bytes(head[10:12], "little") & _FIB_ENCRYPTED:
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


_SPIN_COUNT = re.compile(rb"spinCount\s*=\s*[\"'](\d{1,18})")
_MAX_SPIN_COUNT = 1_000_000
"""Office writes 100,000 and accepts up to 10,000,000 (MS-OFFCRYPTO 2.3.4.10)."""
_AGILE = b"\x04\x00\x04\x00"
_REQUIRED = (
    b"saltSize", b"blockSize", b"keyBits", b"hashSize", b"cipherAlgorithm", b"cipherChaining",
    b"hashAlgorithm", b"saltValue", b"spinCount", b"encryptedVerifierHashInput",
    b"encryptedVerifierHashValue", b"encryptedKeyValue",
)  # fmt: skip


def damaged(file: CompoundFile) -> bool:
    """Whether agile encryption's description lacks an attribute that its schema requires (MS-OFFCRYPTO
    2.3.4.10), so that no program can open the document with any password."""
    for stream in file.streams:
        if stream.key == "encryptioninfo":
            info = file.read(stream, 64 * KIB)
            return info.startswith(_AGILE) and not all(name + b"=" in info for name in _REQUIRED)
    return False


def affordable(file: CompoundFile) -> bool:
    """Whether one attempt takes well under a second: the document itself says how often to hash."""
    for stream in file.streams:
        if stream.key == "encryptioninfo":
            counts = _SPIN_COUNT.findall(file.read(stream, 64 * KIB))
            return all(int(count) <= _MAX_SPIN_COUNT for count in counts)
    return True


def _open(part: Part, file: CompoundFile, password: str) -> bytes | None:
    """The document without its lock; None if the password doesn't fit or the format is unknown."""
    import msoffcrypto

    for stream in file.streams:
        if stream.key == "book":
            return open_default(file.read(stream)) if password == DEFAULT_PASSWORDS[0] else None
    out = io.BytesIO()
    logging.getLogger("msoffcrypto").setLevel(logging.CRITICAL + 1)
    try:
        document = msoffcrypto.OfficeFile(io.BytesIO(part.data))
        # Its verify_password fails for SHA-1 (the stored hash is padded); a wrong key shows in the result.
        document.load_key(password=password)
        document.decrypt(out)
    except Exception:  # noqa: BLE001 - the library lets whatever its parsers raise through; the file stays locked
        return None
    content = out.getvalue()
    return content if content.startswith((b"PK", MAGIC)) else None
