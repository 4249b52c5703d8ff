"""The total of anything: it never fails, and nothing but what is stated changes it."""

from __future__ import annotations

import math
import random
import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st

from contentfilter.content.clues import Clue
from contentfilter.disposition.deferring import digest
from contentfilter.disposition.policy import Policies
from contentfilter.disposition.total import add_up
from contentfilter.disposition.verdict import decide
from contentfilter.spool.spool import Spool
from contentfilter.spool.unstuffing import stuffed
from mailbase.config import loads
from mailbase.evidence import Evidence
from mailbase.points import MAX_POINTS
from mailbase.vocabulary import Finding, Flow

BOUNDED = settings(max_examples=200, deadline=None)
POLICY = Policies(loads("")).of_flow(Flow.INBOUND)
ID = "0123456789abc"

numbers = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([0.1, 0.2, 5.0, -3.0]))
names = st.one_of(st.sampled_from(["url.listed", "rule.a", "rule.b", "helo.not-fqdn"]), st.text(max_size=80))
clues = st.lists(
    st.builds(Clue, names, st.text(max_size=30), st.none() | numbers, st.booleans()), max_size=12
)
findings = st.lists(st.builds(Finding, st.sampled_from(["html-smuggling", "virus", "x"])), max_size=4)
evidence = st.none() | st.builds(
    Evidence,
    st.floats(-1e6, 1e6),
    st.lists(st.one_of(st.text(max_size=40), st.builds("{}:{}".format, names, numbers)), max_size=6).map(
        tuple
    ),
)


@BOUNDED
@given(clues, findings, evidence, st.randoms(use_true_random=False))
def test_the_order_changes_nothing_and_the_sum_is_that_of_its_items(
    stated: list[Clue], found: list[Finding], known: Evidence | None, chance: random.Random
) -> None:
    total = add_up(stated, found, known)
    shuffled = list(stated)
    chance.shuffle(shuffled)
    again = add_up(shuffled, found[::-1], known)
    assert (again.points, [str(item) for item in again.items]) == (
        total.points,
        [str(item) for item in total.items],
    )
    assert math.isfinite(total.points)
    assert abs(total.points) <= 1e6 + 16 * MAX_POINTS + 1
    told = (
        {fact.strip("()").rpartition(":")[0] or fact.strip("()") for fact in known.facts} if known else set()
    )
    ours = sum(item.points for item in total.counted if item.name not in told and item.name != "policyd")
    assert known is not None or math.isclose(ours, total.points, abs_tol=1e-4)


@BOUNDED
@given(clues, findings, evidence, st.booleans())
def test_whatever_it_is_reply_and_header_lines_are_ours(
    stated: list[Clue], found: list[Finding], known: Evidence | None, may_wait: bool
) -> None:
    verdict = decide(ID, Flow.INBOUND, POLICY, [], add_up(stated, found, known), may_wait)
    for line in (verdict.header("X-Postwarden") + verdict.reply("c").encode()).split(b"\r\n")[:-1]:
        assert len(line) <= 998
        assert all(32 <= octet < 127 for octet in line)
        assert line.startswith((b"X-Postwarden-", b"250 ", b"451 4.7.1 ", b"554 5.7.1 "))


@BOUNDED
@given(st.binary(max_size=400), st.binary(max_size=60))
def test_every_mail_has_one_digest(message: bytes, trace: bytes) -> None:
    def digested(mail: bytes) -> str:
        with tempfile.TemporaryDirectory() as folder:
            spool = Spool(folder, 1 << 16)
            spool.write(b"".join(stuffed([mail])))
            try:
                return digest(spool)
            finally:
                spool.close()

    first = digested(message)
    assert digested(message) == first
    assert len(first) == 32
    head, end, _ = message.partition(b"\r\n\r\n")
    if end and b"message-id" not in (trace + head).lower():
        above = b"X-Above: " + trace.replace(b"\r", b"").replace(b"\n", b"") + b"\r\n"
        assert digested(above + message) == first
