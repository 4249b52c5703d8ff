"""A mail's ARC sets, and whether their chain holds (RFC 8617 5.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from contentfilter.authentication.fields import Field, unfolded
from contentfilter.authentication.outcome import MAX_INSTANCES, NO_CHAIN, Chain, Sealed
from contentfilter.authentication.reported import reported
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

RESULTS = b"arc-authentication-results"
MESSAGE = b"arc-message-signature"
SEAL = b"arc-seal"
KINDS = (RESULTS, MESSAGE, SEAL)

_MESSAGE_TAGS = (b"i", b"a", b"b", b"bh", b"d", b"h", b"s")
_SEAL_TAGS = (b"i", b"a", b"b", b"cv", b"d", b"s")
_FORM = b"relaxed/relaxed"
_INSTANCE = re.compile(rb"[ \t]*i[ \t]*=[ \t]*([0-9]{1,3})[ \t]*;")


@dataclass(slots=True)
class Pending:
    """A chain that still awaits the body's digest, unless ``claim`` is None.

    Arguments:
        chain: as far as it is known.
        claim: of the last message signature.
        results: what each sealer says it found, as far as it is worth reading, the first sealer's first.
    """

    chain: Chain
    claim: Claim | None = None
    results: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class _Set:
    number: int
    parts: dict[bytes, Field] = field(default_factory=dict)


def begin(by_name: Fields, keys: Keys, now: float, bodies: Bodies) -> Pending:
    """Verify the chain but for the body, whose digest is asked for.

    Arguments:
        by_name: all fields of the mail.
        keys: as DNS has them.
        now: seconds since the epoch.
        bodies: asked.
    """
    if not any(map(by_name.count, KINDS)):
        return Pending(NO_CHAIN)
    try:
        sets = _sets(by_name)
        seals = [_seal(one, now) for one in sets]
        for one, claim in zip(sets, seals, strict=True):
            expected = b"none" if one.number == 1 else b"pass"
            if claim.tags[b"cv"] != expected:
                raise Refused("fail", f"seal {one.number} says cv={_word(claim.tags[b'cv'])}")
        message = _message(sets[-1], by_name, keys, now)
        for one, claim in reversed(list(zip(sets, seals, strict=True))):
            _verify_seal(sets[: one.number], claim, keys)
    except Refused as refused:
        if refused.result in ("temperror", "neutral"):
            return Pending(Chain("temperror", str(refused)))
        return Pending(Chain("fail", str(refused)))
    bodies.ask(message)
    chain = Chain("pass", "", tuple(Sealed(claim.domain) for claim in seals))
    return Pending(chain, message, [unfolded(one.parts[RESULTS].value) for one in sets])


def finish(pending: Pending, bodies: Bodies) -> Chain:
    """What comes of the chain, now that the digest is there."""
    if pending.claim is None:
        return pending.chain
    try:
        bodies.check(pending.claim)
    except Refused as refused:
        return Chain("fail", str(refused))
    sets = [
        Sealed(sealed.domain, *reported(results))
        for sealed, results in zip(pending.chain.sets, pending.results, strict=True)
    ]
    return Chain("pass", "", tuple(sets))


def _sets(by_name: Fields) -> list[_Set]:
    """The sets from the first on, complete and without a gap."""
    if by_name.count(SEAL) > MAX_INSTANCES:
        raise Refused("fail", "too many sets")
    sets: dict[int, _Set] = {}
    for kind in KINDS:
        for one in by_name.all(kind):
            number = _instance(kind, one)
            parts = sets.setdefault(number, _Set(number)).parts
            if kind in parts:
                raise Refused("fail", f"set {number} has a field twice")
            parts[kind] = one
    ordered = [sets[number] for number in sorted(sets)]
    for number, each in enumerate(ordered, 1):
        if each.number != number or len(each.parts) < len(KINDS):
            raise Refused("fail", f"set {number} is not complete")
    return ordered


def _instance(kind: bytes, one: Field) -> int:
    if kind == RESULTS:
        found = _INSTANCE.match(unfolded(one.value))
        text = found[1] if found else b""
    else:
        try:
            text = one.tags().get(b"i", b"")
        except Malformed as error:
            raise Refused("fail", f"a field of a set is {error}") from error
    if not text.isdigit() or not 1 <= int(text[:4]) <= MAX_INSTANCES:
        raise Refused("fail", "a field is of no set")
    return int(text)


def _seal(one: _Set, now: float) -> Claim:
    seal = one.parts[SEAL]
    claim = read_claim(seal, _SEAL_TAGS, _FORM, now, arc=True)
    if b"h" in claim.tags:
        raise Refused("fail", f"seal {one.number} has h=")
    return claim


def _message(last: _Set, by_name: Fields, keys: Keys, now: float) -> Claim:
    signature = last.parts[MESSAGE]
    claim = read_claim(signature, _MESSAGE_TAGS, _FORM, now, arc=True)
    if SEAL in claim.covered:
        raise Refused("fail", "a message signature covers a seal")
    digest = header_digest(claim.header_form, by_name.chosen(claim.covered, signature), signature)
    signer(claim, find_keys(claim, keys), digest)
    return claim


def _verify_seal(sets: Sequence[_Set], claim: Claim, keys: Keys) -> None:
    """RFC 8617 5.1.1: a seal covers all sets up to its own, whatever it says about their form."""
    covered = [one.parts[kind] for one in sets for kind in KINDS][:-1]
    digest = header_digest("relaxed", covered, sets[-1].parts[SEAL])
    try:
        signer(claim, find_keys(claim, keys), digest)
    except Refused as refused:
        raise Refused(refused.result, f"seal {len(sets)}: {refused}") from refused


def _word(value: bytes) -> str:
    return value.decode("ascii") if value in (b"none", b"pass", b"fail") else "?"
