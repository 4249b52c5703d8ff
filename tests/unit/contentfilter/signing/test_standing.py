"""Which key a domain signs with, by what has been seen."""

from __future__ import annotations

import json

import pytest

from contentfilter.signing.public import PublicKey
from contentfilter.signing.standing import MISSES, Sight, Standings

OLD = PublicKey("dkim001", "rsa-sha256", b"old", 1000.0, 2048)
NEW = PublicKey("dkim002", "rsa-sha256", b"new", 5000.0, 2048)
EDWARDS = PublicKey("ed001", "ed25519-sha256", b"ed", 900.0, 256)
KEYS = (NEW, OLD, EDWARDS)
A, B = "a.example", "b.example"
SEEN, ABSENT, UNKNOWN = Sight.SEEN, Sight.ABSENT, Sight.UNKNOWN


def chosen(standings: Standings, domain: str, now: float) -> list[str]:
    return [key.selector for key in standings.choose(domain, KEYS, now)]


def test_nothing_is_known_at_first() -> None:
    standings = Standings(60.0)
    assert chosen(standings, A, 1e9) == []
    assert standings.since(A, OLD) is None


def test_the_newest_key_that_is_seen_counts_and_each_kind_for_itself() -> None:
    standings = Standings(0.0)
    standings.note(A, [(NEW, ABSENT), (OLD, SEEN), (EDWARDS, SEEN)], 6000.0)
    assert chosen(standings, A, 6000.0) == ["dkim001", "ed001"]
    standings.note(A, [(NEW, SEEN), (OLD, SEEN), (EDWARDS, ABSENT)], 6001.0)
    assert chosen(standings, A, 6001.0) == ["dkim002", "ed001"]


def test_what_appears_counts_after_a_while() -> None:
    standings = Standings(60.0)
    standings.note(A, [(NEW, ABSENT), (OLD, SEEN)], 6000.0)
    assert standings.note(A, [(NEW, SEEN), (OLD, SEEN)], 6100.0) == []
    assert chosen(standings, A, 6159.0) == ["dkim001"]
    assert chosen(standings, A, 6160.0) == ["dkim002"]
    assert standings.note(A, [(NEW, SEEN), (OLD, SEEN)], 6170.0) == [(NEW, True)]
    assert standings.note(A, [(NEW, SEEN), (OLD, SEEN)], 6180.0) == []


def test_what_the_first_look_finds_is_as_old_as_its_key() -> None:
    standings = Standings(60.0)
    assert standings.note(A, [(NEW, SEEN), (OLD, SEEN)], 5030.0) == [(OLD, True)]
    assert chosen(standings, A, 5030.0) == ["dkim001"]
    assert chosen(standings, A, 5060.0) == ["dkim002"]
    # A key of the future is not older than now.
    assert standings.note(B, [(NEW, SEEN)], 4000.0) == []
    assert standings.since(B, NEW) == 4000.0


def test_another_key_under_the_same_selector_begins_anew() -> None:
    standings = Standings(60.0)
    standings.note(A, [(OLD, SEEN)], 6000.0)
    other = PublicKey("dkim001", "rsa-sha256", b"other", 7000.0, 2048)
    standings.note(A, [(other, SEEN)], 8000.0)
    assert not standings.usable(A, other, 8059.0)
    assert standings.usable(A, other, 8060.0)


def test_one_miss_is_none_and_what_cannot_be_asked_changes_nothing() -> None:
    standings = Standings(0.0)
    standings.note(A, [(OLD, SEEN)], 6000.0)
    for number in range(10):
        assert standings.note(A, [(OLD, UNKNOWN)], 6001.0 + number) == []
    assert standings.note(A, [(OLD, ABSENT)], 6020.0) == []
    assert standings.note(A, [(OLD, UNKNOWN)], 6021.0) == []
    assert standings.note(A, [(OLD, SEEN)], 6022.0) == []
    assert standings.since(A, OLD) == 1000.0
    for _ in range(MISSES - 1):
        assert standings.note(A, [(OLD, ABSENT)], 6030.0) == []
        assert chosen(standings, A, 6030.0) == ["dkim001"]
    assert standings.note(A, [(OLD, ABSENT)], 6031.0) == [(OLD, False)]
    assert chosen(standings, A, 6031.0) == []
    # It comes back: others may remember that it was gone.
    assert standings.note(A, [(OLD, SEEN)], 6040.0) == [(OLD, True)]
    assert standings.since(A, OLD) == 6040.0


def test_what_never_counted_is_not_lost() -> None:
    standings = Standings(60.0)
    standings.note(A, [(OLD, ABSENT)], 6000.0)
    standings.note(A, [(OLD, SEEN)], 6001.0)
    assert standings.note(A, [(OLD, ABSENT)], 6002.0) == []
    assert standings.note(A, [(OLD, ABSENT)], 6003.0) == []
    assert standings.since(A, OLD) is None


def test_one_domain_holds_no_other_back() -> None:
    standings = Standings(0.0)
    standings.note(A, [(NEW, ABSENT), (OLD, SEEN)], 6000.0)
    standings.note(B, [(NEW, SEEN), (OLD, SEEN)], 6000.0)
    assert (chosen(standings, A, 6000.0), chosen(standings, B, 6000.0)) == (["dkim001"], ["dkim002"])


def test_it_is_remembered() -> None:
    standings = Standings(60.0)
    standings.note(A, [(NEW, ABSENT), (OLD, SEEN)], 6000.0)
    standings.note(A, [(NEW, SEEN)], 6100.0)
    standings.note(B, [(NEW, ABSENT), (OLD, ABSENT)], 6000.0)
    standings.used([OLD], 6123.0)
    again = Standings.from_dict(json.loads(json.dumps(standings.to_dict())), 60.0)
    assert again.to_dict() == standings.to_dict()
    assert chosen(again, A, 6159.0) == ["dkim001"]
    assert again.last_used(OLD) == 6123.0
    assert again.last_used(NEW) is None
    # What could be used already is no news after a restart.
    assert again.note(A, [(OLD, SEEN)], 6200.0) == []
    # B has been looked at before: what appears there is new.
    assert again.note(B, [(OLD, SEEN)], 6200.0) == []
    assert chosen(again, B, 6259.0) == []


def test_what_is_no_longer_there_is_forgotten() -> None:
    standings = Standings(0.0)
    for domain in (A, B):
        standings.note(domain, [(NEW, SEEN), (OLD, SEEN)], 6000.0)
    standings.used([NEW, OLD], 6000.0)
    standings.keep({A}, [NEW])
    assert standings.to_dict()["seen"] == {A: {NEW.name: 5000.0}}
    assert standings.last_used(OLD) is None


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"version": 2, "seen": {}, "used": {}},
        {"version": 1, "seen": [], "used": {}},
        {"version": 1, "seen": {}},
        {"version": 1, "seen": {"a": []}, "used": {}},
        {"version": 1, "seen": {"a": {"k": "x"}}, "used": {}},
        {"version": 1, "seen": {"a": {"k": True}}, "used": {}},
        {"version": 1, "seen": {"a": {"k": float("nan")}}, "used": {}},
        {"version": 1, "seen": {"a": {"k": -1}}, "used": {}},
        {"version": 1, "seen": {}, "used": {"k": None}},
    ],
)
def test_what_is_no_such_file(data: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        Standings.from_dict(data, 0.0)
