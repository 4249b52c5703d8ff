"""The Authentication-Results line (RFC 8601), which nothing from outside can add to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from authres import all_features

from contentfilter.authentication.dmarc import Dmarc, Spf
from contentfilter.authentication.judged import Judged
from contentfilter.authentication.outcome import EMPTY, Chain, Sealed, Signature
from contentfilter.authentication.results_line import results_line

from .vouched import AUTHOR, FAIL, GOOD, REJECT, signed_by


def test_the_line_says_it_all_and_can_be_read_again() -> None:
    judged = Judged(
        signed_by(
            replace(GOOD, identity="@mail.example.org"),
            Signature(
                "fail", "list.example", "x", "a b@list.example", "ed25519-sha256", 256, "body (x)", True, "zz"
            ),
            chain=Chain("pass", "", (Sealed("list.example"),)),
        ),
        Spf("pass", "example.org"),
        Dmarc("pass", "example.org", "reject", "none", "example.org", "example.org"),
    )
    line = results_line("mx.gate.example", judged)
    assert line == (
        b"Authentication-Results: mx.gate.example;\r\n"
        b"\tspf=pass smtp.mailfrom=example.org;\r\n"
        b"\tdkim=pass (2048-bit key) header.d=example.org header.i=@mail.example.org header.s=s"
        b" header.a=rsa-sha256 header.b=abcdefgh;\r\n"
        b"\tdkim=fail (body ?x?, in testing) header.d=list.example header.s=x header.a=ed25519-sha256"
        b" header.b=zz;\r\n"
        b"\tarc=pass header.as-d=list.example;\r\n"
        b"\tdmarc=pass (p=reject) header.from=example.org\r\n"
    )
    read = all_features().parse(line.decode().replace("\r\n", ""))
    assert read.authserv_id == "mx.gate.example"
    assert [result.result for result in read.results] == ["pass", "pass", "fail", "pass", "pass"]


@pytest.mark.parametrize(
    ("judged", "line"),
    [
        (None, b"mx.example;\r\n\tnone\r\n"),
        (
            Judged(AUTHOR, Spf("none", "h.example", helo=True), Dmarc("none", "example.org")),
            b"mx.example;\r\n\tspf=none smtp.helo=h.example;\r\n\tdkim=none;\r\n"
            b"\tdmarc=none header.from=example.org\r\n",
        ),
        (Judged(AUTHOR, Spf(), Dmarc("unjudged", "example.org")), b"mx.example;\r\n\tdkim=none\r\n"),
        (
            Judged(AUTHOR, Spf(), REJECT, "list.example"),
            b"mx.example;\r\n\tdkim=none;\r\n\tdmarc=fail (p=reject, forwarded by list.example)"
            b" header.from=example.org\r\n",
        ),
        (
            Judged(EMPTY, Spf(), Dmarc("permerror", reason="there is no author's domain")),
            b"mx.example;\r\n\tdkim=none;\r\n\tdmarc=permerror (there is no author's domain)\r\n",
        ),
    ],
)
def test_lines(judged: Judged | None, line: bytes) -> None:
    assert results_line("mx.example", judged) == b"Authentication-Results: " + line


@pytest.mark.parametrize(
    ("tag", "told"), [("xyzXYZ12", b"xyzXYZ12"), ("a/b+c==", b'"a/b+c=="'), ("a b", b"")]
)
def test_each_mail_has_the_beginning_of_its_own_signature(tag: str, told: bytes) -> None:
    """What else stands there is kept from mail to mail."""
    for one in (GOOD, replace(GOOD, tag=tag)):
        line = results_line("mx.example", Judged(signed_by(one), Spf(), Dmarc("none", "example.org")))
    begin = b"\tdkim=pass (2048-bit key) header.d=example.org header.s=s header.a=rsa-sha256"
    assert line.splitlines()[1] == begin + (b" header.b=" + told if told else b"") + b";"


def test_nothing_from_outside_can_add_a_line() -> None:
    evil = "a\r\nX-Evil: 1; dkim=pass ("
    judged = Judged(
        signed_by(
            Signature("fail", evil, evil, evil, evil, 1, evil, False, evil[:8]),
            chain=Chain("fail", evil),
        ),
        Spf("pass", evil),
        Dmarc("fail", evil, "reject", "reject", evil),
        evil,
    )
    lines = results_line("mx.example", judged).split(b"\r\n")
    assert lines.pop() == b""
    assert all(line.startswith((b"Authentication-Results:", b"\t")) for line in lines)
    assert not any(b"header.d" in line or b"smtp.mailfrom" in line for line in lines)
    assert (
        max(
            map(
                len,
                results_line(
                    "mx", Judged(signed_by(*[replace(GOOD, selector="s" * 255)] * 8), FAIL, REJECT)
                ).split(),
            )
        )
        < 998
    )
