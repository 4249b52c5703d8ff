"""Greylisting at the end of data: one wait for a mail, known again by its content."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailbase.control import ControlError
from mailbase.deferral import DeferralAnswer, DeferralQuestion
from mailbase.ticket import Ticket
from mailbase.vocabulary import Finding, Flow
from policyd.control.verbs import describe
from policyd.end_of_data.greylisting import MailGreylisting, mail_terms
from policyd.greylist.terms import Terms
from tests.unit.awaited import result_of

CLIENT, SENDER, DIGEST = "192.0.2.1", "someone@sender.example", "0123456789abcdef" * 2
OTHER = "fedcba9876543210" * 2
DELAY = 300


class Desk:
    def __init__(self, bench: Any) -> None:
        self.bench = bench
        self.mails = MailGreylisting(
            bench.tickets, bench.ledger, lambda: bench.engine.policy.greylist, bench.clock.seconds
        )
        self.number = 0

    def ticket(self, client: str = CLIENT, sender: str = SENDER, **more: Any) -> str:
        self.number += 1
        name = f"{self.number:013d}"
        ticket = Ticket(name, more.pop("flow", Flow.INBOUND), client, sender, **more)
        self.bench.tickets.keep(ticket, self.bench.clock.seconds())
        return name

    def ask(
        self, digest: str = DIGEST, ticket: str | None = None, name: str = "", **more: Any
    ) -> tuple[str, int]:
        client, sender = more.get("client", CLIENT), more.get("sender", SENDER)
        ticket = ticket if ticket is not None else self.ticket(**more)
        question = DeferralQuestion(ticket, client, name, sender, digest).to_dict()
        answer = DeferralAnswer.from_dict(result_of(self.mails.defer(question)))
        return answer.why, answer.wait

    def later(self, seconds: float = DELAY) -> None:
        self.bench.clock.advance(seconds)


@pytest.fixture
def desk(make_bench: Any) -> Desk:
    return Desk(make_bench())


def test_a_mail_waits_once_and_is_taken_when_it_comes_again(desk: Desk) -> None:
    assert desk.ask() == ("waits", DELAY)
    desk.later(100)
    assert desk.ask() == ("waits", DELAY - 100)
    desk.later(200)
    assert desk.ask() == ("waited", 0)
    desk.later(5000)
    assert desk.ask() == ("waited", 0)
    assert desk.mails.counted == {"waits": 2, "waited": 2, "spared": 0, "unavailable": 0}


def test_another_mail_of_the_same_waits_by_itself(desk: Desk) -> None:
    desk.ask()
    desk.later()
    assert desk.ask(OTHER) == ("waits", DELAY)
    assert desk.ask(sender="other@sender.example") == ("waits", DELAY)
    assert desk.ask() == ("waited", 0)


def test_another_of_the_clients_network_may_bring_it_and_a_stranger_may_not(desk: Desk) -> None:
    name = "mail.sender.example"
    assert desk.ask(name=name) == ("waits", DELAY)
    desk.later()
    assert desk.ask(client="203.0.113.7") == ("waits", DELAY)
    assert desk.ask(client="192.0.2.99", name=name) == ("waited", 0)


def test_who_passes_spf_for_the_same_domain_is_the_same(desk: Desk) -> None:
    passed = {"findings": (Finding("spf.pass", "", "sender.example"),), "facts": ("spf.pass:0",)}
    assert desk.ask(**passed) == ("waits", DELAY)
    desk.later()
    assert desk.ask(client="203.0.113.7", **passed) == ("waited", 0)
    shadow = {**passed, "facts": ("(spf.pass:0)",)}
    anybody = {**passed, "facts": ("spf.pass:0", "spf.plus-all:2")}
    for weaker in (shadow, anybody):
        assert desk.ask(client="198.51.100.7", **weaker)[0] == "waits"


def test_a_mail_that_waited_before_data_does_not_wait_again_nor_when_it_comes_once_more(desk: Desk) -> None:
    assert desk.ask(greylisting="waited") == ("waited", 0)
    # Postfix behind was away: now the triplet is known, and nothing was made to wait.
    assert desk.ask() == ("waited", 0)


def test_a_mail_that_began_to_wait_here_is_taken_if_it_waited_there_meanwhile(desk: Desk) -> None:
    assert desk.ask()[0] == "waits"
    assert desk.ask(greylisting="waited") == ("waited", 0)


@pytest.mark.parametrize(
    "more",
    [
        {"greylisting": "spared"},
        {"flow": Flow.OUTBOUND},
        {"flow": Flow.SUBMISSION},
        {"flow": Flow.UPSTREAM},
    ],
)
def test_who_never_waits_does_not_wait_here(desk: Desk, more: dict[str, Any]) -> None:
    assert desk.ask(**more) == ("spared", 0)


def test_who_is_allowed_by_command_does_not_wait(desk: Desk) -> None:
    desk.bench.ledger.allow("192.0.2.0/24", "", desk.bench.clock.seconds())
    assert desk.ask() == ("spared", 0)


def test_who_has_earned_it_before_data_waits_here_and_earns_nothing(desk: Desk) -> None:
    bench = desk.bench
    caller = bench.engine.policy.greylist.caller(b"\xc0\x00\x02\x01", "", "")
    for number in range(6):
        for _ in range(2):
            bench.ledger.attempt(caller, SENDER, f"r{number}@x.example", bench.clock.seconds())
            bench.clock.advance(DELAY)
    assert (
        bench.ledger.attempt(caller, SENDER, "new@x.example", bench.clock.seconds()).grey == "client-earned"
    )
    retries = bench.ledger.clients.get(caller.keys[0], bench.clock.seconds())[0]
    assert desk.ask() == ("waits", DELAY)
    desk.later()
    assert desk.ask() == ("waited", 0)
    assert bench.ledger.clients.get(caller.keys[0], bench.clock.seconds())[0] == retries


def test_without_a_ticket_nobody_waits(desk: Desk) -> None:
    assert desk.ask(ticket="0" * 13) == ("unavailable", 0)
    assert desk.ask(ticket="") == ("unavailable", 0)
    other = desk.ticket(client="203.0.113.7")
    assert desk.ask(ticket=other) == ("unavailable", 0)


def test_a_store_that_cannot_say_lets_nobody_wait(desk: Desk) -> None:
    desk.bench.store.status.broken = True
    assert desk.ask() == ("unavailable", 0)


@pytest.mark.parametrize(
    "wrong",
    [{}, {"digest": "x"}, {"digest": "0" * 31}, {"digest": None}, {"client": "x" * 5000}, {"sender": 1}],
)
def test_what_is_no_question_is_an_error(desk: Desk, wrong: dict[str, Any]) -> None:
    question = {**DeferralQuestion("1", CLIENT, "", SENDER, DIGEST).to_dict(), **wrong}
    if not wrong:
        del question["sender"]
    failed: list[Any] = []
    Deferred.fromCoroutine(desk.mails.defer(question)).addErrback(failed.append)
    assert failed[0].check(ControlError)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"why": "waits"},
        {"why": "other", "wait": 1},
        {"why": "waits", "wait": -1},
        {"why": "waits", "wait": True},
        {"why": "waits", "wait": 10**9},
        {"why": ["waits"], "wait": 0},
    ],
)
def test_what_is_no_answer_is_an_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not an answer"):
        DeferralAnswer.from_dict(wrong)


def test_it_is_forgotten_once_it_cannot_come_again() -> None:
    terms = Terms(delay=60, retry_window=1000, lifetime=9000)
    assert mail_terms(terms) == Terms(60, 1000, 1000, 0, terms.auto_allow_lifetime)
    assert mail_terms(terms, waited=True).delay == 0


def test_the_operator_sees_it_among_the_triplets(desk: Desk) -> None:
    desk.ask()
    ((key, row),) = desk.bench.ledger.triplets.scan(desk.bench.clock.seconds())
    told = describe("triplets", key, row)
    assert (told["recipient"], told["sender"], told["state"]) == (f"message:{DIGEST}", SENDER, "waiting")


def test_the_ticket_says_whether_the_mail_waited(make_bench: Any) -> None:
    bench = make_bench()
    request = {"instance": "a"}
    assert bench.action(**request) == "DEFER_IF_PERMIT"
    bench.clock.advance(DELAY)
    for instance, expected in (("b", "waited"), ("c", "")):
        request["instance"] = instance
        assert bench.action(**request) == "DUNNO"
        name = bench.reply(**request, protocol_state="DATA").rpartition(" ")[2]
        ticket = bench.tickets.find(name, CLIENT, SENDER, bench.clock.seconds())
        assert ticket.greylisting == expected


def test_the_ticket_says_whether_its_client_is_spared(make_bench: Any) -> None:
    bench = make_bench()
    bench.ledger.allow(CLIENT, "", bench.clock.seconds())
    assert bench.action(instance="a") == "DUNNO"
    name = bench.reply(instance="a", protocol_state="DATA").rpartition(" ")[2]
    assert bench.tickets.find(name, CLIENT, SENDER, bench.clock.seconds()).greylisting == "spared"
