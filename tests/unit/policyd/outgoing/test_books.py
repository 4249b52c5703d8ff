"""The records of outgoing mail in memory and store: restarts, nodes, outages, bounds."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from mailbase.store import Row
from policyd.outgoing import books as books_module
from policyd.outgoing.watch import SAVING

from .watched import ADA, Table, World


def finish(world: World) -> None:
    Deferred.fromCoroutine(world.watch.finish())


def test_what_was_counted_survives_a_restart() -> None:
    world = World()
    world.mail(30)
    world.clock.advance(SAVING)
    assert world.table.puts >= 1
    world.mail(10)
    finish(world)
    again = World(table=Table(world.table.rows))
    again.mail(4)
    assert again.told == []
    again.mail()
    assert len(again.told) == 1


def test_saving_is_not_done_for_each_mail() -> None:
    world = World()
    world.mail(100, apart=0.01)
    assert world.table.puts == 0
    world.clock.advance(SAVING)
    assert world.table.puts == 1
    world.clock.advance(100)
    assert (world.table.puts, world.clock.getDelayedCalls()) == (1, [])


def test_two_nodes_count_together() -> None:
    rows: dict[bytes, Row] = {}
    one, other = (World(table=Table(rows, later=True), shared=True) for _ in range(2))
    for _ in range(23):
        for world in (one, other):
            world.mail()
            world.table.arrive()
            world.clock.advance(SAVING)
            world.table.arrive()
            world.table.arrive()
    assert len(one.told) + len(other.told) >= 1
    one.clock.advance(SAVING)
    assert one.record().day(one.clock.seconds())[0] in (45, 46)


def test_mail_waits_for_no_record_and_is_counted_when_it_is_there() -> None:
    world = World(table=Table(later=True), shared=True)
    world.mail(46)
    assert world.told == []
    world.table.arrive()
    assert len(world.told) == 1


def test_more_than_can_wait_is_counted_as_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books_module, "MAX_WAITING", 5)
    world = World(table=Table(later=True), shared=True)
    world.mail(8)
    assert world.watch.books.lost == 3


@pytest.mark.parametrize("shared", [False, True])
def test_without_store_it_goes_on_from_memory_and_takes_in_what_was_there_later(shared: bool) -> None:
    before = World()
    before.mail(10)
    finish(before)
    world = World(table=Table(before.table.rows), shared=shared)
    world.table.broken = True
    world.mail(20)
    world.clock.advance(SAVING)
    assert world.record().day(world.clock.seconds())[0] == 20
    world.table.broken = False
    world.clock.advance(SAVING)
    assert world.record().day(world.clock.seconds())[0] == 30
    assert world.watch.books.lost == 0
    world.clock.advance(SAVING)
    assert world.clock.getDelayedCalls() == []
    # What cannot be kept at the end is lost, and counted as that.
    world.mail()
    world.table.broken = True
    finish(world)
    assert world.watch.books.lost == 1


def test_a_full_store_is_tried_again() -> None:
    world = World()
    world.mail(3)
    world.table.broken = True
    world.clock.advance(SAVING)
    world.table.broken = False
    world.clock.advance(SAVING)
    assert len(world.table.rows) == 1
    assert world.watch.books.lost == 0


def test_memory_is_bounded_and_what_leaves_it_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(books_module, "MAX_HELD", 10)
    world = World()
    for number in range(25):
        world.mail(user=f"user{number}", apart=0.01)
    assert len(world.watch.books) == 10
    finish(world)
    assert len(world.table.rows) == 25


def test_a_damaged_row_is_begun_anew() -> None:
    world = World(table=Table({ADA.key: (b"nonsense", 1 << 40), b"x:y": (b"", 1 << 40)}))
    world.mail()
    finish(world)
    assert [row["name"] for row in world.verb("outgoing.list")] == ["ada"]
