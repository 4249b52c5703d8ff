"""Whose origin is remembered, and that it is nobody else's."""

from __future__ import annotations

import random

import pytest

from mailbase.registry import Registry
from policyd.evidence import flow
from policyd.evidence.flow import Origins
from policyd.protocol.request import MAX_ADDRESS, Request, request_of


def request(**attributes: str) -> Request:
    return request_of({"client_address": "192.0.2.1", "client_name": "a.example", **attributes})


def test_the_same_client_has_the_same_origin() -> None:
    origins = Origins(Registry())
    assert origins.of(request()) is origins.of(request(helo_name="other"))


@pytest.mark.parametrize(
    "other",
    [
        {"client_address": "192.0.2.2"},
        {"client_name": "b.example"},
        {"client_name": "unknown"},
        {"client_name": "unknown", "reverse_client_name": "a.example"},
        {"sasl_username": "somebody"},
    ],
)
def test_what_makes_an_origin_makes_another_one(
    monkeypatch: pytest.MonkeyPatch, other: dict[str, str]
) -> None:
    monkeypatch.setattr(flow, "REMEMBERED", 1)
    origins = Origins(Registry())
    for attributes in ({}, other, {}, other, {**other, "client_name": "unknown"}):
        origin, anew = origins.of(request(**attributes)), Origins(Registry()).of(request(**attributes))
        for name in ("flow", "address", "name", "has_ptr", "system"):
            assert getattr(origin, name) == getattr(anew, name)
    assert origins.of(request()) is not origins.of(request(**other))


def test_memory_is_bounded() -> None:
    origins = Origins(Registry())
    chance = random.Random(1)
    for _ in range(3 * flow.REMEMBERED):
        origins.of(request(client_address=f"10.{chance.randrange(256)}.{chance.randrange(256)}.1"))
    assert len(origins._remembered) == flow.REMEMBERED
    long = request(client_name="a" * MAX_ADDRESS)
    assert origins.of(long) is not origins.of(long)
