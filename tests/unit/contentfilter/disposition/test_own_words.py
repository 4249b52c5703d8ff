"""The operator's own words for mail that is refused or has to wait."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from contentfilter.content.results import ScanResult
from contentfilter.disposition.policy import Policies
from contentfilter.disposition.verdict import Verdict, decide
from mailbase.config import ConfigError, loads
from mailbase.replies import MAX_REPLY_TEXT
from mailbase.vocabulary import Action, Finding, Flow, Unscanned

ID = "0g8p2k4x6c1zq"
CONTACT = "https://help.example/{id}"
MACRO = Finding("office-macro", "2/report.zip/a.docm")


def verdict(*facts: Finding | Unscanned, **actions: Action) -> Verdict:
    settings = loads("")
    policy = Policies(settings).of_flow(Flow.INBOUND)
    findings = tuple(fact for fact in facts if isinstance(fact, Finding))
    unscanned = tuple(fact for fact in facts if isinstance(fact, Unscanned))
    policy = replace(policy, unscanned={**policy.unscanned, **actions})
    return decide(ID, Flow.INBOUND, policy, [ScanResult(findings, unscanned)])


def own(text: str) -> Any:
    return loads(f"contentfilter: {{replies: {{{text}}}}}").contentfilter.replies


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ("office-macro: 'Makros in {attachment} [{id}]'", f"Makros in a.docm [{ID}]"),
        ("refused: 'Abgelehnt [{id}]', office-macro: 'Makros [{id}]'", f"Makros [{ID}]"),
        ("refused: 'Abgelehnt: {text} {contact}'", None),
        ("points: 'Spam [{id}]', virus: 'Virus [{id}]'", ""),
    ],
)
def test_the_most_specific_text_counts(texts: str, told: str | None) -> None:
    built_in = verdict(MACRO).reply(CONTACT)
    reply = verdict(MACRO).reply(CONTACT, own(texts))
    assert (reply.code, reply.status) == (554, "5.7.1")
    if told is None:
        ours = built_in.text.partition(" https://")[0]
        assert reply.text == f"Abgelehnt: {ours} https://help.example/{ID}"
    else:
        assert reply.text == (told or built_in.text)


def test_a_part_that_cannot_be_checked_has_its_text_too() -> None:
    texts = own("unsupported: 'Was ist {attachment}? [{id}]'")
    refused = verdict(Unscanned("3/x.7z", "unsupported"), unsupported=Action.REJECT)
    assert refused.reply("", texts).text == f"Was ist x.7z? [{ID}]"
    whole = verdict(Unscanned("", "unsupported"), unsupported=Action.REJECT)
    assert whole.reply("", texts).text == f"Was ist ? [{ID}]"


def test_mail_that_has_to_wait_and_mail_with_too_many_points() -> None:
    found = Finding("points", "", "9: x")
    waits = replace(verdict(), action=Action.DEFER, cause=found, wait=300)
    texts = own("waiting: 'In {wait} s bitte [{id}]', points: 'Spam? {contact}'")
    assert str(waits.reply(CONTACT, texts)) == f"451 4.7.1 In 300 s bitte [{ID}]"
    refused = replace(waits, action=Action.REJECT, wait=0)
    assert str(refused.reply(CONTACT, texts)) == f"554 5.7.1 Spam? https://help.example/{ID}"


def test_trouble_of_ours_and_what_is_passed_is_told_as_ever() -> None:
    texts = own("refused: 'Abgelehnt [{id}]', failed: 'Kaputt [{id}]'")
    for result in (verdict(Unscanned("1", "failed")), verdict()):
        assert result.action in (Action.DEFER, Action.ACCEPT)
        assert result.reply(CONTACT, texts) == result.reply(CONTACT)


def test_names_from_outside_are_bounded_and_no_placeholders() -> None:
    evil = Finding("office-macro", "2/{id}{x}\r\n250 ok" + "y" * 600)
    line = verdict(evil).reply("", own("office-macro: '{attachment} [{id}]'")).encode()
    assert line.count(b"\r\n") == 1
    assert b"{id}{x}" in line
    assert len(line) < 120


def test_what_comes_out_too_long_is_told_in_our_words_with_its_id() -> None:
    reply = verdict(MACRO).reply(
        "https://help.example/" + "q" * 90, own(f"refused: '{'#' * 380} {{text}} [{{id}}]'")
    )
    assert "#" not in reply.text
    assert reply.text.endswith(f"[{ID}]")
    assert len(reply.text) <= MAX_REPLY_TEXT


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("office-makro: x", "did you mean 'office-macro'"),
        ("office-macro: '{sender}'", "expected one of the placeholders attachment, contact, id, text, wait"),
        ("office-macro: '{id'", "expected placeholders such as {id}"),
        ("office-macro: 'ä'", "printable ASCII"),
    ],
)
def test_texts_that_cannot_be(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("{", r"\{").replace("}", r"\}")):
        own(text)
