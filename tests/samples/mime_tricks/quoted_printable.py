"""Quoted-printable that is not as it should be."""

from __future__ import annotations

import re
from collections.abc import Callable


def escaped(data: bytes, form: bytes = b"=%02X", end: bytes = b"=\r\n", width: int = 24) -> bytes:
    """Every octet escaped."""
    return b"".join(
        b"".join(form % byte for byte in data[at : at + width]) + end for at in range(0, len(data), width)
    )


QUOTED: dict[str, Callable[[bytes], bytes]] = {
    "all escaped": escaped,
    "octet by octet": lambda data: escaped(data, width=1),
    "lower case": lambda data: escaped(data, b"=%02x"),
    "blank before the line end": lambda data: escaped(data, end=b"= \r\n"),
    "tab before the line end": lambda data: escaped(data, end=b"=\t \r\n"),
    "needless equals signs": lambda data: escaped(data, b"=Z=%02X"),
    "two equals signs": lambda data: escaped(data, b"==%02X"),
    "half an escape before": lambda data: escaped(data, b"=0=%02X"),
    "half an escape and a letter before": lambda data: escaped(data, b"=0X=%02X"),
    "two letters before": lambda data: escaped(data, b"=XX=%02X"),
    "a blank before": lambda data: escaped(data, b"= =%02X"),
    "a NUL first": lambda data: b"\0" + escaped(data),
    "NUL here and there": lambda data: escaped(data).replace(b"=\r\n", b"\0=\r\n"),
    "line ends as they are, blanks before the others": lambda data: escaped(data, end=b"= \r\n").replace(
        b"=0A", b"\r\n"
    ),
    "line ends as they are, escapes cut": lambda data: re.sub(
        rb"=(.)(.)(?=(?:=..)*=\r)", rb"=\1=\r\n\2", escaped(data).replace(b"=0A", b"\r\n")
    ),
    "long lines": lambda data: escaped(data, width=5000),
    "a form feed before the line end": lambda data: escaped(data, end=b"=\x0c\r\n"),
    "escapes cut by line ends": lambda data: re.sub(rb"=(.)(.)", rb"=\1=\r\n\2", escaped(data, end=b"")),
    "equals signs cut from their escapes": lambda data: escaped(data, b"==\r\n%02X", b""),
}
