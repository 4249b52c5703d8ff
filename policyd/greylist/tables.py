"""The tables that greylisting keeps in the store."""

from __future__ import annotations

from mailbase.store import Column, TableSpec

TRIPLETS = TableSpec(
    "greylist_triplets",
    (
        Column("first", "INTEGER"),
        Column("passed", "INTEGER"),
        Column("last", "INTEGER"),
        Column("network", "BLOB", hot=False),
        Column("sender", "TEXT", hot=False),
        Column("recipient", "TEXT", hot=False),
    ),
    cached=4_000,
    mostly_absent=True,
    opaque=True,
)
"""Key: :func:`policyd.greylist.keys.triplet_key`. The first columns are an Entry."""

CLIENTS = TableSpec(
    "greylist_clients",
    (Column("retries", "INTEGER"), Column("last", "INTEGER")),
    cached=4_000,
    mostly_absent=True,
)
"""Key: :func:`policyd.greylist.keys.client_network`. The first columns are a Client."""

ALLOWED = TableSpec(
    "greylist_allowed",
    (Column("added", "INTEGER"), Column("comment", "TEXT")),
    cached=16,
)
"""Networks allowed by command. Key: the network as text."""
