"""Who a mail says it is from, and who is said to have looked at it; and how a worker hands that over."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from contentfilter.authentication.authors import MAX_FROM, author_domains
from contentfilter.authentication.fields import Field
from contentfilter.authentication.outcome import (
    EMPTY,
    MAX_AUTHORS,
    MAX_CLAIMS,
    MAX_SIGNATURES,
    Authentication,
    Chain,
    Sealed,
    Signature,
)
from contentfilter.authentication.reported import claims


def fields(name: bytes, *values: bytes) -> list[Field]:
    return [Field(name, b"", b" " + value + b"\r\n") for value in values]


@pytest.mark.parametrize(
    ("value", "domains"),
    [
        (b"ann@example.org", ["example.org"]),
        (b"<ann@Example.ORG>", ["example.org"]),
        (b"Ann Author <ann@example.org>", ["example.org"]),
        (b'"Author, Ann" <ann@example.org>', ["example.org"]),
        (b'"ann@bank.example" <eve@evil.example>', ["evil.example"]),
        (b"ann@bank.example <eve@evil.example>", ["evil.example"]),
        (b"eve@evil.example (ann@bank.example)", ["evil.example"]),
        (b"(a (nested) comment) ann@example.org", ["example.org"]),
        (b"ann@example.org, bob@example.net, ann@example.org", ["example.org", "example.net"]),
        (b"Team: ann@example.org, Bob <bob@example.net>;", ["example.org", "example.net"]),
        (b'"a@b"@example.org', ["example.org"]),
        (b'Ann <"a>b"@example.org>', ["example.org"]),
        (b"<@relay.example:ann@example.org>", ["example.org"]),
        ("ann@bücher.example".encode(), ["xn--bcher-kva.example"]),
        (b"=?utf-8?q?Ann=40bank?= <ann@example.org>", ["example.org"]),
        (b"Ann\r\n\t<ann@example.org>", ["example.org"]),
        (b"ann@[192.0.2.1]", ["[192.0.2.1]"]),
        (b"Ann Author", []),
        (b"", []),
        (b"ann@", []),
        (b"@", []),
        (b'"open quote <ann@example.org>', []),
        (b"<ann@exa mple.org>", []),
        (b"\xff@\xff.example", []),
    ],
)
def test_domains_of_authors(value: bytes, domains: list[str]) -> None:
    assert list(author_domains(fields(b"From", value))) == domains


def test_every_from_counts_and_no_more_are_kept_than_allowed() -> None:
    assert author_domains(fields(b"From", b"a@x.example", b"b@y.example")) == ("x.example", "y.example")
    many = b", ".join(b"a@d%d.example" % number for number in range(MAX_AUTHORS + 5))
    assert len(author_domains(fields(b"From", many))) == MAX_AUTHORS
    assert author_domains(fields(b"From", b" " * MAX_FROM + b"a@x.example")) == ("x.example",)
    assert author_domains(fields(b"From", b"x, " * MAX_FROM + b"a@x.example")) == ()


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (b"mx.example.org; spf=pass", ["mx.example.org"]),
        (b"MX.example.org 1; none", ["mx.example.org"]),
        (b"(a comment) mx.example.org (another); none", ["mx.example.org"]),
        (b'"mx.example.org"; none', ["mx.example.org"]),
        (b"mx.example.org", ["mx.example.org"]),
        (b"", []),
        (b";", []),
        (b"\0;", []),
    ],
)
def test_whose_results_they_are_said_to_be(value: bytes, names: list[str]) -> None:
    assert list(claims(fields(b"Authentication-Results", value))) == names


def test_no_more_names_are_kept_than_allowed() -> None:
    many = [b"mx%d.example; none" % number for number in range(MAX_CLAIMS + 5)]
    assert len(claims(fields(b"Authentication-Results", *many))) == MAX_CLAIMS


FULL = Authentication(
    (
        Signature("pass", "example.org", "s", "@example.org", "rsa-sha256", 2048, "", True, "abcdefgh", 5),
        Signature("permerror", reason="there is no key"),
    ),
    2,
    Chain("pass", "", (Sealed("a.example", "pass", ("example.org",)), Sealed("b.example"))),
    ("example.org", "example.net"),
    1,
    ("mx.example.org",),
)


@pytest.mark.parametrize("found", [EMPTY, FULL])
def test_what_is_handed_over_arrives(found: Authentication) -> None:
    assert Authentication.from_json(json.loads(json.dumps(found.to_json()))) == found


def damaged() -> list[object]:
    good = FULL.to_json()
    rows: list[object] = [None, [], {}, good[:-1], [*good, 1]]
    for at, value in [
        (0, None), (0, [[]]), (0, [good[0][0]] * (MAX_SIGNATURES + 1)), (0, [["won", *good[0][0][1:]]]),
        (0, [[*good[0][0][:5], -1, *good[0][0][6:]]]), (0, [[*good[0][0][:7], 1, *good[0][0][8:]]]),
        (0, [["pass", "x" * 256, *good[0][0][2:]]]), (0, [["pass", "a\nb", *good[0][0][2:]]]),
        (0, [["pass", 5, *good[0][0][2:]]]), (1, -1), (1, True), (1, 2**41), (2, ["maybe", "", []]),
        (2, ["pass", "", [["a", "b"]]]),
        (2, ["pass", "", [["a", "b", ["c"] * 9]]]), (2, ["pass", "x" * 101, []]),
        (3, ["a"] * 9), (3, "a"), (4, "1"), (5, ["\x1b"]), (5, [["a"]]),
    ]:  # fmt: skip
        rows.append([*good[:at], value, *good[at + 1 :]])
    return rows


@pytest.mark.parametrize("value", damaged(), ids=map(str, range(len(damaged()))))
def test_what_a_broken_worker_says_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        Authentication.from_json(value)


def test_a_look_up_that_failed_is_not_remembered() -> None:
    assert FULL.lasting
    assert not replace(FULL, chain=Chain("temperror")).lasting
    assert not replace(FULL, signatures=(Signature("temperror"),)).lasting
