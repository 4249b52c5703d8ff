"""The mails that the content filter is measured with; the same octets on every machine.

W1  4 KiB of text                                     64 variants
W2  100 KiB: text, HTML, a .docx of 60 KiB            64 variants
W3  5 MiB attachment of random octets                  4 variants
W4  50 MiB, likewise                                   2 variants
W5  an Office file with macros, half .docm half .doc  64 variants

W1, signed: 4 KiB of text with a link, DKIM by RSA-2048 over what smtpload does not change; 64 variants.

Each mail holds MARK in its header and, at the start of a base64 line, in its attachment; smtpload puts a
fresh value there for every message, so that no cache of verdicts helps.
"""

from __future__ import annotations

import base64
import random
import struct
import textwrap
from pathlib import Path

from postwarden.demo import documents, samples

MARK = b"UNIQ0000UNIQ0000"
RAW_MARK = base64.b64decode(MARK)
BASE64_LINE = 57
"""Octets in one base64 line of 76 characters."""
NAMES = ("W1", "W2", "W3", "W4", "W5")
DESCRIPTIONS = {"W1": "4 KiB text", "W2": "100 KiB, .docx", "W3": "5 MiB", "W4": "50 MiB", "W5": "macros"}
VERSION = "1"
"""To be raised when the mails change, so that old ones are made anew."""

_SYLLABLES = [
    "ba",
    "de",
    "fi",
    "go",
    "lu",
    "ma",
    "ne",
    "pi",
    "ro",
    "su",
    "ta",
    "ve",
    "wi",
    "xo",
    "ya",
    "zu",
    "ban",
    "der",
    "fil",
    "gor",
    "lum",
    "mas",
    "nep",
    "pir",
    "rot",
    "sun",
]


def make(folder: Path) -> dict[str, list[Path]]:
    """Write the mails to ``folder`` unless they are there; returns the files by workload."""
    stamp = folder / "version"
    if not stamp.exists() or stamp.read_text() != VERSION:
        folder.mkdir(parents=True, exist_ok=True)
        for name, mail in _all():
            (folder / name).write_bytes(mail)
        stamp.write_text(VERSION)
    return {name: sorted(folder.glob(f"{name.lower()}-*.eml")) for name in NAMES}


def signed(folder: Path) -> tuple[list[Path], str]:
    """W1, signed with a key made for it; returns the files, and the key's record as a line of a zone."""
    record = folder / "key.zone"
    if not record.exists():
        import dkim
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        folder.mkdir(parents=True, exist_ok=True)
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        for number in range(64):
            source = random.Random(number)
            link = f"https://www.shop{number}.example/offers?{source.getrandbits(32)}"
            mail = _mail(source, _lines(source, 3000) + f"\r\nSee {link}\r\n")
            fields = [b"from", b"to", b"subject", b"date", b"mime-version"]
            line = dkim.sign(mail, b"bench", b"src.example", pem, include_headers=fields)
            (folder / f"w1-signed-{number:02d}.eml").write_bytes(line + mail)
        der = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        text = f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"
        pieces = " ".join(f'"{text[at : at + 200]}"' for at in range(0, len(text), 200))
        record.write_text(f"bench._domainkey.src.example. TXT {pieces}\n")
    return sorted(folder.glob("w1-signed-*.eml")), record.read_text().strip()


def lessons(folder: Path, spam: bool, count: int) -> Path:
    """Mails that statistics can learn; ham is of the words of W1, spam of others. Returns their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        source = random.Random((1 << 20) + 2 * number + spam)
        text = _lines(source, 3000)
        if spam:
            text = text.replace("a", "azz").replace("e", "ekk")
        (folder / f"{number}.eml").write_bytes(_mail(source, text))
    return folder


def _all():
    for number in range(64):
        yield f"w1-{number:02d}.eml", _text_mail(random.Random(number))
        yield f"w2-{number:02d}.eml", _office_mail(random.Random(1000 + number))
        yield f"w5-{number:02d}.eml", _macro_mail(random.Random(5000 + number), old=bool(number % 2))
    for number in range(4):
        yield f"w3-{number:02d}.eml", _blob_mail(random.Random(3000 + number), 5 << 20)
    for number in range(2):
        # 57 octets become 78 on the wire; the mail must stay under Postfix's 50 MiB with its header.
        size = ((50 << 20) - 4096) * BASE64_LINE // 78
        yield f"w4-{number:02d}.eml", _blob_mail(random.Random(4000 + number), size)


def _words(source: random.Random, size: int) -> str:
    text = ""
    while len(text) < size:
        text += "".join(source.choices(_SYLLABLES, k=source.randint(1, 4))) + " "
    return text[:size]


def _lines(source: random.Random, size: int) -> str:
    return "\r\n".join(textwrap.wrap(_words(source, size), 72)) + "\r\n"


def _mail(source: random.Random, text: str, *attachments: samples.Attachment) -> bytes:
    return samples.mail(
        MARK.decode(),
        sender="Alice <sender@src.example>",
        recipient="Bob <user@dst.example>",
        subject=_words(source, 40).strip(),
        text=text,
        attachments=attachments,
    )


def _text_mail(source: random.Random) -> bytes:
    empty = len(_mail(random.Random(0), ""))
    return _mail(source, _lines(source, 4096 - empty - 60))


def _office_mail(source: random.Random) -> bytes:
    paragraphs = [_words(source, 300) for _ in range(60)]
    file = documents.docx(paragraphs, source.randbytes(49_000))
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    html = "".join(f"<p>{_lines(source, 500)}</p>\r\n" for _ in range(20))
    page = samples.Attachment("page.html", "text/html", html.encode())
    return _mail(
        source, _lines(source, 6000), page, samples.Attachment("report.docx", kind, _marked_zip(file))
    )


def _macro_mail(source: random.Random, old: bool) -> bytes:
    code = 'Attribute VB_Name = "{name}"\r\nSub Hello()\r\n    MsgBox "Nothing else happens."\r\nEnd Sub\r\n'
    for number in range(60):
        code += f"Function F{number}(a As Long) As String\r\n    ' {_words(source, 120)}\r\n"
        code += f'    F{number} = Chr(65 + a Mod 26) & "{_words(source, 60)}"\r\nEnd Function\r\n'
    modules = {"ThisDocument": code}
    if old:
        file = documents.doc(modules, _words(source, 24_000).encode())
        file += bytes(-len(file) % BASE64_LINE) + RAW_MARK
        file += bytes(-len(file) % 512)
        return _mail(
            source, _lines(source, 1500), samples.Attachment("invoice.doc", "application/msword", file)
        )
    paragraphs = [_words(source, 300) for _ in range(30)]
    file = _marked_zip(documents.docx(paragraphs, source.randbytes(24_000), modules))
    kind = "application/vnd.ms-word.document.macroEnabled.12"
    return _mail(source, _lines(source, 1500), samples.Attachment("invoice.docm", kind, file))


def _blob_mail(source: random.Random, size: int) -> bytes:
    blob = bytearray(source.randbytes(size))
    middle = size // 2 // BASE64_LINE * BASE64_LINE
    blob[middle : middle + len(RAW_MARK)] = RAW_MARK
    return _mail(
        source, _lines(source, 1500), samples.Attachment("data.bin", "application/octet-stream", bytes(blob))
    )


def _marked_zip(file: bytes) -> bytes:
    """``file`` with the mark in the archive's comment, at the start of a base64 line."""
    comment = b"x" * (-len(file) % BASE64_LINE) + RAW_MARK + b"x"
    return file[:-2] + struct.pack("<H", len(comment)) + comment
