"""The table that stands in for DNS in unit tests."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailbase.dns import BadName, Found, Mx, NoData, NxDomain, RecordType, TableResolver, Temporary, TimedOut

TABLE = {
    ("MX.example", "A"): "192.0.2.1",
    ("mx.example", RecordType.TXT): ["one", b"two"],
    ("example", "MX"): [Mx(10, "MX.example."), (20, "b.example"), Mx(30, ".")],
    ("broken.example", "A"): Temporary("SERVFAIL"),
}


def test_answers_by_name_and_type() -> None:
    table = TableResolver(TABLE)
    ask = lambda name, kind: table.ask(name, kind, consumer="any")  # noqa: E731
    assert ask("mx.EXAMPLE.", RecordType.A) == Found((bytes([192, 0, 2, 1]),), 300, "mx.example")
    assert ask("mx.example", RecordType.TXT) == Found((b"one", b"two"), 300, "mx.example")
    assert ask("example", RecordType.MX).records == (Mx(10, "mx.example"), Mx(20, "b.example"), Mx(30, ""))
    assert ask("mx.example", RecordType.AAAA) == NoData(300)
    assert ask("no.example", RecordType.A) == NxDomain(300)
    assert ask("broken.example", RecordType.A) == Temporary("SERVFAIL")
    assert ask("a..b", RecordType.A) == BadName()
    assert table.asked[0] == ("mx.EXAMPLE.", RecordType.A, "any")


def test_slow_answers_and_deadlines() -> None:
    clock = Clock()
    table = TableResolver(TABLE, clock=clock, slow={"mx.example": 2.0})
    results: list[object] = []
    for deadline in (None, 1.0):
        answer = table.ask("mx.example", RecordType.A, consumer="any", deadline=deadline)
        assert isinstance(answer, Deferred)
        answer.addCallback(results.append)
    assert table.cached("mx.example", RecordType.A) is None
    assert isinstance(table.ask("example", RecordType.MX, consumer="any"), Found)
    clock.advance(1.0)
    assert [type(result) for result in results] == [TimedOut]
    clock.advance(1.0)
    assert isinstance(results[1], Found)
    # The look-up went on behind the deadline, and warmed the memory.
    assert isinstance(table.cached("mx.example", RecordType.A), Found)


def test_a_wrong_table_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="not an address"):
        TableResolver({("a.example", "A"): "2001:db8::1"})
    with pytest.raises(ValueError, match="not a name"):
        TableResolver({("a..b", "A"): "192.0.2.1"})
