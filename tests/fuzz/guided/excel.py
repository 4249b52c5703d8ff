"""The readers of Excel's records, and of tables as text."""

from __future__ import annotations

import struct

from contentfilter.containers.biff import read_workbook, starts_stream, xlsb_dde
from contentfilter.containers.xlslock import open_default
from contentfilter.content.limits import Budget, ScanOptions
from contentfilter.content.part import Context, Part
from contentfilter.scanners.sheet_text import SheetText
from tests.samples.office import record, workbook

SEEDS = [
    workbook(
        record(0x0085, struct.pack("<IBB", 60, 1, 1) + b"\x06\x00Macro1"),
        record(0x01AE, struct.pack("<HHB", 1, 11, 0) + b"cmd\x03/c calc"),
        record(0x002F, b"\x59\xb3\x0a\x9a"),
    ),
    record(0x0409, struct.pack("<HHH", 0, 0x40, 0)) + record(0x0206, bytes(20)),
    b"\xe8\x02\x26\x01\x00\x03\x00\x00\x00c\x00m\x00d\x00",
    b"ID;P\nO;E\nC;X1;Y1;K\"=cmd|'x'!A1\"\n",
    "a\t=cmd|'/c'!A0\r\n".encode("utf-16"),
    b"WEB\r\n1\r\nhttp://x.example/\r\n",
]


def target(data: bytes) -> None:
    for alone in (False, True):
        book = read_workbook(data, alone)
        assert len(book.macro_sheets) + len(book.links) <= 1100
    starts_stream(data)
    xlsb_dde(data)
    opened = open_default(data)
    assert opened is None or len(opened) == len(data)
    part = Part("1", data)
    list(SheetText().scan(part, Context(part, Budget(ScanOptions()))))
