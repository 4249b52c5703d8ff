"""DNS: one resolver for everything, on the reactor, with one memory."""

from mailbase.dns.answers import (
    RESULTS,
    Answer,
    BadName,
    Found,
    Mx,
    NoData,
    NxDomain,
    Record,
    RecordType,
    Temporary,
    TimedOut,
)
from mailbase.dns.assembly import build_resolver, servers_of, told_to
from mailbase.dns.caching import CachingResolver
from mailbase.dns.exchange import Address
from mailbase.dns.metrics import DnsMetrics
from mailbase.dns.names import reverse_name, reversed_address
from mailbase.dns.resolver import Resolver
from mailbase.dns.table import TableResolver

__all__ = [
    "RESULTS",
    "Address",
    "Answer",
    "BadName",
    "CachingResolver",
    "DnsMetrics",
    "Found",
    "Mx",
    "NoData",
    "NxDomain",
    "Record",
    "RecordType",
    "Resolver",
    "TableResolver",
    "Temporary",
    "TimedOut",
    "build_resolver",
    "reverse_name",
    "reversed_address",
    "servers_of",
    "told_to",
]
