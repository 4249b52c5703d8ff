"""What statistics see in a mail, and what they do not."""

from __future__ import annotations

import os
import random
import re
import time
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contentfilter.analysis import Analysis, Knowledge
from contentfilter.analysis.statistics import Statistics
from contentfilter.content.scan import read_letter
from contentfilter.letter import Letter
from contentfilter.letter.letter import Attachment, Text
from contentfilter.pool.frames import Done
from contentfilter.pool.messages import Kind, Task, decode, encode
from contentfilter.pool.scanning import scan
from contentfilter.statistics.tokens import _CAPITALS, MAX_WORDS, _text_words, slots_of
from mailbase.statistics.lesson import MAX_SLOTS, SLOTS, decode_lesson, pack, unpack
from mailbase.statistics.model import SIZE, Description, Model

HEADER = (
    b"From: Ada <ada@inst.example>\r\nTo: bob@other.example\r\nSubject: Minutes of the meeting\r\n"
    b"Message-ID: <123@inst.example>\r\n"
)
BODY = "Dear Bob, here are the minutes of our meeting on Tuesday."


def letter(body: str = BODY, header: bytes = HEADER, media: str = "text/plain") -> Letter:
    return Letter(header, (Text("1", media, body.encode()),), (), len(body))


def test_the_same_mail_is_the_same() -> None:
    assert slots_of(letter()) == slots_of(letter())


def test_figures_are_figures() -> None:
    assert set(slots_of(letter("room 12 at 10:30"))) == set(slots_of(letter("room 98 at 11:45")))


def test_words_and_their_order_are_seen() -> None:
    assert set(slots_of(letter("free money now"))) != set(slots_of(letter("now money free")))
    common = set(slots_of(letter("free money now"))) & set(slots_of(letter("free money later")))
    assert len(common) > len(set(slots_of(letter("free money now"))) & set(slots_of(letter("quite other"))))


@pytest.mark.parametrize(
    "line",
    [
        b"Delivered-To: ada@collector.example",
        b"Return-Path: <x@y.example>",
        b"X-Spam-Status: Yes, score=12",
        b"X-Rspamd-Score: 3",
        b"X-Postwarden-Score: 7.5",
        b"X-Postwarden-Id: 0g8p2k4x6c1zq",
        b"Status: RO",
        b"X-Keywords: junk",
        b"Authentication-Results: mx.example; spf=pass",
        b"DKIM-Signature: v=1; a=rsa-sha256; b=abc",
        b"Received: by mx.collector.example (Postfix, from userid 7) id 1; Thu, 1 Jan 2030 00:00:00 +0000",
        b"Received: from localhost [127.0.0.1] by host with POP3 (fetchmail-5.9.0)",
    ],
    ids=lambda line: line.partition(b":")[0].decode(),
)
def test_what_the_receiving_side_writes_is_not_seen(line: bytes) -> None:
    assert set(slots_of(letter(header=line + b"\r\n" + HEADER))) == set(slots_of(letter()))


def test_lines_above_the_one_that_fetched_the_mail_are_the_readers() -> None:
    outside = b"Received: from mail.spammer.example [198.51.100.7] by mx.inst.example; Thu, 1 Jan 2030\r\n"
    fetched = b"Received: from mx.inst.example by pc with IMAP (fetchmail-5.9.0) for <ada>\r\n"
    inner = b"Received: from pc.home.example [192.0.2.1] by pc with ESMTP\r\n"
    alone = set(slots_of(letter(header=outside + HEADER)))
    assert set(slots_of(letter(header=inner + fetched + outside + HEADER))) == alone
    assert alone != set(slots_of(letter()))


def test_hidden_text_of_html_is_not_seen() -> None:
    page = "<p>Buy now</p>{}<p>or never</p>"
    salad = "<p style='display:none'>committee agenda faculty thesis</p>"
    shown = set(slots_of(letter(page.format(""), media="text/html")))
    assert set(slots_of(letter(page.format(salad), media="text/html"))) == shown


