"""The readers of signatures, seals and reported results in a message, and of records in DNS."""

from __future__ import annotations

import contextlib
import json

from contentfilter.authentication.dmarc_record import find_record
from contentfilter.authentication.keys import Unusable, read_key
from contentfilter.authentication.names import MAX_KEYS, key_names
from contentfilter.authentication.outcome import Authentication
from contentfilter.authentication.reported import reported
from contentfilter.authentication.verify import authenticate
from contentfilter.message.wire import BytesWire
from tests.samples.signed import PLAIN, record, rsa_key, seal, sign

_KEY = record(rsa_key())
_SIGNED = sign(PLAIN, rsa_key())
SEEDS = [
    _SIGNED,
    seal(_SIGNED, rsa_key(), 1),
    seal(seal(_SIGNED, rsa_key(), 1), rsa_key(), 2),
    b"Authentication-Results: mx.example; spf=pass smtp.mailfrom=a@b.example; dkim=fail (x) header.d=b\r\n",
    _KEY,
    b"v=DMARC1; p=reject; sp=none; np=quarantine; psd=n; t=y; rua=mailto:a@b.example",
]


def target(data: bytes) -> None:
    names = key_names(data)
    assert len(names) <= MAX_KEYS
    found = authenticate(BytesWire(data), dict.fromkeys(names, (_KEY,)), 1_800_000_000.0)
    assert Authentication.from_json(json.loads(json.dumps(found.to_json()))) == found
    with contextlib.suppress(Unusable):
        read_key(data)
    find_record([data])
    reported(data)
