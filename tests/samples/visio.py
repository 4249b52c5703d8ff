"""Writes Visio drawings, as far as tests need: a tree of pointers with OLE files in it."""

from __future__ import annotations

import struct

from tests.samples.compound import compound_file

OLE_LIST, OLE_DATA, PAGES = 0x0D, 0x1F, 0x27


def lzss(plain: bytes) -> bytes:
    """Compressed as Visio does, runs of one octet as references."""
    out, at = b"", 0
    while at < len(plain):
        flags, tokens = 0, b""
        for bit in range(8):
            if at >= len(plain):
                break
            run = 0
            while at and run < 18 and plain[at + run : at + run + 1] == plain[at - 1 : at]:
                run += 1
            if run >= 3:
                place = (at - 1 - 18) % 4096
                tokens += bytes((place & 255, place >> 4 & 0xF0 | run - 3))
                at += run
            else:
                flags |= 1 << bit
                tokens += plain[at : at + 1]
                at += 1
        out += bytes((flags,)) + tokens
    return out


def drawing(
    *files: bytes,
    version: int = 11,
    packed: bool = True,
    piece: int = 8192,
    damaged: bool = False,
    together: bool = False,
) -> bytes:
    """The stream ``VisioDocument``, each file in pieces in a list of its own.

    Arguments:
        version: up to 5 the pointers are short.
        packed: all but the header is compressed.
        damaged: the trailer has no pointers.
        together: the pieces of all files stand in one list.
    """
    old = version <= 5
    body = bytearray(b"Visio (TM) Drawing\r\n\0".ljust(64, b"\0"))
    body[0x1A] = version

    def store(kind: int, form: int, content: bytes) -> bytes:
        content = lzss(b"\4\0\0\0" + content) if packed else content
        form |= 2 * packed
        start = len(body)
        body.extend(content)
        if old:
            return struct.pack("<HHIII", kind, form, 0, start, len(content))
        return struct.pack("<IIIIH", kind, 0, start, len(content), form)

    def listing(kind: int, pointers: list[bytes]) -> bytes:
        if old:
            table = {0x14: 0x82}.get(kind, 0x0A)
            return bytes(table) + struct.pack("<H", len(pointers)) + b"".join(pointers)
        return struct.pack("<IIII", 8, 0, len(pointers), 0) + b"".join(pointers)

    lists, pieces = [], []
    for content in files:
        pieces += [store(OLE_DATA, 0x40, content[at : at + piece]) for at in range(0, len(content), piece)]
        if not together or content is files[-1]:
            lists.append(store(OLE_LIST, 0x50, listing(OLE_LIST, pieces)))
            pieces = []
    pages = store(PAGES, 0x50, listing(PAGES, lists))
    trailer = store(0x14, 0x50, listing(0x14, [] if damaged else [pages]))
    body[0x24 : 0x24 + len(trailer)] = trailer
    return bytes(body)


def vsd(stream: bytes) -> bytes:
    """A drawing's file."""
    return compound_file({"VisioDocument": stream})
