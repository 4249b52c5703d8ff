"""Looking up the keys that a mail's signatures name, before it is scanned."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from contentfilter.authentication.given import verified
from contentfilter.authentication.preparing import MAX_OCTETS, MAX_RECORDS, PATIENCE, KeyPreparer
from contentfilter.message.wire import BytesWire
from contentfilter.together import Awaited
from mailbase.dns import TableResolver, Temporary
from mailbase.vocabulary import Flow
from tests.samples.signed import PLAIN, ed25519_key, record, rsa_key, sign

from .vouched import AUTHOR, KEY, NOW

OFF = (Flow.SUBMISSION, Flow.OUTBOUND)


def prepared(
    resolver: TableResolver, head: bytes, clock: Clock | None = None, flow: Flow | None = Flow.INBOUND
) -> Any:
    clock = clock or Clock()
    preparer = KeyPreparer(resolver, clock.seconds, lambda: NOW, OFF)
    done: list[Mapping[str, Any]] = []

    known: Awaited[Flow | None] = Awaited()
    work = Deferred.fromCoroutine(preparer.prepare(head, known))
    known.tell(flow)
    work.addCallback(done.append)
    clock.pump([1.0] * 6)
    (given,) = done
    return json.loads(json.dumps(given))


@pytest.mark.parametrize("flow", [*Flow, None])
def test_no_key_is_looked_up_where_nobody_asks_who_vouches_for_the_mail(flow: Flow | None) -> None:
    table = TableResolver({(KEY, "TXT"): record(rsa_key())})
    given = prepared(table, sign(PLAIN, rsa_key()), flow=flow)
    assert (given == {}) is (flow in OFF)
    assert bool(table.asked) is (flow not in OFF)


def test_the_flow_is_waited_for_only_where_there_is_something_to_look_up() -> None:
    table = TableResolver({(KEY, "TXT"): record(rsa_key())})
    flow: Awaited[Flow | None] = Awaited()

    def given(head: bytes, off: Sequence[Flow] = OFF) -> list[Any]:
        done: list[Any] = []
        preparer = KeyPreparer(table, lambda: 0.0, lambda: NOW, off)
        Deferred.fromCoroutine(preparer.prepare(head, flow)).addCallback(done.append)
        return done

    signed = sign(PLAIN, rsa_key())
    assert given(PLAIN) == [{"now": NOW, "keys": {}}]
    waiting = given(signed)
    assert (waiting, len(table.asked)) == ([], 0)
    given(signed, ())
    assert len(table.asked) == 1
    flow.tell(Flow.SUBMISSION)
    assert waiting == [{}]
    assert len(table.asked) == 1
    assert given(PLAIN) == [{}], "it is known already"
    assert given(PLAIN, ()) == [{"now": NOW, "keys": {}}]


def test_keys_are_looked_up_and_handed_over() -> None:
    message = sign(sign(PLAIN, rsa_key()), ed25519_key(), domain=b"lost.example")
    table = TableResolver(
        {(KEY, "TXT"): record(rsa_key()), ("s._domainkey.lost.example", "TXT"): Temporary()}
    )
    given = prepared(table, message)
    assert given == {
        "now": NOW,
        "keys": {KEY: [record(rsa_key()).decode()], "s._domainkey.lost.example": None},
    }
    assert {consumer for _, _, consumer in table.asked} == {"authentication"}
    found = verified(BytesWire(message), {"authentication": given})
    assert found is not None
    assert [one.result for one in found.signatures] == ["temperror", "pass"]


def test_a_mail_without_signatures_asks_nothing_and_is_looked_at_all_the_same() -> None:
    table = TableResolver({})
    given = prepared(table, PLAIN)
    assert given == {"now": NOW, "keys": {}}
    assert table.asked == []
    assert verified(BytesWire(PLAIN), {"authentication": given}) == AUTHOR
    assert verified(BytesWire(PLAIN), {}) is None


@pytest.mark.parametrize("given", [5, {}, {"keys": {"a": [1]}, "now": 1}, {"keys": [], "now": 1}])
def test_what_is_given_wrongly_verifies_nothing_and_does_no_harm(given: Any) -> None:
    assert verified(BytesWire(PLAIN), {"authentication": given}) is None


def test_records_that_are_handed_over_are_bounded() -> None:
    records = [b"v=spf1 -all", b"x" * 5000, *(b"p=%d" % number for number in range(9))]
    given = prepared(TableResolver({(KEY, "TXT"): records}), sign(PLAIN, rsa_key()))
    assert given["keys"][KEY] == ["p=0", "p=1", "p=2"]
    assert len(given["keys"][KEY]) == MAX_RECORDS
    message = PLAIN
    rows: dict[tuple[str, str], Any] = {}
    for number in range(5):
        message = sign(message, rsa_key(), selector=b"s%d" % number)
        rows[f"s{number}._domainkey.example.org", "TXT"] = b"p=" + b"A" * 4000
    keys = prepared(TableResolver(rows), message)["keys"]
    assert len(keys) == 3
    assert sum(len(name) + len(found[0]) for name, found in keys.items()) <= MAX_OCTETS


def test_a_key_that_comes_late_counts_as_a_failed_look_up() -> None:
    clock = Clock()
    slow = TableResolver({(KEY, "TXT"): record(rsa_key())}, clock=clock, slow={KEY: PATIENCE + 1})
    assert prepared(slow, sign(PLAIN, rsa_key()), clock)["keys"] == {KEY: None}
