"""Rows as a Redis server holds them: what goes in comes back, and what is not ours is none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailbase.store.redis.rows import Naming, text_in_row

values = st.one_of(
    st.integers(-(1 << 62), 1 << 62),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(alphabet=st.characters(exclude_categories=("Cs",))),
    st.binary(),
)


@given(st.binary(min_size=1), st.lists(values, min_size=1).map(tuple), st.booleans())
def test_a_row_comes_back_as_it_went(
    key: bytes, row: tuple[int | float | str | bytes, ...], opaque: bool
) -> None:
    naming = Naming("pw", "things", opaque=opaque)
    assert naming.decode(naming.name(key), naming.encode(key, row)) == (key, row)


@given(st.binary())
def test_what_is_not_ours_is_no_row(value: bytes) -> None:
    naming = Naming("pw", "things")
    found = naming.decode(b"pw:things:x", value)
    assert found is None or isinstance(found[0], bytes)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"[",
        b"{}",
        b"3",
        b"[]",
        b'["x"]',
        b'[["!"],1]',
        b'[["eA=="]]',
        b'[["eA=="],null]',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_bad_values(value: bytes) -> None:
    assert Naming("pw", "things").decode(b"pw:things:x", value) is None


def test_no_key_names_a_person() -> None:
    name = Naming("pw", "clients").name(b"spf:person.example")
    assert name.startswith(b"pw:clients:")
    assert b"person" not in name
    assert len(name) == len(b"pw:clients:") + 22


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",))))
def test_text_for_scripts_has_no_quote_and_means_the_same(text: str) -> None:
    shown = text_in_row(text)
    assert '"' not in shown
    assert shown.isascii()
    assert json.loads(f'"{shown}"') == text
