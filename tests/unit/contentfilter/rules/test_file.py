"""Rule files: what they may say, what they are told, and how an operator's lies over the program's own."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from contentfilter.content.scan import read_letter
from contentfilter.rules import own, ruleset
from contentfilter.rules.facts import FACTS
from contentfilter.rules.matcher import Matcher
from contentfilter.rules.own import MAX_CONTENT, MAX_PACKED, OwnRules
from contentfilter.rules.reading import Reading
from contentfilter.rules.ruleset import assemble
from contentfilter.rules.ruling import RuleSet
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


EVERYTHING = b"""
rules:
  all:
    description: All
    points: 1
    hits: [{text: x}]
    misses: [{text: y}]
    all:
      - header: {field: [x-a, x-b], matches: a, part: raw, at_least: 2}
      - header: {field: x-c, absent: true}
      - header: x-d
      - phrases: {of: [one two, drei*], at_least: 2}
      - body: {matches: "\\u00e4", at_least: 3}
      - raw: b
      - mime: {media: m, charset: c, encoding: e, at_least: 2}
      - url: {matches: m, host: h, path: p, at_least: 2}
      - attachment: {name: n, media: m, larger: 1, smaller: 2, at_least: 2}
      - fact: FACT
      - any: [shy, {not: {body: c}}]
      - count: {of: [shy, {body: d}], at_least: 2}
  shy: {description: Shy, points: 2, shadow: true, body: x}
  gone: {description: Gone, points: 3, body: x}
off: [gone]
unless: {all: {header: x-e}}
""".replace(b"FACT", min(FACTS).encode())
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
    hits = Matcher(RuleSet.unpack(own.packed)).hits(Reading(read_letter(MAIL)))
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


def test_rules_reach_a_worker_whole() -> None:
    """All that rules can say, and nothing that is there for people alone."""
    everything = rules(EVERYTHING)
    there = RuleSet.unpack(everything.pack())
    for name, ruling in everything.rulings.items():
        bare = replace(ruling, source="", line=0, description="", hits=(), misses=())
        assert there.rulings[name] == bare
    assert list(there.rulings) == list(everything.rulings)
    assert there.points() == everything.points() == {"all": 1.0, "shy": 0.0}


def test_what_is_not_said_is_not_packed() -> None:
    said = rules(b"rules: {a: {description: A, any: [{body: x}, {not: b}]}, b: {description: B, header: x}}")
    assert [ruling.to_list() for ruling in said.rulings.values()] == [
        ["b", {"header": {"field": ["x"]}}, None, False, None, False],
        ["a", {"any": [{"body": {"matches": "x"}}, {"negated": {"rule": "b"}}]}, None, False, None, False],
    ]


def _packed(data: object) -> str:
    return base64.b64encode(zlib.compress(json.dumps(data).encode())).decode()


@pytest.mark.parametrize(
    "packed",
    [
        "?",
        "",
        "AAAA",
        _packed(1),
        _packed([1]),
        _packed([["a", {}]]),
        *(
            _packed([["a", test, 1, False, None, False]])
            for test in ({"x": 1}, {"header": {}}, {"body": {"x": 1}})
        ),
    ],
)
def test_what_is_no_rules_is_refused_by_a_worker(packed: str) -> None:
    with pytest.raises(ValueError, match="rules"):
        RuleSet.unpack(packed)


def test_rules_that_no_argument_can_carry_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rules.yaml"
    path.write_bytes(BASE)
    settings = RuleSettings(shipped=False, file=path)
    size = len(OwnRules.read(settings).packed)
    monkeypatch.setattr(own, "MAX_PACKED", size)
    assert OwnRules.read(settings).packed
    monkeypatch.setattr(own, "MAX_PACKED", size - 1)
    with pytest.raises(ConfigError, match="too large"):
        OwnRules.read(settings)


def test_the_programs_own_rules_leave_room_for_others(tmp_path: Path) -> None:
    shipped = OwnRules.read(RuleSettings(file=tmp_path / "none"))
    assert 20_000 < len(shipped.packed) < MAX_PACKED // 2


def test_what_was_read_is_not_checked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rules.yaml"
    path.write_bytes(BASE)
    settings = RuleSettings(shipped=False, file=path)
    first = OwnRules.read(settings)
    with monkeypatch.context() as patch:
        patch.setattr(own, "assemble", None)
        assert OwnRules.read(settings) == first
        assert OwnRules.read(settings).packed == first.packed
    path.write_bytes(BASE + b"off: [one]\n")
    assert OwnRules.read(settings).packed != first.packed
