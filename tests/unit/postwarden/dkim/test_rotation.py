"""How far a rollover is, and what comes next."""

from __future__ import annotations

import pytest

from contentfilter.signing.public import PublicKey
from contentfilter.signing.standing import Sight, Standings
from postwarden.dkim.rotation import Begin, Keep, MayGo, Moving, NoKey, NoRoom, Stage, stage

ONE = PublicKey("dkim001", "rsa-sha256", b"one", 1000.0, 2048)
TWO = PublicKey("dkim002", "rsa-sha256", b"two", 5000.0, 2048)
SELECTORS = ["dkim001", "dkim002"]
DOMAINS = ["a.example", "b.example", "c.example"]
NOW = 10_000.0


def at(*keys: PublicKey, selectors: list[str] = SELECTORS, **seen: list[PublicKey]) -> Stage:
    return stage(keys, selectors, DOMAINS, standings(**seen), 100.0, NOW)


def standings(used: float | None = None, **seen: list[PublicKey]) -> Standings:
    made = Standings(50.0)
    for name, keys in seen.items():
        made.note(f"{name}.example", [(key, Sight.SEEN) for key in keys], NOW - 60)
    if used is not None:
        made.used([ONE], used)
    return made


def test_the_first_key() -> None:
    assert at() == NoKey()


@pytest.mark.parametrize(
    ("key", "selectors", "expected"),
    [
        (ONE, SELECTORS, Begin("dkim002", ONE)),
        (TWO, SELECTORS, Begin("dkim001", TWO)),
        (ONE, ["dkim001", "x", "dkim002"], Begin("x", ONE)),
        (TWO, ["dkim001", "dkim002", "x"], Begin("x", TWO)),
        (ONE, ["dkim001"], NoRoom()),
        (ONE, ["x"], Begin("x", ONE)),
    ],
)
def test_a_round_begins_with_the_next_selector(key: PublicKey, selectors: list[str], expected: Stage) -> None:
    assert at(key, selectors=selectors) == expected


def test_a_new_key_that_nobody_has_seen_moves_nobody() -> None:
    assert at(TWO, ONE, a=[ONE], b=[ONE]) == Moving(ONE, TWO, ("a.example", "b.example"), 0)
    # Before contentfilter has looked it is not time either.
    assert at(TWO, ONE) == Moving(ONE, TWO, (), 0)


def test_domains_that_have_not_moved_are_named() -> None:
    assert at(TWO, ONE, a=[TWO, ONE], b=[ONE], c=[]) == Moving(ONE, TWO, ("b.example",), 1)


def test_a_key_that_is_seen_but_not_settled_does_not_count_yet() -> None:
    seen = standings(a=[ONE])
    seen.note("a.example", [(TWO, Sight.SEEN)], NOW - 10)
    assert stage([TWO, ONE], SELECTORS, DOMAINS, seen, 100.0, NOW) == Moving(ONE, TWO, ("a.example",), 0)


def test_the_old_key_stays_for_mail_on_its_way_and_then_may_go() -> None:
    def used(at: float | None) -> Stage:
        seen = standings(at, a=[TWO, ONE], b=[TWO])
        return stage([TWO, ONE], SELECTORS, DOMAINS, seen, 100.0, NOW)

    assert used(NOW - 99) == Keep(ONE, NOW + 1)
    assert used(NOW - 100) == MayGo(ONE)
    assert used(None) == MayGo(ONE)


def test_of_three_keys_the_oldest_goes_first() -> None:
    three = PublicKey("x", "rsa-sha256", b"three", 7000.0, 2048)
    found = at(three, TWO, ONE, selectors=[*SELECTORS, "x"], a=[TWO, ONE], b=[three])
    assert found == MayGo(ONE)
