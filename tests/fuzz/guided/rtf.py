"""The reader of RTF."""

from __future__ import annotations

import binascii
import struct

from contentfilter.content.limits import Budget, ScanOptions
from contentfilter.content.part import Context, Part
from contentfilter.scanners.rtf import Rtf

_OBJECT = binascii.hexlify(struct.pack("<IIIIII", 0x501, 2, 1, 0, 0, 0) + b"content")
SEEDS = [
    b"{\\rtf1{\\object\\objupdate{\\*\\objdata " + _OBJECT + b"\\bin4 abcd{\\*\\x 41}\\'41}}}",
    b"{\\rtf1{\\*\\template http://x.example/t}{\\field{\\*\\fldinst DDE \\u68?\\uc0 {\\b c}}{\\fldrslt x}}}",
    b"{\\rtf1{\\field{\\*\\fldinst {\\field{\\*\\fldinst QUOTE 68 68 69}{\\fldrslt x}} cmd}}}",
]


def target(data: bytes) -> None:
    part = Part("1", b"{\\rtf1" + data)
    for item in Rtf().scan(part, Context(part, Budget(ScanOptions()))):
        assert not isinstance(item, Part) or len(item.data) <= len(data)
