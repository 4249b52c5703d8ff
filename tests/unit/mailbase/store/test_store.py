"""What is put into the store: visible at once, on disk with its group, read again, listed."""

from __future__ import annotations

from dataclasses import replace

from mailbase.logs import Log
from mailbase.store import NEVER, Column, Store
from mailbase.store.database import Database
from tests.unit.workers import ManualWorker

from .bed import ABSENT_KEY, SPEC, Bed


def test_an_entry_is_visible_at_once_and_on_disk_within_the_interval(bed: Bed) -> None:
    bed.things.put(b"k", (1, "n", "cold", int(bed.now + 60)))
    assert bed.things.get(b"k", bed.now) == (1, "n", bed.now + 60), "hot columns and expires"
    assert bed.on_disk() == []
    bed.clock.advance(0.1)
    assert bed.things.get(b"k", bed.now) is not None, "with the writer, still visible"
    bed.worker.run()
    assert bed.on_disk() == [(b"k", 1, "n", "cold", 1_000_060)]
    assert bed.store.pending == 0


def test_an_entry_put_while_another_group_is_written_waits_no_longer_for_it(bed: Bed) -> None:
    bed.things.put(b"a", (1, "", "", NEVER))
    bed.clock.advance(0.1)
    bed.things.put(b"b", (2, "", "", NEVER))
    bed.clock.advance(0.07)
    bed.worker.run()
    assert [row[0] for row in bed.on_disk()] == [b"a"]
    bed.clock.advance(0.031)
    bed.worker.run()
    assert [row[0] for row in bed.on_disk()] == [b"a", b"b"]


def test_what_was_committed_survives_a_kill_and_the_rest_is_the_last_group(bed: Bed) -> None:
    bed.things.put(b"a", (1, "", "", NEVER))
    bed.tick()
    bed.things.put(b"b", (2, "", "", NEVER))
    bed.kill()
    bed.store = bed.open()
    assert bed.things.get(b"a", bed.now) == (1, "", NEVER)
    assert bed.things.get(b"b", bed.now) is None


def test_close_writes_what_is_pending_and_what_is_on_its_way(bed: Bed) -> None:
    bed.things.put(b"a", (1, "", "", NEVER))
    bed.clock.advance(0.1)
    assert len(bed.worker.jobs) == 1
    bed.things.put(b"b", (2, "", "", NEVER))
    assert bed.store.close()
    assert [row[0] for row in bed.on_disk()] == [b"a", b"b"]
    bed.store = bed.open()


def test_the_newest_value_wins_at_every_stage(bed: Bed) -> None:
    for number in range(5):
        bed.things.put(b"k", (number, "", "", NEVER))
        assert bed.things.get(b"k", bed.now) == (number, "", NEVER)
        if number % 2:
            bed.clock.advance(0.1)
    bed.tick()
    bed.tick()
    assert bed.on_disk() == [(b"k", 4, "", "", NEVER)]


def test_a_deleted_entry_is_gone_at_once_and_stays_gone(bed: Bed) -> None:
    bed.things.put(b"k", (1, "", "", NEVER))
    bed.tick()
    bed.things.delete(b"k")
    assert bed.things.get(b"k", bed.now) is None
    bed.tick()
    assert bed.on_disk() == []
    assert bed.things.get(b"k", bed.now) is None


def test_expired_entries_are_not_there(bed: Bed) -> None:
    bed.things.put(b"k", (1, "", "", int(bed.now + 10)))
    assert bed.things.get(b"k", bed.now + 9) is not None
    assert bed.things.get(b"k", bed.now + 10) is None


def test_reads_go_to_the_disk_once_and_to_memory_afterwards_also_for_what_is_absent(bed: Bed) -> None:
    bed.things.put(b"k", (1, "", "", NEVER))
    bed.tick()
    bed.kill()
    bed.store = bed.open()
    bed.disk.reads = 0
    for _ in range(3):
        assert bed.things.get(b"k", bed.now) is not None
        assert bed.things.get(ABSENT_KEY, bed.now) is None
    assert bed.disk.reads == 2


def test_what_was_put_last_is_read_without_the_disk_also_when_it_is_there(bed: Bed) -> None:
    bed.things.put(b"k", (1, "a", "cold", NEVER))
    bed.things.delete(ABSENT_KEY)
    bed.tick()
    assert [key for key, *_ in bed.on_disk()] == [b"k"]
    bed.disk.reads = 0
    assert bed.things.get(b"k", bed.now) == (1, "a", NEVER)
    assert bed.things.get(ABSENT_KEY, bed.now) is None
    bed.things.put(b"k", (2, "b", "cold", NEVER))
    assert bed.things.get(b"k", bed.now) == (2, "b", NEVER)
    bed.things.delete(b"k")
    assert bed.things.get(b"k", bed.now) is None
    assert bed.disk.reads == 0


def test_memory_for_reading_is_bounded_and_what_falls_out_is_read_again(bed: Bed) -> None:
    for number in range(100):
        bed.things.put(b"%d" % number, (number, "", "", NEVER))
    assert 0 < bed.things.cached <= 2 * SPEC.cached
    assert all(bed.things.get(b"%d" % number, bed.now) for number in range(100)), "from the overlay"
    bed.clock.advance(0.1)
    assert all(bed.things.get(b"%d" % number, bed.now) for number in range(100)), "from the group on its way"
    bed.worker.run()
    assert all(bed.things.get(b"%d" % number, bed.now) for number in range(100)), "from the disk"


def test_a_large_group_is_written_whole(bed: Bed) -> None:
    expected = {b"%05d" % number: number for number in range(256 * 3 + 16 * 2 + 7)}
    for key, number in expected.items():
        bed.things.put(key, (number, "", "", NEVER))
    bed.tick()
    assert {key: count for key, count, *_ in bed.on_disk()} == expected


def test_scan_lists_pending_and_stored_rows_once_each(bed: Bed) -> None:
    for number in range(450):
        bed.things.put(b"%03d" % number, (number, "", "t", NEVER))
    bed.tick()
    bed.things.put(b"000", (1000, "", "t", NEVER))
    bed.things.delete(b"001")
    bed.things.put(b"new", (1001, "", "t", NEVER))
    bed.things.put(b"old", (1002, "", "t", int(bed.now - 1)))
    rows = list(bed.things.scan(bed.now))
    listed = dict(rows)
    assert len(rows) == len(listed) == 450
    assert listed[b"000"] == (1000, "", "t", NEVER)
    assert listed[b"new"][0] == 1001
    assert b"001" not in listed
    assert b"old" not in listed


def test_a_column_added_by_a_later_version_is_added_to_the_file(bed: Bed) -> None:
    bed.things.put(b"k", (1, "n", "t", NEVER))
    bed.store.close()
    later = replace(bed.spec, columns=(*SPEC.columns, Column("extra", "INTEGER", hot=False)))
    log, worker = Log("test", stream=bed.stream), ManualWorker()
    store = Store(Database(bed.path, [later]), bed.clock, log, worker=worker, copier=ManualWorker())
    store.start()
    assert [row for _, row in store.table("things").scan(bed.now)] == [(1, "n", "t", 0, NEVER)]
    store.close()
    bed.store = bed.open()
