"""What rules read of header fields: addresses, dates, Received lines; and phrases in words."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contentfilter.content.scan import read_letter
from contentfilter.rules import phrases
from contentfilter.rules.address import Mailbox, addresses_in, mailbox_of
from contentfilter.rules.dates import moment_of
from contentfilter.rules.facts import FACTS, NEEDS
from contentfilter.rules.hops import Hop
from contentfilter.rules.matcher import Matcher
from contentfilter.rules.own import OwnRules
from contentfilter.rules.phrases import PhraseSet, read_phrase, words_of
from contentfilter.rules.reading import Reading, bounded, plain
from tests.samples.honest_letters import HONEST
from tests.samples.letters_of_today import FRAUD_TODAY, HONEST_TODAY
from tests.samples.spam_letters import SPAM


@pytest.mark.parametrize(
    ("field", "name", "address"),
    [
        ("a@b.example", "", "a@b.example"),
        ("Anna Berg <a@b.example>", "Anna Berg", "a@b.example"),
        ('"Berg, Anna" <a@b.example>, c@d.example', "Berg, Anna", "a@b.example"),
        ('"x@y.example <x@y.example>" <a@b.example>', "x@y.example <x@y.example>", "a@b.example"),
        ("a@b.example (Anna Berg)", "Anna Berg", "a@b.example"),
        ("root (Cron Daemon)", "root (Cron Daemon)", ""),
        ("Anna <a@b.example", "Anna", "a@b.example"),
        ("undisclosed-recipients:;", "undisclosed-recipients:;", ""),
        ("", "", ""),
    ],
)
def test_an_address_is_read_as_people_do(field: str, name: str, address: str) -> None:
    assert mailbox_of(field) == Mailbox(name, address)


def test_addresses_are_found_in_a_field_and_bounded() -> None:
    assert addresses_in('A <A@b.example>, "c@d.example" e@f.example;') == [
        "a@b.example",
        "c@d.example",
        "e@f.example",
    ]
    assert len(addresses_in("a@b.example, " * 500, 7)) == 7


@pytest.mark.parametrize(
    ("text", "seconds", "zone", "sound", "strict", "wrong"),
    [
        ("Mon, 2 Mar 2026 10:00:00 +0100", 1772442000, 60, True, True, False),
        ("2 Mar 2026 10:00 GMT", 1772445600, 0, True, True, False),
        ("Mon, 2 Mar 2026 10:00:00 +0100 (CET)", 1772442000, 60, True, True, False),
        ("Mon, 02 Mar 26 10:00:00 EST", 1772463600, -300, True, True, False),
        ("Fri, 2 Mar 2026 10:00:00 +0000", 1772445600, 0, True, True, True),
        ("Mon, 2 Mar 2026 10:00:00 -1900", 1772514000, -1140, False, True, False),
        ("Mon, 2 Mar 2026 10:00:00 +0107", 1772441580, 67, False, True, False),
        ("Monday, 2 March 2026 10:00:00 +0000", 1772445600, 0, True, False, False),
        ("Mon, 2 Mar 2026 1:00:00 +0000", 1772413200, 0, True, False, False),
        ("Mon, 2 Mar 2026 10:00:00", 1772445600, None, True, False, False),
    ],
)
def test_a_date_is_read(
    text: str, seconds: int, zone: int | None, sound: bool, strict: bool, wrong: bool
) -> None:
    moment = moment_of(text)
    assert moment is not None
    assert (moment.seconds, moment.zone, moment.zone_sound) == (seconds, zone, sound)
    assert (moment.strict, moment.weekday_wrong) == (strict, wrong)


@pytest.mark.parametrize(
    "text", ["", "now", "32 Mar 2026 10:00", "2 Foo 2026 10:00", "2 Mar 2026 25:00", "2 Mar 0 1:1"]
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert moment_of(text) is None or text == "2 Mar 0 1:1"


@pytest.mark.parametrize(
    ("line", "helo", "name", "address", "by", "protocol", "doubtful"),
    [
        (
            "from pc (h7.isp.example [192.0.2.7]) by mx.example (Postfix) with ESMTPS id 4X; Mon, 2 "
            "Mar 2026 10:00 +0000",
            "pc", "h7.isp.example", "192.0.2.7", "mx.example", "ESMTPS", False,
        ),
        (
            "from h7.isp.example ([192.0.2.7] helo=pc)\tby mx.example with esmtp (Exim 4) id 1; Mon, "
            "2 Mar 2026 10:00 +0000",
            "pc", "h7.isp.example", "192.0.2.7", "mx.example", "ESMTP", False,
        ),
        (
            "from pc (unknown [2001:db8::7]) by mx.example with SMTP; x",
            "pc", "", "2001:db8::7", "mx.example", "SMTP", True,
        ),
        ("from [192.0.2.7] by mx.example; x", "192.0.2.7", "", "192.0.2.7", "mx.example", "", False),
        ("by mx.example (Postfix, from userid 0) id 4X; x", "", "", "", "mx.example", "", False),
        ("(qmail 1 invoked by uid 502); x", "", "", "", "", "", False),
        ("", "", "", "", "", "", False),
    ],
)  # fmt: skip
def test_a_received_line_is_read(
    line: str, helo: str, name: str, address: str, by: str, protocol: str, doubtful: bool
) -> None:
    hop = Hop(line)
    assert (hop.helo, hop.name, hop.address) == (helo, name, address)
    assert (hop.by, hop.protocol, hop.doubtful) == (by, protocol, doubtful)


def test_letters_are_made_plain() -> None:
    assert plain("V\u200bi\u00adagra \uff26\uff32\uff25\uff25 \U0001d5e9") == "Viagra FREE V"
    assert bounded("a" * 8 + "b" * 8, 8) == "aaaaaa\nbb"


@pytest.mark.parametrize(
    ("phrase", "text", "found"),
    [
        ("verify your account", "Please VERIFY your account!", (1, 4)),
        ("dont sign in", "Don't sign-in", (0, 3)),
        ("email", "E-mail", (0, 1)),
        ("a ..2 b", "a x y b", (0, 4)),
        ("a ..2 b", "a x y z b", None),
        ("a the? b", "a b", (0, 2)),
        ("a the? b", "a the b", (0, 3)),
        ("# % off", "20% off", (0, 3)),
        ("konto* gesperrt", "Kontozugang gesperrt", (0, 2)),
        ("*konto gesperrt", "Girokonto gesperrt", (0, 2)),
        ("*erstattung* jetzt", "R\u00fcckerstattungen jetzt", (0, 2)),
        ("ab* cd", "abc cd", (0, 2)),
        ("one", "", None),
    ],
)
def test_a_phrase_is_found(phrase: str, text: str, found: tuple[int, int] | None) -> None:
    assert PhraseSet([read_phrase(phrase)]).search(words_of(text)).get(0) == found


def test_a_phrase_is_tried_at_the_first_places_of_its_rarest_word() -> None:
    searched = PhraseSet([read_phrase("transfer fund"), read_phrase("fund*")])
    before = "transfer it. " * (phrases.MAX_TRIES - 1)
    assert searched.search(words_of(f"{before}transfer fund")).keys() == {0, 1}
    assert searched.search(words_of(f"{before}transfer it. transfer fund")).keys() == {1}


def test_phrases_found_at_once_are_those_found_alone() -> None:
    rng = random.Random(7)
    letters = "abcde"
    pieces = [*letters, "a|b", "c|d|e", "a?", "..1", "..3", "b*", "*c", "*d*"]
    many = []
    while len(many) < 200:
        try:
            many.append(read_phrase(" ".join(rng.choices(pieces, k=rng.randint(1, 5)))))
        except ValueError:
            continue
    together = PhraseSet(many)
    for _ in range(60):
        words = rng.choices(["a", "b", "c", "d", "e", "bb", "ac", "ada"], k=12)
        alone = {n for n, phrase in enumerate(many) if PhraseSet([phrase]).search(words)}
        assert set(together.search(words)) == alone


@given(
    st.text(alphabet="aZ9_ \t\n'-.,!$%#€£éß\u4e00\u0660\u2019\u00a0\x1f\x00\ud800", max_size=60)
    | st.text(max_size=60)
)
def test_words_are_letters_and_digits_in_a_row_and_signs(text: str) -> None:
    assert words_of(text) == re.findall(r"[^\W_]+|[$€£%!]", phrases.plain(text))


@pytest.fixture(scope="module")
def matcher() -> Matcher:
    return Matcher(OwnRules().ruleset())


FIELDS = [
    "From",
    "To",
    "Cc",
    "Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "Received",
    "Content-Type",
    "X-Mailer",
]


@given(st.lists(st.tuples(st.sampled_from(FIELDS), st.text(max_size=60)), max_size=8), st.text(max_size=200))
def test_no_letter_makes_a_fact_or_a_rule_fail(
    matcher: Matcher, fields: list[tuple[str, str]], text: str
) -> None:
    head = "".join(f"{name}: {' '.join(value.split())}\n" for name, value in fields)
    reading = Reading(read_letter(f"{head}\n{text}".encode("utf-8", "replace")))
    for fact in FACTS.values():
        assert isinstance(fact(reading), str | None)
    assert not _held_without_need(reading)
    matcher.hits(reading)


def _held_without_need(reading: Reading) -> list[str]:
    """Facts that hold though what they need is not there: they would be missed."""
    return [
        name
        for name, fact in FACTS.items()
        if fact in NEEDS and not NEEDS[fact](reading) and fact(reading) is not None
    ]


@pytest.mark.parametrize(
    "letters",
    [SPAM, HONEST, FRAUD_TODAY, HONEST_TODAY],
    ids=["spam", "honest", "fraud-today", "honest-today"],
)
def test_no_fact_holds_without_what_it_needs(letters: Mapping[str, bytes]) -> None:
    for name, mail in letters.items():
        assert not _held_without_need(Reading(read_letter(mail))), name
