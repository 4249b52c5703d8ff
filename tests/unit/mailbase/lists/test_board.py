"""The watch over the lists: tests, what look-ups tell, the log, the metrics, a reload."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from twisted.internet.task import Clock

from mailbase.config import loads
from mailbase.config.lists import ListHealthSettings, ListKind
from mailbase.dns import Found, NxDomain, RecordType, TableResolver, Temporary, TimedOut
from mailbase.lists.board import CONSUMER, Board
from mailbase.lists.health import SOON
from mailbase.lists.metrics import collect
from mailbase.lists.model import DnsList, make_list
from mailbase.lists.roster import Roster
from mailbase.logs import Log

START = 1_800_000_000.0
LISTED, CLEAN = "2.0.0.127.bl.example", "1.0.0.127.bl.example"
WELL = {(LISTED, "A"): "127.0.0.2"}
TERMS = ListHealthSettings()
A = RecordType.A
REFUSAL = Found((bytes([127, 255, 255, 254]),), 60.0, "x")
LISTING = Found((bytes([127, 0, 0, 2]),), 60.0, "x")


def lists(text: str = "bl: {kind: dnsbl, zone: bl.example}") -> list[DnsList]:
    settings = loads(f"policyd: {{lists: {{{text}}}}}").policyd.lists
    return [make_list(name, one) for name, one in settings.items()]


class Watch:
    """A board with its clock, its DNS and its log.

    Arguments:
        slow: seconds until DNS answers.
    """

    def __init__(self, table: Any = WELL, slow: float = 0.0) -> None:
        self.clock = Clock()
        self.clock.advance(START)
        self.stream = io.StringIO()
        self.resolver = TableResolver(table, clock=self.clock, slow={"": slow})
        self.roster = Roster()
        self.board = Board(self.clock, self.resolver, Log("policyd", stream=self.stream), self.roster)

    def adopt(self, definitions: Sequence[DnsList], terms: ListHealthSettings = TERMS) -> None:
        self.board.adopt(definitions, terms)
        self.clock.advance(0)

    def heard(self, name: str, rdtype: RecordType, answer: Any, *consumers: str) -> None:
        self.board.heard(name, rdtype, answer, frozenset(consumers or ["dnsbl"]))

    @property
    def asked(self) -> list[str]:
        """The lists that are asked."""
        return [one.definition.name for kind in ListKind for one in self.roster.asked[kind]]

    def row(self, name: str = "bl") -> dict[str, Any]:
        return {row["list"]: row for row in self.board.rows()}[name]

    def events(self, name: str) -> list[str]:
        return [line for line in self.stream.getvalue().splitlines() if f"event={name} " in line]


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_a_list_is_asked_when_it_has_passed_its_test(watch: Watch) -> None:
    watch.board.adopt(lists(), TERMS)
    # The start waits for nothing.
    assert (watch.resolver.asked, watch.asked, watch.row()["state"]) == ([], [], "untested")
    watch.clock.advance(0)
    assert watch.resolver.asked == [(LISTED, A, CONSUMER), (CLEAN, A, CONSUMER)]
    assert watch.asked == ["bl"]
    assert len(watch.events("list-on")) == 1
    assert watch.row() == {
        "list": "bl",
        "kind": "dnsbl",
        "zone": "bl.example",
        "state": "on",
        "since": int(START),
        "trouble": None,
        "detail": None,
        "lookups": 0,
        "hits": 0,
        "switched_off": 0,
        "tested": int(START),
        "next_test": int(START + TERMS.interval),
    }


def test_it_is_tested_again_and_again(watch: Watch) -> None:
    watch.adopt(lists())
    watch.clock.advance(TERMS.interval - 1)
    assert len(watch.resolver.asked) == 2
    watch.clock.advance(1)
    assert len(watch.resolver.asked) == 4
    # Well as before: nothing to be said.
    assert len(watch.events("list-on")) == 1


def test_a_list_that_fails_its_test_is_switched_off_alarmed_once_and_comes_back_by_itself(
    watch: Watch,
) -> None:
    watch.adopt(lists())
    watch.resolver.set(CLEAN, "A", "127.0.0.2")
    watch.clock.advance(TERMS.interval)
    assert watch.asked == []
    (line,) = watch.events("list-off")
    assert " error " in line
    assert 'list=bl trouble=lists-all detail="lists 1.0.0.127" retry=60' in line
    for wait in (60.0, 120.0, 240.0):
        watch.clock.advance(wait)
    assert len(watch.events("list-off")) == 1
    watch.resolver.set(CLEAN, "A", NxDomain())
    watch.clock.advance(480.0)
    assert watch.asked == ["bl"]
    assert len(watch.events("list-on")) == 2
    assert " info " in watch.events("list-on")[-1]


def test_tests_are_not_answered_out_of_memory() -> None:
    watch = Watch(slow=0.1)
    watch.adopt(lists())
    watch.clock.advance(0.1)
    assert watch.asked == ["bl"]
    watch.clock.advance(TERMS.interval)
    # Known from the first time, and asked for over again all the same: the answer takes its time.
    assert watch.row()["next_test"] <= watch.clock.seconds()
    watch.clock.advance(0.1)
    assert watch.row()["next_test"] > watch.clock.seconds()


def test_a_slow_test_holds_up_nothing_and_a_dead_one_switches_off() -> None:
    watch = Watch({(LISTED, "A"): TimedOut(), (CLEAN, "A"): TimedOut()}, slow=5.0)
    watch.adopt(lists())
    watch.clock.advance(4.9)
    assert (watch.asked, watch.row()["state"]) == ([], "untested")
    watch.clock.advance(0.1)
    assert watch.row()["state"] == "off"
    assert len(watch.events("list-off")) == 1


def test_while_dns_itself_is_down_no_list_is_blamed(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    up: list[int] = []
    monkeypatch.setattr(watch.resolver, "usable", lambda: bool(up))
    watch.resolver.set(LISTED, "A", Temporary())
    watch.adopt(lists())
    assert (watch.row()["state"], watch.events("list-off")) == ("untested", [])
    up.append(1)
    watch.resolver.set(LISTED, "A", "127.0.0.2")
    watch.clock.advance(SOON)
    assert watch.asked == ["bl"]


def test_what_mails_look_up_is_heard(watch: Watch) -> None:
    watch.adopt(lists())
    watch.heard("9.2.0.192.bl.example", A, LISTING)
    assert watch.asked == ["bl"]
    watch.heard("9.2.0.192.bl.example", A, REFUSAL)
    assert watch.asked == []
    (line,) = watch.events("list-off")
    assert "list=bl trouble=refused detail=127.255.255.254 retry=60" in line
    # What still comes in of questions that were under way makes no further noise.
    watch.heard("10.2.0.192.bl.example", A, REFUSAL)
    assert len(watch.events("list-off")) == 1
    watch.clock.advance(60)
    assert watch.asked == ["bl"]


def test_other_names_and_other_types_are_nobodys_trouble(watch: Watch) -> None:
    watch.adopt(lists())
    for name in ("example", "", "xbl.example", "9.2.0.192.bl.example.org"):
        watch.heard(name, A, REFUSAL)
    watch.heard("9.2.0.192.bl.example", RecordType.TXT, REFUSAL)
    # The test's own look-ups are judged by the test.
    watch.heard(LISTED, A, REFUSAL)
    assert watch.asked == ["bl"]


def test_names_that_a_stranger_chose_are_no_questions_of_ours(watch: Watch) -> None:
    watch.adopt(
        lists("a: {kind: dnsbl, zone: bl.example}, b: {kind: rhsbl, zone: bl.example, test_listed: []}")
    )
    for consumer in ("helo", "fcrdns", "sender_domain", CONSUMER):
        watch.heard("192.0.2.1.bl.example", A, REFUSAL, consumer)
    assert watch.asked == ["a", "b"]
    watch.heard("192.0.2.1.bl.example", A, REFUSAL, "helo", "rhsbl")
    assert watch.asked == ["a"]
    watch.heard("192.0.2.1.bl.example", A, REFUSAL, "helo", "dnsbl")
    assert watch.asked == []


def test_silence_switches_off_after_a_test_in_between(watch: Watch) -> None:
    watch.adopt(lists())
    watch.clock.advance(100)
    watch.heard("1.2.0.192.bl.example", A, TimedOut())
    watch.clock.advance(0)
    # Trouble brings a test; it passes, so nothing was wrong with the list.
    assert watch.row()["tested"] == int(START + 100)
    for number in range(TERMS.failures):
        watch.heard(f"{number}.2.0.192.bl.example", A, TimedOut())
    assert watch.asked == []
    assert "trouble=unanswered" in watch.events("list-off")[0]


def test_lists_of_one_zone_share_their_fate(watch: Watch) -> None:
    watch.adopt(lists("a: {kind: dnsbl, zone: bl.example}, b: {kind: dnsbl, zone: bl.example}"))
    assert watch.asked == ["a", "b"]
    watch.heard("9.2.0.192.bl.example", A, REFUSAL)
    assert watch.asked == []


@pytest.mark.parametrize(("name", "left"), [("9.bl.example", "b"), ("9.inner.bl.example", "a")])
def test_a_list_within_anothers_zone_is_heard_by_itself(watch: Watch, name: str, left: str) -> None:
    watch.resolver.set("2.0.0.127.inner.bl.example", "A", "127.0.0.2")
    watch.adopt(lists("a: {kind: dnsbl, zone: bl.example}, b: {kind: dnsbl, zone: inner.bl.example}"))
    watch.heard(name, A, REFUSAL)
    assert watch.asked == [left]


def test_a_reload_keeps_the_state_of_lists_that_have_not_changed(watch: Watch) -> None:
    for zone in ("a", "b", "c"):
        watch.resolver.set(f"2.0.0.127.{zone}.example", "A", "127.0.0.2")
    text = ", ".join(f"{zone}: {{kind: dnsbl, zone: {zone}.example %s}}" for zone in ("a", "b", "c"))
    watch.adopt(lists(text % ("", "", "")))
    watch.heard("9.2.0.192.b.example", A, REFUSAL)
    watch.clock.advance(1)
    watch.resolver.asked.clear()
    # Codes are no question of health, what it refuses with is.
    watch.board.adopt(
        lists(text % (", codes: {x: 127.0.0.2}", ", codes: {x: 127.0.0.2}", ", refused: 127.0.0.9")), TERMS
    )
    states = {row["list"]: row["state"] for row in watch.board.rows()}
    assert states == {"a": "on", "b": "off", "c": "untested"}
    assert watch.asked == ["a"]
    assert watch.roster.asked[ListKind.DNSBL][0].definition.facts == ("a", "a.x")
    watch.clock.advance(0)
    # What is well is not tested; what is off is, for whoever reloads may have mended it.
    assert {name.split(".")[-2] for name, _, _ in watch.resolver.asked} == {"b", "c"}
    assert watch.asked == ["a", "b", "c"]


def test_a_reload_brings_its_own_times(watch: Watch) -> None:
    watch.adopt(lists())
    watch.adopt(lists(), ListHealthSettings(failures=1))
    watch.heard("9.2.0.192.bl.example", A, TimedOut())
    assert watch.asked == []


def test_a_list_that_is_gone_is_not_tested_any_more() -> None:
    watch = Watch(slow=1.0)
    watch.board.adopt(lists(), TERMS)
    watch.clock.advance(0)
    watch.board.adopt([], TERMS)
    watch.clock.advance(1.0)  # the answer to the test of the list that is gone
    assert (list(watch.board.rows()), watch.asked, watch.events("list-on")) == ([], [], [])
    asked = len(watch.resolver.asked)
    watch.clock.advance(10 * TERMS.interval)
    assert len(watch.resolver.asked) == asked


def test_a_list_that_is_gone_between_two_tests_has_no_more(watch: Watch) -> None:
    watch.adopt(lists())
    watch.resolver.asked.clear()
    watch.adopt([])
    watch.clock.advance(10 * TERMS.interval)
    assert watch.resolver.asked == []


def test_a_list_that_comes_back_during_its_old_test_has_its_own() -> None:
    watch = Watch(slow=1.0)
    watch.board.adopt(lists(), TERMS)
    watch.clock.advance(0)
    watch.board.adopt([], TERMS)
    watch.board.adopt(lists(), TERMS)
    watch.clock.advance(0)
    watch.clock.advance(1.0)
    assert watch.asked == ["bl"]
    assert len([call for call in watch.clock.getDelayedCalls() if call.func == watch.board._test]) == 1


def test_stop_ends_all_tests(watch: Watch) -> None:
    watch.adopt(lists())
    watch.board.stop()
    asked = len(watch.resolver.asked)
    watch.clock.advance(10 * TERMS.interval)
    assert len(watch.resolver.asked) == asked


def test_a_fault_of_ours_in_a_test_does_not_end_the_tests(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> int:
        raise RuntimeError("bug")

    with monkeypatch.context() as patched:
        patched.setattr(watch.resolver, "forget", fail)
        watch.adopt(lists())
    assert "bug" in watch.events("list-test-failed")[0]
    watch.clock.advance(SOON)
    assert watch.asked == ["bl"]


def test_the_metrics_tell_each_lists_state(watch: Watch) -> None:
    class Metrics:
        def collect(self) -> Any:
            return collect(watch.board.watched.values(), "policyd")

    registry = CollectorRegistry()
    registry.register(Metrics())  # type: ignore[arg-type]
    watch.adopt(lists("a: {kind: dnsbl, zone: bl.example}, b: {kind: rhsbl, zone: gone.example}"))
    watch.board.watched["a"].lookups, watch.board.watched["a"].hits = 7, 3

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    assert value("policyd_list_lookups_total", list="a") == 7
    assert value("policyd_list_hits_total", list="a") == 3
    assert value("policyd_list_on", list="a") == 1
    assert value("policyd_list_on", list="b") == 0
    assert value("policyd_list_switched_off_total", list="a") == 0
    assert value("policyd_list_switched_off_total", list="b") == 1
    assert value("policyd_lists_off") == 1
