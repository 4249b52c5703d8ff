"""What the journal keeps, for how long, what it drops, and what a broken disk does to it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailbase.store import StoreError
from mailbase.store.database import Database
from mailbase.vocabulary import Action
from policyd.evidence.facts import Evidence
from policyd.evidence.weights import Weights
from policyd.journal import journal as module
from policyd.journal.entry import MAX_FACTS
from policyd.journal.file import FROM_THE_FUTURE, PURGE_ROWS
from policyd.journal.journal import FIRST_RETRY, HALF, INTERVAL, MAX_PENDING, MAX_SEARCHES, PURGE_IDLE, Terms
from policyd.journal.metrics import collect

START, DAY = 1_800_000_000.0, 86400.0


def values(desk: Any) -> dict[str, float]:
    """The metrics, by name without prefix, and label."""
    return {
        sample.name.removeprefix("policyd_journal_") + "".join(sample.labels.values()): sample.value
        for metric in collect(desk.journal)
        for sample in metric.samples
    }


def test_a_decision_is_kept_with_all_that_it_rests_on(desk: Any) -> None:
    decision = desk.note(queue_id="4XyzAB12", sasl_username="Ada", sender="Some.One@Sender.Example")
    (told,) = desk.explain(decision.id)
    assert told == {
        "kind": "decision",
        "time": START,
        "id": decision.id,
        "instance": "1a.1.0",
        "queue_id": "4XyzAB12",
        "stage": "RCPT",
        "flow": "inbound",
        "action": "defer",
        "reason": "greylist-new",
        "reply": decision.reply,
        "client": "192.0.2.1",
        "client_name": "mail.sender.example",
        "helo": "helo.sender.example",
        "user": "ada",
        "sender": "some.one@sender.example",
        "recipient": "person@inst.example",
        "points": None,
        "defer_at": None,
        "reject_at": None,
        "shadow": "",
        "seconds": 0.001,
        "facts": [
            {"check": "relay", "fact": "served", "reason": "registered-domain"},
            {"check": "greylist", "fact": "new", "wait": 300},
        ],
        "pseudonymised": False,
    }


def test_points_thresholds_times_and_shadows_are_kept(make_bench: Callable[..., Any], desk: Any) -> None:
    checks = "checks: {fcrdns: true, helo: {shadow: true}}"
    bench = make_bench(f"flows: {{inbound: {{{checks}, defer_at: 3, reject_at: 9}}}}")
    who = {"client_name": "unknown", "reverse_client_name": "unknown", "helo_name": "friend"}
    request = bench.request(**who, recipient="person@quiet.example")
    desk.journal.note(request, bench.engine.decide(request), 0.25)
    (told,) = desk.explain("person@quiet.example")
    assert (told["points"], told["defer_at"], told["reject_at"], told["shadow"]) == (2.0, 3.0, 9.0, "defer")
    facts = {fact["check"]: fact for fact in told["facts"]}
    assert (facts["fcrdns"]["fact"], facts["fcrdns"]["points"]) == ("no-ptr", 2.0)
    assert (facts["helo"]["fact"], facts["helo"]["points"], facts["helo"]["shadow"]) == (
        "not-fqdn",
        1.5,
        True,
    )
    assert facts["fcrdns"]["seconds"] == 0.0


def test_nothing_is_written_before_its_time_and_deciding_only_appends(desk: Any) -> None:
    desk.note()
    desk.note()
    assert not desk.worker.jobs
    assert values(desk)["pending"] == 2.0
    desk.pass_time(INTERVAL)
    assert values(desk)["written_total"] == 2.0
    assert desk.journal.pending == 0
    assert not any(call.func == desk.journal._batch_due for call in desk.clock.getDelayedCalls())


def test_a_batch_is_as_large_as_the_rate_allows(make_desk: Callable[..., Any]) -> None:
    desk = make_desk(rate=50)
    for _ in range(100):
        desk.note()
    desk.pass_time(INTERVAL)
    assert desk.journal.status.written == 10
    desk.pass_time(1.0)
    assert desk.journal.status.written == 60
    desk.pass_time(2.0)
    assert (desk.journal.status.written, desk.journal.pending) == (100, 0)


def test_a_flood_is_dropped_counted_and_said_once_a_minute(desk: Any) -> None:
    for _ in range(HALF + 50):
        desk.note()
    assert desk.journal.pending == HALF
    assert values(desk)["lost_totalflood"] == 50
    desk.pass_time(INTERVAL)
    for _ in range(MAX_PENDING):
        desk.note()
    desk.pass_time(59.0)
    assert len(desk.lines("journal-dropped")) == 1
    assert "entries=50 rate=1000" in desk.lines("journal-dropped")[0]
    desk.pass_time(1.5)
    desk.note()
    desk.pass_time(INTERVAL)
    assert len(desk.lines("journal-dropped")) == 2


def test_refusals_have_room_when_the_rest_is_dropped(desk: Any) -> None:
    for _ in range(MAX_PENDING):
        desk.note()
    for _ in range(MAX_PENDING):
        desk.note(Action.REJECT)
    assert desk.journal.pending == MAX_PENDING
    assert desk.journal.status.dropped == 2 * MAX_PENDING - MAX_PENDING


def test_outcomes_are_bounded_too(desk: Any) -> None:
    for _ in range(MAX_PENDING + 3):
        desk.journal.outcome("0000000000001", "reject")
    assert desk.journal.status.dropped == 3


def test_a_slow_disk_gets_no_second_batch(desk: Any) -> None:
    desk.note()
    desk.clock.advance(INTERVAL)
    for _ in range(20):
        desk.note()
        desk.clock.advance(INTERVAL)
    assert len([job for job, _ in desk.worker.jobs]) == 1
    assert desk.journal.pending == 20


def test_what_is_older_than_the_retention_is_forgotten(desk: Any) -> None:
    for _ in range(PURGE_ROWS + 20):
        desk.note()
    desk.journal.outcome("0000000000001", "accept")
    desk.pass_time(6 * DAY, step=DAY)
    new = desk.note()
    desk.pass_time(DAY - 60, step=600)
    assert desk.journal.status.purged == 0
    desk.pass_time(120, step=1)
    assert desk.ids("192.0.2.1", 1000) == [new.id]
    assert values(desk)["purged_total"] == PURGE_ROWS + 21


def test_retention_can_be_changed_while_it_runs(desk: Any) -> None:
    desk.note()
    desk.pass_time(7200, step=600)
    desk.journal.terms = Terms(1000, 3600.0, 1 << 30)
    desk.pass_time(2 * PURGE_IDLE, step=PURGE_IDLE)
    assert desk.ids("192.0.2.1") == []


def test_entries_from_the_future_do_not_stay_for_ever(desk: Any) -> None:
    desk.clock.advance(10 * 365 * DAY)
    desk.note()
    desk.pass_time(1.0)
    desk.clock.rightNow = START + FROM_THE_FUTURE
    desk.journal._purge()
    desk.pass_time()
    assert desk.ids("192.0.2.1") == []


def test_the_file_is_bounded_and_the_oldest_make_room(make_desk: Callable[..., Any]) -> None:
    desk = make_desk(rate=100_000, max_octets=300 * 1024)
    for _ in range(10):
        for _ in range(HALF // 2):
            desk.note()
        desk.pass_time(INTERVAL)
    last = desk.note()
    assert desk.journal.status.written > 0
    desk.pass_time(60, step=0.5)
    assert values(desk)["bytes"] <= 300 * 1024
    found = desk.ids("192.0.2.1", 1000)
    assert found[-1] == last.id
    assert 100 < len(found) < 5000


def test_a_restart_keeps_what_was_noted(desk: Any) -> None:
    decision = desk.note()
    assert desk.journal.close()
    desk.open()
    assert desk.ids(decision.id) == [decision.id]


def test_a_closed_journal_answers_nothing(desk: Any) -> None:
    desk.journal.close()
    with pytest.raises(StoreError, match="closed"):
        desk.explain("192.0.2.1")


def test_too_many_searches_are_refused(desk: Any) -> None:
    waiting = [Deferred.fromCoroutine(desk.journal.explain("192.0.2.1", 10)) for _ in range(MAX_SEARCHES)]
    refused: list[Any] = []
    Deferred.fromCoroutine(desk.journal.explain("192.0.2.1", 10)).addErrback(refused.append)
    assert refused[0].check(StoreError)
    desk.worker.run()
    assert all(search.called for search in waiting)
    assert desk.explain("192.0.2.1") == []


class Failing(Database):
    """A database whose connections fail as a full disk does, while told to."""

    broken = True

    def open_writer(self) -> sqlite3.Connection:
        if self.broken:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL  # type: ignore[misc]
            error.sqlite_errorname = "SQLITE_FULL"  # type: ignore[misc]
            raise error
        return super().open_writer()


def test_a_full_disk_is_tried_again_and_what_fits_is_kept(desk: Any, tmp_path: Any) -> None:
    database = Failing(tmp_path / "full.sqlite", ())
    desk.open(database)
    first = desk.note()
    desk.pass_time(INTERVAL)
    assert "SQLITE_FULL" in desk.lines("journal-write-failed")[-1]
    assert values(desk)["broken"] == 1.0
    with pytest.raises(StoreError, match="SQLITE_FULL"):
        desk.explain(first.id)
    for _ in range(MAX_PENDING + 100):
        desk.note(Action.REJECT)
    assert desk.journal.pending == MAX_PENDING
    before = desk.journal.status.failures
    desk.pass_time(30.0)
    assert before < desk.journal.status.failures <= before + 8
    database.broken = False
    desk.pass_time(60.0)
    assert len(desk.lines("journal-recovered")) == 1
    assert values(desk)["broken"] == 0.0
    assert desk.ids(first.id) == [first.id]
    assert desk.journal.pending == 0


def test_a_batch_that_failed_leaves_no_more_than_there_is_room_for(desk: Any, tmp_path: Any) -> None:
    database = Failing(tmp_path / "full.sqlite", ())
    desk.open(database)
    for _ in range(HALF):
        desk.note()
    desk.clock.advance(FIRST_RETRY)
    assert len(desk.worker.jobs) == 1
    for _ in range(MAX_PENDING):
        desk.note(Action.REJECT)
    dropped = desk.journal.status.dropped
    desk.worker.run()
    assert desk.journal.pending == MAX_PENDING
    assert desk.journal.status.dropped == dropped + 200


def test_closing_on_a_full_disk_says_what_is_lost(desk: Any, tmp_path: Any) -> None:
    desk.open(Failing(tmp_path / "full.sqlite", ()))
    desk.note()
    assert not desk.journal.close()
    assert "entries=1" in desk.lines("journal-closed-unwritten")[0]


@pytest.mark.parametrize("when", ["at start", "while it runs"])
def test_a_damaged_file_is_moved_aside_and_begun_anew(desk: Any, when: str) -> None:
    for _ in range(200):
        desk.note()
    desk.pass_time(1.0)
    if when == "at start":
        desk.journal.close()
    for suffix in ("", "-wal"):
        if os.path.exists(f"{desk.path}{suffix}"):
            with open(f"{desk.path}{suffix}", "r+b") as file:
                file.write(b"x" * 200_000)
    if when == "at start":
        desk.open()
    else:
        desk.file.close()
    new = desk.note()
    desk.pass_time(1.0)
    assert desk.ids("192.0.2.1") == [new.id]
    assert values(desk)["damaged_total"] == 1.0
    assert len(desk.lines("journal-damaged")) == 1
    assert list(desk.path.parent.glob("journal.sqlite.damaged-*"))


def test_an_entry_that_cannot_be_kept_does_not_take_the_others_with_it(desk: Any) -> None:
    desk.note(client_name="\ud800.example")
    good = desk.note()
    broken = desk.note()
    broken.facts = (object(),)
    desk.pass_time(1.0)
    assert desk.ids("192.0.2.1") == [good.id]
    assert values(desk)["lost_totalunwritable"] == 2.0
    assert len(desk.lines("journal-entry-lost")) == 2


def test_an_older_file_gets_the_columns_that_it_lacks(desk: Any) -> None:
    desk.journal.close()
    connection = sqlite3.connect(desk.path)
    connection.execute("ALTER TABLE decisions DROP COLUMN shadow")
    connection.close()
    desk.open()
    decision = desk.note()
    assert desk.ids(decision.id) == [decision.id]


def test_the_file_is_for_its_owner_alone(desk: Any) -> None:
    assert desk.path.stat().st_mode & 0o777 == 0o600


def test_forgotten_entries_leave_nothing_in_the_file(desk: Any) -> None:
    desk.note(sender="forget.me@secret.example")
    desk.pass_time(1.0)
    desk.pass_time(8 * DAY, step=DAY)
    desk.pass_time(2 * PURGE_IDLE, step=PURGE_IDLE)
    desk.journal.close()
    assert b"forget.me" not in desk.path.read_bytes()


def test_opening_fails_at_first(desk: Any, tmp_path: Any) -> None:
    database = Failing(tmp_path / "later.sqlite", ())
    desk.open(database)
    assert values(desk)["failures_total"] == 1.0
    database.broken = False
    decision = desk.note()
    desk.pass_time(2 * FIRST_RETRY)
    assert desk.ids(decision.id) == [decision.id]


def test_bounds_are_what_the_documents_say() -> None:
    assert module.MAX_PENDING == 2_000


def test_facts_beyond_their_bound_are_cut(desk: Any) -> None:
    decision = desk.note()
    evidence = tuple(Evidence("helo", "not-fqdn", "x" * 300) for _ in range(200))
    decision.weighed = Weights({"helo": {"not-fqdn": 1.0}}).weigh(evidence)
    (told,) = desk.explain(decision.id)
    assert told["points"] == 200.0
    assert len(told["facts"]) == 1
    assert len(told["facts"][0]["detail"]) == MAX_FACTS
