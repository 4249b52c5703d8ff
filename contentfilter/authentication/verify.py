"""Everything that a worker verifies of one mail, in one pass over its body."""

from __future__ import annotations

from contentfilter.authentication import arc
from contentfilter.authentication.authors import author_domains
from contentfilter.authentication.dkim_signatures import FIELD, begin, finish
from contentfilter.authentication.fields import read_header
from contentfilter.authentication.outcome import MAX_OCTETS, MAX_SIGNATURES, Authentication, Chain, Signature
from contentfilter.authentication.reported import claims
from contentfilter.authentication.signature import Bodies, Fields, Keys
from contentfilter.message.wire import Wire


def authenticate(wire: Wire, keys: Keys, now: float) -> Authentication:
    """What a message says of who it is from, verified.

    Arguments:
        keys: as DNS has them, of :func:`contentfilter.authentication.names.key_names`.
        now: seconds since the epoch.

    Raises:
        OSError: the message cannot be read.
    """
    header = read_header(wire)
    by_name = Fields(header.fields)
    signed = by_name.all(FIELD)
    senders = by_name.all(b"from")
    rest = (
        max(0, len(signed) - MAX_SIGNATURES),
        author_domains(senders[:MAX_SIGNATURES]),
        min(len(senders), MAX_OCTETS),
        claims(by_name.all(b"authentication-results")),
    )
    if not header.complete:
        return _result((Signature("neutral", reason="header is too long"),), Chain(), *rest)
    bodies = Bodies(wire, header.body)
    pending = begin(signed[:MAX_SIGNATURES], by_name, keys, now, bodies)
    chain = arc.begin(by_name, keys, now, bodies)
    bodies.take()
    return _result(tuple(finish(one, bodies) for one in pending), arc.finish(chain, bodies), *rest)


def _result(
    signatures: tuple[Signature, ...],
    chain: Chain,
    more: int,
    authors: tuple[str, ...],
    from_fields: int,
    names: tuple[str, ...],
) -> Authentication:
    return Authentication(signatures, more, chain, authors, from_fields, names)
