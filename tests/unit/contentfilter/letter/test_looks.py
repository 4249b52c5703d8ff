"""Style sheets, and what hostile ones cost."""

from __future__ import annotations

import re

import pytest

from contentfilter.letter import looks
from contentfilter.letter.html import read_page
from contentfilter.letter.looks import Look, Sheet, look_of


def test_later_rules_count_more_also_those_that_are_added_later():
    sheet = Sheet()
    sheet.add(".a{color:#111;display:none} .a{color:#222}")
    assert sheet.look(".a") == Look(displayed=False, colour=0x222222)
    sheet.add(".a{display:block}")
    assert sheet.look(".a") == Look(displayed=True, colour=0x222222)
    sheet.add(".b .a{color:#333}")
    assert sheet.look(".a").colour == looks.UNKNOWN


def test_each_rule_is_read_once_however_often_it_is_asked_for(monkeypatch: pytest.MonkeyPatch):
    read = []

    def counting(style: str) -> Look:
        read.append(style)
        return look_of(style)

    monkeypatch.setattr(looks, "look_of", counting)
    count = 300
    read_page("<style>.a{color:red} .b .a{color:blue}</style><p class='a a a'>x" * count)
    assert len(read) <= 2 * count


@pytest.mark.parametrize("text", ["/*" * 1000, "a/*b*/c" + "/*" * 1000, "*/" + "/*" * 1000 + "*", "/*/"])
def test_comments_without_an_end_are_not_searched_for_one_each(monkeypatch: pytest.MonkeyPatch, text: str):
    searched = []

    class Watched:
        def sub(self, by: str, text: str) -> str:
            searched.append(text)
            return re.sub(r"/\*.*?\*/", by, text, flags=re.DOTALL)

    expected = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    monkeypatch.setattr(looks, "_COMMENT", Watched())
    assert looks._without_comments(text) == expected
    assert all(not text or text.endswith("*/") for text in searched)
