"""Counting mails of nearly the same text."""

from __future__ import annotations

from typing import Any

import pytest

from mailbase.control import ControlError
from policyd.learning.bulk import Bulk
from tests.unit.awaited import result_of

from .drawer import Drawer

KEYS = [f"{number:016x}" for number in range(4)]
OTHERS = [f"{number:016x}" for number in range(10, 14)]


class Clock:
    now = 1e6

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bulk(clock: Clock) -> Bulk:
    return Bulk(Drawer(), clock, keep=1000.0)


def count(bulk: Bulk, keys: list[str], trapped: bool = False) -> Any:
    return result_of(bulk.count({"keys": keys, "trapped": trapped}))


def test_the_same_text_is_counted(bulk: Bulk) -> None:
    assert [count(bulk, KEYS)["seen"] for _ in range(3)] == [0, 1, 2]
    assert count(bulk, OTHERS)["seen"] == 0


def test_two_common_keys_are_needed(bulk: Bulk) -> None:
    for _ in range(5):
        count(bulk, KEYS)
    assert count(bulk, [*KEYS[:1], *OTHERS[1:]])["seen"] == 0
    assert count(bulk, [*KEYS[:2], *OTHERS[2:]])["seen"] == 5


def test_a_spamtrap_marks_what_comes_after_it(bulk: Bulk, clock: Clock) -> None:
    assert count(bulk, KEYS, trapped=True)["trapped"] is False
    assert count(bulk, [*KEYS[:2], *OTHERS[2:]])["trapped"] is True
    assert count(bulk, [*KEYS[:1], *OTHERS[:3]])["trapped"] is False
    clock.now += 1001
    assert count(bulk, KEYS)["trapped"] is False


@pytest.mark.parametrize("keys", [None, [], "x", ["x"], [1], ["0" * 16] * 9, ["A" * 16]])
def test_nonsense_is_refused(bulk: Bulk, keys: Any) -> None:
    with pytest.raises(ControlError, match="expected keys"):
        result_of(bulk.count({"keys": keys}))
