"""The keys of DKIM signatures: what is none, too short, in testing, or for the very domain only."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import pytest

from contentfilter.authentication.outcome import MAX_RECORD
from contentfilter.authentication.signature import Keys
from tests.samples.signed import (
    PLAIN,
    ed25519_key,
    public,
    record,
    rsa_key,
    sign,
)

from .verified import NAME, the_only


@pytest.mark.parametrize(
    ("given", "result", "reason"),
    [
        ({}, "neutral", "too many keys to look up"),
        ({NAME: None}, "temperror", "key could not be looked up"),
        ({NAME: []}, "permerror", "there is no key"),
        ({NAME: [b"v=DKIM2; p=" + public(rsa_key())]}, "permerror", "key record is of another version"),
        ({NAME: [b"v=spf1 -all"]}, "permerror", "key record is of another version"),
        ({NAME: [b"hello"]}, "permerror", "key record is malformed"),
        ({NAME: [b"k=rsa"]}, "permerror", "key record has no key"),
        ({NAME: [b"p="]}, "permerror", "key is revoked"),
        ({NAME: [b"p=%%%"]}, "permerror", "key is no base64"),
        ({NAME: [b"p=aGVsbG8="]}, "permerror", "key cannot be read, or is too short"),
        ({NAME: [b"k=dsa; p=" + public(rsa_key())]}, "permerror", "key is of an unknown kind"),
        ({NAME: [b"k=ed25519; p=" + public(rsa_key())]}, "permerror", "key cannot be read"),
        ({NAME: [record(ed25519_key())]}, "permerror", "key is of another kind"),
        ({NAME: [record(rsa_key(), b"h=sha1; ")]}, "permerror", "key is not for SHA-256"),
        ({NAME: [record(rsa_key(), b"s=tlsrpt; ")]}, "permerror", "key is not for mail"),
        ({NAME: [b"n=" + b"x" * MAX_RECORD]}, "permerror", "key record is too long"),
        ({NAME: [record(rsa_key(number=1))]}, "fail", "signature did not verify"),
    ],
)
def test_keys_that_are_none(given: Keys, result: str, reason: str) -> None:
    signature = the_only(sign(PLAIN, rsa_key()), given)
    assert (signature.result, signature.reason) == (result, reason)


@pytest.mark.parametrize(
    "given",
    [
        [b"p=" + public(rsa_key())],
        [record(rsa_key(), b"h=sha1 : sha256; ")],
        [record(rsa_key(), b"s=email; ")],
        [record(rsa_key(), b"s=*; n=a note; ")],
        # Gone since RFC 6376; what is left of it in DNS does no harm.
        [record(rsa_key(), b"g=somebody; ")],
        [b"v=spf1 -all", record(rsa_key(number=1)), record(rsa_key())],
        [record(rsa_key()).replace(b"p=", b"p= ").replace(b"IDAQAB", b"ID AQ AB ")],
    ],
)
def test_keys_that_do(given: Sequence[bytes]) -> None:
    assert the_only(sign(PLAIN, rsa_key()), {NAME: given}).result == "pass"


def der(kind: int, content: bytes) -> bytes:
    """A value of X.690 with a length below 128."""
    return bytes((kind, len(content))) + content


def test_a_short_key_is_refused_and_a_middling_one_told() -> None:
    assert the_only(sign(PLAIN, rsa_key(1024)), key=rsa_key(1024)).bits == 1024
    short = b"p=" + base64.b64encode(der(0x30, der(2, b"\0" + b"\xfd" * 64) + der(2, b"\1\0\1")))
    signature = the_only(sign(PLAIN, rsa_key()), {NAME: [short]})
    assert (signature.result, signature.reason) == ("policy", "key of 512 bits is too short")


def test_a_key_in_testing_says_so() -> None:
    keys = {NAME: [record(rsa_key(), b"t=y; ")]}
    good = sign(PLAIN, rsa_key())
    assert (the_only(good, keys).result, the_only(good, keys).testing) == ("pass", True)
    broken = the_only(good.replace(b"Hello", b"Hallo"), keys)
    assert (broken.result, broken.testing) == ("fail", True)
    assert the_only(good.replace(b"Subject: A", b"Subject: B"), keys).testing


def test_a_key_may_be_for_the_very_domain_only() -> None:
    keys = {NAME: [record(rsa_key(), b"t=s; ")]}
    assert the_only(sign(PLAIN, rsa_key(), more=b"i=a@example.org; "), keys).result == "pass"
    signature = the_only(sign(PLAIN, rsa_key(), more=b"i=a@sub.example.org; "), keys)
    assert (signature.result, signature.reason) == ("permerror", "key is not for subdomains")
