"""The RFC 7208 test suite, read out of pyspf's source archive.

The suite is no part of this repository: ``make unit`` and ``make test`` fetch the archive that
requirements.lock pins, by its hash, into the virtual environment. Nothing of it is built or run.
"""

from __future__ import annotations

import hashlib
import re
import sys
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from mailbase.addresses import pack
from mailbase.dns.answers import Answer, Found, Mx, NoData, NxDomain, Record, RecordType, TimedOut
from mailbase.dns.names import normal

FOLDER = Path(sys.prefix) / "spf-suite"
LOCK = Path(__file__).parents[2] / "requirements.lock"
MEMBER = "test/rfc7208-tests.yml"
SIZE = 203
"""Cases in it."""
TIMEOUT = "TIMEOUT"
TTL = 60.0
_PINNED = re.compile(r"^pyspf==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.M)
_ODD = re.compile(rb'["\\\x00-\x1f\x7f-\xff]')

Rows: TypeAlias = "list[tuple[str, Any]]"
Zone: TypeAlias = Mapping[str, Rows]
"""Name, lower case → types and values; the type TIMEOUT stands for no answer to what is not above it."""


class SuiteMissing(Exception):
    """The archive is not there, or is another than requirements.lock says."""


@dataclass(frozen=True)
class Case:
    """One test of the suite: who asks, and what may come of it."""

    name: str
    zone: Zone
    address: str
    helo: str
    sender: str
    results: tuple[str, ...]
    explanation: str | None


def read() -> bytes:
    """The suite.

    Raises:
        SuiteMissing: with what to do.
    """
    found = _PINNED.search(LOCK.read_text())
    assert found is not None, "requirements.lock does not pin pyspf"
    path = FOLDER / f"pyspf-{found[1]}.tar.gz"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SuiteMissing(f"{path}: {error.strerror}. To fetch it: make .venv/.spf-suite") from error
    if hashlib.sha256(data).hexdigest() not in found[2]:
        raise SuiteMissing(f"{path} has not the hash in requirements.lock. Delete it; make .venv/.spf-suite")
    with tarfile.open(path) as archive:
        member = archive.extractfile(f"pyspf-{found[1]}/{MEMBER}")
        assert member is not None
        return member.read()


@lru_cache(maxsize=1)
def cases() -> tuple[Case, ...]:
    """All of them; empty where the suite is missing, which is a test's failure and not the collection's."""
    try:
        suite = read()
    except SuiteMissing:
        return ()
    return tuple(_cases(suite))


def _cases(suite: bytes) -> Iterator[Case]:
    for scenario in yaml.safe_load_all(suite):
        zone = {name.lower(): list(_rows(rows)) for name, rows in scenario["zonedata"].items()}
        for name, test in scenario["tests"].items():
            results = test["result"]
            yield Case(
                name,
                zone,
                test["host"],
                str(test["helo"]),
                test["mailfrom"],
                (results,) if isinstance(results, str) else tuple(results),
                test.get("explanation"),
            )


def _rows(rows: list[Any]) -> Iterator[tuple[str, Any]]:
    """Records of a name. Type SPF stands for TXT as well, unless there is any (see the suite's head)."""
    flat = [(TIMEOUT, None) if row == TIMEOUT else next(iter(row.items())) for row in rows]
    has_text = any(kind == "TXT" for kind, _ in flat)
    for kind, value in flat:
        if kind == "SPF" and has_text:
            continue
        kind = "TXT" if kind == "SPF" else kind
        if value != "NONE":
            yield kind, value


def answer(zone: Zone, name: str, rdtype: RecordType, depth: int = 0) -> Answer[Record]:
    """What our resolver says of a name in ``zone``: it follows CNAMEs, and joins the strings of a text."""
    rows = zone.get(name)
    if rows is None:
        return NxDomain(TTL)
    records: list[Record] = []
    for kind, value in rows:
        if kind == TIMEOUT and not records:
            return TimedOut()
        if kind == "CNAME" and rdtype is not RecordType.CNAME:
            target = normal(value)
            return answer(zone, target, rdtype, depth + 1) if target and depth < 16 else NoData(TTL)
        if kind == rdtype.name:
            if value == TIMEOUT:
                return TimedOut()
            records.append(_record(rdtype, value))
    return Found(tuple(records), TTL, name) if records else NoData(TTL)


def _record(rdtype: RecordType, value: Any) -> Record:
    match rdtype:
        case RecordType.A | RecordType.AAAA:
            packed = pack(value)
            assert packed is not None
            return packed
        case RecordType.TXT:
            return (value if isinstance(value, str) else "".join(value)).encode()
        case RecordType.MX:
            return Mx(value[0], normal(value[1]) or "")
        case _:
            return normal(value) or ""


def table(zone: Zone) -> dict[tuple[str, RecordType], Answer[Record]]:
    """For :class:`mailbase.dns.TableResolver`: every name with every type."""
    types = (RecordType.A, RecordType.AAAA, RecordType.MX, RecordType.PTR, RecordType.TXT)
    return {
        (name, rdtype): answer(zone, own, rdtype)
        for name in zone
        if (own := normal(name)) is not None
        for rdtype in types
    }


def zone_file(zone: Zone) -> str:
    """For :class:`postwarden.sandbox.nameserver.Nameserver`; names without an answer are left out."""
    lines = []
    for name, rows in zone.items():
        if normal(name) is None:
            continue
        for kind, value in rows:
            if kind == TIMEOUT or value == TIMEOUT:
                continue
            match kind, value:
                case "MX", [preference, exchange]:
                    text = f"{preference} {exchange or '.'}"
                case "TXT", str():
                    text = _quoted([value])
                case "TXT", _:
                    text = _quoted(value)
                case _:
                    text = str(value)
            owner = re.sub(r"[^a-z0-9._-]", lambda found: f"\\{ord(found[0]):03d}", name)
            lines.append(f"{owner} {kind} {text}")
    return "\n".join(lines)


def _quoted(strings: list[str]) -> str:
    escaped = (_ODD.sub(lambda c: rb"\%03d" % c[0][0], text.encode()) for text in strings)
    pieces = (piece for text in escaped for piece in re.findall(rb"(?:\\\d{3}|[^\\]){1,200}|^$", text))
    return " ".join(f'"{piece.decode()}"' for piece in pieces) or '""'


def silent(zone: Zone) -> set[str]:
    """Names of which no answer comes, whatever is asked."""
    return {name for name, rows in zone.items() if rows[:1] == [(TIMEOUT, None)]}
