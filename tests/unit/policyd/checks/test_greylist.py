"""Greylisting through the engine and the store."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from mailbase.store import StoreError
from policyd.evidence.facts import Grey, GreylistFact

WAIT = "DEFER_IF_PERMIT 4.2.0 Greylisted, try again in {} s [{}]"


def grey(bench: Any, **attributes: str) -> Grey:
    for fact in bench.decide(**attributes).facts:
        if isinstance(fact, GreylistFact):
            return fact.grey
    raise AssertionError("greylisting was not asked")


def test_the_first_try_waits_the_retry_passes_and_later_mail_goes_through(bench: Any) -> None:
    first = bench.decide()
    assert first.reply == WAIT.format(300, first.id)
    assert (first.action, first.reason) == ("defer", "greylist-new")
    bench.clock.advance(100)
    early = bench.decide()
    assert early.reply == WAIT.format(200, early.id)
    bench.clock.advance(200)
    assert bench.decide().reason == "greylist-passed"
    assert bench.decide().reason == "greylist-known"
    bench.clock.advance(34 * 86400)
    assert bench.decide().reply == "DUNNO"


def test_what_is_remembered_outlives_a_restart(bench: Any) -> None:
    bench.decide()
    bench.restart()
    bench.clock.advance(300)
    assert grey(bench) is Grey.PASSED
    bench.restart()
    assert grey(bench) is Grey.KNOWN


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_retry_changes_nothing_of_its_row_but_the_times(bench: Any, on_disk: bool) -> None:
    def rows() -> list[Any]:
        return [row for _, row in bench.store.table("greylist_triplets").scan(bench.clock.seconds())]

    bench.decide()
    if on_disk:
        bench.restart()
    ((first, passed, _, *rest, _),) = rows()
    assert not passed
    bench.clock.advance(300)
    assert grey(bench) is Grey.PASSED
    for _ in range(2):
        ((*times, whose, sender, recipient, expires),) = rows()
        assert times == [first, first + 300, first + 300]
        assert [whose, sender, recipient] == rest
        assert expires > first + 300 + 34 * 86400
        bench.restart()
    bench.clock.advance(34 * 86400)
    assert grey(bench) is Grey.KNOWN
    ((_, passed, last, *_, expires),) = rows()
    assert (passed, last) == (first + 300, first + 300 + 34 * 86400)
    assert expires > last + 34 * 86400


@pytest.mark.parametrize(
    ("attributes", "same"),
    [
        ({"client_address": "192.0.2.200"}, True),
        ({"client_address": "192.0.3.1", "client_name": "mail.other.example"}, False),
        ({"client_address": "192.0.3.1"}, True),
        ({"sender": "SOMEONE+x@sender.example"}, True),
        ({"sender": "other@sender.example"}, False),
        ({"sender": ""}, False),
        ({"recipient": "PERSON@inst.example"}, True),
        ({"recipient": "other@inst.example"}, False),
        ({"client_name": "other.sender.example"}, True),
        ({"client_name": "unknown"}, True),
        ({"client_name": "unknown", "reverse_client_name": "unknown"}, False),
        ({"helo_name": "other"}, True),
    ],
)
def test_what_makes_a_triplet(bench: Any, attributes: dict[str, str], same: bool) -> None:
    bench.decide()
    bench.clock.advance(300)
    assert grey(bench, **attributes) is (Grey.PASSED if same else Grey.NEW)


def test_without_ptr_the_address_itself_counts(bench: Any) -> None:
    nameless = {"client_name": "unknown", "reverse_client_name": "unknown"}
    bench.decide(**nameless)
    bench.clock.advance(300)
    assert grey(bench, client_address="192.0.2.2", **nameless) is Grey.NEW
    assert grey(bench, **nameless) is Grey.PASSED


def test_ipv6_networks(bench: Any) -> None:
    bench.decide(client_address="2001:db8:5:6::1")
    bench.clock.advance(300)
    assert grey(bench, client_address="2001:db8:5:7::1", client_name="mx.other.example") is Grey.NEW
    assert grey(bench, client_address="2001:db8:5:6:ffff::9") is Grey.PASSED


def test_null_senders_wait_too(bench: Any) -> None:
    assert grey(bench, sender="") is Grey.NEW
    bench.clock.advance(300)
    assert grey(bench, sender="") is Grey.PASSED


@pytest.mark.parametrize(
    "attributes",
    [
        {"sasl_username": "user"},
        {"client_address": "203.0.113.1"},
        {"client_address": "2001:db8:aaaa::1"},
        {"client_address": "198.51.100.1"},
    ],
    ids=["submission", "upstream", "upstream v6", "outbound"],
)
def test_only_strangers_wait(bench: Any, attributes: dict[str, str]) -> None:
    assert grey(bench, policy_context="recipient", **attributes) is Grey.OFF
    assert bench.store.pending == 0


def test_a_domain_may_be_left_out(bench: Any) -> None:
    assert grey(bench, recipient="person@quiet.example") is Grey.OFF


def test_a_domain_may_be_taken_in_where_the_flow_is_off(make_bench: Any) -> None:
    registry = "servers: {m.x.example: {domains: {in.example: {greylisting: true}, out.example: }}}"
    bench = make_bench("flows: {inbound: {greylisting: false}}", registry)
    assert grey(bench, recipient="a@in.example") is Grey.NEW
    assert grey(bench, recipient="a@out.example") is Grey.OFF


def test_off_without_registry(make_bench: Any) -> None:
    bench = make_bench("flows: {inbound: {greylisting: false}}", None)
    assert grey(bench, recipient="a@anywhere.example") is Grey.OFF


@pytest.mark.parametrize(
    "recipient", ["abuse@inst.example", "Postmaster@inst.example", "ABUSE+x@inst.example"]
)
def test_complaints_get_through(bench: Any, recipient: str) -> None:
    assert grey(bench, recipient=recipient) is Grey.EXEMPT


def test_who_is_exempt_is_settable(make_bench: Any) -> None:
    bench = make_bench("policyd: {greylist: {exempt: [help], recipients: []}}")
    assert grey(bench, recipient="help@inst.example") is Grey.EXEMPT
    assert grey(bench, recipient="abuse@inst.example") is Grey.NEW


def test_the_lists_spare_clients_and_recipients(make_bench: Any, tmp_path: Any) -> None:
    (tmp_path / "clients").write_text("friend.example\n192.0.2.64/26\n")
    (tmp_path / "recipients").write_text("desk@inst.example\n")
    bench = make_bench(
        f"policyd: {{greylist: {{clients: [{tmp_path}/clients], recipients: [{tmp_path}/recipients]}}}}"
    )
    assert grey(bench, client_name="MX.Friend.example") is Grey.CLIENT_ALLOWED
    assert grey(bench, client_address="192.0.2.65") is Grey.CLIENT_ALLOWED
    assert grey(bench, recipient="desk+x@inst.example") is Grey.RECIPIENT_ALLOWED
    assert grey(bench) is Grey.NEW


def passing(bench: Any, count: int) -> None:
    """So many triplets of the client's network pass."""
    senders = [f"{chr(97 + number)}@sender.example" for number in range(count)]
    for sender in senders:
        bench.decide(sender=sender)
    bench.clock.advance(300)
    for sender in senders:
        assert grey(bench, sender=sender) is Grey.PASSED


