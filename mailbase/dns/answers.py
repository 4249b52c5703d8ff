"""What a look-up can end with: a closed set, to be matched with ``match`` and ``assert_never``."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import ClassVar, Generic, NamedTuple, TypeAlias, TypeVar

R = TypeVar("R", covariant=True)


class RecordType(enum.IntEnum):
    """The types that can be asked for (RFC 1035 3.2.2, RFC 3596)."""

    A = 1
    """Records are 4 octets."""
    NS = 2
    """Records are names."""
    CNAME = 5
    """Records are names."""
    PTR = 12
    """Records are names."""
    MX = 15
    """Records are :class:`Mx`."""
    TXT = 16
    """Records are octets: the strings of one record put together (RFC 7208 3.3)."""
    AAAA = 28
    """Records are 16 octets."""

    # Enum's own hash is a Python function, and too slow for the key of every look-up.
    __hash__ = int.__hash__


class Mx(NamedTuple):
    """A mail exchanger (RFC 1035 3.3.9).

    Arguments:
        preference: lower is tried first.
        exchange: host name; empty for the root, which is the null MX (RFC 7505).
    """

    preference: int
    exchange: str


Record: TypeAlias = bytes | str | Mx
"""Octets (addresses, TXT), a name in the form of :mod:`mailbase.dns.names`, or a mail exchanger."""


@dataclass(frozen=True, slots=True)
class Found(Generic[R]):
    """There are records.

    Arguments:
        records: at least one, at most :data:`mailbase.dns.wire.MAX_RECORDS`, in the server's order.
        ttl: seconds for which the answer was good when it came.
        name: their owner, at the end of the CNAME chain.
    """

    result: ClassVar[str] = "found"
    records: tuple[R, ...]
    ttl: float
    name: str


@dataclass(frozen=True, slots=True)
class NxDomain:
    """There is no such name (RFC 8020: nor anything below it).

    Arguments:
        ttl: as in :class:`Found`.
    """

    result: ClassVar[str] = "nxdomain"
    ttl: float = 0.0


@dataclass(frozen=True, slots=True)
class NoData:
    """The name is there and has no record of this type.

    Arguments:
        ttl: as in :class:`Found`.
    """

    result: ClassVar[str] = "nodata"
    ttl: float = 0.0


@dataclass(frozen=True, slots=True)
class Temporary:
    """No server could tell (SERVFAIL, REFUSED, an unreadable answer, all servers down, too much to do).

    Arguments:
        detail: for the log.
    """

    result: ClassVar[str] = "temporary"
    detail: str = ""


@dataclass(frozen=True, slots=True)
class TimedOut:
    """Nothing came in time.

    Arguments:
        detail: for the log.
    """

    result: ClassVar[str] = "timeout"
    detail: str = ""


@dataclass(frozen=True, slots=True)
class BadName:
    """The name cannot stand in DNS (empty, too long, not printable ASCII, an empty label): not asked."""

    result: ClassVar[str] = "bad-name"


Answer: TypeAlias = Found[R] | NxDomain | NoData | Temporary | TimedOut | BadName
"""What became of a question."""

RESULTS = ("found", "nxdomain", "nodata", "temporary", "timeout", "bad-name")
"""The names of all results, as in the metrics."""
