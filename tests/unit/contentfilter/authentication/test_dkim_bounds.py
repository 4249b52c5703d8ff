"""DKIM verifying within bounds: signatures, look-ups, headers, time."""

from __future__ import annotations

import time

import pytest

from contentfilter.authentication.body import Canonical, Digest, pieces
from contentfilter.authentication.fields import MAX_HEADER
from contentfilter.authentication.names import MAX_KEYS, key_names
from contentfilter.authentication.outcome import MAX_SIGNATURES
from contentfilter.authentication.signature import MAX_COVERED
from contentfilter.authentication.tags import MAX_LIST
from contentfilter.message.wire import BytesWire
from tests.samples.signed import (
    COVERED,
    PLAIN,
    record,
    rsa_key,
    sign,
)

from .verified import the_only, verified


def test_no_more_signatures_are_looked_at_than_allowed() -> None:
    message = PLAIN
    for number in range(MAX_SIGNATURES + 3):
        message = sign(message, rsa_key(), selector=b"s%d" % number, covered=(b"from",))
    names = key_names(message)
    assert names == [f"s{number}._domainkey.example.org" for number in range(MAX_SIGNATURES + 2, 2, -1)]
    found = verified(message, {name: [record(rsa_key())] for name in names})
    assert [one.result for one in found.signatures] == ["pass"] * MAX_SIGNATURES
    assert found.more == 3


def test_no_more_keys_are_looked_up_than_allowed() -> None:
    header = b"".join(b"ARC-Seal: i=%d; d=d%d.example; s=s\r\n" % (n, n) for n in range(1, 51))
    assert len(key_names(header + b"\r\n")) == MAX_KEYS
    assert key_names(b"Subject: none\r\n\r\nDKIM-Signature: d=a.example; s=b\r\n") == []
    assert (
        key_names(b"DKIM-Signature: d=a b; s=b\r\nDKIM-Signature: s=b\r\nDKIM-Signature: d=a.example\r\n")
        == []
    )
    assert key_names(b"dkim-signature:\n d=A.Example;\n\ts=B\n\nbody") == ["b._domainkey.a.example"]
    several = (
        b"ARC-Seal: d=a.example;\r\n s=one\r\nDKIM-Signature : s=two; d=a.example\r\n"
        b"X-DKIM-Signature: d=a.example; s=no\r\n DKIM-Signature: d=a.example; s=neither\r\n"
        b"arc-message-signature:s=three;d=a.example\r\n\r\n"
    )
    assert key_names(several) == [f"{name}._domainkey.a.example" for name in ("one", "two", "three")]
    assert key_names(several[:-4]) == key_names(several)[:2], "the last line is not whole"


def test_a_header_that_is_too_long_is_not_half_read() -> None:
    signed = sign(PLAIN, rsa_key())
    filler = b"X-Filler: " + b"x" * 80 + b"\r\n"
    fits = filler * ((MAX_HEADER - len(signed)) // len(filler))
    assert the_only(fits + signed).result == "pass"
    for beyond in (filler * 100, b"X: " + b"y" * 3000 + b"\r\n", b"X: y\r\n" + b"\tz\r\n" * 3000):
        signature = the_only(fits + beyond + signed)
        assert (signature.result, signature.reason) == ("neutral", "header is too long")


def test_bounds_within_a_signature() -> None:
    many = (*COVERED, *(b"x" for _ in range(MAX_COVERED)))
    assert the_only(sign(PLAIN, rsa_key(), covered=many)).reason == "too many fields in h="
    just = (*COVERED, *(b"x" for _ in range(MAX_COVERED - len(COVERED))))
    assert the_only(sign(PLAIN, rsa_key(), covered=just)).result == "pass"
    long = sign(PLAIN, rsa_key(), more=b"z=" + b"x" * MAX_LIST + b"; ")
    assert the_only(long).reason == "signature is too long"


@pytest.mark.parametrize(
    "unit", [b" ", b"\t \r\n", b"\r\n", b"\r", b"a", b" a", b"\r\r\n", b"a\n", b".\r\n", b"  \t"]
)
def test_a_large_body_takes_linear_time(unit: bytes) -> None:
    wire = BytesWire(unit * (4_000_000 // len(unit)))
    readers = [Canonical("simple", [Digest()]), Canonical("relaxed", [Digest(), Digest(100)])]
    started = time.process_time()
    for piece in pieces(wire, 0):
        for reader in readers:
            reader.feed(piece)
    assert time.process_time() - started < 2.0


@pytest.mark.parametrize(
    "value",
    [
        b"v=1; b" + b" " * 200_000,
        b"v=1; b=" + b"A \t" * 60_000,
        b";" * 200_000,
        b"b=" * 100_000,
        b"\r\n " * 70_000,
        b"d" + b"\r\n\t" * 2000 + b"=;" * 2000,
    ],
)
def test_a_hostile_signature_takes_linear_time(value: bytes) -> None:
    message = b"DKIM-Signature: " + value + b"\r\nFrom: a@b.example\r\n\r\nx\r\n"
    started = time.process_time()
    key_names(message)
    verified(message)
    assert time.process_time() - started < 1.0
