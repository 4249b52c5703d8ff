"""The clues that follow from who vouches for a mail."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contentfilter.authentication.dmarc import Dmarc, Spf
from contentfilter.authentication.judged import Judged, clues_of
from contentfilter.authentication.outcome import EMPTY, Chain, Sealed, Signature
from contentfilter.content.clues import is_clue
from mailbase.config.authentication import AUTHENTICATION_POINTS

from .vouched import AUTHOR, FAIL, GOOD, REJECT, signed_by


def names(judged: Judged) -> set[str]:
    clues = list(clues_of(judged))
    assert all(is_clue(clue.name) for clue in clues)
    known = {f"{source}.{fact}" for source, facts in AUTHENTICATION_POINTS.items() for fact in facts}
    assert known.issuperset(clue.name for clue in clues)
    return {clue.name for clue in clues}


@pytest.mark.parametrize(
    ("judged", "expected"),
    [
        (Judged(AUTHOR, FAIL, Dmarc("none", "example.org")), {"dkim.none", "dmarc.none"}),
        (Judged(signed_by(GOOD), FAIL, Dmarc("pass", "example.org")), {"dkim.pass", "dmarc.pass"}),
        (
            Judged(signed_by(Signature("fail", "a.example"), GOOD), FAIL, Dmarc("pass", "example.org")),
            {"dkim.pass", "dmarc.pass"},
        ),
        (
            Judged(signed_by(Signature("fail"), Signature("temperror")), FAIL, Dmarc("temperror")),
            {"dkim.temperror", "dmarc.temperror"},
        ),
        (
            Judged(signed_by(Signature("permerror"), Signature("policy")), FAIL, Dmarc("none")),
            {"dkim.policy", "dmarc.none"},
        ),
        (
            Judged(signed_by(Signature("fail", testing=True)), FAIL, Dmarc("none")),
            {"dkim.none", "dmarc.none"},
        ),
        (
            Judged(signed_by(replace(GOOD, bits=1024)), FAIL, Dmarc("none")),
            {"dkim.pass", "dkim.short-key", "dmarc.none"},
        ),
        (
            Judged(
                signed_by(replace(GOOD, algorithm="ed25519-sha256", bits=256), replace(GOOD, bits=1024)),
                FAIL,
                Dmarc("none"),
            ),
            {"dkim.pass", "dmarc.none"},
        ),
        (
            Judged(signed_by(Signature("policy", unsigned=7)), FAIL, Dmarc("none")),
            {"dkim.policy", "dkim.partial", "dmarc.none"},
        ),
        # Once a policy is to be applied, what it rests on does not count again.
        (Judged(signed_by(Signature("fail")), FAIL, REJECT), {"dmarc.reject"}),
        (Judged(AUTHOR, FAIL, replace(REJECT, policy="quarantine")), {"dmarc.quarantine"}),
        (Judged(AUTHOR, FAIL, replace(REJECT, policy="none")), {"dmarc.fail", "dkim.none"}),
        (Judged(AUTHOR, FAIL, REJECT, "list.example"), {"dmarc.forwarded", "dkim.none"}),
        (Judged(AUTHOR, Spf(), Dmarc("unjudged")), {"dmarc.unjudged", "dkim.none"}),
        (
            Judged(signed_by(GOOD, chain=Chain("pass", "", (Sealed("a.example"),))), FAIL, Dmarc("none")),
            {"dkim.pass", "dmarc.none", "arc.pass"},
        ),
        (
            Judged(signed_by(GOOD, chain=Chain("fail", "no")), FAIL, Dmarc("none"), "", True),
            {"dkim.pass", "dmarc.none", "arc.fail", "auth.foreign-results"},
        ),
        (
            Judged(replace(AUTHOR, from_fields=2, authors=("a.example", "b.example")), FAIL, Dmarc("none")),
            {"dkim.none", "dmarc.none", "auth.several-from", "auth.several-authors"},
        ),
        (Judged(EMPTY, FAIL, Dmarc("permerror")), {"dkim.none", "dmarc.permerror"}),
    ],
)
def test_clues(judged: Judged, expected: set[str]) -> None:
    assert names(judged) == expected


def test_which_clues_are_findings() -> None:
    def findings(judged: Judged) -> list[tuple[str, str]]:
        return [(clue.finding, clue.detail) for clue in clues_of(judged) if clue.finding]

    assert findings(Judged(AUTHOR, FAIL, REJECT)) == [("dmarc-reject", "example.org")]
    quarantine = replace(REJECT, policy="quarantine")
    assert findings(Judged(AUTHOR, FAIL, quarantine)) == [("dmarc-quarantine", "example.org")]
    assert findings(Judged(AUTHOR, FAIL, replace(REJECT, policy="none"))) == []
    assert findings(Judged(AUTHOR, FAIL, REJECT, "list.example")) == []
    assert findings(Judged(AUTHOR, FAIL, Dmarc("pass"), forged=True)) == [("foreign-results", "")]
