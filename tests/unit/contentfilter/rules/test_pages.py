"""Facts about the words of pages, at their bounds."""

from __future__ import annotations

import pytest

from contentfilter.content.scan import read_letter
from contentfilter.rules.facts import FACTS
from contentfilter.rules.reading import Reading

_HEAD = "From: Bruno Holm <bruno.holm@sender.example>\nTo: anna@recipient.example\nSubject: x\n"


def seen(name: str, body: str, media: str = "text/html") -> str | None:
    """What a fact says of a mail with this body."""
    mail = f"{_HEAD}Content-Type: {media}; charset=utf-8\n\n{body}"
    return FACTS[name](Reading(read_letter(mail.encode())))


def words(count: int, stem: str = "word") -> str:
    """So many words, each another."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    return " ".join(f"{stem}{letters[number // 26]}{letters[number % 26]}" for number in range(count))


def alternative(plain: str, shown: str) -> str | None:
    parts = (
        f"--b\nContent-Type: text/plain\n\n{plain}\n--b\nContent-Type: text/html\n\n<p>{shown}</p>\n--b--\n"
    )
    mail = f"{_HEAD}Content-Type: multipart/alternative; boundary=b\n\n{parts}"
    return FACTS["alternatives-differ"](Reading(read_letter(mail.encode())))


@pytest.mark.parametrize(
    ("common", "others", "said"),
    [
        (0, 20, "0% in common"),
        (2, 18, "10% in common"),
        (3, 17, None),
        (2, 11, None),
        (2, 12, "14% in common"),
    ],
)
def test_two_forms_of_a_text_have_some_words_in_common(common: int, others: int, said: str | None) -> None:
    both = words(common, "both")
    one, other = words(20 - common, "one"), words(others, "other")
    assert alternative(f"{one} {both}", f"{other} {both.upper()}") == said


def test_what_they_have_in_common_counts_wherever_it_stands() -> None:
    one = words(20)
    assert alternative(one, f"{words(40, 'other')} {one}") is None
    assert alternative(one, f"{one} {words(40, 'other')}") is None


@pytest.mark.parametrize(("one", "other"), [(11, 20), (20, 11)])
def test_few_words_are_not_compared(one: int, other: int) -> None:
    assert alternative(words(one, "one"), words(other, "other")) is None
    assert alternative(words(12, "one"), words(12, "other")) == "0% in common"


def test_a_page_is_a_picture_with_24_words_and_not_with_25() -> None:
    assert seen("page-is-picture", f"<img src=a>{words(24)}") == "1 pictures, 24 words"
    assert seen("page-is-picture", f"<img src=a>{words(25)}") is None
    assert seen("page-is-picture", words(3)) is None


def test_a_text_is_a_link_with_12_words_and_not_with_13() -> None:
    link = "https://www.sender.example/"
    assert seen("text-is-link", f"{words(12)} {link}", "text/plain") == "12 words"
    assert seen("text-is-link", f"{words(13)} {link}", "text/plain") is None


def test_what_nobody_sees_is_left_out_of_words_in_other_scripts_too() -> None:
    text = "Gr\u00ad\u00fc\u200b\u2060\u00dfe\u00a0aus\ufe0f\u2028M\u00fcnchen"
    assert Reading(
        read_letter(f"{_HEAD}Content-Type: text/plain; charset=utf-8\n\n{text}".encode())
    ).shown == ("Gr\u00fc\u00dfe aus M\u00fcnchen")
