"""Each kind of test on a letter, what is told of where it held, and how long hostile letters take."""

from __future__ import annotations

import random
import time

import pytest

from contentfilter.analysis import Analysis, Knowledge
from contentfilter.analysis.rules import Rules
from contentfilter.content.clues import Clue
from contentfilter.content.scan import read_letter
from contentfilter.letter import Letter
from contentfilter.rules.matcher import Matcher, Place
from contentfilter.rules.own import OwnRules
from contentfilter.rules.reading import MAX_BODY, Reading
from contentfilter.rules.ruleset import assemble
from mailbase.documents import parse

MAIL = (
    b"Received: from a.example (a.example [192.0.2.1]) by b.example with ESMTP; Mon, 2 Mar 2026 "
    b"10:00:05 +0100\r\n"
    b'From: "Bank <x@y.example>" <robber@den.example>\r\nTo: a@b.example\r\n'
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= now\r\n"
    b"X-Tag: 1\r\nX-Tag: 2\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n"
    b"--B\r\nContent-Type: text/html; charset=us-ascii\r\n\r\n"
    b'<p>Pay   your\r\nbill <a href="http://www.Shop.example:8080/pay/?id=7">here</a>, and pay again</p>\r\n'
    b'--B\r\nContent-Type: application/pdf; name="Bill.PDF"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    b"JVBERi0xLjQK\r\n--B--\r\n"
)


def matcher(condition: str) -> Matcher:
    content = f"rules:\n  rule: {{description: x, points: 1, {condition}}}\n"
    return Matcher(assemble([parse(content.encode(), "f")]))


@pytest.mark.parametrize(
    ("condition", "fires"),
    [
        ("header: {field: subject, matches: '^grüße NOW$'}", True),
        ("header: {field: subject, matches: '(?-i)^grüße'}", False),
        ("header: {field: subject, matches: 'utf-8', part: raw}", True),
        ("header: {field: [x-none, x-tag], matches: '^2$'}", True),
        ("header: {field: x-tag, at_least: 2}", True),
        ("header: {field: x-tag, at_least: 3}", False),
        ("header: {field: x-tag, matches: '\\d', at_least: 2}", True),
        ("header: {field: x-tag, matches: '2', at_least: 2}", False),
        ("header: {field: x-none}", False),
        ("header: {field: [x-none, x-nil], absent: true}", True),
        ("header: {field: [x-none, x-tag], absent: true}", False),
        ("header: {field: from, part: domain, matches: '^den\\.example$'}", True),
        ("header: {field: from, part: address, matches: '^robber@'}", True),
        ("header: {field: from, part: name, matches: '^Bank <x@y.example>$'}", True),
        ("body: 'pay your bill here'", True),
        ("body: '^grüße now$'", False),
        ("body: {matches: 'pay', at_least: 2}", True),
        ("body: {matches: 'pay', at_least: 3}", False),
        ("body: 'href'", False),
        ("raw: '<a href='", True),
        ("phrases: 'pay your bill'", True),
        ("phrases: 'pay ..1 bill'", True),
        ("phrases: 'pay ..1 here'", False),
        ("phrases: 'pay the? your bill*'", True),
        ("phrases: 'buy|sell *our *il*'", False),
        ("phrases: 'buy|pay *our *il*'", True),
        ("phrases: 'grüße now'", True),
        ("phrases: {of: [pay your, bill here, nothing], at_least: 2}", True),
        ("phrases: {of: [pay your, bill here, nothing], at_least: 3}", False),
        ("url: {host: '^www\\.shop\\.example$', path: '^/pay/\\?id=7$'}", True),
        ("url: {host: '^www\\.shop\\.example$', path: '^/other'}", False),
        ("url: {matches: ':8080/'}", True),
        ("url: {host: shop, at_least: 2}", False),
        ("attachment: {name: '\\.pdf$', media: '^application/pdf$'}", True),
        ("attachment: {name: '\\.pdf$', media: 'html'}", False),
        ("attachment: {larger: 8}", True),
        ("attachment: {name: pdf, smaller: 9}", False),
        ("mime: {media: '^text/html$', charset: '^us-ascii$', encoding: identity}", True),
        ("mime: {media: '^text/html$', charset: utf}", False),
        ("fact: page-alone", True),
        ("fact: text-empty", False),
        ("not: {fact: text-empty}", True),
        ("all: [{body: pay}, {body: bill}]", True),
        ("all: [{body: pay}, {body: nothing}]", False),
        ("any: [{body: nothing}, {body: bill}]", True),
        ("count: {of: [{body: nothing}, {body: bill}, {body: pay}], at_least: 2}", True),
        ("count: {of: [{body: nothing}, {body: bill}, {body: pay}], at_least: 3}", False),
    ],
)
def test_a_condition_holds_or_not(condition: str, fires: bool) -> None:
    assert matcher(condition).fires("rule", Reading(read_letter(MAIL))) is fires


