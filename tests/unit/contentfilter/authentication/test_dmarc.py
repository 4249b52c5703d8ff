"""DMARC by RFC 9989: whose record counts, who stands for whom, and what follows."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from contentfilter.authentication.dmarc import MAX_DOMAINS, Dmarc, Spf, evaluate, tree
from contentfilter.authentication.dmarc_record import Record, find_record, read_record
from contentfilter.authentication.outcome import Authentication, DkimResult, Signature
from mailbase.dns.answers import Answer, Found, NoData, NxDomain, RecordType, Temporary, TimedOut
from mailbase.dns.answers import Record as Data

Zone = Mapping[str, str | Answer[Data]]
FAILED = Spf("fail", "other.example")


def judged(
    zone: Zone,
    *authors: str,
    dkim: Mapping[str, DkimResult] | None = None,
    spf: Spf = FAILED,
    asked: list[str] | None = None,
) -> Dmarc:
    """The outcome, with ``zone`` as DNS: TXT records, and domains that exist."""
    signatures = tuple(Signature(result, domain) for domain, result in (dkim or {}).items())
    work = evaluate(Authentication(signatures, authors=authors), spf)
    answers: list[Answer[Data]] | None = None
    while True:
        try:
            questions = next(work) if answers is None else work.send(answers)
        except StopIteration as stop:
            outcome: Dmarc = stop.value
            return outcome
        assert questions
        answers = [_answer(zone, name, rdtype) for name, rdtype in questions]
        if asked is not None:
            asked += [name for name, _ in questions]


def _answer(zone: Zone, name: str, rdtype: RecordType) -> Answer[Data]:
    row = zone.get(name)
    if isinstance(row, str):
        return Found((row.encode(),), 60.0, name) if rdtype is RecordType.TXT else NoData()
    return row if row is not None else NxDomain()


REJECT: Zone = {"_dmarc.example.org": "v=DMARC1; p=reject"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v=DMARC1; p=none", Record("none", None, None)),
        ("v=DMARC1;p=reject;sp=quarantine;np=none", Record("reject", "quarantine", "none")),
        ("v = DMARC1 ; P = Reject ; adkim=S; aspf=r", Record("reject", None, None, "strict", "relaxed")),
        (
            "v=DMARC1; aspf=s; psd=y; t=y; p=quarantine",
            Record("quarantine", None, None, "relaxed", "strict", "y", True),
        ),
        ("v=DMARC1; p=none; reject; psd=x; t=; adkim=q", Record("none", None, None)),
        ("v=DMARC1; p=none; pct=5; ri=1; unknown=7", Record("none", None, None)),
        ("v=DMARC1; p=none; p=reject", Record("none", None, None)),
        ("v=DMARC1", Record(None, None, None)),
        ("v=DMARC1; p=block", Record(None, None, None)),
        ("v=DMARC1; p=block; rua=mailto:a@example.org", Record("none", None, None)),
        ("v=DMARC1; rua=mailto:a@example.org!10m, mailto:b@example.org", Record("none", None, None)),
        ("v=DMARC1; rua=nothing", Record(None, None, None)),
        ("v=DMARC1; p=reject; sp=block", Record(None, None, None)),
        ("v=DMARC1; p=reject; np=", Record(None, None, None)),
    ],
)
def test_what_a_record_says(text: str, expected: Record) -> None:
    assert read_record(text.encode()) == expected


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["v=DMARC1; p=none"], True),
        (["v=spf1 -all", "v=DMARC1; p=none"], True),
        (["v=DMARC1; p=none", "v=DMARC1; p=reject"], False),
        (["v=DMARC2; p=none"], False),
        (["v=DMARC1x; p=none"], False),
        (["v=dmarc1; p=none"], False),
        (["p=none; v=DMARC1"], False),
        ([" v=DMARC1; p=none"], False),
        ([], False),
    ],
)
def test_which_record_is_one(texts: list[str], found: bool) -> None:
    assert (find_record(text.encode() for text in texts) is not None) is found


def test_a_walk_asks_eight_names_at_most() -> None:
    assert tree("a.mail.example.com") == ["a.mail.example.com", "mail.example.com", "example.com", "com"]
    eight = tree("a.b.c.d.e.f.g.h")
    assert [name.count(".") + 1 for name in eight] == [8, 7, 6, 5, 4, 3, 2, 1]
    assert tree("a.b.c.d.e.f.g.h.i.j.mail.example.com") == [
        "a.b.c.d.e.f.g.h.i.j.mail.example.com",
        "g.h.i.j.mail.example.com",
        "h.i.j.mail.example.com",
        "i.j.mail.example.com",
        "j.mail.example.com",
        "mail.example.com",
        "example.com",
        "com",
    ]
    assert tree("com") == ["com"]


@pytest.mark.parametrize(
    ("author", "dkim", "spf", "result"),
    [
        ("example.org", {"example.org": "pass"}, FAILED, "pass"),
        ("example.org", {"mail.example.org": "pass"}, FAILED, "pass"),
        ("mail.example.org", {"example.org": "pass"}, FAILED, "pass"),
        ("a.example.org", {"b.example.org": "pass"}, FAILED, "pass"),
        ("example.org", {"example.org": "fail"}, FAILED, "fail"),
        ("example.org", {"example.org": "policy"}, FAILED, "fail"),
        ("example.org", {"notexample.org": "pass"}, FAILED, "fail"),
        ("example.org", {"org": "pass"}, FAILED, "fail"),
        ("example.org", {"other.example": "pass", "example.org": "pass"}, FAILED, "pass"),
        ("example.org", {}, Spf("pass", "example.org"), "pass"),
        ("example.org", {}, Spf("pass", "bounce.example.org"), "pass"),
        ("example.org", {}, Spf("pass", "other.example"), "fail"),
        ("example.org", {}, Spf("softfail", "example.org"), "fail"),
        ("example.org", {}, Spf("none", "example.org"), "fail"),
        ("example.org", {}, Spf("pass", ""), "fail"),
        # What could not be looked up is no fail, if it would have helped.
        ("example.org", {"mail.example.org": "temperror"}, FAILED, "temperror"),
        ("example.org", {"other.example": "temperror"}, FAILED, "fail"),
        ("example.org", {"example.org": "temperror"}, Spf("pass", "example.org"), "pass"),
        ("example.org", {}, Spf("temperror", "example.org"), "temperror"),
        ("example.org", {}, Spf("temperror", "other.example"), "fail"),
        # Nobody asked, so nobody can say that it failed.
        ("example.org", {}, Spf(), "unjudged"),
        ("example.org", {"example.org": "pass"}, Spf(), "pass"),
        ("other.example", {}, FAILED, "none"),
    ],
)
def test_who_stands_for_the_author(
    author: str, dkim: Mapping[str, DkimResult], spf: Spf, result: str
) -> None:
    outcome = judged(REJECT, author, dkim=dkim, spf=spf)
    assert outcome.result == result
    assert outcome.domain == author
    assert outcome.policy == ("reject" if result == "fail" else "none")
    assert outcome.published == ("none" if result == "none" else "reject")


def test_strict_means_the_very_domain() -> None:
    zone: Zone = {"_dmarc.example.org": "v=DMARC1; p=reject; adkim=s; aspf=s"}
    assert judged(zone, "example.org", dkim={"example.org": "pass"}).by == "example.org"
    assert judged(zone, "example.org", dkim={"mail.example.org": "pass"}).result == "fail"
    assert judged(zone, "example.org", spf=Spf("pass", "mail.example.org")).result == "fail"
    assert judged(zone, "example.org", spf=Spf("pass", "example.org")).result == "pass"
    half: Zone = {"_dmarc.example.org": "v=DMARC1; p=reject; adkim=s"}
    assert judged(half, "example.org", spf=Spf("pass", "mail.example.org")).result == "pass"


@pytest.mark.parametrize(
    ("author", "policy"),
    [("example.org", "none"), ("there.example.org", "quarantine"), ("nowhere.example.org", "reject")],
)
def test_a_subdomain_has_a_policy_of_its_own_and_so_has_one_that_does_not_exist(
    author: str, policy: str
) -> None:
    zone: Zone = {
        "_dmarc.example.org": "v=DMARC1; p=none; sp=quarantine; np=reject",
        "there.example.org": NoData(),
    }
    outcome = judged(zone, author)
    assert (outcome.policy, outcome.record) == (policy, "example.org")
    assert judged({**zone, "nowhere.example.org": Temporary()}, "nowhere.example.org").policy == "quarantine"


def test_without_np_and_sp_the_policy_is_for_all() -> None:
    assert judged({"_dmarc.example.org": "v=DMARC1; p=reject; sp=none"}, "x.example.org").policy == "none"
    assert judged(REJECT, "x.example.org").policy == "reject"


def test_the_author_domain_s_own_record_comes_first_and_the_organisation_s_next() -> None:
    zone: Zone = {
        "_dmarc.a.b.example.org": "v=DMARC1; p=none; sp=reject",
        "_dmarc.b.example.org": "v=DMARC1; p=quarantine",
        "_dmarc.example.org": "v=DMARC1; p=reject",
    }
    assert judged(zone, "a.b.example.org").published == "none"
    # Not that of the domain in between.
    assert judged(zone, "x.b.example.org").published == "reject"
    assert judged(zone, "a.b.example.org", dkim={"example.org": "pass"}).result == "pass"


def test_an_organisation_below_another_one_s_suffix() -> None:
    zone: Zone = {
        "_dmarc.gov.example": "v=DMARC1; p=reject; sp=quarantine; np=reject; psd=y",
        "agency.gov.example": NoData(),
    }
    outcome = judged(zone, "mail.agency.gov.example", dkim={"other.gov.example": "pass"})
    assert (outcome.result, outcome.record, outcome.policy) == ("fail", "gov.example", "reject")
    assert judged(zone, "agency.gov.example").policy == "quarantine"
    assert judged(zone, "agency.gov.example", dkim={"mail.agency.gov.example": "pass"}).result == "pass"
    # The suffix' own mail.
    assert judged(zone, "gov.example").policy == "reject"
    assert judged(zone, "gov.example", dkim={"gov.example": "pass"}).result == "pass"
    assert judged(zone, "gov.example", dkim={"agency.gov.example": "pass"}).result == "fail"
    # An organisation with a record of its own does not inherit the suffix'.
    own: Zone = {**zone, "_dmarc.agency.gov.example": "v=DMARC1; p=none"}
    assert judged(own, "agency.gov.example").policy == "none"
    assert judged(own, "mail.agency.gov.example").record == "agency.gov.example"


def test_a_domain_may_say_that_it_is_an_organisation() -> None:
    zone: Zone = {
        "_dmarc.example.org": "v=DMARC1; p=reject",
        "_dmarc.dept.example.org": "v=DMARC1; p=quarantine; psd=n",
    }
    assert judged(zone, "dept.example.org", dkim={"example.org": "pass"}).policy == "quarantine"
    assert judged(zone, "www.dept.example.org", dkim={"dept.example.org": "pass"}).result == "pass"
    assert judged(zone, "example.org", dkim={"dept.example.org": "pass"}).result == "fail"


@pytest.mark.parametrize(
    ("published", "applied"), [("reject", "quarantine"), ("quarantine", "none"), ("none", "none")]
)
def test_a_policy_under_test_is_applied_one_step_below(published: str, applied: str) -> None:
    outcome = judged({"_dmarc.example.org": f"v=DMARC1; p={published}; t=y"}, "example.org")
    assert (outcome.result, outcome.published, outcome.policy) == ("fail", published, applied)


def test_a_record_that_asks_for_nothing_is_none() -> None:
    assert (
        judged({"_dmarc.example.org": "v=DMARC1; sp=quarantine; np=reject"}, "example.org").result == "none"
    )
    assert judged({"_dmarc.example.org": "v=DMARC1; p=none; reject"}, "example.org").result == "fail"


@pytest.mark.parametrize("trouble", [Temporary(), TimedOut()])
def test_trouble_with_dns_is_no_fail(trouble: Answer[Data]) -> None:
    assert judged({"_dmarc.example.org": trouble}, "example.org").result == "temperror"
    # Perhaps there was a milder one.
    assert judged({**REJECT, "_dmarc.a.example.org": trouble}, "a.example.org").result == "temperror"
    own: Zone = {"_dmarc.a.example.org": "v=DMARC1; p=reject", "_dmarc.example.org": trouble}
    assert judged(own, "a.example.org").result == "fail"
    assert judged(own, "a.example.org", dkim={"example.org": "pass"}).result == "temperror"
    assert judged(own, "a.example.org", dkim={"a.example.org": "pass"}).result == "pass"
    other: Zone = {**REJECT, "_dmarc.b.example.org": trouble}
    assert judged(other, "example.org", dkim={"b.example.org": "pass"}).result == "pass"
    apart: Zone = {**REJECT, "_dmarc.b.example.org": "v=DMARC1; p=none; psd=n"}
    assert judged(apart, "example.org", dkim={"b.example.org": "pass"}).result == "fail"


def test_of_several_authors_the_worst_counts() -> None:
    """Else an address more in From would be the way around every policy."""
    zone: Zone = {**REJECT, "_dmarc.other.example": "v=DMARC1; p=quarantine"}
    both = judged(zone, "other.example", "example.org", dkim={"other.example": "pass"})
    assert (both.result, both.domain, both.policy) == ("fail", "example.org", "reject")
    neither = judged(zone, "other.example", "example.org")
    assert neither.policy == "reject"
    signed = judged(
        zone, "other.example", "example.org", dkim={"other.example": "pass", "example.org": "pass"}
    )
    assert signed.result == "pass"
    assert judged(zone).result == "permerror"


def test_the_number_of_questions_is_bounded() -> None:
    asked: list[str] = []
    authors = [f"{n}.a.b.c.d.e.f.g.h.example.org" for n in range(MAX_DOMAINS + 3)]
    signers: dict[str, DkimResult] = {f"s{n}.{author}": "pass" for n in range(6) for author in authors}
    zone: Zone = {f"_dmarc.{author}": "v=DMARC1; p=none; psd=n" for author in authors}
    zone = {**zone, **{f"_dmarc.{signer}": "v=DMARC1; p=none; psd=n" for signer in signers}}
    assert judged(zone, *authors, dkim=signers, asked=asked).result == "fail"
    assert len(asked) == MAX_DOMAINS * 8 * (1 + MAX_DOMAINS)


def test_most_mail_costs_one_question_for_each_label() -> None:
    asked: list[str] = []
    judged(REJECT, "example.org", dkim={"example.org": "pass", "esp.example": "pass"}, asked=asked)
    assert asked == ["_dmarc.example.org", "_dmarc.org"]
