"""Which kinds of disk image there are, told by their signatures."""

from __future__ import annotations

from typing import TypeAlias

Content: TypeAlias = bytes | bytearray

_STARTS = {
    b"conectix": "VHD",
    b"vhdxfile": "VHDX",
    b"KDMV": "VMDK",
    b"# Disk DescriptorFile": "VMDK",
    b"QFI\xfb": "QCOW",
    b"LUKS\xba\xbe": "LUKS",
    b"encrcdsa": "encrypted DMG",
    b"sprs": "sparse DMG",
    b"ER\x02\0": "partitions of Apple",
}
MOUNTED = frozenset({"VHD", "VHDX", "DMG", "sparse DMG"})
"""What a double click shows as a drive, whose files are opened with another; on Windows, and on macOS."""
_MAGIC = tuple(_STARTS)
_VDI = (64, b"\x7f\x10\xda\xbe")
_TRAILERS = {b"conectix": "VHD", b"koly": "DMG"}
_SECTOR = 512
_BOOT = b"\x55\xaa"
_FILE_SYSTEMS = ((3, b"NTFS    "), (3, b"EXFAT   "), (3, b"-FVE-FS-"), (54, b"FAT"), (82, b"FAT"))
_APPLE = ((32, b"NXSB"), (0x400, b"H+\0\4"), (0x400, b"HX\0\5"))
_EXT = (0x438, b"\x53\xef")


def disk_image(data: Content) -> str:
    """The kind of disk image that ``data`` is; empty if it is none. ISO 9660 and UDF are not among them."""
    if data.startswith(_MAGIC):
        return next(kind for magic, kind in _STARTS.items() if data.startswith(magic))
    if len(data) < 4 * _SECTOR:
        return ""
    if data[_VDI[0] : _VDI[0] + 4] == _VDI[1]:
        return "VDI"
    end = data[-_SECTOR : -_SECTOR + 8]
    for magic, kind in _TRAILERS.items():
        if end.startswith(magic):
            return kind
    if data[_SECTOR : _SECTOR + 8] == b"EFI PART":
        return "GPT"
    if data[510:512] == _BOOT:
        if any(data[at : at + len(magic)] == magic for at, magic in _FILE_SYSTEMS):
            return "file system"
        if _has_partitions(data):
            return "partitions"
    if any(data[at : at + len(magic)] == magic for at, magic in _APPLE):
        return "file system of Apple"
    if data[_EXT[0] : _EXT[0] + 2] == _EXT[1] and not any(data[:_SECTOR]):
        return "file system"
    return ""


def _has_partitions(data: Content) -> bool:
    """Whether the table of a master boot record holds partitions and nothing else."""
    entries = [bytes(data[at : at + 16]) for at in range(446, 510, 16)]
    used = [entry for entry in entries if any(entry)]
    return bool(used) and all(entry[0] in (0, 0x80) and entry[4] and any(entry[8:12]) for entry in used)
