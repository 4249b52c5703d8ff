"""Who is called, and what comes of what servers say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from policyd.callout import callouts as module
from policyd.callout.conversation import Outcome
from policyd.callout.result import Result

from ..callouts import ADA, ALL, CATCH_ALL, DOWN, EOF, KNOWN, TEMPORARY, UNKNOWN, World, replies, terms


def test_a_known_and_an_unknown_recipient(world: World) -> None:
    assert world.ask(ADA) is KNOWN
    assert world.ask("eve@inst.example") is UNKNOWN
    assert [(call.host, call.port, call.name) for call in world.calls] == [
        ("192.0.2.25", 25, "mail.inst.example")
    ] * 2
    assert world.calls[1].script.recipients == (b"<eve@inst.example>",)
    assert world.calls[1].script.hello == "mx.gate.example"


def test_a_systems_host_name_is_asked_for_at_its_server(world: World) -> None:
    assert world.ask("root@printer.inst.example") is UNKNOWN
    assert world.calls[0].name == "mail.inst.example"


def test_a_server_registered_without_addresses_is_looked_up(world: World) -> None:
    assert world.ask("ada@named.example") is KNOWN
    assert world.calls[0].host == "192.0.2.77"
    assert {consumer for _, _, consumer in world.resolver.asked} == {"callout"}


def test_a_server_that_is_not_in_dns_cannot_say(world: World) -> None:
    assert world.ask("x@gone.example", server="gone.example") is TEMPORARY
    assert world.calls == []


@pytest.mark.parametrize("reply", ["450 4.2.0 greylisted", "550 5.7.1 you are on a list", "503 what?"])
def test_other_refusals_are_no_verdict(world: World, reply: str) -> None:
    world.answers["192.0.2.25"] = replies(reply)
    assert world.ask(ADA) is TEMPORARY
    # It is there, so neither its other address nor its backup is asked.
    assert len(world.calls) == 1


def test_no_mail_for_non_ascii_reaches_a_server_without_smtputf8(world: World) -> None:
    world.answers["192.0.2.25"] = Outcome(failure="SMTPUTF8 is not offered", lacks_smtputf8=True)
    assert world.ask("jörg@inst.example") is Result.UNFIT
    assert world.calls[0].script.smtputf8
    assert world.ask("jörg@inst.example") is Result.UNFIT
    assert len(world.calls) == 1
    world.clock.advance(601)
    world.answers["192.0.2.25"] = ALL
    assert world.ask("jörg@inst.example") is CATCH_ALL, "as long as an unknown one, and no longer"


@pytest.mark.parametrize("local", ["x" * 600, "ü" * 300, "a\nb"])
def test_what_has_no_path_reaches_no_server(world: World, local: str) -> None:
    assert world.ask(f"{local}@inst.example") is Result.UNFIT
    assert world.calls == []


# ---- who is called -----------------------------------------------------------------------------------


def test_the_other_address_and_then_the_backup_are_called(world: World) -> None:
    world.answers["192.0.2.25"] = DOWN
    assert world.ask(ADA) is KNOWN
    world.answers["2001:db8::25"] = DOWN
    world.forget("inst.example")
    assert world.ask(ADA) is KNOWN
    assert [call.host for call in world.calls] == [
        "192.0.2.25",
        "2001:db8::25",
        "192.0.2.25",
        "2001:db8::25",
        "192.0.2.26",
    ]
    assert world.metrics.failures == 3


def test_nobody_is_there(world: World) -> None:
    for host in ("192.0.2.25", "2001:db8::25", "192.0.2.26"):
        world.answers[host] = DOWN
    assert world.ask(ADA) is TEMPORARY
    assert len(world.calls) == 3


def test_the_backup_has_its_share_of_the_time(world: World) -> None:
    world.delay = 1000.0
    got = world.start(ADA, seconds=100.0)
    for _ in range(40):
        world.clock.advance(1.0)
    begin = world.calls[0].until - 22.0
    assert [round(call.until - begin, 1) for call in world.calls] == [22.0, 26.0, 30.0]
    assert got == [TEMPORARY]


def test_it_never_calls_itself_or_loopback(world: World) -> None:
    assert world.ask("ada@own.example") is Result.UNASKABLE
    assert world.ask("ada@loop.example") is Result.UNASKABLE
    assert world.calls == []
    assert world.metrics.forbidden == 2


def test_it_never_calls_where_dns_leads_to_ourselves(world: World) -> None:
    world.resolver.set("named.example", "A", ["127.0.0.1", "198.51.100.3"])
    world.resolver.set("named.example", "AAAA", ["::1", "fe80::1"])
    assert world.ask("ada@named.example") is Result.UNASKABLE
    world.resolver.set("named.example", "A", ["127.0.0.1", "192.0.2.78"])
    assert world.ask("ada@named.example") is KNOWN
    assert [call.host for call in world.calls] == ["192.0.2.78"]


def test_a_relay_of_ours_is_never_called(world: World, bench: Any) -> None:
    settings = world.load("").model_copy()
    world.settings = world.load(terms(temporary="0s"))
    world.callouts.configure(
        world.settings.model_copy(
            update={"identity": settings.identity.model_copy(update={"relays": ("lone.example",)})}
        ).with_registry(world.settings.registry)
    )
    assert world.ask("ada@lone.example") is Result.UNASKABLE
    assert world.calls == []


def test_a_test_target_may_be_loopback_and_is_warned_of(make: Callable[..., World], bench: Any) -> None:
    world = make(terms(test_targets="{loop.example: '127.0.0.9:2525'}"))
    assert world.ask("ada@loop.example") is UNKNOWN
    assert world.calls[0][:2] == ("127.0.0.9", 2525)
    assert "event=callout-test-target server=loop.example place=127.0.0.9:2525" in bench.stream.getvalue()


def test_a_server_whose_tls_fails_is_called_without(world: World) -> None:
    world.answers["192.0.2.40"] = lambda call: EOF if call.script.tls else replies("250 ok", "550 no")
    assert world.ask("ada@lone.example") is KNOWN
    assert [call.script.tls for call in world.calls] == [True, False]
    assert world.ask("eve@lone.example") is KNOWN
    assert [call.script.tls for call in world.calls] == [True, False, False]
    world.clock.advance(module.PLAIN)
    assert world.ask("bob@lone.example") is KNOWN
    assert world.calls[-2].script.tls


def test_that_tls_fails_is_remembered_also_where_no_time_is_left_to_go_without(world: World) -> None:
    world.answers["192.0.2.40"] = lambda call: EOF if call.script.tls else replies("250 ok", "550 no")
    world.delay = 30.0
    got = world.start("ada@lone.example", seconds=300.0)
    world.clock.advance(30.0)
    assert got == [TEMPORARY]
    world.delay = 0.0
    assert world.ask("eve@lone.example") is KNOWN
    assert [call.script.tls for call in world.calls] == [True, False]
