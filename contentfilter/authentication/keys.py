"""Public keys as DNS has them (RFC 6376 3.6.1, RFC 8463, RFC 8301)."""

from __future__ import annotations

import base64
import binascii
import functools
from dataclasses import dataclass
from typing import Literal, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from contentfilter.authentication.outcome import MAX_RECORD
from contentfilter.authentication.tags import Malformed, read_tags

MIN_BITS = 1024
"""Shorter RSA keys are none (RFC 8301 3.2)."""
MAX_BITS = 8192
"""Longer ones cost more than a mail is worth."""

Kind: TypeAlias = Literal["rsa", "ed25519"]

_PADDING = PKCS1v15()
_HASH = Prehashed(SHA256())


class Unusable(Exception):
    """A record that is no key for mail, or one that must not be used; the text says why."""

    def __init__(self, why: str, policy: bool = False) -> None:
        super().__init__(why)
        self.policy = policy
        """There is a key, but it is not good enough for us."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key.

    Arguments:
        kind: of the key.
        bits: its length.
        testing: its owner asks for failures to be ignored (``t=y``).
        exact: the identity's domain must be the signer's, no subdomain (``t=s``).
    """

    kind: Kind
    bits: int
    testing: bool
    exact: bool
    public: RSAPublicKey | Ed25519PublicKey

    def verifies(self, signature: bytes, digest: bytes) -> bool:
        """Whether it made ``signature`` over what has this SHA-256 ``digest``."""
        try:
            if isinstance(self.public, RSAPublicKey):
                self.public.verify(signature, digest, _PADDING, _HASH)
            else:
                self.public.verify(signature, digest)
        except InvalidSignature:
            return False
        return True


@functools.lru_cache(maxsize=256)
def read_key(record: bytes) -> Key:
    """The key in a TXT record; the latest are remembered.

    ``g=`` of RFC 4871 is ignored, as RFC 6376 has it.

    Raises:
        Unusable: there is none.
    """
    if len(record) > MAX_RECORD:
        raise Unusable("key record is too long")
    try:
        tags = read_tags(record)
    except Malformed as error:
        raise Unusable("key record is malformed") from error
    if tags.get(b"v", b"DKIM1") != b"DKIM1":
        raise Unusable("key record is of another version")
    if b"p" not in tags:
        raise Unusable("key record has no key")
    if b"h" in tags and b"sha256" not in _list(tags[b"h"]):
        raise Unusable("key is not for SHA-256")
    if b"s" in tags and not {b"*", b"email"} & set(_list(tags[b"s"])):
        raise Unusable("key is not for mail")
    octets = _decoded(tags[b"p"])
    if not octets:
        raise Unusable("key is revoked")
    flags = _list(tags.get(b"t", b""))
    kind = tags.get(b"k", b"rsa")
    if kind == b"ed25519":
        public, bits = _ed25519(octets), 256
        return Key("ed25519", bits, b"y" in flags, b"s" in flags, public)
    if kind != b"rsa":
        raise Unusable("key is of an unknown kind")
    rsa = _rsa(octets)
    return Key("rsa", rsa.key_size, b"y" in flags, b"s" in flags, rsa)


def _list(value: bytes) -> list[bytes]:
    return [one.strip() for one in value.split(b":")]


def _decoded(value: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(value.split()), validate=True)
    except binascii.Error as error:
        raise Unusable("key is no base64") from error


def _ed25519(octets: bytes) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(octets)
    except ValueError as error:
        raise Unusable("key cannot be read") from error


def _rsa(octets: bytes) -> RSAPublicKey:
    try:
        public = load_der_public_key(octets)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Unusable("key cannot be read, or is too short") from error
    if not isinstance(public, RSAPublicKey):
        raise Unusable("key is no RSA key")
    if public.key_size < MIN_BITS:
        raise Unusable(f"key of {public.key_size} bits is too short", policy=True)
    if public.key_size > MAX_BITS:
        raise Unusable(f"key of {public.key_size} bits is too long", policy=True)
    return public
