"""What SPF remembers: for whom, how long, and within which bounds."""

from __future__ import annotations

import pytest

from policyd.spf.memo import MAX_LIFETIME, Entry, Memo

from .desk import Desk, record


def test_the_next_mail_asks_nothing() -> None:
    desk = Desk(record("v=spf1 mx -all"), ttl=60.0)
    assert desk.facts() == {"fail": "s.example"}
    asked = len(desk.resolver.asked)
    assert desk.facts("other@s.example") == {"fail": "s.example"}
    assert len(desk.resolver.asked) == asked
    assert desk.facts(client="198.18.0.8") == {"fail": "s.example"}
    assert len(desk.resolver.asked) > asked
    asked = len(desk.resolver.asked)
    desk.clock.advance(60)
    desk.facts()
    assert len(desk.resolver.asked) > asked


@pytest.mark.parametrize(
    ("macro", "personal"), [("%{l}", True), ("%{S}", True), ("%{h}", True), ("%{i}", False)]
)
def test_what_depends_on_the_sender_is_remembered_for_him_alone(macro: str, personal: bool) -> None:
    desk = Desk(record(f"v=spf1 exists:{macro}.x.example -all"))
    desk.facts("a@s.example", "one.example")
    asked = len(desk.resolver.asked)
    desk.facts("a@s.example", "one.example")
    assert len(desk.resolver.asked) == asked
    # Another sender of the domain, or another HELO name.
    other = ("a@s.example", "two.example") if macro == "%{h}" else ("b@s.example", "one.example")
    desk.facts(*other)
    names = [name for name, _, _ in desk.resolver.asked[asked:] if name.endswith("x.example")]
    assert bool(names) is personal


def test_what_is_remembered_does_not_grow_with_what_clients_say() -> None:
    desk = Desk(record("v=spf1 exists:%{l}.x.example -all"))
    for number in range(3):
        desk.facts(f"{'l' * 5000}{number}@s.example", helo=f"{'h' * 5000}{number}")
        desk.facts(f"a@{number}.example", helo=f"{'h' * 5000}{number}")
    kept = [*desk.check._told._entries, *desk.check._outcomes._entries]
    assert kept
    assert max(sum(len(part) for part in key if part) for key in kept) < 2000


def test_what_is_told_twice_was_judged_within_its_time() -> None:
    desk = Desk(record("v=spf1 -all") | record("v=spf1 ?all", "h.example"), ttl=100.0)
    assert desk.facts(helo="friend") == {"fail": "s.example"}
    desk.clock.advance(90)
    # The HELO name's outcome is new, the sender's is not.
    assert desk.facts(helo="h.example") == {"fail": "s.example", "helo-neutral": "h.example"}
    desk.resolver.set("s.example", "TXT", "v=spf1 +all")
    desk.clock.advance(11)
    assert "pass" in desk.facts(helo="h.example")


@pytest.mark.parametrize("sender", ["", "@s.example", "s.example", "a@s.example"])
def test_senders_that_look_alike_are_told_apart(sender: str) -> None:
    desk = Desk(record("v=spf1 -all"))
    for other in ("", "@s.example", "s.example", "a@s.example"):
        desk.facts(other)
    assert desk.facts(sender) == ({"fail": "s.example"} if "@" in sender else {"none": ""})


def test_the_memory_is_bounded_and_forgets() -> None:
    memo: Memo[str, int] = Memo(3)
    for number in range(5):
        memo.put(f"{number}", Entry(300.0, number), 0.0)
        memo.get("2", 0.0)
    assert len(memo) == 3
    assert memo.get("1", 0.0) is None
    assert memo.get("2", 299.0) == Entry(300.0, 2)
    assert memo.get("2", 300.0) is None
    memo.put("x", Entry(300.0, 1), 300.0)
    assert memo.get("x", 300.0) is None


def test_no_outcome_is_remembered_longer_than_five_minutes() -> None:
    desk = Desk(record("v=spf1 -all"), ttl=1e6)
    desk.facts()
    desk.clock.advance(MAX_LIFETIME - 1)
    asked = len(desk.resolver.asked)
    desk.facts()
    assert len(desk.resolver.asked) == asked
    desk.clock.advance(1)
    desk.facts()
    assert len(desk.resolver.asked) > asked
