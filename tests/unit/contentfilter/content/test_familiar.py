"""Pieces of documents that need not be searched again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from contentfilter.content import familiar as module
from contentfilter.content.familiar import KEPT, LARGEST, Familiar
from contentfilter.content.limits import Budget, ScanOptions
from contentfilter.content.part import Context, Found, Part
from contentfilter.content.scan import _Walk, scan_message
from contentfilter.passwords.passwords import Passwords
from mailbase.vocabulary import Finding
from tests.samples.archives import plain_zip
from tests.samples.messages import attachment, message, multipart, text
from tests.samples.office import docm, docx

PIECE = Part("2/a.docx", b"<Types/>", 1, "[Content_Types].xml", "[Content_Types].xml")


class Looking:
    """Notes what it is shown, finds ``evil`` and uses up what it is told to."""

    name = "looking"

    def __init__(self, work: int = 0) -> None:
        self.seen: list[bytes] = []
        self._work = work

    def scan(self, part: Part, context: Context) -> Iterator[Found]:
        self.seen.append(bytes(part.data))
        if self._work:
            context.budget.take_work(self._work)
        if b"evil" in part.data:
            yield part.found("evil")


def walk(looking: Looking, familiar: Familiar, *parts: Part, options: ScanOptions | None = None):
    budget = Budget(options or ScanOptions(), lambda: 0.0)
    walker = _Walk(budget, Passwords(budget), lambda: 0.0, (looking,), familiar=familiar)
    return walker.run(iter(parts))


def times_seen(*parts: Part, work: int = 0, options: ScanOptions | None = None) -> int:
    """How often scanners are shown parts that come one after another in mails of their own."""
    looking, familiar = Looking(work), Familiar()
    for part in parts:
        walk(looking, familiar, part, options=options)
    return len(looking.seen)


def test_a_piece_in_which_nothing_was_found_is_searched_once():
    assert times_seen(PIECE, PIECE, replace(PIECE, path="1/other.docx", depth=3)) == 1


def test_it_counts_as_a_part_all_the_same():
    looking, familiar = Looking(), Familiar()
    first, second = (walk(looking, familiar, PIECE) for _ in range(2))
    assert (first.parts, second.parts) == (1, 1)


def test_what_is_found_is_found_each_time():
    looking, familiar = Looking(), Familiar()
    evil = replace(PIECE, data=b"evil")
    for _ in range(3):
        assert walk(looking, familiar, evil).findings == (Finding("evil", evil.path, "[Content_Types].xml"),)


@pytest.mark.parametrize(
    "other",
    [
        replace(PIECE, data=b"<Types />"),
        replace(PIECE, name="a.js"),
        replace(PIECE, inside="a.js"),
        replace(PIECE, name=PIECE.name + "'", inside=PIECE.inside[:-1]),
        replace(PIECE, name=PIECE.name[:-1], data=b"l" + PIECE.data),
    ],
)
def test_another_name_or_another_octet_is_another_piece(other: Part):
    assert times_seen(PIECE, other) == 2


def test_names_that_are_no_unicode_have_a_key():
    assert times_seen(replace(PIECE, name="\udcff"), replace(PIECE, name="\udcfe")) == 2


def test_files_are_searched_each_time():
    """What is no piece of a document has a charset and more that scanners look at."""
    assert times_seen(replace(PIECE, inside=""), replace(PIECE, inside="")) == 2


@pytest.mark.parametrize(("size", "times"), [(LARGEST, 1), (LARGEST + 1, 2)])
def test_large_pieces_are_searched_each_time(size: int, times: int):
    part = replace(PIECE, data=b"x" * size)
    assert times_seen(part, part) == times


def test_what_takes_from_the_budget_takes_it_each_time():
    assert times_seen(PIECE, PIECE, work=1) == 2


def test_what_met_a_bound_is_searched_again():
    assert times_seen(PIECE, PIECE, options=ScanOptions(work=-1)) == 2


def test_those_that_were_met_last_are_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "KEPT", 2)
    familiar = Familiar()
    familiar.add(b"1")
    familiar.add(b"2")
    assert b"1" in familiar
    familiar.add(b"3")
    assert [key in familiar for key in (b"1", b"2", b"3")] == [True, False, True]


def test_no_more_are_kept():
    familiar = Familiar()
    for number in range(KEPT + 5):
        familiar.add(number.to_bytes(4, "big"))
    assert len(familiar._digests) == KEPT


@pytest.mark.parametrize("document", [docx(), docm(), plain_zip({"a.docm": docm(), "b.docx": docx()})])
def test_the_same_mail_gives_the_same_each_time(document: bytes):
    mail = message(multipart(text(), attachment(document, "a.bin")))
    expected, familiar = scan_message(mail), Familiar()
    for _ in range(3):
        found = scan_message(mail, familiar=familiar)
        assert (found.findings, found.unscanned, found.parts) == (
            expected.findings,
            expected.unscanned,
            expected.parts,
        )
    assert familiar._digests
