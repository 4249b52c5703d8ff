"""Writes VBA projects ([MS-OVBA]) around a given source text; the macros of the sample documents.

The samples' own macro shows a message box and nothing else.
"""

from __future__ import annotations

import struct

from postwarden.demo.compound import Tree

CHUNK = 4096
HARMLESS = (
    'Attribute VB_Name = "{name}"\r\n'
    "Sub Hello()\r\n"
    '    MsgBox "Good morning. This macro does nothing else."\r\n'
    "End Sub\r\n"
)
"""Source of a harmless module."""


def project(modules: dict[str, str], name: str = "Sample") -> Tree:
    """The streams of a VBA project.

    Arguments:
        modules: module names to source texts; ``{name}`` in a text becomes the module's name.
        name: of the project.

    Returns:
        A tree for :func:`postwarden.demo.compound.compound_file`, or to be put under ``Macros`` in a .doc.
    """
    streams: dict[str, bytes | Tree] = {
        module: compress(source.replace("{name}", module).encode("cp1252"))
        for module, source in modules.items()
    }
    streams["dir"] = compress(_directory(list(modules), name))
    streams["_VBA_PROJECT"] = bytes.fromhex("cc61ffff000000")
    text = f'ID="{{00000000-0000-0000-0000-000000000000}}"\r\nName="{name}"\r\n'
    text += "".join(f"Module={module}\r\n" for module in modules)
    return {"VBA": streams, "PROJECT": text.encode("cp1252")}


def compress(data: bytes) -> bytes:
    """The compressed container of [MS-OVBA] 2.4.1."""
    out = b"\x01"
    for start in range(0, len(data), CHUNK):
        chunk = data[start : start + CHUNK]
        body = _tokens(chunk)
        if len(body) > CHUNK:  # incompressible; only a chunk of full length may stand raw
            chunk = chunk.ljust(CHUNK, b"\n")
            out += struct.pack("<H", 0x3000 | CHUNK - 1) + chunk
        else:
            out += struct.pack("<H", 0xB000 | len(body) - 1) + body
    return out


def _tokens(chunk: bytes) -> bytes:
    """One chunk as flag octets, each followed by eight literals or copy tokens."""
    out = bytearray()
    last: dict[bytes, int] = {}
    position = 0
    while position < len(chunk):
        flags_at, flags = len(out), 0
        out.append(0)
        for bit in range(8):
            if position >= len(chunk):
                break
            source, length = _match(chunk, position, last)
            if length:
                bits = max(4, (position - 1).bit_length())
                token = (position - source - 1) << (16 - bits) | (length - 3)
                out += struct.pack("<H", token)
                flags |= 1 << bit
            else:
                out.append(chunk[position])
                length = 1
            for index in range(position, position + length):
                last[chunk[index : index + 3]] = index
            position += length
        out[flags_at] = flags
    return bytes(out)


def _match(chunk: bytes, position: int, last: dict[bytes, int]) -> tuple[int, int]:
    """Where the octets at ``position`` were seen before, and how many repeat; length 0 for nowhere."""
    key = chunk[position : position + 3]
    source = last.get(key)
    if source is None or len(key) < 3:
        return 0, 0
    longest = (0xFFFF >> max(4, (position - 1).bit_length())) + 3
    length = 3
    while (
        length < longest
        and position + length < len(chunk)
        and chunk[source + length] == chunk[position + length]
    ):
        length += 1
    return source, length


def _record(kind: int, data: bytes) -> bytes:
    return struct.pack("<HI", kind, len(data)) + data


def _twice(kind: int, kind_unicode: int, text: str) -> bytes:
    """A text in the code page, and again in UTF-16."""
    return _record(kind, text.encode("cp1252")) + _record(kind_unicode, text.encode("utf-16-le"))


def _directory(modules: list[str], name: str) -> bytes:
    """The ``dir`` stream ([MS-OVBA] 2.3.4.2) before compression."""
    number, short = struct.Struct("<I").pack, struct.Struct("<H").pack
    out = _record(0x01, number(1)) + _record(0x02, number(0x409)) + _record(0x14, number(0x409))
    out += _record(0x03, short(1252)) + _record(0x04, name.encode("cp1252"))
    out += _twice(0x05, 0x40, "") + _twice(0x06, 0x3D, "")
    out += _record(0x07, number(0)) + _record(0x08, number(0))
    out += struct.pack("<HIIH", 0x09, 4, 1, 0) + _twice(0x0C, 0x3C, "")
    out += _record(0x0F, short(len(modules))) + _record(0x13, short(0xFFFF))
    for module in modules:
        out += _twice(0x19, 0x47, module) + _twice(0x1A, 0x32, module) + _twice(0x1C, 0x48, "")
        out += _record(0x31, number(0)) + _record(0x1E, number(0)) + _record(0x2C, short(0xFFFF))
        out += _record(0x21, b"") + _record(0x2B, b"")
    return out + _record(0x10, b"")
