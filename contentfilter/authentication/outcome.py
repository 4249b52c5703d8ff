"""What verifying a mail's signatures ends with: bounded facts, in JSON types for the worker to hand over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar, cast, get_args

DkimResult: TypeAlias = Literal["pass", "fail", "policy", "neutral", "temperror", "permerror"]
"""RFC 8601 2.7.1; no signature at all is an empty list."""
ArcResult: TypeAlias = Literal["none", "pass", "fail", "temperror"]
"""RFC 8617 5.2; ``temperror`` where a key could not be looked up, so that nothing is known."""
_DKIM: tuple[str, ...] = get_args(DkimResult)
_ARC: tuple[str, ...] = get_args(ArcResult)

MAX_SIGNATURES = 8
"""DKIM signatures of a mail that are looked at, from the top; honest mail has one to three."""
MAX_INSTANCES = 50
"""ARC sets of a mail (RFC 8617 4.2.1)."""
MAX_AUTHORS = 8
"""Domains in From that are kept."""
MAX_CLAIMS = 8
"""Different names in Authentication-Results lines that are kept."""
MAX_PASSED = 8
"""Domains that an ARC set says to have authenticated."""
MAX_NAME = 255
"""Characters of a domain, selector or identity."""
MAX_REASON = 100
"""Characters of a reason."""
MAX_TAG = 8
"""Characters of a signature that tell it from others (RFC 6008)."""
MAX_BITS = 1 << 16
SOUND_BITS = 2048
"""Shorter RSA keys are told; signers should not use them any more."""
MAX_RECORD = 4096
"""Octets of a key's record; one with a key of 8192 bits has some 1,500."""
MAX_OCTETS = 1 << 40

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Signature:
    """One DKIM signature.

    Arguments:
        result: what came of it.
        domain: who signed, normalised (``d=``); empty if that cannot be told.
        selector: of the key (``s=``).
        identity: on whose behalf (``i=``), as it stands there; empty: the domain's.
        algorithm: ``rsa-sha256`` or ``ed25519-sha256``, or what stands there.
        bits: of the key; 0 if it was not seen.
        reason: why it did not pass, in words of ours.
        testing: the key's owner asks for failures to be ignored (``t=y``).
        tag: how the signature begins (``header.b``).
        unsigned: octets of the body behind what is signed (``l=``).
    """

    result: DkimResult
    domain: str = ""
    selector: str = ""
    identity: str = ""
    algorithm: str = ""
    bits: int = 0
    reason: str = ""
    testing: bool = False
    tag: str = ""
    unsigned: int = 0


@dataclass(frozen=True, slots=True)
class Sealed:
    """What one ARC set says.

    Arguments:
        domain: of who sealed it, normalised.
        dmarc: the DMARC result it reports; empty if none.
        passed: domains that it reports to have passed DKIM or SPF.
    """

    domain: str
    dmarc: str = ""
    passed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chain:
    """A mail's ARC sets.

    Arguments:
        result: of the chain as a whole.
        reason: why it failed, in words of ours.
        sets: of a chain that passed, the first sealer's first.
    """

    result: ArcResult = "none"
    reason: str = ""
    sets: tuple[Sealed, ...] = ()


NO_CHAIN = Chain()


@dataclass(frozen=True, slots=True)
class Authentication:
    """All that a mail itself says about who it is from, verified as far as it can be.

    Arguments:
        signatures: from the top.
        more: DKIM signatures beyond those.
        chain: the ARC sets.
        authors: domains in From, normalised, each once.
        from_fields: how many From fields there are.
        claims: names (authserv-id) in Authentication-Results lines, lower case, each once.
    """

    signatures: tuple[Signature, ...] = ()
    more: int = 0
    chain: Chain = NO_CHAIN
    authors: tuple[str, ...] = ()
    from_fields: int = 0
    claims: tuple[str, ...] = ()

    @property
    def lasting(self) -> bool:
        """Whether another look would say the same."""
        return self.chain.result != "temperror" and all(
            signature.result != "temperror" for signature in self.signatures
        )

    def to_json(self) -> list[Any]:
        """As JSON types."""
        return [
            [
                [
                    one.result,
                    one.domain,
                    one.selector,
                    one.identity,
                    one.algorithm,
                    one.bits,
                    one.reason,
                    one.testing,
                    one.tag,
                    one.unsigned,
                ]
                for one in self.signatures
            ],
            self.more,
            [
                self.chain.result,
                self.chain.reason,
                [[one.domain, one.dmarc, list(one.passed)] for one in self.chain.sets],
            ],
            list(self.authors),
            self.from_fields,
            list(self.claims),
        ]

    @classmethod
    def from_json(cls, value: object) -> Authentication:
        """The reverse.

        Raises:
            ValueError: anything else, or more than the bounds allow; it comes from a worker that has read
                hostile mail.
        """
        signatures, more, chain, authors, from_fields, claims = _row(value, 6)
        return cls(
            tuple(_signature(one) for one in _rows(signatures, MAX_SIGNATURES)),
            _number(more, MAX_OCTETS),
            _chain(chain),
            _texts(authors, MAX_AUTHORS),
            _number(from_fields, MAX_OCTETS),
            _texts(claims, MAX_CLAIMS),
        )


EMPTY = Authentication()
"""Of what is no mail."""


def _signature(value: object) -> Signature:
    result, domain, selector, identity, algorithm, bits, reason, testing, tag, unsigned = _row(value, 10)
    if type(testing) is not bool:
        raise ValueError("expected true or false")
    return Signature(
        cast(DkimResult, _one_of(result, _DKIM)),
        _text(domain, MAX_NAME),
        _text(selector, MAX_NAME),
        _text(identity, MAX_NAME),
        _text(algorithm, MAX_NAME),
        _number(bits, MAX_BITS),
        _text(reason, MAX_REASON),
        testing,
        _text(tag, MAX_TAG),
        _number(unsigned, MAX_OCTETS),
    )


def _chain(value: object) -> Chain:
    result, reason, sets = _row(value, 3)
    return Chain(
        cast(ArcResult, _one_of(result, _ARC)),
        _text(reason, MAX_REASON),
        tuple(_sealed(one) for one in _rows(sets, MAX_INSTANCES)),
    )


def _sealed(value: object) -> Sealed:
    domain, dmarc, passed = _row(value, 3)
    return Sealed(_text(domain, MAX_NAME), _text(dmarc, MAX_NAME), _texts(passed, MAX_PASSED))


def _row(value: object, length: int) -> list[Any]:
    if type(value) is not list or len(value) != length:
        raise ValueError(f"expected {length} values")
    return value


def _rows(value: object, most: int) -> list[Any]:
    if type(value) is not list or len(value) > most:
        raise ValueError(f"expected a list of at most {most}")
    return value


def _texts(value: object, most: int) -> tuple[str, ...]:
    return tuple(_text(one, MAX_NAME) for one in _rows(value, most))


def _text(value: object, most: int) -> str:
    if type(value) is not str or len(value) > most or not value.isprintable():
        raise ValueError(f"expected a text of at most {most} printable characters")
    return value


def _number(value: object, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"expected a number, 0 to {most}")
    return value


def _one_of(value: object, words: tuple[str, ...]) -> str:
    if type(value) is not str or value not in words:
        raise ValueError(f"expected one of {', '.join(words)}")
    return value