def test_what_was_learned_before_speaks_of_the_same_numbers() -> None:
    """If this fails, lessons and models that are stored speak of other mails: ``lesson.FORMAT`` must grow."""
    header = (
        b"Received: from mail.x.example (mail.x.example [192.0.2.7]) by mx.inst.example; Thu, 1 Jan 2026\r\n"
        b'Content-Type: multipart/mixed; boundary="--=_a1B2"\r\nReply-To: c@elsewhere.example\r\n' + HEADER
    )
    link = "<a href='http://x.example/a-b?c=d1'>voil\u00e0</a>"
    page = f"<p>Prix 1\u00a0200 \u20ac, FREE!! 会議の議事録 {link} -- *</p>"
    mail = Letter(
        header,
        (Text("1", "text/plain", BODY.encode()), Text("2", "text/html", page.encode(), "utf-8")),
        (Attachment("3", "a.PDF", "application/pdf", 9),),
        900,
    )
    assert blake2b(pack(slots_of(mail)), digest_size=8).hexdigest() == "39e62d61badc7d2c"


REFERENCE = re.compile(rb"[^\x00-\x20.,;:!?()<>\"'\[\]{}|*=_#&/\\\x7f-]{1,24}|[!?$*=_#-]{2,8}|[!?]")
"""A word, or 24 octets of it; a row of marks; one that stands alone."""
CHARACTERS = st.one_of(
    st.sampled_from("aB1 !?$*=_#-.\n/\u00a0\u3000\u00e9\u0416会の\x00\x7f"), st.characters()
)


@given(st.text(CHARACTERS, max_size=120), st.integers(1, 60))
def test_words_are_those_of_the_expression(text: str, most: int) -> None:
    spaced = re.sub("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff]", r" \g<0> ", text)
    spaced = re.sub("[\u00a0\u3000]", " ", re.sub("[1-9]", "0", spaced))
    words = [word + b" " for word in REFERENCE.findall(spaced.encode("utf-8", "replace"))]
    assert _text_words(text, most) == words[:most]


@pytest.mark.parametrize("length", [23, 24, 25, 48, 49])
def test_a_long_word_is_several(length: int) -> None:
    words = _text_words(f"a {'x' * length} b", 99)
    assert words == [b"a ", *(b"x" * min(24, length - at) + b" " for at in range(0, length, 24)), b"b "]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see ABC and DEF", ["ABC", "DEF"]),
        ("e-ABC", ["ABC"]),
        *((no, []) for no in ("AB", "xABC", "éABC", "_ABC", "ABCd")),
        ("A" * 20, ["A" * 20]),
        ("A" * 21, []),
    ],
)
def test_capitals_are_whole_words(text: str, found: list[str]) -> None:
    assert _CAPITALS.findall(text) == found


def test_scripts_without_spaces_are_words_too() -> None:
    common = set(slots_of(letter("会議の議事録をお送りします"))) & set(slots_of(letter("議事録を確認します")))
    assert len(common) > len(set(slots_of(letter("x"))) & set(slots_of(letter("y")))) + 4


def test_a_long_mail_is_bounded_and_quick() -> None:
    chance = random.Random(1)
    body = " ".join("".join(chance.choices("abcdefghij", k=9)) for _ in range(30_000))
    header = HEADER + b"".join(b"X-Field-%d: %s\r\n" % (i, b"a b c d " * 200) for i in range(400))
    mail = letter(body, header)
    started = time.process_time()
    slots = slots_of(mail)
    assert time.process_time() - started < 0.5
    assert len(slots) <= MAX_SLOTS
    assert len(slots_of(letter(body))) <= 2 * MAX_WORDS + 200


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"From: @@@\r\n",
        b"Received: from from by by\r\n",
        b"Subject: =?utf-8?q?=00=ff?=\r\n",
        b"\0\xff: \0",
    ],
    ids=["none", "signs", "froms", "noise", "octets"],
)
def test_odd_headers_are_read(header: bytes) -> None:
    assert all(0 <= slot < SLOTS for slot in slots_of(letter(header=header)))


@given(st.binary(max_size=400), st.text(max_size=400))
def test_noise_is_read(header: bytes, body: str) -> None:
    mail = Letter(header, (Text("1", "text/html", body.encode("utf-8", "replace")),), (), 1)
    assert len(slots_of(mail)) <= MAX_SLOTS


