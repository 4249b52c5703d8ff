"""Properties that are worked out once."""

from __future__ import annotations

import pytest

from mailbase.once import once


class Subject:
    def __init__(self) -> None:
        self.asked = 0

    @once
    def answer(self) -> int:
        """What it is."""
        self.asked += 1
        if self.asked == 1:
            raise LookupError
        return self.asked


def test_a_value_is_worked_out_once_for_each_object():
    first, second = Subject(), Subject()
    for one in (first, second):
        with pytest.raises(LookupError):
            one.answer  # noqa: B018 - what is raised is not kept
        assert one.answer == one.answer == 2
        assert one.asked == 2


def test_it_has_the_documentation_of_its_function():
    assert Subject.answer.__doc__ == "What it is."
