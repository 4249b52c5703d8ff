"""What has expired is deleted in steps, and nothing else is."""

from __future__ import annotations

import pytest

from mailbase.store import store as store_module

from .bed import Bed


def test_purge_deletes_expired_rows_in_steps_and_nothing_else(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "PURGE_ROWS", 10)
    for number in range(25):
        bed.things.put(b"%02d" % number, (number, "", "", int(bed.now + 5)))
    bed.things.put(b"stays", (0, "", "", int(bed.now + 3600)))
    bed.tick()
    bed.tick(store_module.PURGE_IDLE)
    assert len(bed.on_disk()) == 16, "one step"
    bed.tick(store_module.PURGE_AGAIN)
    bed.tick(store_module.PURGE_AGAIN)
    assert [row[0] for row in bed.on_disk()] == [b"stays"]
    assert bed.store.status.purged == 25


def test_purge_looks_at_some_rows_a_step_and_begins_anew_after_the_last(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "PURGE_LOOK", 10)
    for number in range(25):
        bed.things.put(b"%02d" % number, (number, "", "", int(bed.now + (20 if number % 2 else 5))))
    bed.tick()
    left = []
    for _ in range(5):
        bed.tick(store_module.PURGE_IDLE)
        left.append(len(bed.on_disk()))
    assert left == [20, 10, 5, 0, 0], "of the first ten half, all of the others, and then the first again"
    assert bed.store.status.purged == 25


def test_purge_leaves_no_row_behind_where_many_have_expired(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "PURGE_LOOK", 10)
    monkeypatch.setattr(store_module, "PURGE_ROWS", 4)
    for number in range(12):
        bed.things.put(b"%02d" % number, (number, "", "", int(bed.now + 5)))
    bed.tick()
    bed.tick(store_module.PURGE_IDLE)
    left = [len(bed.on_disk())]
    for _ in range(2):
        bed.tick(store_module.PURGE_AGAIN)
        left.append(len(bed.on_disk()))
    assert left == [8, 4, 0], "and not what lies behind the first ten"


def test_an_entry_put_again_before_its_purge_survives_it(bed: Bed) -> None:
    bed.things.put(b"k", (1, "", "", int(bed.now + 5)))
    bed.tick()
    bed.clock.advance(6)
    bed.things.put(b"k", (2, "", "", int(bed.now + 100)))
    for _ in range(3):
        bed.tick(store_module.PURGE_IDLE)
    assert [row[1] for row in bed.on_disk()] == [2]
