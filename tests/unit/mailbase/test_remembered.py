"""Answers that are remembered: each question once, and no more than told."""

from __future__ import annotations

import pytest

from mailbase.remembered import Remembered


def test_each_question_is_answered_once_and_no_more_are_held_than_told() -> None:
    asked: list[int] = []

    def find(number: int) -> str:
        asked.append(number)
        return str(number)

    remembered = Remembered(find, 3)
    assert [remembered[number] for number in (1, 2, 1, 3, 2)] == ["1", "2", "1", "3", "2"]
    assert asked == [1, 2, 3]
    for number in range(100):
        assert remembered[number] == str(number)
        assert len(remembered) <= 3


def test_what_cannot_be_answered_is_asked_again() -> None:
    def find(number: int) -> int:
        return 1 // number

    remembered = Remembered(find, 3)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            remembered[0]
    assert len(remembered) == 0
