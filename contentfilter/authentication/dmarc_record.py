"""DMARC policy records (RFC 9989 4.7, 4.8)."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

Policy: TypeAlias = Literal["none", "quarantine", "reject"]
Mode: TypeAlias = Literal["strict", "relaxed"]
Suffix: TypeAlias = Literal["y", "n", "u"]

MAX_RECORD = 4096
"""Octets of a record that is read."""

_VERSION = re.compile(rb"v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
_POLICIES: dict[bytes, Policy] = {b"none": "none", b"quarantine": "quarantine", b"reject": "reject"}
_URI = re.compile(rb"[ \t]*(?i:mailto):[^@,;! \t]+@[^,;! \t]+|[ \t]*[A-Za-z][A-Za-z0-9+.-]*:[^,; \t]+")


@dataclass(frozen=True, slots=True)
class Record:
    """What a domain asks for.

    Arguments:
        policy: for mail that fails, of the domain itself; None: the record says nothing that can be applied.
        subdomains: of subdomains.
        nonexistent: of subdomains that do not exist.
        dkim: how close a DKIM signature's domain must be.
        spf: how close the envelope sender's must be.
        suffix: ``y``: others register below it; ``n``: it is an organisation's own; ``u``: unsaid.
        testing: the policy is not to be applied in full.
    """

    policy: Policy | None
    subdomains: Policy | None
    nonexistent: Policy | None
    dkim: Mode = "relaxed"
    spf: Mode = "relaxed"
    suffix: Suffix = "u"
    testing: bool = False


def find_record(texts: Iterable[bytes]) -> Record | None:
    """The record among the TXT records of a name; None if there is none, or more than one (RFC 9989 4.10)."""
    records = [text for text in texts if _VERSION.match(text)]
    return read_record(records[0]) if len(records) == 1 else None


@functools.lru_cache(maxsize=1024)
def read_record(text: bytes) -> Record:
    """A record that begins with its version. What is wrong in it counts as not being there."""
    tags: dict[bytes, bytes] = {}
    for item in text[:MAX_RECORD].split(b";")[1:]:
        name, equals, value = item.partition(b"=")
        if equals:
            tags.setdefault(name.strip().lower(), value.strip())
    policy = _POLICIES.get(tags.get(b"p", b"").lower())
    subdomains = _POLICIES.get(tags.get(b"sp", b"").lower())
    nonexistent = _POLICIES.get(tags.get(b"np", b"").lower())
    valid = (
        policy is not None
        and (subdomains is not None or b"sp" not in tags)
        and (nonexistent is not None or b"np" not in tags)
    )
    if not valid:
        # Who asks for reports watches; who asks for nothing that can be understood is left alone.
        watching = any(map(_URI.fullmatch, tags.get(b"rua", b"").split(b",")))
        policy, subdomains, nonexistent = ("none" if watching else None), None, None
    suffix = tags.get(b"psd", b"u").lower()
    return Record(
        policy,
        subdomains,
        nonexistent,
        _mode(tags.get(b"adkim")),
        _mode(tags.get(b"aspf")),
        cast(Suffix, suffix.decode()) if suffix in (b"y", b"n") else "u",
        tags.get(b"t", b"n").lower() == b"y",
    )


def _mode(value: bytes | None) -> Mode:
    return "strict" if value is not None and value.lower() == b"s" else "relaxed"
