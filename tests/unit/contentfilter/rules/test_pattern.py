"""Expressions that are searched for together find what each finds by itself."""

from __future__ import annotations

import random

import pytest
import re2

from contentfilter.rules.matcher import Matcher
from contentfilter.rules.own import OwnRules
from contentfilter.rules.pattern import PatternSet, options

PATTERNS = [
    r"\b8(00|88)[- .]\d{3}[- .]\d{4}\b",
    r"(^|[^a-z])([a-z][._*-]){5,20}[a-z]([^a-z]|$)",
    r"(?-i)\bCLICK (HERE|NOW)\b",
    r"[\w.]{3,400}@(gmail|yahoo)\.\w",
    r"\$ ?[1-9]\d{0,2}(,\d{3}){1,3}\b",
    r"(?-i)(^|\W)[13][1-9A-HJ-NP-Za-km-z]{25,340}($|\W)",
]
PIECES = [
    "800-555-1234", "call 888 555 1234 now", "v.i.a.g.r.a", "CLICK HERE", "click here", "ann.smith@gmail.com",
    "$ 1,000,000", "$5", " 1BoatSLRHtKNngkdXEeobR76b53LETtpyT ", "word", "\n", "é", "@", "8", ".", "-",
]  # fmt: skip


def alone(patterns: list[str], text: bytes) -> list[int]:
    return [
        number
        for number, pattern in enumerate(patterns)
        if re2.compile(f"(?i:{pattern})", options()).search(text)
    ]


def test_rare_expressions_are_found_as_each_by_itself():
    together, chance = PatternSet(PATTERNS, rare=True), random.Random(1)
    seen = set()
    for _ in range(500):
        text = " ".join(chance.choices(PIECES, k=chance.randint(0, 6))).encode()
        expected = alone(PATTERNS, text)
        assert sorted(together.match(text)) == expected
        seen |= set(expected)
    assert seen == set(range(len(PATTERNS)))


@pytest.mark.parametrize("count", range(4))
def test_any_number_of_them_may_be_large_or_small(count: int):
    for patterns in (PATTERNS[:count], PATTERNS[3:4] * count, [PATTERNS[5], *PATTERNS[:count]]):
        together = PatternSet(patterns, rare=True)
        for text in map(str.encode, PIECES):
            assert sorted(together.match(text)) == alone(patterns, text)


def test_shipped_expressions_are_found_in_texts_made_of_their_signs():
    patterns = list(Matcher(OwnRules().ruleset(True))._expressions["body"])
    together, chance = PatternSet(patterns, rare=True), random.Random(2)
    assert together._gate is not None
    for _ in range(200):
        signs = [
            chance.choice(PIECES) if chance.random() < 0.2 else chance.choice("8$1, .-aV@:")
            for _ in range(60)
        ]
        text = "".join(signs).encode()
        assert sorted(together.match(text)) == alone(patterns, text)
