"""The reader of S/MIME messages."""

from __future__ import annotations

from contentfilter.containers import cms
from contentfilter.containers.ber import BerError
from tests.samples import cms as made

_ENTITY = b"Content-Type: text/plain\r\n\r\nhello\r\n"
SEEDS = [
    made.signed(made.tlv(4, _ENTITY)),
    made.signed(made.pieces(_ENTITY, 5, 3), made.endless),
    made.signed(None),
    made.compressed(_ENTITY),
    made.enveloped(),
    b"MIAGCSqGSIb3DQEHAqCAMIAC",
    b"-----BEGIN PKCS7-----\nMIAGCSqGSIb3DQEHAqCAMIAC\n-----END PKCS7-----\n",
]


def target(data: bytes) -> None:
    message = cms.find(data)
    for octets in (data, message or b""):
        try:
            found = cms.read(octets)
        except (BerError, StopIteration):
            continue
        assert len(found.content or b"") <= len(octets)
