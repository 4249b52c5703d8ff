"""The YAML that is read, and the lines that are remembered."""

# The messages stand in one piece, as they are read.
# ruff: noqa: E501

from __future__ import annotations

import time

import pytest

from mailbase.documents import ConfigError, Location, Problem, parse
from mailbase.documents.problems import dotted, nearest, shown
from mailbase.documents.reading import MAX_ALIASED, MAX_BYTES, MAX_DEPTH


def complaints(text: str | bytes) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text.encode() if isinstance(text, str) else text, "f")
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-5", -5),
        ("1.5", 1.5),
        ("yes", True),
        ("Off", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("'5'", "5"),
        ("text", "text"),
        ("0660", "0660"),
        ("+4989123", "+4989123"),
        ("0x1f", "0x1f"),
        ("1_000", "1_000"),
        ("2001:10:20:30:40:50:1:2", "2001:10:20:30:40:50:1:2"),
        ("12:30", "12:30"),
        ("2026-11-22", "2026-11-22"),
        (".inf", ".inf"),
        ("1e3", "1e3"),
        ("9" * 18, 10**18 - 1),
        ("9" * 5000, "9" * 5000),
        ("!!str 5", "5"),
        ("!!int '5'", 5),
        ("192.0.2.1", "192.0.2.1"),
    ],
)
def test_a_scalar_means_what_a_postmaster_wrote(text: str, value: object) -> None:
    data = parse(f"k: {text}\n".encode(), "f").data
    assert data == {"k": value}
    assert type(data["k"]) is type(value)


def test_keys_are_text_as_written() -> None:
    assert parse(b"on: 1\n5: 2\n~: 3\n", "f").data == {"on": 1, "5": 2, "~": 3}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", ["f:3: a: stands here twice; first in line 1"]),
        ("a: {b: 1, b: 2}\n", ["f:1: a.b: stands here twice; first in line 1"]),
        ("a.b: {x: 1, x: 1}\nc:\n- {x: 1, x: 1}\n", [
            "f:1: a.b.x: stands here twice; first in line 1",
            "f:3: c[0].x: stands here twice; first in line 3",
        ]),
        ("a: [1\nb: 2\n", ["f:2: not valid YAML: did not find expected ',' or ']', while parsing a flow sequence"]),
        ("a: 1\n b: 2\n", ["f:2: not valid YAML: mapping values are not allowed in this context"]),
        ("a:\n\t- 1\n", ["f:2: not valid YAML: a tab; indent with spaces"]),
        ("a: [::1:25]\n", ["f:1: not valid YAML: a colon in a value; put the value in quotes"]),
        ("a: b: c\n", ["f:1: not valid YAML: a colon in a value; put the value in quotes"]),
        ("a: [@example.org]\n", ["f:1: not valid YAML: a value that begins with @; put it in quotes"]),
        ("a: 1\n---\nb: 2\n", ["f:2: not valid YAML: but found another document, expected a single document in the stream"]),
        ("a: *x\n", ["f:1: not valid YAML: found undefined alias"]),
        ("a: !foo 1\n", ["f:1: a: expected a plain value, without the tag '!foo'"]),
        ("a: !!python/object/apply:os.system ['x']\n", [
            "f:1: a: expected plain data, without the tag 'tag:yaml.org,2002:python/object/apply:os.system'",
        ]),
        ("a: !!int x\n", ["f:1: a: expected a plain value, without the tag 'int'"]),
        ("a: !!set {x, y}\n", ["f:1: a: expected plain data, without the tag 'tag:yaml.org,2002:set'"]),
        ("? [a]\n: 1\n", ["f:1: a key must be a single word or text"]),
        ("a: &a [*a]\n", ["f:1: a[0]: an alias (*name) that holds itself"]),
        ("<<: 5\n", ["f:1: <<: expected an alias of a mapping"]),
        ("a: b\n\nc: \x07\n", ["f:3: a control character (U+0007) that does not belong in text"]),
    ],
)  # fmt: skip
def test_what_is_not_read(text: str, expected: list[str]) -> None:
    assert complaints(text) == expected


