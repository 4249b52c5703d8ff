"""Whom the machine itself asks (resolv.conf(5))."""

from __future__ import annotations

from pathlib import Path

from mailbase.addresses import pack, unpack
from mailbase.dns.exchange import Address

PATH = Path("/etc/resolv.conf")
MAX_SERVERS = 3
"""MAXNS of resolv.conf(5)."""
MAX_FILE = 1 << 16
LOCAL = Address("127.0.0.1")
"""The server where the file names none."""


def system_servers(path: Path = PATH) -> list[Address]:
    """The servers that the file names; the machine itself where it names none or cannot be read.

    Servers with a scope (``fe80::1%eth0``) are left out.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE).decode("latin-1")
    except OSError:
        return [LOCAL]
    found: list[Address] = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver" and (packed := pack(words[1])) is not None:
            found.append(Address(unpack(packed)))
    return found[:MAX_SERVERS] or [LOCAL]
