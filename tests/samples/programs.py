"""Writes the beginnings of programs, shortcuts and installers."""

from __future__ import annotations

import struct
import zlib

from tests.samples.archives import plain_zip
from tests.samples.compound import Tree, compound_file


def pe(library: bool = False, managed: bool = False) -> bytes:
    """A program of Windows without a section."""
    optional = struct.pack("<H", 0x10B).ljust(96 + 16 * 8, b"\0")
    if managed:
        optional = optional[: 96 + 14 * 8] + struct.pack("<II", 0x2008, 72) + optional[96 + 15 * 8 :]
    flags = 0x2102 if library else 0x0102
    coff = struct.pack("<HHIIIHH", 0x14C, 0, 0, 0, 0, len(optional), flags)
    return b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + coff + optional


def shortcut(target: str = "C:\\Windows\\System32\\cmd.exe", arguments: str = "/c calc") -> bytes:
    """A shell link (MS-SHLLINK) with its target in LinkInfo and its arguments in Unicode."""
    path = target.encode("latin-1") + b"\0"
    info = struct.pack("<IIIIIII", 28 + len(path), 28, 1, 0, 28, 0, 0) + path
    strings = struct.pack("<H", len(arguments)) + arguments.encode("utf-16-le")
    header = bytes.fromhex("4c0000000114020000000000c000000000000046") + struct.pack("<I", 0x02 | 0x20 | 0x80)
    return header.ljust(76, b"\0") + info + strings


def with_class(data: bytes, clsid: bytes) -> bytes:
    """A compound file of ours whose root has that class."""
    sector = int.from_bytes(data[48:52], "little")
    at = (sector + 1) * 512 + 80
    return data[:at] + clsid + data[at + 16 :]


INSTALLER_CLASS = bytes.fromhex("84100c0000000000c000000000000046")


def installer(tree: Tree | None = None, clsid: bytes = INSTALLER_CLASS) -> bytes:
    """A database of Windows Installer: its class, two tables, and the streams of ``tree``."""
    tables: Tree = {"\u4840\u3f3f\u4577\u446c\u3b6a\u45e4\u4824": b"x" * 20, "\u4840\u3fff\u43e4": b"y" * 20}
    return with_class(compound_file(tables | (tree or {})), clsid)


def jar() -> bytes:
    return plain_zip(
        {"META-INF/MANIFEST.MF": b"Main-Class: a\r\n", "a.class": b"\xca\xfe\xba\xbe\0\0\0\x34xxxx"}
    )


def xar(toc: bytes) -> bytes:
    """A XAR archive (macOS packages) of that table of contents and nothing else."""
    packed = zlib.compress(toc)
    return b"xar!" + struct.pack(">HHQQI", 28, 1, len(packed), len(toc), 1) + packed + bytes(20)
