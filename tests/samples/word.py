"""Binary Word documents (MS-DOC) made for tests, with what the file information block points at."""

from __future__ import annotations

import struct

from tests.samples.compound import Tree, compound_file

_HEAD, _PAIRS = 0x200, 0x9A
_ASSOCIATED, _CLX = 32, 33


def word_document(
    text: bytes = b"", pieces: list[bytes | str] | None = None, template: str = "", table: str = "1Table"
) -> bytes:
    """A document with ``text`` somewhere in its stream; one in pieces; with an attached template.

    Arguments:
        pieces: of text, octets as compressed ones and strings as wide ones; stored in reverse order.
        template: its path.
    """
    head = bytearray(_HEAD)
    struct.pack_into("<HHHHHH", head, 0, 0xA5EC, 0xC1, 0, 0x409, 0, 0x0200 if table == "1Table" else 0)
    stream, side = bytes(head) + text, b""
    pairs: dict[int, tuple[int, int]] = {}
    if template:
        name = template.encode("utf-16-le")
        strings = struct.pack("<HHHH", 0xFFFF, 2, 0, 0) + struct.pack("<H", len(template)) + name
        pairs[_ASSOCIATED] = (len(side), len(strings))
        side += strings
    if pieces is not None:
        places: dict[int, int] = {}
        for number in reversed(range(len(pieces))):
            piece = pieces[number]
            raw = piece if isinstance(piece, bytes) else piece.encode("utf-16-le")
            stream += bytes(len(stream) % 2)
            places[number] = 2 * len(stream) | 0x40000000 if isinstance(piece, bytes) else len(stream)
            stream += raw
        ends = [sum(map(len, pieces[:number])) for number in range(len(pieces) + 1)]
        plc = struct.pack(f"<{len(ends)}I", *ends)
        plc += b"".join(struct.pack("<HIH", 0, places[number], 0) for number in range(len(pieces)))
        clx = b"\x01\x02\x00xx\x02" + struct.pack("<I", len(plc)) + plc
        pairs[_CLX] = (len(side), len(clx))
        side += clx
    raw_stream = bytearray(stream)
    for index, pair in pairs.items():
        struct.pack_into("<II", raw_stream, _PAIRS + 8 * index, *pair)
    tree: Tree = {"WordDocument": bytes(raw_stream).ljust(4096, b"\0"), table: side.ljust(4096, b"\0")}
    return compound_file(tree)


def word_6(commands: bytes) -> bytes:
    """A document of Word 6 with that table of commands."""
    head = bytearray(0x300)
    struct.pack_into("<HH", head, 0, 0xA5DC, 0x65)
    struct.pack_into("<II", head, 0x118, len(head), len(commands))
    return compound_file({"WordDocument": (bytes(head) + commands).ljust(4096, b"\0")})


def equation(text: str = "a+b=c", font: bytes = b"") -> bytes:
    """An equation of the old Equation Editor, with its header; ``font`` is named in front of it."""
    named = b"\x08\x84\x01" + font + b"\0" if font else b""
    characters = b"".join(b"\x02\x88" + struct.pack("<H", ord(character)) for character in text)
    body = b"\x03\x01\x01\x03\x0a" + b"\x0a\x01" + named + characters + b"\0\0"
    return struct.pack("<HIHI16x", 28, 0x20000, 0xC1C6, len(body)) + body
