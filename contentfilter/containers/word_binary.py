"""Word's binary format (MS-DOC), just enough for its text, its template, and the macros of Word 6 and 95."""

from __future__ import annotations

from contentfilter.containers.cfb import CompoundFile, Content, Entry
from contentfilter.content.limits import MIB

_MAX_STREAM = 64 * MIB
_MAX_TEXT = 16 * MIB
_MAX_PIECES = 100_000
_WORD_97 = b"\xec\xa5"
_WORD_6 = (b"\xdc\xa5", b"\x97\xa6", b"\x98\xa6", b"\x99\xa6")
"""Word 6 and 95, and the East Asian versions of Word 6."""
_MAGIC = (_WORD_97, *_WORD_6, b"\xdb\xa5", b"\x5e\xa6")
_FC_ASSOCIATED, _FC_CLX = 0x19A, 0x1A2
"""Where FibRgFcLcb97 (MS-DOC 2.5.6) says where file names and the piece table are."""
_TEMPLATE = 1
"""Index of the template in the associated strings (MS-DOC 2.9.302)."""
_FC_COMMANDS_6 = 0x118
_ONE_TABLE = 0x0200


def starts_document(stream: Content) -> bool:
    """Whether a stream begins like one of Word's (MS-DOC 2.5.1, and what earlier versions wrote)."""
    return stream[:2] in _MAGIC


class WordDocument:
    """A ``WordDocument`` stream and the table stream that belongs to it."""

    def __init__(self, file: CompoundFile, stream: Entry) -> None:
        self.data = file.read(stream, _MAX_STREAM)
        wanted = "1table" if _number(self.data, 10, 2) & _ONE_TABLE else "0table"
        self._table: Content = b""
        if self.data[:2] == _WORD_97:
            for other in file.streams:
                if other.key == wanted and other.parent is stream.parent:
                    self._table = file.read(other, _MAX_STREAM)
                    break

    def _part(self, at: int) -> Content:
        start, size = _number(self.data, at, 4), _number(self.data, at + 4, 4)
        return self._table[start : start + size]

    def text(self) -> str:
        """The text in its order, where the file holds it in several pieces (MS-DOC 2.4.1); else empty."""
        clx = self._part(_FC_CLX)
        at = 0
        while clx[at : at + 1] == b"\x01":
            at += 3 + _number(clx, at + 1, 2)
        if clx[at : at + 1] != b"\x02":
            return ""
        plc = clx[at + 5 : at + 5 + _number(clx, at + 1, 4)]
        count = min((len(plc) - 4) // 12, _MAX_PIECES)
        if count < 2:
            return ""
        out: list[str] = []
        room = _MAX_TEXT
        for number in range(count):
            length = _number(plc, 4 * number + 4, 4) - _number(plc, 4 * number, 4)
            place = _number(plc, 4 * (count + 1) + 8 * number + 2, 4)
            length = min(max(length, 0), room)
            room -= length
            if place & 0x40000000:
                start = (place & 0x3FFFFFFF) // 2
                out.append(bytes(self.data[start : start + length]).decode("cp1252", "replace"))
            else:
                raw = bytes(self.data[place : place + 2 * length])
                out.append(raw.decode("utf-16-le", "replace"))
        return "".join(out)

    def template(self) -> str:
        """Where the attached template is; empty if nothing is said."""
        strings = self._part(_FC_ASSOCIATED)
        if strings[:2] != b"\xff\xff":
            return ""
        extra, at = _number(strings, 4, 2), 6
        for number in range(_TEMPLATE + 1):
            size = 2 * _number(strings, at, 2)
            if number == _TEMPLATE:
                return bytes(strings[at + 2 : at + 2 + size]).decode("utf-16-le", "replace")
            at += 2 + size + extra
        return ""

    @property
    def damaged(self) -> bool:
        """Whether it does not begin like a document."""
        return not starts_document(self.data)

    def has_word_basic(self) -> bool:
        """Whether a document of Word 6 or 95 holds macros, in the language that Word had before VBA."""
        if self.data[:2] not in _WORD_6:
            return False
        at, size = _number(self.data, _FC_COMMANDS_6, 4), _number(self.data, _FC_COMMANDS_6 + 4, 4)
        commands = self.data[at : at + size]
        # A list of tables: 0xFF, then for each its kind; macros come first, a count of entries behind it.
        return commands[:2] == b"\xff\x01" and _number(commands, 2, 2) > 0


def _number(data: Content, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")
