"""Ids are 64 random bits in letters that survive a telephone call."""

from hypothesis import given
from hypothesis import strategies as st

from mailbase.ids import IdSource, encode, is_id


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_different_numbers_have_different_forms(one, other):
    assert (encode(one) == encode(other)) == (one == other)
    assert is_id(encode(one))


def test_the_bounds():
    assert encode(0) == "0" * 13
    assert encode(2**64 - 1) == "fzzzzzzzzzzzz"


def test_no_letters_that_sound_or_look_alike():
    source = IdSource()
    assert not set("".join(source.next() for _ in range(2000))) & set("ilou")


def test_ids_do_not_repeat_across_pools():
    source = IdSource()
    assert len({source.next() for _ in range(5000)}) == 5000


def test_what_is_no_id():
    for text in ("", "0" * 12, "0" * 14, "g000000000000", "0000000000oil", "0000 00000000", "0000000000\n00"):
        assert not is_id(text)
