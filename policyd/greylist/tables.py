"""The tables that greylisting keeps in the store."""

from __future__ import annotations

from mailbase.store import Column, TableSpec
from policyd.greylist.keys import KEY_SIZE

_TRIPLET = (
    Column("first", "INTEGER"),
    Column("passed", "INTEGER"),
    Column("last", "INTEGER"),
    Column("identities", "TEXT"),
    Column("sender", "TEXT", hot=False),
    Column("recipient", "TEXT", hot=False),
)
"""The first columns are an Entry, the next says whose it is: :func:`policyd.greylist.identity.together`."""

TRIPLETS = TableSpec(
    "greylist_triplets",
    _TRIPLET,
    cached=4_000,
    mostly_absent=True,
    opaque=True,
    key_size=KEY_SIZE,
    amended=("passed", "last"),
)
"""Of each sender and recipient, the first who brought it. Key: :func:`policyd.greylist.keys.pair_key`."""

OTHERS = TableSpec("greylist_others", _TRIPLET, cached=1_000, mostly_absent=True, opaque=True)
"""Others who brought the same, by one identity each. Key: :func:`policyd.greylist.keys.own_key`."""

CLIENTS = TableSpec(
    "greylist_clients",
    (Column("retries", "INTEGER"), Column("last", "INTEGER")),
    cached=60_000,
    mostly_absent=True,
    clustered=True,
)
"""Key: an identity, see :mod:`policyd.greylist.identity`. The first columns are a Client."""

ALLOWED = TableSpec(
    "greylist_allowed",
    (Column("added", "INTEGER"), Column("comment", "TEXT")),
    cached=16,
)
"""Networks allowed by command. Key: the network as text."""
