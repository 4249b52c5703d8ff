"""A mail as rules and statistics read it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contentfilter.analysis import Analysis, Knowledge, analyse
from contentfilter.analysis.analyser import FAILED
from contentfilter.content.clues import MAX_CLUES, Clue, is_clue
from contentfilter.content.part import Part
from contentfilter.content.scan import read_letter
from contentfilter.letter import Letter, Text
from contentfilter.letter.header import MAX_FIELDS, MAX_VALUE, fields_of
from contentfilter.letter.letter import MAX_ATTACHED, MAX_ATTACHMENTS, MAX_TEXT, MAX_TEXTS, Composer


def test_fields_are_unfolded_and_keep_their_order() -> None:
    fields = fields_of(b"Received: a\r\n\tb\r\nSubject: x\r\nreceived: c\r\nno field\r\n\r\n")
    assert [(field.name, field.raw) for field in fields] == [
        ("received", b"a\tb"),
        ("subject", b"x"),
        ("received", b"c"),
    ]
    assert fields[0].spelling == b"Received"


@pytest.mark.parametrize(
    ("block", "raw"),
    [
        (b"A: b\n c\n", b"b c"),
        (b"A: b\r\n c\r\n\td\r\n", b"b c\td"),
        (b"A: b\r\r\n c\r\n", b"b\r c"),
        (b"A: b\rc\r\n", b"b\rc"),
        (b"A: b\r\n \r\n c\r\n", b"b  c"),
        (b"A: b\r\r\n", b"b"),
    ],
)
def test_a_field_is_unfolded_at_line_ends_of_either_kind(block: bytes, raw: bytes) -> None:
    assert [field.raw for field in fields_of(block)] == [raw]


@pytest.mark.parametrize("start", [b"\n", b"\r\n"])
def test_a_mail_that_begins_with_an_empty_line_has_no_header(start: bytes) -> None:
    assert not read_letter(start + b"Subject: x\n\nHello\n").fields


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("Grüße".encode(), "Grüße"),
        ("Grüße".encode("latin-1"), "Grüße"),
        (b"=?nonsense?x?", "=?nonsense?x?"),
    ],
)
def test_a_value_is_read_as_people_see_it(raw: bytes, text: str) -> None:
    assert fields_of(b"Subject: " + raw + b"\r\n")[0].text == text


def test_a_header_without_end_is_bounded() -> None:
    fields = fields_of(b"X: " + b"y" * (MAX_VALUE + 5) + b"\r\n" + b"Z: 1\r\n" * (MAX_FIELDS + 5))
    assert len(fields) == MAX_FIELDS
    assert len(fields[0].raw) == MAX_VALUE


def test_the_topmost_field_of_a_name_counts() -> None:
    letter = Letter(b"Subject: one\r\nSubject: two\r\n")
    assert letter.first("subject") == "one"
    assert [field.text for field in letter.all("subject")] == ["one", "two"]
    assert letter.first("from") == ""
    assert "subject" in letter
    assert "from" not in letter


def test_texts_and_attachments_come_apart() -> None:
    composer = Composer()
    composer.add(Part("1", b"words", media="text/plain"))
    composer.add(Part("2", "<p>Grüße".encode("latin-1"), media="text/html", charset="latin1"))
    composer.add(Part("3", b"old", media=""))
    composer.add(Part("4/a.txt", b"notes", name="a.txt", media="text/plain", attached=True))
    composer.add(Part("5", b"%PDF", media="application/pdf"))
    letter = composer.letter(b"", 100)
    assert [(text.path, text.media, text.source) for text in letter.texts] == [
        ("1", "text/plain", "words"),
        ("2", "text/html", "<p>Grüße"),
        ("3", "text/plain", "old"),
    ]
    assert [(item.path, item.name, item.media, item.size) for item in letter.attachments] == [
        ("4/a.txt", "a.txt", "text/plain", 5),
        ("5", "", "application/pdf", 4),
    ]


def test_of_two_readings_of_a_part_the_first_counts() -> None:
    composer = Composer()
    composer.add(Part("1", b"one", media="text/plain"))
    composer.add(Part("1", b"two", media="text/plain"))
    assert [text.source for text in composer.letter(b"", 0).texts] == ["one"]


def test_a_letter_is_bounded() -> None:
    composer = Composer()
    for number in range(MAX_TEXTS + 5):
        composer.add(Part(f"1.{number}", b"x" * (MAX_TEXT + 5), media="text/plain"))
    for number in range(MAX_ATTACHMENTS + 5):
        composer.add(Part(f"2.{number}", b"x", name="a.bin"))
    letter = composer.letter(b"", 0)
    assert len(letter.texts) == MAX_TEXTS
    assert len(letter.texts[0].source) == MAX_TEXT
    assert len(letter.attachments) == MAX_ATTACHMENTS


class Reader:
    """An analyser that says what it is told to."""

    def __init__(self, name: str, *clues: Clue | Exception) -> None:
        self.name = name
        self._clues = clues

    def analyse(self, letter: Letter, analysis: Analysis) -> Iterator[Clue]:
        for clue in self._clues:
            if isinstance(clue, Exception):
                raise clue
            yield clue


def test_an_analyser_that_fails_does_not_silence_the_others() -> None:
    first = Reader("one", Clue("one.a"), ValueError("x"))
    second = Reader("two", Clue("two.b"), Clue("two.b", "again"))
    clues = analyse(Letter(b""), Analysis(Knowledge()), (first, second))
    assert clues == (Clue("one.a"), Clue(FAILED, "one: ValueError"), Clue("two.b"))


def test_clues_are_bounded() -> None:
    reader = Reader("one", *(Clue(f"one.{number}") for number in range(MAX_CLUES + 5)))
    assert len(analyse(Letter(b""), Analysis(Knowledge()), (reader,))) == MAX_CLUES


@pytest.mark.parametrize("name", ["rule.a", "rspamd.score", "url.dbl-spamhaus", "rule.419"])
def test_the_name_of_a_clue(name: str) -> None:
    assert is_clue(name)
    assert Clue(name).source == name.partition(".")[0]


@pytest.mark.parametrize("name", ["", "rule", "rule.", "Rule.a", "rule.a\n", "rule.a b", "r" * 40 + ".a"])
def test_what_is_no_name_of_a_clue(name: str) -> None:
    assert not is_clue(name)


def test_a_text_is_shown_as_a_reader_sees_it() -> None:
    page = Text("1", "text/html", b"<p>seen <a href=x>words</a><i style='display:none'>more</i>")
    assert (page.shown, page.hidden) == ("seen words", "more")
    assert [(link.target, link.shown) for link in page.links] == [("x", "words")]
    plain = Text("1", "text/plain", b"<p>seen")
    assert (plain.shown, plain.hidden, plain.links) == ("<p>seen", "", ())


def test_a_name_alone_does_not_hide_a_text() -> None:
    composer = Composer()
    composer.add(Part("1/x.html", b"<p>shown", name="x.html", media="text/html"))
    composer.add(Part("2", b"shown", media="text/plain", attached=True))
    for number in range(3, MAX_ATTACHED + 9):
        composer.add(Part(f"{number}/y.txt", b"file", name="y.txt", media="text/plain", attached=True))
    letter = composer.letter(b"", 0)
    assert [text.path for text in letter.texts] == ["1/x.html", "2"]
    assert [text.source for text in letter.attached] == ["file"] * MAX_ATTACHED
    assert [item.name for item in letter.attachments] == ["x.html"] + ["y.txt"] * (MAX_ATTACHED + 6)
