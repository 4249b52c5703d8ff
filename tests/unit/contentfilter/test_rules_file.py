"""Rule files: what they may say, what they are told, and how an operator's lies over the program's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from contentfilter.rules import ruleset
from contentfilter.rules.matcher import Matcher
from contentfilter.rules.own import MAX_CONTENT, OwnRules
from contentfilter.rules.reading import Reading
from contentfilter.rules.ruleset import RuleSet, assemble
from contentfilter.scan import read_letter
from mailbase.config.rules import RuleSettings
from mailbase.documents import ConfigError, parse

BASE = b"""
rules:
  one: {description: One, points: 1, header: {field: subject, matches: one}}
  two: {description: Two, points: 2, body: two}
  part: {description: Part, header: x-part}
  both: {description: Both, points: 3, all: [one, two]}
"""


def rules(*files: bytes) -> RuleSet:
    return assemble([parse(content, f"{number}.yaml") for number, content in enumerate(files)])


def fired(found: RuleSet, mail: bytes) -> dict[str, float | None]:
    hits = Matcher(found).hits(Reading(read_letter(mail)))
    return {hit.ruling.name: hit.ruling.points for hit in hits if not hit.ruling.shadow}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("rules: {a: {points: 1, body: x}}", "f:1: rules.a.description: is missing"),
        (
            "rules:\n  a: {description: x, points: x, body: x}",
            "f:2: rules.a.points: expected points, a number",
        ),
        ("rules:\n  a: {description: x, points: 99, body: x}", "f:2: rules.a.points: expected points"),
        ("rules:\n  a: {description: x, points: 1}", "f:2: rules.a: expected one of header, phrases, body"),
        (
            "rules:\n  a: {description: x, body: x, raw: y}",
            "f:2: rules.a: body and raw: one is enough; put several",
        ),
        ("rules:\n  a: {description: x, boddy: x}", "f:2: rules.a.boddy: unknown key; did you mean 'body'?"),
        (
            "rules:\n  a:\n    description: x\n    body: '('",
            "f:4: rules.a.body.matches: not an expression that RE2",
        ),
        ("rules:\n  a: {description: x, body: '(?=x)'}", "look-ahead is not there; say it as two tests"),
        ("rules:\n  a: {description: x, body: 'a)(b'}", "open the bracket, or put a backslash"),
        ("rules:\n  a: {description: x, body: '(x{1000}){1000}'}", "repetition"),
        ("rules:\n  a: {description: x, phrases: 'can-not'}", "write what a hyphen or point divides"),
        ("rules:\n  a: {description: x, phrases: '..3 word'}", "a gap stands between words"),
        ("rules:\n  a: {description: x, phrases: 'a ..99 b'}", "a gap has 1 to 15 words"),
        ("rules:\n  a: {description: x, phrases: '# ..3 the?'}", "expected a word that must be there"),
        (
            "rules:\n  a: {description: x, fact: date-weird}",
            "f:2: rules.a.fact: there is no fact 'date-weird'",
        ),
        ("rules:\n  a: {description: x, header: {field: 'x y'}}", "expected the name of a header field"),
        ("rules:\n  a: {description: x, header: {field: x, part: nose}}", "expected one of value, raw, name"),
        (
            "rules:\n  a: {description: x, header: {field: x, matches: y, absent: true}}",
            "give 'matches' or 'absent'",
        ),
        ("rules:\n  a: {description: x, url: {}}", "expected at least one of matches, host, path"),
        ("rules:\n  a: {description: x, attachment: {}}", "expected at least one of name, media"),
        ("rules:\n  a: {description: x, mime: {}}", "expected at least one of media, charset"),
        ("rules:\n  a: {description: x, all: []}", "all: expected at least one condition"),
        ("rules:\n  a: {description: x, count: {of: [], at_least: 1}}", "expected at least one entry"),
        ("rules:\n  a: {description: x, count: {of: [a], at_least: 0}}", "expected 1 to 100"),
        ("rules:\n  A_b: {description: x, body: x}", "expected a name of at most 60 small letters"),
        ("rules:\n  a: {description: x, any: [b]}", "f:2: rules.a: names a rule that is not there: 'b'"),
        (
            "rules:\n  a: {description: x, rule: b}\n  b: {description: x, rule: a}",
            "goes in a circle: a names b names a",
        ),
        ("points: {a: 1}", "f:1: points.a: there is no rule 'a'"),
        ("off: [a]", "f:1: off[0]: there is no rule 'a'"),
        ("shadow: [a]", "f:1: shadow[0]: there is no rule 'a'"),
        ("unless: {a: {body: x}}", "f:1: unless.a: there is no rule 'a'"),
        ("rules:\n  a: {description: x, body: x, hits: [{mail: x, text: y}]}", "mail is the whole mail"),
    ],
)
def test_a_mistake_is_told_with_its_line(content: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        assemble([parse(content.encode(), "f")])
    assert problem in str(caught.value)


def test_points_for_a_rule_without_any_are_a_mistake() -> None:
    with pytest.raises(ConfigError, match="has no points: it is only named by others"):
        rules(BASE, b"points: {part: 1}")


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        rules(b"rules:\n  a: {description: x, body: '('}\n  b: {description: x, fact: y}\n")
    assert len(caught.value.problems) == 2


MAIL = b"Subject: one\r\nX-Part: yes\r\n\r\nthis is two\r\n"


def test_rules_without_points_are_only_named() -> None:
    assert fired(rules(BASE), MAIL) == {"one": 1, "two": 2, "both": 3}


@pytest.mark.parametrize(
    ("own", "found"),
    [
        (b"", {"one": 1, "two": 2, "both": 3}),
        (b"points: {two: 0.5}", {"one": 1, "two": 0.5, "both": 3}),
        (b"off: [two]", {"one": 1}),
        (b"shadow: [two]", {"one": 1, "both": 3}),
        (b"unless: {two: {header: {field: x-part}}}", {"one": 1}),
        (b"unless: {two: {header: {field: x-other}}}", {"one": 1, "two": 2, "both": 3}),
        (b"rules: {two: {description: Else, points: 4, body: three}}", {"one": 1}),
        (
            b"rules: {new: {description: New, points: 7, not: {body: three}}}",
            {"one": 1, "two": 2, "both": 3, "new": 7},
        ),
        (
            b"rules: {new: {description: New, points: -2, rule: both}}",
            {"one": 1, "two": 2, "both": 3, "new": -2},
        ),
    ],
)
def test_an_own_file_lies_over_the_rules(own: bytes, found: dict[str, float]) -> None:
    assert fired(rules(BASE, own), MAIL) == found


def test_a_rule_may_name_one_that_stands_after_it() -> None:
    found = rules(
        b"rules:\n  a: {description: A, points: 1, rule: b}\n  b: {description: B, points: 1, body: x}\n"
    )
    assert list(found.rulings) == ["b", "a"]
    assert fired(found, b"Subject: y\r\n\r\nx\r\n") == {"a": 1, "b": 1}


def test_rules_and_their_chains_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ruleset, "MAX_RULES", 2)
    with pytest.raises(ConfigError, match="4 rules; at most 2"):
        rules(BASE)
    monkeypatch.undo()
    chain = "".join(f"  r{i}: {{description: x, rule: r{i + 1}}}\n" for i in range(ruleset.MAX_CHAIN + 5))
    with pytest.raises(ConfigError, match="a chain of more than 30 rules"):
        rules(f"rules:\n{chain}  r{ruleset.MAX_CHAIN + 5}: {{description: x, body: x}}\n".encode())


def test_the_file_reaches_a_worker_with_its_content(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_bytes(BASE)
    own = OwnRules.read(RuleSettings(shipped=False, file=path))
    path.write_bytes(b"half writ")
    hits = OwnRules.matcher(own.to_dict()).hits(Reading(read_letter(MAIL)))
    assert [hit.ruling.name for hit in hits] == ["one", "two", "both"]


def test_no_file_is_no_mistake_and_a_bad_one_is(tmp_path: Path) -> None:
    assert OwnRules.read(RuleSettings(shipped=False, file=tmp_path / "none")).ruleset().rulings == {}
    path = tmp_path / "rules.yaml"
    path.write_bytes(b"rules: {a: {body: x}}")
    with pytest.raises(ConfigError, match=r"rules.yaml:1: rules.a.description: is missing"):
        OwnRules.read(RuleSettings(file=path))
    path.write_bytes(b"#" * (MAX_CONTENT + 1))
    with pytest.raises(ConfigError, match="too large"):
        OwnRules.read(RuleSettings(file=path))
    with pytest.raises(ConfigError, match="cannot be read"):
        OwnRules.read(RuleSettings(file=tmp_path))


@pytest.mark.parametrize("data", [{}, None, {"source": "", "packed": "?", "shipped": True}, {"source": 1}])
def test_what_is_no_rules_is_refused_by_a_worker(data: object) -> None:
    with pytest.raises(ValueError, match="rules"):
        OwnRules.matcher(data)
