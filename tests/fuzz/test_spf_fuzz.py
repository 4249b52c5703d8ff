"""Whatever stands in DNS, an evaluation of SPF ends soon, in a result, and its header line is one line."""

from __future__ import annotations

import time
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mailbase.addresses import domain_of
from mailbase.dns.answers import BadName, Found, Mx, NoData, NxDomain, RecordType, Temporary, TimedOut
from policyd.checks.spf import SpfCheck
from policyd.evidence.facts import Evidence
from policyd.evidence.inquiry import Subject
from policyd.protocol.request import request_of
from policyd.spf.received import received_spf

NAMES = ["s.example", "a.example", "b.example", "_x.s.example", "h.example"]
DOMAIN = st.sampled_from(
    [*NAMES, "%{d}", "%{i}.%{v}.s.example", "%{l1r-}.a.example", "%{p}", "", ".", "a..b"]
)
MACRO = st.builds(
    "%{{{}{}{}{}}}".format,
    st.sampled_from("slodiphcrtvSLODIPHCRTVxq"),
    st.one_of(st.just(""), st.integers(0, 10**12).map(str)),
    st.sampled_from(["", "r", "R"]),
    st.text("-.+,/_=", max_size=7),
)
SPEC = st.one_of(
    DOMAIN, MACRO, st.lists(st.one_of(DOMAIN, MACRO, st.text(max_size=5)), max_size=5).map(".".join)
)
LENGTH = st.sampled_from(
    ["", "/0", "/8", "/24", "/32", "/33", "//0", "/24//64", "//129", "/x", "/-1", "/024"]
)
TERM = st.one_of(
    st.builds(
        "{}{}:{}{}".format,
        st.sampled_from(["", "+", "-", "~", "?", "!"]),
        st.sampled_from(["a", "mx", "ptr", "exists", "include", "all", "ip4", "ip6", "A", "moo"]),
        SPEC,
        LENGTH,
    ),
    st.builds("{}={}".format, st.sampled_from(["redirect", "exp", "x", "default", "op"]), SPEC),
    st.sampled_from(
        ["a", "mx", "ptr", "-all", "+all", "~all", "ip4:1.2.3.4/33", "ip6:::1/0", "ip4:0.0.0.0/0"]
    ),
    st.text(max_size=20),
)
TEXT = st.one_of(
    st.lists(TERM, max_size=12).map(lambda terms: " ".join(["v=spf1", *terms]).encode("utf-8", "replace")),
    st.binary(max_size=60).map(lambda junk: b"v=spf1 " + junk),
    st.binary(max_size=30),
)
TTL = st.floats(0, 1000)


def found(records: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda many, ttl: Found(tuple(many), ttl, "s.example"),
        st.lists(records, min_size=1, max_size=12),
        TTL,
    )


NAME = st.sampled_from(NAMES)
TROUBLE = st.sampled_from([NxDomain(10), NoData(10), Temporary(), TimedOut(), BadName()])
ANSWERS = {
    RecordType.TXT: found(TEXT),
    RecordType.A: found(st.binary(min_size=4, max_size=4)),
    RecordType.AAAA: found(st.binary(min_size=16, max_size=16)),
    RecordType.MX: found(st.builds(Mx, st.integers(0, 65535), st.one_of(NAME, st.just("")))),
    RecordType.PTR: found(NAME),
}
RESULTS = {"pass", "fail", "softfail", "neutral", "none", "permerror", "temporary", "plus-all"}


@given(
    st.data(),
    st.sampled_from([bytes([198, 18, 0, 7]), bytes(range(16))]),
    st.one_of(
        st.sampled_from(["a@s.example", "", "@s.example"]), st.text(max_size=20).map("{}@s.example".format)
    ),
    st.one_of(NAME, st.text(max_size=20)),
)
@settings(max_examples=400, deadline=None)
def test_every_evaluation_ends_in_a_result(
    data: st.DataObject, address: bytes, sender: str, helo: str
) -> None:
    check = SpfCheck("mx.gate.example", lambda: 0.0)
    domain = domain_of(sender) if sender else None
    inquiry = check.inquire(Subject(address, "", "", helo, sender, domain, ""))
    known: dict[Any, Any] = {}
    answers: Any = None
    began = time.process_time()
    for _ in range(check.rounds + 1):
        try:
            questions = inquiry.send(answers)
        except StopIteration as stop:
            facts: tuple[Evidence, ...] = stop.value
            break
        assert questions
        assert len(questions) <= 64
        for question in questions:
            assert isinstance(question, tuple)
            if question not in known:
                good = ANSWERS[question[1]]
                known[question] = data.draw(st.one_of(good, good, good, TROUBLE))
        answers = tuple(known[question] for question in questions)
    else:
        raise AssertionError("asks without end")
    assert {fact.name.removeprefix("helo-") for fact in facts} <= RESULTS
    assert time.process_time() - began < 5.0

    attributes = {"client_address": "198.18.0.7", "sender": sender, "helo_name": helo}
    clean = {name: value.replace("\n", " ").replace("\0", "?") for name, value in attributes.items()}
    line = received_spf(request_of(clean), facts, "mx.gate.example")
    assert line is not None
    assert line.isascii()
    assert line.isprintable()
    assert len(line) < 500
