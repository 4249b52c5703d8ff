"""Programs, told by what they hold: those of Windows, Unix, macOS, Java and Android, and what installs them.

Scripts are text and told in :mod:`contentfilter.scanners.scripts`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from contentfilter.containers import shell_link
from contentfilter.containers.cfb import CompoundFile
from contentfilter.containers.ziparchive import ZipArchive
from contentfilter.containers.zipmember import inflate
from contentfilter.content.filename import suffix
from contentfilter.content.limits import KIB
from contentfilter.content.part import Content, Context, Found, Part

_MAGIC = {
    b"\x7fELF": "ELF",
    b"\xfe\xed\xfa\xce": "Mach-O",
    b"\xfe\xed\xfa\xcf": "Mach-O",
    b"\xce\xfa\xed\xfe": "Mach-O",
    b"\xcf\xfa\xed\xfe": "Mach-O",
    b"\xbe\xba\xfe\xca": "Mach-O",
    b"\xca\xfe\xba\xbf": "Mach-O",
    b"dex\n03": "Android",
    b"ITSF": "compiled HTML help",
    b"?_\x03\x00": "Windows help",
    b"FasdUAS ": "AppleScript",
    b"!<arch>\ndebian-binary": "Debian package",
    b"\xed\xab\xee\xdb": "RPM package",
}
_STARTS = tuple(_MAGIC)
_FIRST = frozenset(magic[0] for magic in _STARTS) | frozenset(b"MZL\xcax")
_CLASS_OR_FAT = b"\xca\xfe\xba\xbe"
_LEAST_CLASS_VERSION = 45
"""Java's first; a Mach-O file holds fewer architectures than that."""
_PIF = (0x171, b"MICROSOFT PIFEX\0")
_MAX_COM = 0xFF00
_NO_CODE = (b"PK", b"%PDF", b"\xd0\xcf", b"\xff\xd8", b"\x89PNG", b"GIF8", b"{\\rt", b"\xff\xfe", b"\xfe\xff")
_PACKAGES = {
    b"appxmanifest.xml": "Windows app package",
    b"appxmetadata/appxbundlemanifest.xml": "Windows app package",
    b"appxblockmap.xml": "Windows app package",
}
_EXTENSION = frozenset({b"description.xml", b"meta-inf/manifest.xml"})
"""What an extension of LibreOffice (.oxt) has; its programs in other languages tell by themselves."""
_INSTALLER_CLASS = bytes.fromhex("0010 0c00 0000 0000 c000 0000 0000 0046")
"""{000C10xx-0000-0000-C000-000000000046}, its first octet left out: packages, transforms, patches."""
_INSTALLER_KINDS = {0x82: "transform", 0x84: "package", 0x86: "patch"}
_TABLE_SIGN = "\u4840"
"""Begins the name of each table in an installer's database, in its packed spelling."""
_TOC = 64 * KIB


class Executable:
    """Finds ``executable``."""

    name = "executable"

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        data = part.data
        if not data:
            return
        kind = _by_start(data) if data[0] in _FIRST else ""
        if not kind and data[_PIF[0] : _PIF[0] + len(_PIF[1])] == _PIF[1]:
            kind = "program information file"
        if not kind and part.name and len(data) < _MAX_COM and suffix(part.name) == "com":
            kind = "COM" if _is_machine_code(data) else ""
        if not kind and context.cfb is not None:
            kind = _installer(context.cfb)
        if not kind and context.zip is not None:
            kind = _package(context.zip)
        if kind:
            yield part.found(self.name, kind)


def _by_start(data: Content) -> str:
    if data.startswith((b"MZ", b"ZM")):
        return dos_program(data)
    if data.startswith(shell_link.MAGIC):
        return f"Windows shortcut to {shell_link.describe(data) or 'what cannot be read'}"
    if data.startswith(_CLASS_OR_FAT):
        return "Java class" if int.from_bytes(data[4:8], "big") >= _LEAST_CLASS_VERSION else "Mach-O"
    if data.startswith(_STARTS):
        return next(kind for magic, kind in _MAGIC.items() if data.startswith(magic))
    if data.startswith(b"xar!"):
        return _macos_package(data)
    return ""


def dos_program(data: Content) -> str:
    """What kind of program follows MZ; empty for text that happens to begin so."""
    if len(data) < 28:
        return ""
    at = int.from_bytes(data[60:64], "little") if len(data) >= 64 else 0
    new = bytes(data[at : at + 4]) if 0 < at <= len(data) - 4 else b""
    if new == b"PE\0\0":
        return _portable(data, at)
    if new[:2] in (b"NE", b"LE", b"LX"):
        return new[:2].decode("ascii")
    # A plain DOS program: pages in the file, paragraphs of header, both small numbers.
    pages, header = int.from_bytes(data[4:6], "little"), int.from_bytes(data[8:10], "little")
    return "DOS" if 0 < pages <= 2048 and header <= 4096 and b"\0" in data[:28] else ""


def _portable(data: Content, at: int) -> str:
    """PE (Microsoft's PE Format): a library by its characteristics, .NET by its fifteenth directory."""
    library = int.from_bytes(data[at + 22 : at + 24], "little") & 0x2000
    wide = data[at + 24 : at + 26] == b"\x0b\x02"
    directory = at + 24 + (112 if wide else 96) + 14 * 8
    managed = any(data[directory : directory + 4])
    return "PE" + (", library" if library else "") + (", .NET" if managed else "")


def _is_machine_code(data: Content) -> bool:
    """Whether it is neither text nor begins like a file that is known: a .com file has no signature."""
    return b"\0" in data[:4096] and not data.startswith(
        (
            b"PK",
            b"%PDF",
            b"\xd0\xcf",
            b"\xff\xd8",
            b"\x89PNG",
            b"GIF8",
            b"{\\rt",
            b"\xff\xfe",
            b"\xfe\xff",
            b"<",
        )
    )


def _installer(file: CompoundFile) -> str:
    """Windows Installer's databases: by the root's class, or where that is wiped by the names of tables."""
    clsid = file.root.clsid
    if clsid[1:] == _INSTALLER_CLASS[1:]:
        return f"Windows Installer {_INSTALLER_KINDS.get(clsid[0], 'file')}"
    tables = sum(stream.name.startswith(_TABLE_SIGN) for stream in file.streams)
    return "Windows Installer package" if tables > 1 else ""


def _package(archive: ZipArchive) -> str:
    """Programs that are ZIP archives."""
    names = {member.name.lower().replace(b"\\", b"/") for member in archive.members}
    if b"meta-inf/manifest.mf" in names and any(name.endswith(b".class") for name in names):
        return "Java archive"
    if b"androidmanifest.xml" in names and (b"classes.dex" in names or b"resources.arsc" in names):
        return "Android package"
    for name, kind in _PACKAGES.items():
        if name in names:
            return kind
    if names >= _EXTENSION and any(name.endswith(b".py") for name in names):
        return "LibreOffice extension"
    return ""


def _macos_package(data: Content) -> str:
    """An installer among XAR archives: its table of contents, zlib behind the header, names its parts."""
    start = int.from_bytes(data[4:6], "big")
    toc = inflate(data, start, len(data), _TOC, zlib.MAX_WBITS).data
    if b"<name>PackageInfo<" in toc or b"<name>Distribution<" in toc:
        return "macOS installer package"
    return ""