def test_a_file_that_is_not_text() -> None:
    assert complaints(b"a: 1\nb: \xff\n") == ["f:2: not UTF-8 (byte 0xff); save the file in that encoding"]


def test_aliases_and_merge_keys() -> None:
    data = parse(b"a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}\nd: {<<: [{x: 5}, *a]}\n", "f").data
    assert data["b"] == {"x": 1, "y": 2}
    assert data["c"] == {"x": 1, "y": 3}
    assert data["d"] == {"x": 5, "y": 2}


def laughs(levels: int, width: int = 10) -> str:
    lines = ["a0: &a0 [x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * width)}]" for i in range(1, levels)]
    return "\n".join(lines) + "\n"


def test_a_few_aliases_cannot_become_gigabytes() -> None:
    started = time.process_time()
    assert f"at most {MAX_ALIASED} values by way of aliases (*name)" in complaints(laughs(12))[0]
    assert time.process_time() - started < 5


def test_aliases_up_to_the_bound_are_read() -> None:
    # Each alias adds two values: the list and the word in it.
    half = MAX_ALIASED // 2
    assert len(parse(f"a: &a [x]\nb: [{'*a, ' * half}]\n".encode(), "f").data["b"]) == half
    assert complaints(f"a: &a [x]\nb: [{'*a, ' * (half + 1)}]\n")


def test_depth_has_a_bound() -> None:
    assert parse(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, "f").data
    assert (
        f"nested deeper than {MAX_DEPTH} levels"
        in complaints("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))[0]
    )


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_absurd_depth_is_an_error_like_any_other(opening: str) -> None:
    assert len(complaints(opening * 20_000)) >= 1


def test_size_has_a_bound() -> None:
    assert complaints(b"#" * (MAX_BYTES + 1)) == ["f: larger than 64 MiB; this is not such a file"]


TEXT = b"""\
base: &base
  x: 1
list:
  - one
  - two:
      three: 3
merged:
  <<: *base
  y: 2
"""


@pytest.mark.parametrize(
    ("location", "line"),
    [
        ((), 1),
        (("base", "x"), 2),
        (("list",), 3),
        (("list", 0), 4),
        (("list", 1, "two", "three"), 6),
        (("list", 1, "two", "missing"), 5),
        (("list", 9), 3),
        (("merged", "x"), 2),
        (("merged", "y"), 9),
        (("nothing", "at", "all"), 1),
    ],
)
def test_a_place_is_found_or_the_nearest_above(location: Location, line: int) -> None:
    assert parse(TEXT, "f").where(location) == ("f", line)


def test_a_path_reads_as_it_is_written_and_names_with_dots_are_set_apart() -> None:
    assert dotted(("a", 0, "b")) == "a[0].b"
    assert dotted(("servers", "mail.example.org", "systems", 2)) == "servers[mail.example.org].systems[2]"
    assert dotted(("a\n\x1b",)) == "a??"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing"),
        (True, "true"),
        (5, "5"),
        ("x\ny\x1b\u202eü", "'x?y??ü'"),
        ("x" * 99, "'" + "x" * 57 + "...'"),
        ([], "a list"),
        ({}, "a mapping"),
    ],
)
def test_a_value_is_quoted_short_and_on_one_line(value: object, text: str) -> None:
    assert shown(value) == text


def test_only_the_nearest_words_are_proposed() -> None:
    words = {"delay", "display", "lifetime"}
    assert nearest("delya", words) == "; did you mean 'delay'?"
    assert nearest("DELAY", words) == "; did you mean 'delay'?"
    assert nearest("xxx", words) == "; known here: delay, display, lifetime"
    assert nearest("xxx", map(str, range(100))) == ""


def test_a_files_name_is_shown_in_short_and_as_plain_text() -> None:
    told = str(Problem("\x1b[31m" + "x" * 200_000, 3, "a", "wrong"))
    assert (len(told) < 500, told.startswith("?[31mxxx"), told.endswith("...:3: a: wrong")) == (True,) * 3
