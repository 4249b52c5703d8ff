"""What a hostile SPF record may cost."""

from __future__ import annotations

import time

import pytest

from policyd.spf.evaluation import MAX_HINTS, MAX_RECORD, MAX_TERM

from .desk import CLIENT, Desk, record

HOSTILE = {
    "long": record("v=spf1 " + "?all " * MAX_RECORD),
    "long term": record("v=spf1 a:" + "a" * MAX_TERM + " -all"),
    "nested": {
        (f"i{number}.example" if number else "s.example", "TXT"): f"v=spf1 include:i{number + 1}.example"
        + " ip4:192.0.2.1" * 280
        for number in range(12)
    },
    "macros": record("v=spf1 " + " ".join(["exists:" + "%{s200r.-+,/_=}" * 30] * 8)),
    "many mx": record("v=spf1 " + " ".join(f"mx:m{number}.example" for number in range(10)))
    | {
        (f"m{number}.example", "MX"): [(1, f"x{number}{n}.example") for n in range(10)]
        for number in range(10)
    }
    | {(f"x{number}{n}.example", "A"): "192.0.2.1" for number in range(10) for n in range(10)},
    "loop": record("v=spf1 include:t.example") | record("v=spf1 include:s.example", "t.example"),
    "redirects": record("v=spf1 redirect=s.example"),
    "labels": record("v=spf1 a:" + "a." * 250 + "example"),
    "dots in macros": {
        (f"i{number}.example" if number else "s.example", "TXT"): f"v=spf1 include:i{number + 1}.example"
        + f" a:{'a.' * 240}%{{d}}" * 8
        for number in range(12)
    },
    "digits": record("v=spf1 exists:%{s" + "9" * 400 + "}.example"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_record_costs_little(name: str) -> None:
    desk = Desk(HOSTILE[name])
    began = time.process_time()
    facts = desk.facts("a-b.c+d" * 100 + "@s.example")
    assert time.process_time() - began < 0.5
    assert len(desk.resolver.asked) < 130
    assert set(facts) <= {"permerror", "neutral", "none"}


def test_the_longest_record_that_is_read() -> None:
    head, tail = "v=spf1 ", f"ip4:{CLIENT}"
    for length, result in ((MAX_RECORD, "pass"), (MAX_RECORD + 1, "permerror")):
        filler = " " * (length - len(head) - len(tail))
        assert list(Desk(record(head + filler + tail)).facts()) == [result]
    for length, result in ((MAX_TERM, "pass"), (MAX_TERM + 1, "permerror")):
        text = f"{head}x={'y' * (length - 2)} {tail}"
        assert list(Desk(record(text)).facts()) == [result]


def test_the_work_of_all_runs_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    table = record("v=spf1 a:%{l}.example include:i.example") | record(f"v=spf1 ip4:{CLIENT}", "i.example")
    # The first record is read in two runs, and each time both its names are made.
    once = len(table["s.example", "TXT"]) + len("a.example") + len("i.example")
    once += 2 * len("%{l}.example") // 16  # labels with a macro are looked at once more
    work = 2 * once + len(table["i.example", "TXT"])
    for limit, result in ((work, "pass"), (work - 1, "permerror")):
        monkeypatch.setattr("policyd.spf.evaluation.MAX_WORK", limit)
        assert list(Desk(table).facts()) == [result]


def test_only_some_questions_are_asked_before_their_turn() -> None:
    names = [f"n{number}.example" for number in range(30)]
    desk = Desk(record("v=spf1 " + " ".join(f"a:{name}" for name in names)))
    desk.facts()
    assert len(desk.resolver.asked) <= 1 + MAX_HINTS + 3


def test_more_than_ten_exchangers_are_a_permanent_error() -> None:
    table = record("v=spf1 mx -all") | {
        ("s.example", "MX"): [(1, f"x{number}.example") for number in range(11)]
    }
    desk = Desk(table)
    assert desk.facts() == {"permerror": "s.example"}
    assert len(desk.resolver.asked) == 2
