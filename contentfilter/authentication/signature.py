"""One signature over header fields, and a body's digest in it: what DKIM and ARC have in common."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from contentfilter.authentication.body import Canonical, Digest, Form, pieces
from contentfilter.authentication.fields import Field
from contentfilter.authentication.grammar import DKIMException, validate_signature_fields
from contentfilter.authentication.keys import Key, Unusable, read_key
from contentfilter.authentication.names import key_name
from contentfilter.authentication.tags import Malformed
from contentfilter.message.wire import Wire
from mailbase.addresses import normal_domain

Keys: TypeAlias = Mapping[str, Sequence[bytes] | None]
"""Name of a key's record → TXT records there; None where the look-up failed for the time being."""

SKEW = 300
"""Seconds that the clocks of signer and verifier may differ."""
MAX_COVERED = 200
"""Names of fields in a signature."""

_BASE64 = re.compile(rb"[A-Za-z0-9+/]+={0,2}")
_NUMBER = re.compile(rb"[0-9]{1,76}")
_ALGORITHMS = {b"rsa-sha256": "rsa", b"ed25519-sha256": "ed25519"}

Result: TypeAlias = Literal["fail", "policy", "temperror", "permerror", "neutral"]


class Refused(Exception):
    """A signature that does not verify; the text says why, in words of ours."""

    def __init__(self, result: Result, why: str) -> None:
        super().__init__(why)
        self.result: Result = result


@dataclass(slots=True)
class Claim:
    """What a signature says of itself.

    Arguments:
        tags: of the list.
        domain: normalised.
        selector: as it stands there.
        algorithm: likewise.
        covered: names of the fields, lower case, in their order.
        header_form: in which the fields are covered.
        body_form: in which the body is.
        limit: octets of the body that are covered; None: all.
    """

    tags: dict[bytes, bytes]
    domain: str
    selector: str
    algorithm: str
    covered: tuple[bytes, ...]
    header_form: Form
    body_form: Form
    limit: int | None


def read_claim(field: Field, required: Sequence[bytes], form: bytes, now: float, arc: bool = False) -> Claim:
    """What a signature field says.

    Arguments:
        required: tags that must be there.
        form: of header and body, if the field says nothing.
        now: seconds since the epoch.
        arc: it is one of ARC's.

    Raises:
        Refused: it is none, or is not valid now.
    """
    try:
        tags = dict(field.tags())
    except Malformed as error:
        raise Refused("permerror", f"signature is {error}") from error
    for name in required:
        if not tags.get(name) and not (name == b"h" and arc and name in tags):
            raise Refused("permerror", f"signature has no {name.decode()}=")
    for name in (b"b", b"bh"):
        if name in tags:
            tags[name] = b"".join(tags[name].split())
            if not _BASE64.fullmatch(tags[name]) or len(tags[name]) % 4:
                raise Refused("permerror", f"{name.decode()}= is no base64")
    for name in (b"t", b"x", b"l"):
        if name in tags and not _NUMBER.fullmatch(tags[name]):
            raise Refused("permerror", f"{name.decode()}= is no number")
    if tags[b"a"] == b"rsa-sha1":
        raise Refused("policy", "SHA-1 is not good enough")
    if tags[b"a"] not in _ALGORITHMS:
        raise Refused("permerror", "unknown algorithm")
    methods = [method.strip() for method in tags.get(b"q", b"dns/txt").split(b":")]
    if b"dns/txt" in methods:
        tags[b"q"] = b"dns/txt"
    domain = normal_domain(tags[b"d"])
    if domain is None or domain[:1] == "[" or "." not in domain:
        raise Refused("permerror", "d= is no domain")
    # The times are ours to judge: dkimpy asks the clock itself and gives ten hours. So is who it is for.
    rest = {name: value for name, value in tags.items() if name not in (b"t", b"x", b"i")}
    try:
        validate_signature_fields(rest, [name for name in required if name != b"i"], arc)
    except (DKIMException, LookupError, ValueError) as error:
        raise Refused("permerror", "signature is malformed") from error
    _check_times(tags, now)
    header_form, body_form = _forms(tags.get(b"c", form))
    covered = tuple(name.strip().lower() for name in tags.get(b"h", b"").split(b":"))
    if len(covered) > MAX_COVERED:
        raise Refused("policy", "too many fields in h=")
    return Claim(
        tags,
        domain,
        tags[b"s"].decode("latin-1"),
        tags[b"a"].decode(),
        covered,
        header_form,
        body_form,
        int(tags[b"l"]) if b"l" in tags else None,
    )


def _check_times(tags: dict[bytes, bytes], now: float) -> None:
    signed = int(tags[b"t"]) if b"t" in tags else None
    expires = int(tags[b"x"]) if b"x" in tags else None
    if signed is not None and signed > now + SKEW:
        raise Refused("permerror", "signed in the future")
    if expires is not None and expires < now - SKEW:
        raise Refused("permerror", "signature has expired")
    if signed is not None and expires is not None and expires < signed:
        raise Refused("permerror", "signature expires before it was made")


