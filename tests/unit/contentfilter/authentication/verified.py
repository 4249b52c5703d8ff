"""Mails whose DKIM signatures are verified."""

from __future__ import annotations

from contentfilter.authentication.outcome import Authentication, Signature
from contentfilter.authentication.signature import Keys
from contentfilter.authentication.verify import authenticate
from contentfilter.message.wire import BytesWire
from tests.samples.signed import (
    Private,
    record,
    rsa_key,
)

NOW = 1_800_000_000.0
NAME = "s._domainkey.example.org"


def verified(message: bytes, keys: Keys | None = None, key: Private | None = None) -> Authentication:
    if keys is None:
        keys = {NAME: [record(key or rsa_key())]}
    return authenticate(BytesWire(message), keys, NOW)


def the_only(message: bytes, keys: Keys | None = None, key: Private | None = None) -> Signature:
    (signature,) = verified(message, keys, key).signatures
    return signature
