"""The reader of OpenPGP messages."""

from __future__ import annotations

from contentfilter.containers import openpgp
from tests.samples import openpgp as made

_LITERAL = made.old(11, made.literal(b"hello", b"a.txt"))
SEEDS = [
    _LITERAL,
    made.ONE_PASS + _LITERAL + made.SIGNATURE,
    made.old(8, made.compressed(_LITERAL, 1), 3),
    made.new(8, made.compressed(_LITERAL, 2)),
    made.partial(8, made.compressed(_LITERAL, 0), 3),
    made.MARKER + made.FOR_A_KEY + made.SEALED,
    made.armour(_LITERAL, headers=b"Version: 1"),
    made.armour(made.old(8, made.compressed(_LITERAL, 3)), quote=b"> "),
]
_LIMIT = 1 << 20


def target(data: bytes) -> None:
    openpgp.may_begin(data)
    for octets in (data, *openpgp.armoured(data)):
        message = openpgp.read(octets, _LIMIT)
        assert message.expanded <= _LIMIT
        assert sum(len(content) for _, content in message.literals) <= len(octets) + _LIMIT