def _forms(value: bytes) -> tuple[Form, Form]:
    header, slash, body = value.partition(b"/")
    forms = header.decode("latin-1"), body.decode("latin-1") if slash else "simple"
    if not {"simple", "relaxed"}.issuperset(forms):
        raise Refused("permerror", "unknown canonicalization")
    return cast("tuple[Form, Form]", forms)


def find_keys(claim: Claim, keys: Keys) -> list[Key]:
    """The keys that the claim may have been signed with, the likely one first; at least one.

    Raises:
        Refused: there is none.
    """
    name = key_name(claim.domain, claim.selector)
    if name is None:
        raise Refused("permerror", "no key can have this name")
    if name not in keys:
        raise Refused("neutral", "too many keys to look up")
    records = keys[name]
    if records is None:
        raise Refused("temperror", "key could not be looked up")
    if not records:
        raise Refused("permerror", "there is no key")
    usable: list[Key] = []
    problem: Unusable | None = None
    for record in records:
        try:
            key = read_key(bytes(record))
        except Unusable as error:
            problem = problem or error
        else:
            if key.kind == _ALGORITHMS[claim.algorithm.encode()]:
                usable.append(key)
            else:
                problem = problem or Unusable("key is of another kind")
    if not usable:
        assert problem is not None
        raise Refused("policy" if problem.policy else "permerror", str(problem))
    return usable


class Fields:
    """A header's fields by name, to be covered from the bottom (RFC 6376 5.4.2).

    Arguments:
        fields: in their order.
    """

    def __init__(self, fields: Iterable[Field]) -> None:
        self._by_name: dict[bytes, list[Field]] = {}
        for field in fields:
            self._by_name.setdefault(field.key, []).append(field)

    def all(self, name: bytes) -> list[Field]:
        """The fields of a name, which is given in lower case; from the top."""
        return self._by_name.get(name, [])

    def count(self, name: bytes) -> int:
        """How many there are."""
        return len(self._by_name.get(name, ()))

    def chosen(self, covered: Iterable[bytes], but: Field) -> list[Field]:
        """The fields that are meant by the names in ``h=``; never the signature itself."""
        seen: dict[bytes, int] = {}
        chosen = []
        for name in covered:
            there = self._by_name.get(name)
            if there is None:
                continue
            at = seen.get(name, len(there)) - 1
            if at >= 0 and there[at] is but:
                at -= 1
            if at >= 0:
                chosen.append(there[at])
            seen[name] = max(at, 0)
        return chosen


def header_digest(form: Form, covered: Iterable[Field], signature: Field) -> bytes:
    """SHA-256 of the covered fields and of the signature without what it is (RFC 6376 3.7)."""
    octets = [field.relaxed if form == "relaxed" else field.simple for field in covered]
    bare = Field(signature.name, signature.gap, without_signature(signature.value))
    # No line end stands behind the last one.
    last = bare.relaxed if form == "relaxed" else bare.simple
    octets.append(last.removesuffix(b"\r\n"))
    return hashlib.sha256(b"".join(octets)).digest()


def without_signature(value: bytes) -> bytes:
    """A signature's value with nothing behind ``b=``."""
    parts = value.removesuffix(b"\r\n").split(b";")
    for number, part in enumerate(parts):
        name, equals, _ = part.partition(b"=")
        if equals and name.strip() == b"b":
            parts[number] = name + equals
    return b";".join(parts)


def signer(claim: Claim, keys: Iterable[Key], digest: bytes) -> Key:
    """The key that made the claim's signature.

    Raises:
        Refused: none did.
    """
    signature = decoded(claim.tags[b"b"])
    for key in keys:
        if key.verifies(signature, digest):
            return key
    raise Refused("fail", "signature did not verify")


def decoded(value: bytes) -> bytes:
    """Base64 that :func:`read_claim` has looked at."""
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise Refused("permerror", "no base64") from error


class Bodies:
    """The body digests that a mail's signatures ask for, all taken in one pass.

    Arguments:
        wire: the message.
        start: position at which its body begins.
    """

    def __init__(self, wire: Wire, start: int) -> None:
        self._wire = wire
        self._start = start
        self._digests: dict[tuple[Form, int | None], Digest] = {}

    def ask(self, claim: Claim) -> None:
        """Have the digest taken that ``claim`` speaks of."""
        self._digests.setdefault((claim.body_form, claim.limit), Digest(claim.limit))

    def take(self) -> None:
        """Read the body.

        Raises:
            OSError: it cannot be read.
        """
        if not self._digests:
            return
        forms: dict[Form, list[Digest]] = {}
        for (form, _), digest in self._digests.items():
            forms.setdefault(form, []).append(digest)
        readers = [Canonical(form, digests) for form, digests in forms.items()]
        for piece in pieces(self._wire, self._start):
            for reader in readers:
                reader.feed(piece)
        for reader in readers:
            reader.finish()

    def check(self, claim: Claim) -> int:
        """Compare, after :meth:`take`.

        Returns:
            How many octets of the body are not covered.

        Raises:
            Refused: it is another body.
        """
        digest = self._digests[claim.body_form, claim.limit]
        if digest.short:
            raise Refused("permerror", "l= is more than there is")
        if digest.digest() != decoded(claim.tags[b"bh"]):
            raise Refused("fail", "body hash did not verify")
        return digest.length - claim.limit if claim.limit is not None else 0
