"""Mail that is deferred for its points waits once, and who does not."""

from __future__ import annotations

from typing import Any

import pytest

from ..scored import BAD, CLIENT, FREE, GOOD, make, settings

DELAY = 300
SUSPICIOUS = settings(defer_at=3)


@pytest.mark.parametrize("recipient", [FREE, "person@inst.example"])
def test_what_is_deferred_for_its_points_waits_once_also_where_nothing_else_is_greylisted(
    make_bench: Any, recipient: str
) -> None:
    bench = make(make_bench, SUSPICIOUS)
    first = bench.reply(**BAD, recipient=recipient)
    assert first.startswith("450 4.7.1 Not now: the sender's domain cannot receive mail; try again in 300 s")
    bench.clock.advance(DELAY - 10)
    assert "try again in 10 s" in bench.reply(**BAD, recipient=recipient)
    bench.clock.advance(10)
    decision = bench.decide(**BAD, recipient=recipient)
    assert (decision.reply, decision.reason) == ("DUNNO", "greylist-passed")
    assert bench.action(**BAD, recipient=recipient) == "DUNNO"
    assert bench.action(**GOOD, recipient=FREE) == "DUNNO"


def test_its_ticket_says_that_it_has_waited(make_bench: Any) -> None:
    bench = make(make_bench, SUSPICIOUS)
    bench.action(**BAD, recipient=FREE)
    bench.clock.advance(DELAY)
    assert bench.action(**BAD, recipient=FREE, instance="x") == "DUNNO"
    name = bench.reply(**BAD, instance="x", protocol_state="DATA").rpartition(" ")[2]
    ticket = bench.tickets.find(name, CLIENT, BAD["sender"], bench.clock.seconds())
    assert (ticket.greylisting, ticket.points) == ("waited", 7.5)
    assert "sender_domain.no-mail-host:4" in ticket.facts


def test_a_higher_total_is_refused_however_often_it_comes(make_bench: Any) -> None:
    bench = make(make_bench, settings(defer_at=3, reject_at=7))
    for _ in range(3):
        assert bench.action(**BAD, recipient=FREE) == "554"
        bench.clock.advance(DELAY)


def test_who_never_waits_does_not_wait_for_points(make_bench: Any) -> None:
    bench = make(make_bench, SUSPICIOUS)
    bench.ledger.allow(CLIENT, "", bench.clock.seconds())
    assert bench.action(**BAD, recipient=FREE) == "DUNNO"


def test_while_the_store_cannot_say_nobody_waits_for_points(make_bench: Any) -> None:
    bench = make(make_bench, SUSPICIOUS)
    bench.store.status.broken = True
    assert bench.action(**BAD, recipient=FREE) == "DUNNO"


def test_where_nobody_is_greylisted_points_defer_until_they_are_fewer(make_bench: Any) -> None:
    registry = "servers: {mail.inst.example: {addresses: [192.0.2.25], systems: [198.18.0.0/24]}}"
    bench = make_bench("flows: {outbound: {defer_at: 1, checks: {helo: {points: {not-fqdn: 3}}}}}", registry)
    for _ in range(3):
        assert bench.action(**{**BAD, "recipient": "a@elsewhere.example"}) == "450"
        bench.clock.advance(DELAY)


def test_a_single_fact_that_defers_waits_once_as_well(make_bench: Any) -> None:
    bench = make(make_bench, settings("checks: {helo: {actions: {not-fqdn: defer}}}"))
    assert bench.action(**BAD, recipient=FREE) == "450"
    bench.clock.advance(DELAY)
    assert bench.action(**BAD, recipient=FREE) == "DUNNO"
