"""How much a client may ask, and of a server; faults, reloads and what is counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from policyd.callout.conversation import Outcome
from policyd.callout.result import Result
from policyd.observability.metrics import Metrics

from ..callouts import ADA, CLIENT, KNOWN, TEMPORARY, UNKNOWN, World, replies, terms


def test_a_client_may_ask_for_so_many_unknown_recipients(make: Callable[..., World]) -> None:
    world = make(terms(client_budget=3))
    results = [world.ask(f"{number}@inst.example") for number in range(5)]
    assert results == [UNKNOWN] * 3 + [Result.OVER_BUDGET] * 2
    assert len(world.calls) == 3
    # Its neighbours are in the same network, others are not; and what is known needs no asking.
    assert world.ask("5@inst.example", client=bytes((198, 18, 0, 99))) is Result.OVER_BUDGET
    assert world.ask("6@inst.example", client=bytes((198, 18, 1, 7))) is UNKNOWN
    assert world.ask("7@inst.example", client=None) is UNKNOWN
    assert world.ask("0@inst.example") is UNKNOWN
    world.clock.advance(20)
    assert world.ask("8@inst.example") is UNKNOWN
    assert world.ask("9@inst.example") is Result.OVER_BUDGET


def test_a_network_of_ipv6_is_one_client(make: Callable[..., World]) -> None:
    world = make(terms(client_budget=1))
    client = bytes.fromhex("20010db8000100020000000000000001")
    assert world.ask("a@inst.example", client=client) is UNKNOWN
    assert world.ask("b@inst.example", client=client[:8] + bytes(8)) is Result.OVER_BUDGET
    assert world.ask("b@inst.example", client=client[:7] + bytes(9)) is UNKNOWN


def test_recipients_that_exist_and_servers_that_fail_cost_a_client_nothing(
    make: Callable[..., World],
) -> None:
    world = make(terms(client_budget=1, temporary="0s"))
    world.users |= {f"{number}@inst.example" for number in range(5)}
    world.answers["192.0.2.40"] = replies("450 later")
    for number in range(5):
        assert world.ask(f"{number}@inst.example") is KNOWN
        assert world.ask(f"{number}@lone.example") is TEMPORARY
    assert world.ask("x@inst.example") is UNKNOWN
    assert world.ask("y@inst.example") is Result.OVER_BUDGET


def test_who_is_over_his_budget_uses_up_no_servers(make: Callable[..., World]) -> None:
    world = make(terms(client_budget=1, server_budget=5))
    assert world.ask("one@inst.example") is UNKNOWN
    for number in range(10):
        assert world.ask(f"n{number}@inst.example") is Result.OVER_BUDGET
    # Nobody was called for these, so others are still asked for.
    assert world.ask(ADA, client=bytes((198, 19, 0, 1))) is KNOWN


def test_many_mails_at_one_time_to_recipients_that_exist_are_within_the_budget(
    make: Callable[..., World],
) -> None:
    world = make(terms(client_budget=2, concurrency=50))
    world.users |= {f"{number}@inst.example" for number in range(20)}
    world.delay = 1.0
    waiting = [world.start(f"{number}@inst.example") for number in range(20)]
    world.clock.advance(1.0)
    assert waiting == [[KNOWN]] * 20


def test_a_server_is_asked_so_often(make: Callable[..., World]) -> None:
    world = make(terms(server_budget=2))
    results = [world.ask(f"{number}@inst.example", client=None) for number in range(3)]
    assert results == [UNKNOWN, UNKNOWN, Result.OVER_BUDGET]
    assert world.ask("ada@lone.example") is KNOWN


def test_a_query_charges_nobody_and_counts_no_hits(make: Callable[..., World]) -> None:
    world = make(terms(client_budget=1))
    for number in range(3):
        assert world.ask(f"{number}@inst.example", trace=False) is UNKNOWN
    world.ask("0@inst.example", trace=False)
    assert world.metrics.hits == 0
    assert world.ask("x@inst.example") is UNKNOWN


# ---- the rest ----------------------------------------------------------------------------------------


def test_a_fault_of_ours_is_no_verdict(world: World, bench: Any) -> None:
    def fails(call: Any) -> Outcome:
        raise RuntimeError("private cause")

    world.answers["192.0.2.40"] = fails
    assert world.ask("ada@lone.example") is TEMPORARY
    assert "event=callout-failed" in bench.stream.getvalue()
    assert world.metrics.now().in_flight == 0
    del world.answers["192.0.2.40"]
    assert world.ask("ada@lone.example") is KNOWN, "nothing is stuck"


def test_settings_change_at_a_reload(world: World) -> None:
    world.ask(ADA)
    world.configure(terms(client_budget=1, test_targets="{mail.inst.example: '[::1]:26'}"))
    assert world.ask("a@inst.example") is UNKNOWN
    assert world.calls[-1][:2] == ("::1", 26)
    assert world.ask("b@inst.example") is Result.OVER_BUDGET


def test_a_server_that_is_no_longer_registered_is_let_go(world: World) -> None:
    world.ask(ADA)
    world.ask("ada@lone.example")
    assert set(world.callouts._lanes) == {"mail.inst.example", "lone.example"}
    (world.folder / "registry.yaml").write_text("servers: {lone.example: {domains: {lone.example: }}}")
    world.configure("")
    assert set(world.callouts._lanes) == {"lone.example"}


def test_everything_is_counted(world: World) -> None:
    metrics = Metrics()
    metrics.callouts = world.metrics
    registry = CollectorRegistry()
    registry.register(metrics)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"policyd_callout{name}", labels)

    assert value("s_total", result="known") == value("_hits_total") == value("_servers_down") == 0
    world.delay = 0.3
    first, second = world.start(ADA), world.start(ADA)
    assert value("_in_flight") == 1
    world.clock.advance(0.3)
    assert (first, second) == ([KNOWN], [KNOWN])
    world.ask(ADA)
    assert value("s_total", result="known") == 1
    assert value("_hits_total") == 1
    assert value("_joined_total") == 1
    assert value("_seconds_bucket", le="0.25") == 0
    assert value("_seconds_bucket", le="0.5") == 1
    assert value("_seconds_count") == 1
    assert value("_seconds_sum") == pytest.approx(0.3)
    # What is not asked takes no time.
    world.ask("x@own.example")
    assert value("s_total", result="unaskable") == 1
    assert value("_seconds_count") == 1
    assert CLIENT
