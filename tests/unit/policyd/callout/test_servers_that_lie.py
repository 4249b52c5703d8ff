"""Servers that refuse everybody, and servers that take everybody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from policyd.callout.conversation import Outcome
from policyd.callout.result import Result

from ..callouts import ADA, ALL, CATCH_ALL, DOWN, KNOWN, TEMPORARY, UNKNOWN, World, replies, terms


def test_a_server_that_refuses_who_exists_refuses_nobody(world: World, bench: Any) -> None:
    world.answers["192.0.2.41"] = replies("550 no such user", "550 no such user")
    assert world.ask("someone@sure.example") is TEMPORARY
    assert world.calls[0].script.controls == [b"<ada@sure.example>", b"<eve@sure.example>"]
    world.clock.advance(31)
    assert world.ask("someone@sure.example") is TEMPORARY
    assert bench.stream.getvalue().count("event=callout-existing-refused") == 1
    assert world.metrics.existing_refused == 2
    world.clock.advance(31)
    world.answers["192.0.2.41"] = replies("550 no such user", "250 ok")
    assert world.ask("someone@sure.example") is UNKNOWN
    assert bench.stream.getvalue().count("event=callout-existing-accepted") == 1


def test_a_second_address_that_exists_speaks_for_a_server_where_the_first_was_closed(
    world: World, bench: Any
) -> None:
    world.answers["192.0.2.41"] = replies("550 no such user", "550 no such user", "250 ok")
    assert world.ask("someone@sure.example") is UNKNOWN
    assert world.calls[0].script.controls == [b"<ada@sure.example>", b"<eve@sure.example>"]
    world.clock.advance(601)
    assert world.ask("someone@sure.example") is UNKNOWN
    assert bench.stream.getvalue().count("event=callout-existing-closed") == 1
    assert world.metrics.existing_refused == 0
    # It is told again once it was in order.
    world.clock.advance(601)
    world.answers["192.0.2.41"] = replies("550 no such user", "250 ok")
    assert world.ask("someone@sure.example") is UNKNOWN
    world.clock.advance(601)
    world.answers["192.0.2.41"] = replies("550 no such user", "550 no such user", "250 ok")
    assert world.ask("someone@sure.example") is UNKNOWN
    assert bench.stream.getvalue().count("event=callout-existing-closed") == 2
    world.clock.advance(601)
    world.answers["192.0.2.41"] = replies(*["550 no such user"] * 3)
    assert world.ask("someone@sure.example") is TEMPORARY
    assert world.metrics.existing_refused == 1


def test_the_existing_address_is_tested_by_another_one(world: World) -> None:
    world.users.add("eve@sure.example")
    assert world.ask("ada@sure.example") is UNKNOWN
    assert world.calls[0].script.controls == [b"<eve@sure.example>"]


@pytest.mark.parametrize("second", ["450 later", "252 perhaps"])
def test_a_control_that_tells_nothing_changes_nothing(world: World, second: str) -> None:
    world.answers["192.0.2.41"] = replies("550 no such user", second)
    assert world.ask("someone@sure.example") is UNKNOWN


def test_one_that_it_cannot_tell_of_does_not_speak_for_a_server_that_refused_another(
    world: World, bench: Any
) -> None:
    # As one that has had enough of errors, or of us.
    world.answers["192.0.2.41"] = replies("550 not from you", "550 not from you", "451 too many errors")
    assert world.ask("someone@sure.example") is TEMPORARY
    assert world.metrics.existing_refused == 1
    assert "event=callout-existing-closed" not in bench.stream.getvalue()


HUNG_UP = replace(replies("550 no"), failure="connection lost: closed")


@pytest.mark.parametrize(
    ("seconds", "result"),
    [
        # It does so to us, whoever is asked for; or would not, if it knew the recipient.
        ([HUNG_UP, HUNG_UP], TEMPORARY),
        ([replies("250 ok")], UNKNOWN),
        ([replies("550 no", "250 ok")], UNKNOWN),
        # It tells nothing more.
        ([DOWN], UNKNOWN),
        ([replace(DOWN, replies=(), stage="banner")], UNKNOWN),
    ],
)
def test_a_server_that_hangs_up_behind_its_refusal_is_asked_once_more_for_who_exists(
    world: World, seconds: list[Outcome], result: Result
) -> None:
    said = iter([HUNG_UP, *seconds])
    world.answers["192.0.2.41"] = lambda call: next(said)
    assert world.ask("someone@sure.example") is result
    assert [(call.script.recipients, call.script.controls) for call in world.calls] == [
        ((b"<someone@sure.example>",), [b"<ada@sure.example>", b"<eve@sure.example>"]),
        ([b"<ada@sure.example>"], [b"<eve@sure.example>"]),
    ]
    assert world.metrics.existing_refused == (result is TEMPORARY)


@pytest.mark.parametrize("first", ["250 ok", "450 later", "550 5.7.1 not you"])
def test_whoever_hangs_up_behind_another_answer_is_not_asked_again(world: World, first: str) -> None:
    world.answers["192.0.2.41"] = replace(replies(first), failure="connection lost: closed")
    world.ask("someone@sure.example")
    assert len(world.calls) == 1


def test_without_an_address_to_ask_for_or_time_a_refusal_is_believed(world: World) -> None:
    world.answers["192.0.2.41"] = world.answers["192.0.2.40"] = HUNG_UP
    assert world.ask("someone@lone.example") is UNKNOWN
    world.delay = world.settings.policyd.callout.deadline
    results = world.start("someone@sure.example", seconds=60)
    world.clock.advance(world.delay)
    assert results == [UNKNOWN]
    assert len(world.calls) == 2


def test_without_an_existing_address_the_server_is_believed(world: World) -> None:
    assert world.ask("someone@lone.example") is UNKNOWN
    assert world.calls[0].script.controls == []


# ---- servers that take everything --------------------------------------------------------------------


def test_a_server_that_takes_everything_is_not_asked_for_each_address(world: World) -> None:
    world.answers["192.0.2.40"] = ALL
    assert world.ask("a@lone.example") is CATCH_ALL
    assert world.calls[0].script.probe == b"<made-up@lone.example>"
    for number in range(5):
        assert world.ask(f"{number}@lone.example") is CATCH_ALL
    assert len(world.calls) == 1
    world.clock.advance(900)
    del world.answers["192.0.2.40"]
    assert world.ask("0@lone.example") is UNKNOWN


def test_a_server_that_refuses_what_is_made_up_is_tested_once_for_a_domain(world: World) -> None:
    world.users.add("bob@inst.example")
    for address in (ADA, "bob@inst.example", "ada@other.example"):
        assert world.ask(address) is KNOWN
    assert [bool(call.script.probe) for call in world.calls] == [True, False, True]
    world.clock.advance(600)
    world.users.add("eve@inst.example")
    world.ask("eve@inst.example")
    assert world.calls[-1].script.probe


def test_a_test_that_tells_nothing_is_made_again(world: World) -> None:
    world.answers["192.0.2.40"] = replies("250 ok", "452 too many")
    assert world.ask("a@lone.example") is KNOWN
    assert world.ask("b@lone.example") is KNOWN
    assert all(call.script.probe for call in world.calls)


def test_what_a_backup_takes_says_nothing_of_the_server(world: World) -> None:
    world.answers["192.0.2.25"] = world.answers["2001:db8::25"] = DOWN
    world.answers["192.0.2.26"] = replies("250 ok")
    assert world.ask("x@inst.example") is KNOWN
    assert world.calls[-1].script.probe == b""


def test_nothing_is_made_up_where_that_is_off(make: Callable[..., World]) -> None:
    world = make(terms(catch_all="false"))
    world.ask(ADA)
    assert world.calls[0].script.probe == b""


def test_an_unknown_address_stays_unknown_beside_a_server_that_takes_everything(world: World) -> None:
    assert world.ask("eve@lone.example") is UNKNOWN
    world.answers["192.0.2.40"] = ALL
    assert world.ask("bob@lone.example") is CATCH_ALL
    assert world.ask("eve@lone.example") is UNKNOWN