@pytest.mark.parametrize(
    ("condition", "places"),
    [
        ("header: {field: subject, matches: 'now'}", [Place("subject", "Grüße [now]")]),
        ("phrases: 'pay your bill'", [Place("text", "[pay your bill]")]),
        ("body: 'bill'", [Place("text", "Grüße now\nPay your [bill] here, and pay again")]),
        ("header: {field: x-none, absent: true}", [Place("x-none", "not there")]),
        ("all: [{fact: page-alone}, {not: {body: nothing}}]", [Place("page-alone", "")]),
    ],
)
def test_it_is_told_where_a_rule_fires(condition: str, places: list[Place]) -> None:
    found = matcher(condition)
    reading = Reading(read_letter(MAIL))
    rulings = [hit.ruling for hit in found.hits(reading)]
    assert dict(found.places(reading, rulings)) == {rulings[0]: places}


def test_a_clue_has_the_points_of_its_rule_and_is_a_shadow_where_that_says_so() -> None:
    content = b"""rules:
  plain: {description: x, points: 1.5, body: pay}
  fact: {description: x, points: 1, fact: client-unverified}
  hidden: {description: x, points: 2, shadow: true, body: pay}
"""
    knowledge = Knowledge(Matcher(assemble([parse(content, "f")])))
    mail = MAIL.replace(b"(a.example [", b"(unknown [")
    assert list(Rules().analyse(read_letter(mail), Analysis(knowledge))) == [
        Clue("rule.plain", "", 1.5),
        Clue("rule.fact", "a.example", 1.0),
        Clue("rule.hidden", "", 2.0, shadow=True),
    ]


def test_without_rules_there_are_no_clues() -> None:
    assert list(Rules().analyse(read_letter(MAIL), Analysis(Knowledge()))) == []


def test_only_beginning_and_end_of_a_long_text_are_looked_at() -> None:
    found = matcher("phrases: 'needle here'")
    for where, fires in ((0, True), (MAX_BODY, False), (3 * MAX_BODY, True)):
        text = bytearray(b"hay " * MAX_BODY)[: 3 * MAX_BODY]
        text[where:where] = b"needle here "
        assert found.fires("rule", Reading(read_letter(b"Subject: x\r\n\r\n" + bytes(text)))) is fires


def test_a_text_is_taken_apart_only_for_rules_with_phrases(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    monkeypatch.setattr("contentfilter.rules.matcher.words_of", lambda text: taken.append(text) or [])
    letter = read_letter(b"Subject: needle\r\n\r\ntext\r\n")
    assert matcher("header: {field: Subject, matches: needle}").fires("rule", Reading(letter))
    assert taken == []
    matcher("phrases: 'needle here'").fires("rule", Reading(letter))
    assert len(taken) == 1


@pytest.fixture(scope="module")
def shipped() -> Matcher:
    return Matcher(OwnRules().ruleset())


@pytest.mark.parametrize(
    "text",
    [
        "a" * 300_000,
        "a@" * 150_000,
        "<" * 300_000,
        "<a href=" * 40_000,
        "$1,000,000 " * 30_000,
        "http://a.b/c?d=" * 20_000,
        "verify your account within 24 hours " * 8_000,
        "i have hacked your device and all of your contacts will see the video " * 4_000,
        "&#86;" * 60_000,
        "\u0430a" * 100_000,
        "a.b.c." * 50_000,
        "".join(random.Random(1).choices("abcdefgh <>=\"'&#;:/.@!$%\n\t\u0430\u200b", k=300_000)),
    ],
)
@pytest.mark.parametrize("media", ["plain", "html"])
def test_no_text_stalls_the_rules(shipped: Matcher, text: str, media: str) -> None:
    head = (
        f"From: {text[:30000]}\nSubject: {text[:30000]}\nTo: {text[:30000]}\nDate: {text[:3000]}\n".replace(
            "\n\t", " "
        )
    )
    mail = f"{head}Content-Type: text/{media}; charset=utf-8\n\n{text}".encode()
    letter = read_letter(mail)
    letter.mentions  # noqa: B018 - what links cost is another's test
    started = time.process_time()
    shipped.hits(Reading(letter))
    # Some 0.1 s; what grows faster than the text takes minutes.
    assert time.process_time() - started < 5


def test_a_letter_cut_anywhere_is_read(shipped: Matcher) -> None:
    for end in range(0, len(MAIL), 7):
        shipped.hits(Reading(read_letter(MAIL[:end])))


def test_an_empty_letter_is_read(shipped: Matcher) -> None:
    shipped.hits(Reading(Letter(b"")))
