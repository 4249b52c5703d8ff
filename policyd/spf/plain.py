"""SPF records that name nothing but addresses, and domains without a record: judged in a few microseconds.

pyspf takes a hundred for the least record, and many domains have one like ``v=spf1 ip4:192.0.2.1 -all``,
most HELO names none. Whatever has another mechanism, a modifier, a macro or an unusual spelling is pyspf's
business; tests hold this judge against it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from mailbase.addresses import pack
from mailbase.dns.answers import Answer, Found, NoData, NxDomain, Record
from policyd.spf.outcome import Outcome, Result

MAX_RECORD = 1024
"""Octets of a record that is read here."""
REMEMBERED = 1000
"""Records whose reading is remembered: a hosting company's customers all have the same one."""

_IS_RECORD = re.compile(rb"v=spf1(?: |\Z)", re.IGNORECASE)
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_TERM = re.compile(
    rf"([-+~?]?)(?:(all)|ip4:({_OCTET}(?:\.{_OCTET}){{3}})(?:/([12]?[0-9]|3[0-2]))?"
    r"|ip6:([0-9a-f:]{2,39})(?:/([1-9]?[0-9]|1[01][0-9]|12[0-8]))?)"
)
_RESULTS: dict[str, Result] = {"": "pass", "+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}


class _Term(NamedTuple):
    """Arguments:
    octets: of the addresses that it can match, 4 or 16; 0: all.
    shift: bits of an address that do not count.
    network: those that do.
    result: if it matches.
    anybody: whether everybody matches, or more than any one organisation has.
    """

    octets: int
    shift: int
    network: int
    result: Result
    anybody: bool


def judge(answer: Answer[Record], address: bytes) -> Outcome | None:
    """The outcome of check_host() (RFC 7208 4) for a domain; None where pyspf has to look.

    Arguments:
        answer: the domain's TXT records.
        address: the client's, 4 or 16 octets.
    """
    match answer:
        case Found():
            records = [one for one in answer.records if isinstance(one, bytes) and _IS_RECORD.match(one)]
        case NxDomain() | NoData():
            records = []
        case _:
            return None
    if not records:
        return Outcome("none", ttl=answer.ttl)
    if len(records) > 1 or len(records[0]) > MAX_RECORD:
        return None
    terms = _read(records[0])
    if terms is None:
        return None
    number = int.from_bytes(address)
    for octets, shift, network, result, anybody in terms:
        if not octets or (octets == len(address) and number >> shift == network):
            return Outcome(result, anybody and result == "pass", ttl=answer.ttl)
    return Outcome("neutral", ttl=answer.ttl)


@lru_cache(maxsize=REMEMBERED)
def _read(record: bytes) -> tuple[_Term, ...] | None:
    """The terms of a record; None where there is any that is not known here."""
    terms = []
    for text in record.decode("latin-1").split(" ")[1:]:
        if not text:
            continue
        found = _TERM.fullmatch(text)
        if found is None:
            return None
        qualifier, everybody, four, four_length, six, six_length = found.groups()
        result = _RESULTS[qualifier]
        if everybody:
            terms.append(_Term(0, 0, 0, result, True))
            continue
        packed = pack(four or six)
        if packed is None or len(packed) != (4 if four else 16):
            return None
        bits = 8 * len(packed)
        length = int(four_length or six_length or bits)
        shift = bits - length
        terms.append(
            _Term(len(packed), shift, int.from_bytes(packed) >> shift, result, length < (8 if four else 16))
        )
    return tuple(terms)
