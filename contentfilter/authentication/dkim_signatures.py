"""The DKIM signatures of a mail (RFC 6376 6.1, RFC 8301, RFC 8463)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from contentfilter.authentication.fields import Field
from contentfilter.authentication.keys import Key
from contentfilter.authentication.outcome import MAX_BITS, MAX_NAME, MAX_OCTETS, MAX_TAG, Signature
from contentfilter.authentication.signature import (
    Bodies,
    Claim,
    Fields,
    Keys,
    Refused,
    find_keys,
    header_digest,
    read_claim,
    signer,
)
from contentfilter.authentication.tags import Malformed
from mailbase.addresses import is_below, normal_domain

FIELD = b"dkim-signature"
REQUIRED = (b"v", b"a", b"b", b"bh", b"d", b"h", b"s")

_DEFAULT_FORM = b"simple/simple"


@dataclass(slots=True)
class Pending:
    """A signature that still awaits its body's digest, unless ``claim`` is None.

    Arguments:
        signature: as far as it is known.
        claim: what it says.
    """

    signature: Signature
    claim: Claim | None = None


def begin(fields: Sequence[Field], by_name: Fields, keys: Keys, now: float, bodies: Bodies) -> list[Pending]:
    """Verify the signatures over the header, and ask for the bodies of those that are good so far.

    Arguments:
        fields: the signatures, from the top.
        by_name: all fields of the mail.
        keys: as DNS has them.
        now: seconds since the epoch.
        bodies: asked.
    """
    return [_begin(field, by_name, keys, now, bodies) for field in fields]


def finish(pending: Pending, bodies: Bodies) -> Signature:
    """What comes of a signature, now that the digests are there."""
    signature, claim = pending.signature, pending.claim
    if claim is None:
        return signature
    try:
        unsigned = bodies.check(claim)
    except Refused as refused:
        return replace(signature, result=refused.result, reason=str(refused))
    if unsigned:
        # Anybody can have put it there, and mail programs show it like the rest.
        return replace(
            signature,
            result="policy",
            reason=f"{unsigned} octets of the body are not signed",
            unsigned=min(unsigned, MAX_OCTETS),
        )
    return signature


def _begin(field: Field, by_name: Fields, keys: Keys, now: float, bodies: Bodies) -> Pending:
    signature = _described(field)
    try:
        claim = read_claim(field, REQUIRED, _DEFAULT_FORM, now)
        if b"from" not in claim.covered:
            raise Refused("permerror", "From is not signed")
        if by_name.count(b"from") > claim.covered.count(b"from"):
            raise Refused("policy", "there is a From that is not signed")
        identity = _identity(claim)
        found = find_keys(claim, keys)
        testing = all(key.testing for key in found)
        signature = replace(signature, bits=min(found[0].bits, MAX_BITS), testing=testing)
        if identity != claim.domain:
            found = _for_subdomains(found)
        digest = header_digest(claim.header_form, by_name.chosen(claim.covered, field), field)
        key = signer(claim, found, digest)
    except Refused as refused:
        return Pending(replace(signature, result=refused.result, reason=str(refused)))
    bodies.ask(claim)
    return Pending(replace(signature, bits=min(key.bits, MAX_BITS), testing=key.testing), claim)


def _for_subdomains(keys: list[Key]) -> list[Key]:
    usable = [key for key in keys if not key.exact]
    if not usable:
        raise Refused("permerror", "key is not for subdomains")
    return usable


def _identity(claim: Claim) -> str:
    """The domain in ``i=`` (RFC 6376 3.5)."""
    text = claim.tags.get(b"i")
    if text is None:
        return claim.domain
    domain = normal_domain(text.rpartition(b"@")[2]) if b"@" in text else None
    if domain is None or not is_below(domain, claim.domain):
        raise Refused("permerror", "i= is not of d=")
    return domain


def _described(field: Field) -> Signature:
    """A signature by what stands there, whether or not it is one."""
    try:
        tags = field.tags()
    except Malformed:
        return Signature("pass")
    return Signature(
        "pass",
        normal_domain(tags.get(b"d", b"")) or "",
        _shown(tags.get(b"s", b""), MAX_NAME),
        _shown(tags.get(b"i", b""), MAX_NAME),
        _shown(tags.get(b"a", b""), MAX_NAME),
        tag=_shown(b"".join(tags.get(b"b", b"").split())[:MAX_TAG], MAX_TAG),
    )


def _shown(octets: bytes, most: int) -> str:
    text = octets.decode("utf-8", "replace")[:most]
    return text if text.isprintable() else "".join(one if one.isprintable() else "?" for one in text)