def test_a_network_is_allowed_after_its_good_retries(bench: Any) -> None:
    passing(bench, 4)
    assert grey(bench, sender="z@sender.example") is Grey.NEW
    bench.clock.advance(300)
    assert grey(bench, sender="z@sender.example") is Grey.PASSED
    assert grey(bench, sender="stranger@sender.example") is Grey.CLIENT_EARNED
    assert grey(bench, sender="stranger@sender.example", client_address="192.0.2.222") is Grey.CLIENT_EARNED
    other = {"client_address": "192.0.3.1", "client_name": "mail.other.example"}
    assert grey(bench, sender="stranger@sender.example", **other) is Grey.NEW
    bench.restart()
    assert grey(bench, sender="stranger@sender.example") is Grey.CLIENT_EARNED
    bench.clock.advance(35 * 86400 + 1)
    assert grey(bench, sender="stranger@sender.example") is Grey.NEW


def test_one_triplet_counts_once_however_often_it_comes(bench: Any) -> None:
    bench.decide()
    bench.clock.advance(300)
    for _ in range(20):
        bench.decide()
    assert grey(bench, sender="other@sender.example") is Grey.NEW


def test_no_network_is_allowed_if_the_operator_says_never(make_bench: Any) -> None:
    bench = make_bench("policyd: {greylist: {auto_allow_after: 0}}")
    passing(bench, 20)
    assert grey(bench, sender="other@sender.example") is Grey.NEW


