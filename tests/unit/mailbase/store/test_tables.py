"""Descriptions of tables, and the bounded memory of what was read last."""

from __future__ import annotations

import pytest

from mailbase.store import Column, TableSpec
from mailbase.store.recent import Recent


def test_recent_holds_at_most_two_generations_and_keeps_what_is_used() -> None:
    recent: Recent[bytes, int] = Recent(10)
    for number in range(1000):
        recent.put(b"%d" % number, number)
        assert recent.get(b"0", -1) == 0, "used after every put, so never forgotten"
        assert len(recent) <= 20
    assert recent.get(b"999", -1) == 999
    assert recent.get(b"500", -1) == -1


def test_recent_tells_a_known_absence_from_the_unknown() -> None:
    recent: Recent[bytes, object] = Recent(4)
    unknown = object()
    recent.put(b"gone", None)
    assert recent.get(b"gone", unknown) is None
    assert recent.get(b"other", unknown) is unknown


@pytest.mark.parametrize("name", ["x; DROP TABLE y", "", "Upper", "1st", "a-b"])
def test_names_that_could_change_the_sql_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        TableSpec(name, (Column("a", "TEXT"),))
    with pytest.raises(ValueError, match="not a name"):
        TableSpec("t", (Column(name, "TEXT"),))


def test_hot_columns_come_first() -> None:
    with pytest.raises(ValueError, match="hot"):
        TableSpec("t", (Column("a", "TEXT", hot=False), Column("b", "TEXT")))
