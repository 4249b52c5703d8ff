"""Signed mail: keys, their records, and a signer that follows RFC 6376 by the word and trusts its caller."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

Private: TypeAlias = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

COVERED = (b"from", b"to", b"subject", b"date")
PLAIN = (
    b"From: Ann Author <ann@example.org>\r\n"
    b"To: bob@example.net\r\n"
    b"Subject: A  test\r\n"
    b"\tof two lines\r\n"
    b"Date: Fri, 27 Nov 2026 04:00:00 +0000\r\n"
    b"Message-ID: <1@example.org>\r\n"
    b"\r\n"
    b"Hello Bob,\r\n"
    b"\r\n"
    b"two  blanks and one at the end \r\n"
    b".a dot\r\n"
    b"\r\n"
)
"""A mail whose forms differ."""


@functools.lru_cache
def rsa_key(bits: int = 2048, number: int = 0) -> rsa.RSAPrivateKey:
    """A key, the same one each time."""
    return rsa.generate_private_key(65537, bits)


@functools.lru_cache
def ed25519_key(number: int = 0) -> ed25519.Ed25519PrivateKey:
    """Likewise."""
    return ed25519.Ed25519PrivateKey.generate()


def pem(key: Private) -> bytes:
    """The key in the format that dkimpy and opendkim read."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def public(key: Private) -> bytes:
    """``p=`` of the key's record."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    return base64.b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def record(key: Private, tags: bytes = b"") -> bytes:
    """The key's record.

    Arguments:
        tags: more of them, each with a semicolon behind it.
    """
    kind = b"ed25519" if isinstance(key, ed25519.Ed25519PrivateKey) else b"rsa"
    return b"v=DKIM1; k=" + kind + b"; " + tags + b"p=" + public(key)


def relaxed_field(name: bytes, value: bytes) -> bytes:
    text = re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b"")).strip(b" \t")
    return name.lower().rstrip() + b":" + text + b"\r\n"


def simple_field(name: bytes, value: bytes) -> bytes:
    return name + b":" + value + b"\r\n"


FIELD: dict[bytes, Callable[[bytes, bytes], bytes]] = {b"relaxed": relaxed_field, b"simple": simple_field}


def body_in(form: bytes, body: bytes) -> bytes:
    """The body in a form (RFC 6376 3.4.3, 3.4.4), line by line."""
    lines = body.split(b"\r\n")
    if form == b"relaxed":
        lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        return b"" if form == b"relaxed" else b"\r\n"
    return b"\r\n".join(lines) + b"\r\n"


def parted(message: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Fields as (name, value), and the body."""
    header, _, body = message.partition(b"\r\n\r\n")
    unfolded = re.split(rb"\r\n(?![ \t])", header)
    return [(name, value) for name, _, value in (field.partition(b":") for field in unfolded)], body


def choose(fields: Sequence[tuple[bytes, bytes]], covered: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    """The fields that are meant by ``h=``, each from the bottom."""
    left = list(fields)
    chosen = []
    for name in covered:
        for at in range(len(left) - 1, -1, -1):
            if left[at][0].lower() == name.lower():
                chosen.append(left.pop(at))
                break
    return chosen


def raw_signature(key: Private, octets: bytes) -> bytes:
    """What the key makes of them (RFC 6376 3.3.2, RFC 8463 3)."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(hashlib.sha256(octets).digest())
    return key.sign(octets, padding.PKCS1v15(), SHA256())


def sign(
    message: bytes,
    key: Private,
    *,
    domain: bytes = b"example.org",
    selector: bytes = b"s",
    forms: bytes = b"relaxed/relaxed",
    covered: Sequence[bytes] = COVERED,
    limit: int | None = None,
    more: bytes = b"",
    field: bytes = b"DKIM-Signature",
    first: bytes = b"v=1; ",
    algorithm: bytes = b"",
) -> bytes:
    """``message`` with a signature on top.

    Arguments:
        limit: octets of the body for ``l=``.
        more: further tags, each with a semicolon behind it.
        field: name of the signature's field.
        first: the tags that stand first.
        algorithm: what is said to have been used.
    """
    fields, body = parted(message)
    header_form, _, body_form = forms.partition(b"/")
    whole = body_in(body_form or b"simple", body)
    digest = base64.b64encode(hashlib.sha256(whole if limit is None else whole[:limit]).digest())
    edwards = isinstance(key, ed25519.Ed25519PrivateKey)
    algorithm = algorithm or (b"ed25519-sha256" if edwards else b"rsa-sha256")
    value = b" %ba=%b; c=%b; d=%b; s=%b;\r\n\th=%b; %b%bbh=%b;\r\n\tb=" % (
        first,
        algorithm,
        forms,
        domain,
        selector,
        b":".join(covered),
        b"" if limit is None else b"l=%d; " % limit,
        more,
        digest,
    )
    form = FIELD[header_form]
    octets = b"".join(form(*one) for one in choose(fields, covered)) + form(field, value)[:-2]
    signature = base64.b64encode(raw_signature(key, octets))
    folded = b"\r\n\t".join(signature[at : at + 70] for at in range(0, len(signature), 70))
    return field + b":" + value + folded + b"\r\n" + message


def seal(
    message: bytes,
    key: Private,
    instance: int,
    *,
    results: bytes = b"relay.example; dmarc=pass header.from=example.org",
    domain: bytes = b"sealer.example",
    selector: bytes = b"s",
    cv: bytes = b"",
    covered: Sequence[bytes] = COVERED,
) -> bytes:
    """``message`` with an ARC set on top (RFC 8617 5.1).

    Arguments:
        instance: its number; the sets before it must be there.
        results: what the sealer says it found.
        cv: what it says of the chain so far.
    """
    message = b"ARC-Authentication-Results: i=%d; %b\r\n%b" % (instance, results, message)
    message = sign(
        message,
        key,
        domain=domain,
        selector=selector,
        covered=covered,
        field=b"ARC-Message-Signature",
        first=b"i=%d; " % instance,
    )
    fields, _ = parted(message)
    sets: dict[int, dict[bytes, tuple[bytes, bytes]]] = {}
    for name, value in fields:
        if name.lower().startswith(b"arc-"):
            number = int(re.search(rb"i=(\d+)", value)[1])  # type: ignore[index]
            sets.setdefault(number, {})[name.lower()] = (name, value)
    order = (b"arc-authentication-results", b"arc-message-signature", b"arc-seal")
    octets = b"".join(
        relaxed_field(*sets[number][name])
        for number in sorted(sets)
        for name in order
        if name in sets[number]
    )
    cv = cv or (b"none" if instance == 1 else b"pass")
    value = b" i=%d; a=rsa-sha256; cv=%b; d=%b; s=%b;\r\n\tb=" % (instance, cv, domain, selector)
    octets += relaxed_field(b"ARC-Seal", value)[:-2]
    signature = base64.b64encode(raw_signature(key, octets))
    return b"ARC-Seal:" + value + signature + b"\r\n" + message
