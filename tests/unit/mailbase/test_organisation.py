"""Organisations by the Public Suffix List."""

from __future__ import annotations

import random

import pytest
from publicsuffixlist import PublicSuffixList

from mailbase.organisation import _rules, is_top_level, organisation, suffix_list


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


def test_hosts_right_below_a_domain_are_whose_the_library_says():
    """Of every domain that a rule names, or of which one names a part, and of others of all top levels."""
    _, top, rules = _rules()
    names = {".".join(rule.split(".")[-2:]) for rule in rules if rule.isascii()} | {
        f"x.{name}" for name in top
    }
    names = {name for name in names if name.count(".") == 1 and "*" not in name and "!" not in name}
    assert len(names) > 3000
    for name in random.Random(1).sample(sorted(names), 2000):
        assert organisation(f"a.{name}") == suffix_list().privatesuffix(f"a.{name}"), name


def test_names_that_only_a_rule_for_all_below_them_names_are_what_the_library_says():
    names = {rule[2:] for rule in _rules()[2] if rule.startswith("*.") and rule.isascii()}
    assert len(names) > 100
    for name in names:
        for below in ("", "a.", "a.b.", "a.b.c."):
            assert organisation(below + name) == suffix_list().privatesuffix(below + name), below + name