def test_allowing_by_command_works_at_once_and_after_a_restart(bench: Any) -> None:
    assert grey(bench) is Grey.NEW
    bench.ledger.allow("192.0.2.0/28", "a friend", bench.clock.seconds())
    assert grey(bench) is Grey.CLIENT_ALLOWED
    assert grey(bench, client_address="192.0.2.99") is not Grey.CLIENT_ALLOWED
    bench.restart()
    assert grey(bench) is Grey.CLIENT_ALLOWED
    assert bench.ledger.disallow("192.0.2.0/28", bench.clock.seconds())
    assert not bench.ledger.disallow("192.0.2.0/28", bench.clock.seconds())
    assert grey(bench) is Grey.EARLY


# A repeated request


def test_a_repetition_gets_the_same_answer_and_counts_nothing(bench: Any) -> None:
    first = bench.decide(instance="i1")
    bench.clock.advance(50)
    again = bench.decide(instance="i1")
    assert again.reply == first.reply
    assert again.repeated
    bench.clock.advance(300)
    assert bench.decide(instance="i1").reply == first.reply
    assert bench.decide(instance="i2").reason == "greylist-passed"


def test_other_recipients_stages_and_contexts_are_no_repetition(bench: Any) -> None:
    bench.decide(instance="i1")
    for attributes in (
        {"recipient": "other@inst.example"},
        {"policy_context": "relay"},
        {"protocol_state": "VRFY"},
    ):
        assert not bench.decide(instance="i1", **attributes).repeated


def test_outside_of_a_transaction_nothing_is_a_repetition(bench: Any) -> None:
    assert not bench.decide(instance="").repeated
    assert not bench.decide(instance="").repeated


def test_an_address_too_long_to_be_remembered_is_decided_each_time(bench: Any) -> None:
    recipient = "x" * 400 + "@inst.example"
    assert not bench.decide(instance="i1", recipient=recipient).repeated
    assert not bench.decide(instance="i1", recipient=recipient).repeated
    assert grey(bench, instance="i1", recipient=recipient) is Grey.EARLY


# A question without trace


def test_a_query_leaves_no_trace(bench: Any) -> None:
    for _ in range(2):
        assert bench.engine.query(bench.request(instance="i1")).reason == "greylist-new"
    assert bench.store.pending == 0
    assert len(bench.engine.transactions) == 0
    assert bench.engine.query(bench.request(protocol_state="DATA")).reply.startswith("PREPEND ")
    assert bench.store.pending == 0


# A broken store


class BrokenTable:
    def get(self, *_: Any) -> Any:
        raise StoreError("broken")

    put = get


@pytest.mark.parametrize(("on_error", "reply"), [("pass", "DUNNO"), ("defer", "DEFER_IF_PERMIT 4.3.0 ")])
def test_a_store_that_cannot_be_read(make_bench: Any, on_error: str, reply: str) -> None:
    bench = make_bench(f"store: {{on_error: {on_error}}}")
    bench.ledger.triplets = BrokenTable()
    decision = bench.decide()
    assert decision.reply.startswith(reply)
    assert decision.reason == "greylist-unavailable"


def test_while_writing_fails_on_error_decides_about_new_triplets_only(make_bench: Any) -> None:
    bench = make_bench("store: {on_error: pass}")
    bench.decide(sender="known@sender.example")
    bench.store.status.broken = True
    assert grey(bench) is Grey.UNAVAILABLE
    assert grey(bench) is Grey.UNAVAILABLE
    bench.clock.advance(300)
    assert grey(bench, sender="known@sender.example") is Grey.PASSED


def test_with_defer_memory_serves_as_long_as_it_lasts(
    make_bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench("store: {on_error: defer}")
    bench.store.status.broken = True
    assert grey(bench) is Grey.NEW
    bench.clock.advance(300)
    assert grey(bench) is Grey.PASSED
    monkeypatch.setattr("mailbase.store.table.MAX_PENDING", 0)
    assert grey(bench, sender="x@sender.example") is Grey.UNAVAILABLE


def test_a_damaged_file_costs_memory_not_answers(make_bench: Any) -> None:
    bench = make_bench()
    bench.decide()
    bench.store.close()
    path = bench.folder / "state.sqlite"
    path.write_bytes(b"garbage" * 1000)
    bench.open()
    assert grey(bench) is Grey.NEW
    assert sqlite3.connect(path).execute("SELECT count(*) FROM greylist_triplets").fetchone() == (0,)


def test_unclean_text_reaches_the_store_clean(bench: Any) -> None:
    bench.decide(sender="�\x01\r@x", recipient="é@inst.example")
    bench.worker.run()
    bench.clock.advance(0.2)
    bench.worker.run()
    assert bench.store.status.dropped == 0
