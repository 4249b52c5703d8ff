"""Sample attachments, made on the spot and harmless: Office files with and without macros, locked files."""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib

import pikepdf

from postwarden.demo import vba
from postwarden.demo.compound import Tree, compound_file

_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_VBA = "http://schemas.microsoft.com/office/2006/relationships/vbaProject"
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_DOCX_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
_DOCM_TYPE = "application/vnd.ms-word.document.macroEnabled.main+xml"
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'


def docx(paragraphs: list[str], picture: bytes = b"", modules: dict[str, str] | None = None) -> bytes:
    """A Word document (OOXML).

    Arguments:
        paragraphs: plain text without ``<`` and ``&``.
        picture: put in as a picture; sets the file's size.
        modules: VBA modules; with some it is a .docm.
    """
    relations = f'<Relationship Id="rId1" Type="{_OFFICE}/image" Target="media/image1.png"/>'
    if modules:
        relations += f'<Relationship Id="rId2" Type="{_VBA}" Target="vbaProject.bin"/>'
    kind = _DOCM_TYPE if modules else _DOCX_TYPE
    text = "".join(f"<w:p><w:r><w:t>{paragraph}</w:t></w:r></w:p>" for paragraph in paragraphs)
    members: dict[str, str | bytes] = {
        "[Content_Types].xml": f'{_XML}<Types xmlns="{_PACKAGE}/content-types">'
        f'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="png" ContentType="image/png"/>'
        f'<Default Extension="bin" ContentType="application/vnd.ms-office.vbaProject"/>'
        f'<Override PartName="/word/document.xml" ContentType="{kind}"/></Types>',
        "_rels/.rels": f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="word/document.xml"/>'
        f"</Relationships>",
        "word/document.xml": f'{_XML}<w:document xmlns:w="{_WORD}"><w:body>{text}</w:body></w:document>',
        "word/_rels/document.xml.rels": f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">'
        f"{relations}</Relationships>",
        "word/media/image1.png": b"\x89PNG\r\n\x1a\n" + picture,
    }
    if modules:
        members["word/vbaProject.bin"] = compound_file(vba.project(modules))
    return archive(members)


def doc(modules: dict[str, str], text: bytes = b"Some old text. ") -> bytes:
    """A Word 97 document with VBA modules; its text is no more than a filler."""
    body = bytes.fromhex("eca5c100") + bytes(28) + text
    tree: Tree = {
        "WordDocument": body.ljust(4096, b"\0"),
        "1Table": bytes(4096),
        "Macros": vba.project(modules),
    }
    return compound_file(tree)


def macro_document() -> bytes:
    """A small .docm whose only macro shows a message box."""
    return docx(["Please enable editing."], modules={"Module1": vba.HARMLESS})


def archive(members: dict[str, str | bytes]) -> bytes:
    """A ZIP archive, the same octets each time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, data in members.items():
            file.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def locked_archive(name: str, data: bytes, password: bytes) -> bytes:
    """A ZIP archive of one stored member under traditional encryption (APPNOTE 6.1)."""
    checksum = zlib.crc32(data)
    seed = random.Random(checksum).randbytes(11) + bytes([checksum >> 24])  # noqa: S311  (no secret)
    sealed = _ZipCipher(password).encrypt(seed + data)
    encoded = name.encode()
    fields = struct.pack("<HHHHIIIH", 1, 0, 0, 0x5C21, checksum, len(sealed), len(data), len(encoded))
    local = b"PK\x03\x04" + struct.pack("<H", 20) + fields + struct.pack("<H", 0) + encoded + sealed
    central = b"PK\x01\x02" + struct.pack("<HH", 20, 20) + fields
    central += struct.pack("<HHHHII", 0, 0, 0, 0, 0, 0) + encoded  # no extra, no comment
    end = struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + b"PK\x05\x06" + end


class _ZipCipher:
    def __init__(self, password: bytes) -> None:
        self._keys = [0x12345678, 0x23456789, 0x34567890]
        for byte in password:
            self._update(byte)

    def encrypt(self, data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            mask = self._keys[2] & 0xFFFF | 2
            out.append(byte ^ (mask * (mask ^ 1) >> 8 & 0xFF))
            self._update(byte)
        return bytes(out)

    def _update(self, byte: int) -> None:
        first, second, third = self._keys
        first = _crc_step(first, byte)
        second = (second + (first & 0xFF)) * 134775813 + 1 & 0xFFFFFFFF
        self._keys = [first, second, _crc_step(third, second >> 24)]


def _crc_step(value: int, byte: int) -> int:
    """One step of CRC-32 without its two inversions, which zlib always does."""
    return zlib.crc32(bytes([byte]), value ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


def pdf(user: str = "", owner: str = "") -> bytes:
    """A PDF of one empty page.

    Arguments:
        user: password that is needed to open it; empty: anybody can.
        owner: password that lifts restrictions; empty together with ``user``: no encryption at all.
    """
    out = io.BytesIO()
    with pikepdf.new() as document:
        document.add_blank_page(page_size=(595, 842))
        lock = pikepdf.Encryption(user=user, owner=owner) if user or owner else None
        if lock is None:
            document.save(out)
        else:
            document.save(out, encryption=lock)
    return out.getvalue()


def eicar() -> bytes:
    """The EICAR test file, which every virus scanner knows and which does nothing.

    Put together at run time, so that no scanner takes this source file for it.
    """
    return b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-" + b"TEST-FILE!$H+H*"
