"""Organisations by the Public Suffix List."""

from __future__ import annotations

import pytest
from publicsuffixlist import PublicSuffixList

from mailbase.organisation import is_top_level, organisation, suffix_list


def test_the_list_is_read_as_its_library_reads_it():
    ours, theirs = suffix_list(), PublicSuffixList()
    assert vars(ours) == vars(theirs)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("www.example.org", "example.org"),
        ("example.org", "example.org"),
        ("org", None),
        ("", None),
        ("a.b.example.co.uk", "example.co.uk"),
        ("co.uk", None),
        ("www.city.kobe.jp", "city.kobe.jp"),
        ("a.b.c.kobe.jp", "b.c.kobe.jp"),
        ("c.kobe.jp", None),
        ("shop.xn--55qx5d.cn", "shop.xn--55qx5d.cn"),
        ("xn--55qx5d.cn", None),
        ("a.b.no-such-top-level", "b.no-such-top-level"),
    ],
)
def test_organisation_of_a_name(name: str, expected: str | None):
    assert organisation(name) == expected


def test_top_levels():
    assert all(map(is_top_level, ("org", "uk", "xn--p1ai")))
    assert not any(map(is_top_level, ("kobe", "рф", "", "no-such")))
