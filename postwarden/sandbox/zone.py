"""DNS records from master-file text, and what an authoritative server says of a name."""

from __future__ import annotations

import struct
from typing import TypeAlias

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

TTL = 300
"""Seconds, of records without a TTL of their own."""
NEGATIVE_TTL = 60
"""Seconds, of negative answers where no SOA record says otherwise."""
MAX_CHAIN = 16
RECORD = struct.Struct("!HHIH")
"""Type, class, TTL and length of a record (RFC 1035 4.1.3)."""

_CNAME, _SOA = 5, 6
_Sets: TypeAlias = dict[int, tuple[int, list[bytes]]]


class Zone:
    """Records by name and type, and the answers from them.

    Several zones may stand in one text: where an SOA record stands, one begins.

    Arguments:
        text: as in a zone file (RFC 1035 5), a record a line with its owner, TTL and class if wanted; names
            without a last dot are taken from the root or from ``$ORIGIN``. Lines may be indented.

    Raises:
        ValueError: not such a text; with the line.
    """

    def __init__(self, text: str = "") -> None:
        self._names: dict[bytes, _Sets] = {}
        self._between: set[bytes] = set()
        origin = dns.name.root
        for line in text.splitlines():
            words = line.split(maxsplit=1)
            if not words or words[0][0] == ";":
                continue
            try:
                if words[0].upper() == "$ORIGIN":
                    origin = dns.name.from_text(words[1])
                else:
                    self._add(origin, words[0], words[1])
            except (dns.exception.DNSException, ValueError, IndexError) as error:
                raise ValueError(f"not a line of a zone file: {line.strip()!r}: {error}") from error

    def _add(self, origin: dns.name.Name, owner: str, rest: str) -> None:
        ttl = TTL
        kind, _, content = rest.partition(" ")
        while kind.isdigit() or kind.upper() == "IN":
            ttl = int(kind) if kind.isdigit() else ttl
            kind, _, content = content.strip().partition(" ")
        rdtype = dns.rdatatype.RdataType.make(kind)
        rdata = dns.rdata.from_text(dns.rdataclass.IN, rdtype, content, origin=origin, relativize=False)
        name = dns.name.from_text(owner, origin).canonicalize().to_wire() or b""
        self._names.setdefault(name, {}).setdefault(int(rdtype), (ttl, []))[1].append(rdata.to_wire() or b"")
        while name != b"\0":
            name = name[1 + name[0] :]
            self._between.add(name)

    def answer(self, name: bytes, kind: int) -> tuple[int, list[bytes], list[bytes]]:
        """Response code, answer and authority records for a name in lower case, as in a packet."""
        answers: list[bytes] = []
        owner = name
        for _ in range(MAX_CHAIN):
            sets = self._find(owner)
            if sets is None:
                return 3, answers, [self._soa(owner)]
            wanted = kind if kind in sets else _CNAME if _CNAME in sets else 0
            if not wanted:
                return 0, answers, [self._soa(owner)]
            ttl, contents = sets[wanted]
            head = b"\xc0\x0c" if owner is name else owner
            answers += [head + RECORD.pack(wanted, 1, ttl, len(content)) + content for content in contents]
            if wanted == kind:
                break
            owner = contents[0].lower()
        return 0, answers, []

    def _find(self, name: bytes) -> _Sets | None:
        sets = self._names.get(name)
        if sets is not None:
            return sets
        if name in self._between:
            return {}
        while name != b"\0":
            name = name[1 + name[0] :]
            sets = self._names.get(b"\1*" + name)
            if sets is not None:
                return sets
            if name in self._names or name in self._between:
                break  # RFC 4592: the closest encloser has no wildcard
        return None

    def _soa(self, name: bytes) -> bytes:
        """The SOA of the zone around ``name``, or one of the root."""
        while True:
            sets = self._names.get(name, {})
            if _SOA in sets:
                ttl, (content, *_) = sets[_SOA]
                return name + RECORD.pack(_SOA, 1, ttl, len(content)) + content
            if name == b"\0":
                break
            name = name[1 + name[0] :]
        content = b"\0\0" + struct.pack("!5I", 1, 3600, 600, 86400, NEGATIVE_TTL)
        return b"\0" + RECORD.pack(_SOA, 1, NEGATIVE_TTL, len(content)) + content
