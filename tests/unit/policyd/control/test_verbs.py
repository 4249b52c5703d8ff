"""The control socket's verbs: queries, tickets, greylisting listed, shown, forgotten, allowed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailbase.control import ControlError
from mailbase.store import StoreError
from policyd.control.verbs import MAX_FOUND, Verbs


class Socket:
    """Asks a verb as the control socket would, and lets time pass until it is answered."""

    def __init__(self, bench: Any) -> None:
        self.bench = bench
        self.forgotten: list[tuple[str, str | None]] = []
        self.verbs = Verbs(bench.clock, bench.engine, bench.ledger, bench.tickets, self.forget)
        self.table = self.verbs.table()

    async def forget(self, domain: str, local: str | None) -> bool:
        self.forgotten.append((domain, local))
        if domain == "broken.example":
            raise StoreError("no disk")
        return local != "nobody"

    def ask(self, verb: str, **arguments: Any) -> Any:
        result = self.table[verb]({"verb": verb, **arguments})
        return self.wait(result) if isinstance(result, Awaitable) else result

    def wait(self, result: Any) -> Any:
        answers: list[Any] = []
        deferred = Deferred.fromCoroutine(result)
        deferred.addBoth(answers.append)
        while not answers:
            self.bench.clock.advance(0.05)
            self.bench.worker.run()
        if hasattr(answers[0], "raiseException"):
            answers[0].raiseException()
        return answers[0]

    def rows(self, verb: str, **arguments: Any) -> list[dict[str, Any]]:
        async def collect(rows: AsyncIterator[dict[str, Any]]) -> list[dict[str, Any]]:
            return [row async for row in rows]

        result = self.ask(verb, **arguments)
        return self.wait(collect(result)) if isinstance(result, AsyncIterator) else list(result)


@pytest.fixture
def control(bench: Any) -> Socket:
    return Socket(bench)


def test_a_query_answers_as_postfix_would_be_answered_and_leaves_no_trace(control: Socket) -> None:
    for _ in range(2):
        answer = control.ask(
            "query",
            attributes={
                "client_address": "192.0.2.1",
                "sender": "a@x.example",
                "recipient": "b@inst.example",
                "instance": "i",
            },
        )
        assert answer["reply"].startswith("DEFER_IF_PERMIT 4.2.0 ")
        assert (answer["action"], answer["flow"], answer["reason"]) == ("defer", "inbound", "greylist-new")
        assert answer["facts"] == [
            {"check": "relay", "fact": "served", "reason": "registered-domain"},
            {"check": "greylist", "fact": "new", "wait": 300},
        ]
    assert control.bench.store.pending == 0
    assert control.rows("greylist.list") == []


def test_a_query_may_name_a_stage(control: Socket) -> None:
    answer = control.ask("query", attributes={"protocol_state": "DATA", "client_address": "192.0.2.1"})
    assert answer["reply"].startswith("PREPEND X-Postwarden-Id: ")
    assert control.ask("query", attributes={"protocol_state": "HELO"})["reply"] == "DUNNO"


@pytest.mark.parametrize(
    "attributes",
    [None, [], "x", {"sender": 1}, {"sender": ["x"]}, {"sender": "x" * 70_000}],
)
def test_a_query_that_is_none(control: Socket, attributes: Any) -> None:
    with pytest.raises(ControlError):
        control.ask("query", attributes=attributes)


def test_hostile_text_in_a_query_does_no_harm(control: Socket) -> None:
    answer = control.ask(
        "query", attributes={"recipient": "a\n\naction=OK\n\0\ud800@x", "sender\nrecipient": "b@inst.example"}
    )
    assert answer["action"] == "reject"


def test_a_ticket_is_given_for_the_right_client_and_sender(control: Socket) -> None:
    reply = control.bench.reply(protocol_state="DATA", recipient="a@inst.example")
    ticket_id = reply.rpartition(" ")[2]
    good = {"id": ticket_id, "client": "192.0.2.1", "sender": "Someone@sender.example"}
    answer = control.ask("ticket", **good)
    assert answer["found"] is True
    assert (answer["id"], answer["flow"], list(answer["recipients"])) == (
        ticket_id,
        "inbound",
        ["a@inst.example"],
    )
    for wrong in ({"client": "192.0.2.2"}, {"sender": ""}, {"id": "0" * 13}):
        assert control.ask("ticket", **{**good, **wrong}) == {"found": False}
    assert control.verbs.asked == {"found": 1, "unknown": 3}
    with pytest.raises(ControlError, match="expected sender"):
        control.ask("ticket", id=ticket_id, client="192.0.2.1")


def fill(bench: Any) -> None:
    bench.decide(sender="user7+x@one.example", client_address="192.0.2.1")
    bench.decide(sender="b@two.example", client_address="192.0.3.1", recipient="Other@inst.example")
    bench.decide(
        sender="", client_address="2001:db8:9::1", client_name="unknown", reverse_client_name="unknown"
    )
    bench.clock.advance(300)
    bench.decide(sender="b@two.example", client_address="192.0.3.1", recipient="other@inst.example")
    for identity in ("192.0.3.0/24", "ptr:sender.example"):
        bench.ledger.clients.put(identity.encode(), (1, 1_800_000_300, 1_800_000_300 + 35 * 86400 + 1))


def test_listing_shows_what_is_in_memory_and_on_disk(control: Socket) -> None:
    fill(control.bench)
    in_memory = control.rows("greylist.list")
    control.bench.restart()
    control = Socket(control.bench)
    rows = {row["sender"]: row for row in control.rows("greylist.list")}
    assert sorted(map(str, rows.values())) == sorted(map(str, in_memory))
    assert rows["user#@one.example"] == {
        "kind": "triplet",
        "state": "waiting",
        "identity": "192.0.2.0/24 ptr:sender.example",
        "sender": "user#@one.example",
        "recipient": "person@inst.example",
        "first": 1_800_000_000,
        "last": 1_800_000_000,
        "expires": 1_800_000_000 + 2 * 86400 + 1,
    }
    assert rows["b@two.example"]["state"] == "passed"
    assert rows["<>"]["identity"] == "2001:db8:9::1"
    assert control.rows("greylist.list", kind="clients") == [
        {
            "kind": "client",
            "identity": identity,
            "retries": 1,
            "last": 1_800_000_300,
            "expires": 1_800_000_300 + 35 * 86400 + 1,
        }
        for identity in ("192.0.3.0/24", "ptr:sender.example")
    ]
    with pytest.raises(ControlError, match="kind"):
        control.ask("greylist.list", kind="passwords")


@pytest.mark.parametrize(
    ("term", "senders"),
    [
        ("192.0.2.1", {"user#@one.example"}),
        ("192.0.2.0/24", {"user#@one.example"}),
        ("192.0.2.0/23", {"user#@one.example", "b@two.example", None}),
        ("2001:db8::/32", {"<>"}),
        ("User99+anything@one.example", {"user#@one.example"}),
        ("OTHER@inst.example", {"b@two.example"}),
        ("two.example", {"b@two.example"}),
        ("sender.example", {"user#@one.example", "b@two.example", None}),
        ("ptr:sender.example", {"user#@one.example", "b@two.example", None}),
        ("spf:sender.example", set()),
        ("inst.example", {"user#@one.example", "b@two.example", "<>"}),
        ("nothing.example", set()),
        ("10.0.0.0/8", set()),
    ],
)
def test_what_has_to_do_with_a_term_is_shown_and_forgotten(
    control: Socket, term: str, senders: set[str | None]
) -> None:
    fill(control.bench)
    shown = control.rows("greylist.show", term=term)
    assert {row.get("sender") for row in shown} == senders
    assert control.ask("greylist.forget", term=term) == {"forgotten": len(shown), "more": False}
    assert control.rows("greylist.show", term=term) == []
    left = 3 - len({sender for sender in senders if sender})
    assert len(control.rows("greylist.list")) == left


def test_forgetting_takes_effect_at_once(control: Socket) -> None:
    assert control.bench.decide().reason == "greylist-new"
    control.bench.clock.advance(300)
    assert control.bench.decide().reason == "greylist-passed"
    control.ask("greylist.forget", term="someone@sender.example")
    assert control.bench.decide().reason == "greylist-new"


@pytest.mark.parametrize(
    ("term", "asked", "answer"),
    [
        ("Ada.L@Inst.example", ("inst.example", "ada.l"), ("ada.l@inst.example", True, True)),
        ("nobody@inst.example", ("inst.example", "nobody"), ("nobody@inst.example", False, True)),
        ("INST.example.", ("inst.example", None), ("inst.example", True, True)),
        ("printer.inst.example", ("printer.inst.example", None), ("printer.inst.example", True, True)),
        ("inst.exmaple", ("inst.exmaple", None), ("inst.exmaple", True, False)),
    ],
)
def test_recipients_are_forgotten(
    control: Socket, term: str, asked: tuple[str, str | None], answer: tuple[str, bool, bool]
) -> None:
    found = control.ask("forget", term=term)
    assert (found["forgotten"], found["known"], found["served"]) == answer
    assert control.forgotten == [asked]


@pytest.mark.parametrize("term", ["", "@inst.example", "a b", "a@b@", "x@"])
def test_what_is_no_recipient_is_not_forgotten(control: Socket, term: str) -> None:
    with pytest.raises(ControlError, match="expected a mail address or a domain"):
        control.ask("forget", term=term)
    assert control.forgotten == []


def test_a_store_that_cannot_forget_says_so(control: Socket) -> None:
    with pytest.raises(ControlError, match="not forgotten: no disk"):
        control.ask("forget", term="broken.example")


def test_allowing_and_taking_it_back(control: Socket) -> None:
    assert control.ask("greylist.allow", network="192.0.2.0/24", comment="why\ud800") == {
        "allowed": "192.0.2.0/24"
    }
    assert control.bench.decide().reason == "greylist-client-allowed"
    (row,) = control.rows("greylist.show", term="192.0.2.7")
    assert row == {
        "kind": "allowed",
        "network": "192.0.2.0/24",
        "comment": "why?",
        "added": 1_800_000_000,
        "expires": None,
    }
    assert control.ask("greylist.forget", term="192.0.2.0/24")["forgotten"] == 1
    assert control.bench.decide().reason == "greylist-new"


@pytest.mark.parametrize("restart", [False, True])
def test_allowing_for_a_time(control: Socket, restart: bool) -> None:
    control.ask("greylist.allow", network="192.0.2.0/24", seconds=7200)
    control.ask("greylist.allow", network="192.0.2.1", seconds=3600)
    for _ in range(3):
        assert control.bench.decide().reason == "greylist-client-allowed"
        control.bench.clock.advance(2399)
        if restart:
            control.bench.restart()
    control.bench.clock.advance(10)
    assert control.bench.decide().reason == "greylist-new"


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"network": "x"},
        {"network": "192.0.2.1/24"},
        {"network": "192.0.2.0/24", "seconds": -1},
        {"network": "192.0.2.0/24", "seconds": "1d"},
        {"network": "192.0.2.0/24", "seconds": 101 * 366 * 86400},
        {"network": 5},
    ],
)
def test_what_cannot_be_allowed(control: Socket, arguments: dict[str, Any]) -> None:
    with pytest.raises(ControlError):
        control.ask("greylist.allow", **arguments)


@pytest.mark.parametrize("network", ["0.0.0.0/0", "128.0.0.0/1", "::/0", "2000::/3", "::ffff:0.0.0.0/96"])
def test_not_everybody_is_allowed_by_a_slip(control: Socket, network: str) -> None:
    with pytest.raises(ControlError, match="expected a network of /8 or smaller"):
        control.ask("greylist.allow", network=network)
    assert control.bench.decide().reason == "greylist-new"
    control.ask("greylist.allow", network="192.0.0.0/8")
    assert control.bench.decide().reason == "greylist-client-allowed"


@pytest.mark.parametrize("verb", ["greylist.show", "greylist.forget"])
def test_what_should_be_a_network_is_not_taken_for_unknown(control: Socket, verb: str) -> None:
    with pytest.raises(ControlError, match=r"first address, 192\.0\.2\.0/24"):
        control.ask(verb, term="192.0.2.1/24")


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0"])
def test_not_everybody_is_forgotten_by_a_slip(control: Socket, network: str) -> None:
    control.bench.decide()
    with pytest.raises(ControlError, match="expected a network of /8 or smaller"):
        control.ask("greylist.forget", term=network)
    assert control.ask("greylist.forget", term="192.0.0.0/8")["forgotten"] == 1


def test_a_wide_network_of_an_earlier_version_is_taken_back_by_its_name(control: Socket) -> None:
    control.bench.decide()
    control.bench.ledger.allow("0.0.0.0/0", "a slip", control.bench.clock.seconds())
    control.bench.ledger.allow("0.0.0.0/1", "another", control.bench.clock.seconds())
    assert control.ask("greylist.forget", term="0.0.0.0/0")["forgotten"] == 1
    assert [row["network"] for row in control.rows("greylist.list", kind="allowed")] == ["0.0.0.0/1"]
    assert len(control.rows("greylist.list", kind="triplets")) == 1
    with pytest.raises(ControlError, match="expected a network of /8 or smaller"):
        control.ask("greylist.forget", term="0.0.0.0/0")


def test_a_search_gives_others_their_turn_and_is_bounded(
    control: Socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1000):
        control.bench.decide(sender=f"{'abcdefghij'[number % 10]}@s{number}.example")
    control.bench.restart()
    control = Socket(control.bench)
    turns: list[float] = []
    call_later = control.bench.clock.callLater
    monkeypatch.setattr(
        control.bench.clock,
        "callLater",
        lambda delay, *rest: (turns.append(delay), call_later(delay, *rest))[1],
    )
    assert control.rows("greylist.show", term="nothing.example") == []
    assert turns.count(0) >= 5
    monkeypatch.setattr("policyd.control.verbs.MAX_FOUND", 50)
    assert len(control.rows("greylist.show", term="inst.example")) == 50
    assert control.ask("greylist.forget", term="inst.example") == {"forgotten": 50, "more": True}
    assert MAX_FOUND == 10_000


def test_a_store_that_cannot_be_read_says_so(control: Socket, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(control.bench)
    control.bench.worker.run()
    control.bench.store._reader.close()
    monkeypatch.setattr(control.bench.store._reader, "_failed_at", control.bench.clock.seconds())
    with pytest.raises(ControlError, match="cannot be read"):
        control.rows("greylist.list")
    with pytest.raises(ControlError, match="cannot be read"):
        control.ask("greylist.show", term="x.example")
    with pytest.raises(ControlError, match="cannot be read"):
        control.ask("ticket", id="0" * 13, client="192.0.2.1", sender="")