def model_of(weights: dict[int, float], *knots: tuple[float, float]) -> Model:
    """A model in memory."""
    from array import array
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from mailbase.statistics.model import write_model

    table = array("f", bytes(4 * SLOTS))
    for slot, weight in weights.items():
        table[slot] = weight
    with TemporaryDirectory() as folder:
        write_model(Path(folder) / "model", table, Description(1.0, 300, 300, 0.0, knots))
        content = (Path(folder) / "model").read_bytes()
    assert len(content) == SIZE
    return Model(content)


class TestAnalyser:
    KNOTS = ((-1.0, -2.0), (0.0, 0.0), (1.0, 5.0))

    def clues(self, knowledge: Knowledge) -> list[tuple[str, float | None]]:
        analysis = Analysis(knowledge)
        clues = [(clue.name, clue.points) for clue in Statistics().analyse(letter(), analysis)]
        assert analysis.traits == {}
        return clues

    def test_spam_and_ham_get_their_points(self) -> None:
        slots = slots_of(letter())
        root = len(slots) ** 0.5
        spam = model_of(dict.fromkeys(slots, 0.5 / root), *self.KNOTS)
        assert self.clues(Knowledge(model=spam)) == [("statistics.spam", 2.5)]
        ham = model_of(dict.fromkeys(slots, -9.0), *self.KNOTS)
        assert self.clues(Knowledge(model=ham)) == [("statistics.ham", -2.0)]

    def test_a_model_that_knows_too_little_says_nothing(self) -> None:
        weights = dict.fromkeys(slots_of(letter()), 9.0)
        assert self.clues(Knowledge(model=model_of(weights))) == []
        assert self.clues(Knowledge()) == []

    def test_without_a_model_that_judges_no_mail_is_taken_apart(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def never(_letter: Letter) -> set[int]:
            raise AssertionError

        monkeypatch.setattr("contentfilter.analysis.statistics.slots_of", never)
        assert self.clues(Knowledge()) == []
        assert self.clues(Knowledge(model=model_of({}))) == []

    def test_the_digest_is_told_where_somebody_counts(self) -> None:
        mail = letter(" ".join(f"word{'abcdefghij'[i % 10]}{'klmnopqrst'[i // 10]}" for i in range(100)))
        for bulk in (True, False):
            analysis = Analysis(Knowledge(bulk=bulk))
            assert list(Statistics().analyse(mail, analysis)) == []
            assert ("bulk" in analysis.traits) is bulk
            assert "lesson" not in analysis.traits
        spared = Analysis(Knowledge(bulk=True), {"bulk": False})
        assert list(Statistics().analyse(mail, spared)) == []
        assert "bulk" not in spared.traits


class TestLesson:
    """What a worker says of a mail that is only to be learned."""

    MAIL = HEADER + b"\r\n..dots\r\n" + BODY.encode() + b"\r\n"

    def lesson(self, kind: Kind, mail: bytes) -> str:
        descriptor = os.memfd_create("mail")
        try:
            os.write(descriptor, mail)
            result = scan(Task(kind, len(mail)), descriptor, Knowledge())
        finally:
            os.close(descriptor)
        # As the daemon hears it.
        done = decode(encode(Done(result))[4:], frozenset())
        assert isinstance(done, Done)
        assert done.result == result
        assert (result.findings, result.unscanned, result.clues) == ((), (), ())
        return result.traits.lesson

    def test_it_has_what_the_mail_is_judged_by(self) -> None:
        unstuffed = self.MAIL.replace(b"\r\n..", b"\r\n.")
        judged: tuple[tuple[Kind, bytes], ...] = (("lesson", self.MAIL), ("wire-lesson", unstuffed))
        for kind, data in judged:
            slots = unpack(decode_lesson(self.lesson(kind, self.MAIL)))
            assert list(slots) == sorted(slots_of(read_letter(data)))

    @pytest.mark.parametrize("mail", [b"", b"\r\n"])
    def test_a_mail_in_which_nothing_is_seen_has_none(
        self, mail: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("contentfilter.pool.scanning.slots_of", lambda _letter: set())
        assert self.lesson("lesson", mail) == ""

    def test_one_that_cannot_be_read_ends_no_worker(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fails(_letter: Letter) -> set[int]:
            raise ValueError

        monkeypatch.setattr("contentfilter.pool.scanning.slots_of", fails)
        assert self.lesson("wire-lesson", self.MAIL) == ""
