"""The gateway's own addresses on blocklists: found, told of, and not believed of lists that are broken."""

from __future__ import annotations

import io
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from twisted.internet.task import Clock

from mailbase.config import loads
from mailbase.dns import TableResolver
from mailbase.logs import Log
from policyd.outgoing.notice import Notice
from policyd.outgoing.own_addresses import FIRST, SAY_AGAIN, OwnAddresses

CONFIGURATION = """
identity: {hostname: mx.gate.example, relays: [mx1.gate.example, mx2.gate.example]}
policyd:
  lists:
    black: {kind: dnsbl, zone: bl.example, families: [ipv4, ipv6], codes: {spam: 127.0.0.4}}
    other: {kind: dnsbl, zone: other.example}
    white: {kind: dnswl, zone: wl.example}
"""
TEST_V6 = "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"
V6 = "8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"


class World:
    def __init__(self, more: str = "") -> None:
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.names: dict[Any, Any] = {
            ("mx1.gate.example", "A"): ["198.18.0.7", "10.0.0.1"],
            ("mx2.gate.example", "AAAA"): ["2001:db8::8"],
            ("2.0.0.127.bl.example", "A"): ["127.0.0.2"],
            (f"{TEST_V6}.bl.example", "A"): ["127.0.0.2"],
            ("2.0.0.127.other.example", "A"): ["127.0.0.2"],
        }
        self.stream = io.StringIO()
        self.told: list[Notice] = []
        self.make(more)

    def make(self, more: str = "") -> None:
        self.resolver = TableResolver(self.names, clock=self.clock)
        self.own = OwnAddresses(
            self.clock, self.resolver, Log("policyd", stream=self.stream), self.told.append
        )
        self.own.configure(loads(CONFIGURATION + more))

    def know(self, name: str, *addresses: str) -> None:
        self.names[name, "A"] = list(addresses)
        self.own._resolver = TableResolver(self.names, clock=self.clock)

    def forget(self, name: str) -> None:
        self.names = {key: row for key, row in self.names.items() if key[0] != name}
        self.own._resolver = TableResolver(self.names, clock=self.clock)

    def next_round(self, seconds: float = 3600) -> None:
        self.clock.pump([seconds, 1, 1])

    def metric(self, name: str, **labels: str) -> float | None:
        registry = CollectorRegistry()
        registry.register(self.own)  # type: ignore[arg-type]
        return registry.get_sample_value(name, labels)


@pytest.fixture
def world() -> World:
    return World()


def test_the_public_addresses_of_the_relays_are_looked_up_in_every_dnsbl(world: World) -> None:
    world.clock.advance(FIRST - 1)
    assert world.own.known == ()
    world.next_round(1)
    assert world.metric("policyd_own_addresses") == 2
    # Two addresses in the one, that of IPv4 in the other, none in the list of good clients.
    assert world.own.counted == {"clean": 3, "listed": 0, "failed": 0}
    assert world.metric("policyd_own_addresses_listed", list="black") == 0
    assert world.metric("policyd_own_addresses_listed", list="white") is None
    world.next_round()
    assert world.own.counted["clean"] == 6
    assert world.told == []


def test_a_listing_is_told_of_once_a_day_until_it_is_over(world: World) -> None:
    world.next_round(FIRST)
    world.know("7.0.18.198.bl.example", "127.0.0.4")
    world.know(f"{V6}.bl.example", "127.0.0.9")
    world.next_round()
    assert [notice.data["address"] for notice in world.told] == ["198.18.0.7", "2001:db8::8"]
    assert world.told[0].data["detail"] == "black.spam 127.0.0.4"
    assert "event=own-address-listed own=198.18.0.7 list=black" in world.stream.getvalue()
    assert world.metric("policyd_own_addresses_listed", list="black") == 2
    for _ in range(5):
        world.next_round()
    assert len(world.told) == 2
    world.next_round(SAY_AGAIN)
    assert len(world.told) == 4
    world.forget("7.0.18.198.bl.example")
    world.next_round()
    assert "event=own-address-clear own=198.18.0.7 list=black" in world.stream.getvalue()
    assert world.metric("policyd_own_addresses_listed", list="black") == 1


@pytest.mark.parametrize(
    "broken",
    [{"2.0.0.127.bl.example": None}, {"1.0.0.127.bl.example": "127.0.0.2"}],
)
def test_a_list_that_fails_its_test_says_nothing(world: World, broken: dict[str, str | None]) -> None:
    world.know("7.0.18.198.bl.example", "127.0.0.4")
    world.next_round(FIRST)
    assert len(world.told) == 1
    for name, address in broken.items():
        if address is None:
            world.forget(name)
        else:
            world.know(name, address)
    world.forget("7.0.18.198.bl.example")
    world.know("8.0.18.198.bl.example", "127.0.0.4")
    world.next_round()
    # What was known stays.
    assert world.metric("policyd_own_addresses_listed", list="black") == 1
    assert world.own.counted["failed"] == 2


def test_a_list_that_refuses_us_lists_nothing(world: World) -> None:
    world.know("7.0.18.198.bl.example", "127.255.255.254")
    world.next_round(FIRST)
    assert world.told == []
    assert world.own.counted["failed"] == 1


def test_addresses_that_are_configured_are_taken_as_they_are() -> None:
    world = World("  outgoing: {own: {addresses: [198.18.0.9]}}\n")
    world.know("9.0.18.198.other.example", "127.0.0.2")
    world.next_round(FIRST)
    assert world.metric("policyd_own_addresses") == 1
    assert world.told[0].data["list"] == "other"


@pytest.mark.parametrize("more", ["  outgoing: {own: {enabled: false}}\n"])
def test_switched_off_nothing_is_asked(more: str) -> None:
    world = World(more)
    assert world.clock.getDelayedCalls() == []


def test_a_gateway_without_public_addresses_says_so_once(world: World) -> None:
    for name in ("mx1.gate.example", "mx2.gate.example"):
        world.forget(name)
    world.next_round(FIRST)
    world.next_round()
    assert world.stream.getvalue().count("event=own-addresses-unknown") == 1
    assert sum(world.own.counted.values()) == 0


def test_addresses_that_cannot_be_found_now_are_those_of_before(world: World) -> None:
    world.next_round(FIRST)
    world.forget("mx1.gate.example")
    world.next_round()
    assert world.metric("policyd_own_addresses") == 2


def test_a_reload_begins_anew_only_if_something_changed(world: World) -> None:
    world.next_round(FIRST)
    world.know("7.0.18.198.bl.example", "127.0.0.4")
    world.own.configure(loads(CONFIGURATION))
    world.next_round(FIRST)
    assert world.told == []
    without = CONFIGURATION.replace("    other: {kind: dnsbl, zone: other.example}\n", "")
    world.own.configure(loads(without))
    world.next_round(FIRST)
    assert len(world.told) == 1
    world.own.configure(loads("policyd: {lists: {}}"))
    assert world.own.listed == {}
    assert world.clock.getDelayedCalls() == []


def test_a_fault_in_a_round_ends_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.own, "_addresses", lambda: 1 / 0)
    world.next_round(FIRST)
    assert "event=own-addresses-failed" in world.stream.getvalue()
    monkeypatch.undo()
    world.next_round()
    assert world.own.counted["clean"] == 3
    world.own.stop()
    assert world.clock.getDelayedCalls() == []
