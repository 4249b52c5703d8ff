"""The ids of questions: drawn in one call for many, each given once."""

from __future__ import annotations

import pytest

from mailbase.dns import numbers


def test_each_of_those_that_were_drawn_together_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def urandom(size: int) -> bytes:
        calls.append(size)
        first = (len(calls) - 1) * size // 2
        return b"".join((first + number).to_bytes(2) for number in range(size // 2))

    monkeypatch.setattr(numbers.os, "urandom", urandom)
    draw = numbers._draw().__next__
    drawn = [draw() for _ in range(2 * numbers.AT_ONCE + 1)]
    assert drawn == [number.to_bytes(2) for number in range(2 * numbers.AT_ONCE + 1)]
    assert calls == [2 * numbers.AT_ONCE] * 3


def test_they_come_from_the_system_and_are_spread() -> None:
    drawn = {numbers.draw() for _ in range(1000)}
    assert all(len(number) == 2 for number in drawn)
    # Of 1,000 out of 65,536 some eight are the same by chance; never fifty.
    assert len(drawn) > 950
