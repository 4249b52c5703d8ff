"""What is judged without pyspf is what pyspf says."""

from __future__ import annotations

from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from mailbase.addresses import unpack
from mailbase.dns.answers import Found, NoData, NxDomain
from policyd.spf import plain
from policyd.spf.evaluation import Identity, evaluate

FOUR = st.one_of(st.binary(min_size=4, max_size=4), st.just(bytes([192, 0, 2, 9])))
SIX = st.one_of(
    st.binary(min_size=16, max_size=16), st.just(b"\x20\x01\x0d\xb8" + bytes(12)), st.just(bytes(16))
)
LENGTH = st.one_of(
    st.just(""), st.integers(0, 140).map("/{}".format), st.sampled_from(["/00", "/", "//8", "/8//8"])
)
ADDRESS = st.one_of(
    FOUR.map(unpack),
    SIX.map(unpack),
    st.sampled_from(
        ["::", ":::", "1::2::3", "::ffff:c000:209", "::192.0.2.9", "192.0.2", "192.0.2.09", "192.0.2.256"]
    ),
)
TERM = st.one_of(
    st.builds(
        "{}{}:{}{}".format,
        st.sampled_from(["", "+", "-", "~", "?", "!"]),
        st.sampled_from(["ip4", "ip6", "IP4", "ip4:"]),
        ADDRESS,
        LENGTH,
    ),
    st.sampled_from(
        ["all", "-all", "~all", "?all", "+all", "-ALL", "all/8", "all:x", "", "a", "x=y", "exp=x.example"]
    ),
)
SIGN = st.sampled_from(["", "+", "-", "~", "?"])
ORDINARY = st.lists(
    st.one_of(
        st.builds(
            "{}ip4:{}{}".format, SIGN, FOUR.map(unpack), st.sampled_from(["", "/0", "/24", "/31", "/32"])
        ),
        st.builds("{}ip6:{}{}".format, SIGN, SIX.map(unpack), st.sampled_from(["", "/0", "/32", "/127"])),
        st.builds("{}all".format, SIGN),
    ),
    max_size=3,
).map(lambda terms: " ".join(["v=spf1", *terms]))
"""What most domains have, and what is judged without pyspf."""
RECORD = st.builds(
    "{}{}{}".format, st.sampled_from(["v=spf1", "V=spf1", "v=spf10", "v=spf1\t", "v=spf2"]),
    st.sampled_from([" ", "  ", ""]), st.lists(TERM, max_size=6).map(" ".join),
)  # fmt: skip


def judged(answer: object, address: bytes) -> object:
    evaluation = evaluate(address, Identity("s.example"), "h.example", "mx.example")
    try:
        questions = next(evaluation)
        while True:
            # Whatever else a record leads to is not there.
            questions = evaluation.send(
                tuple(
                    answer if name == "s.example" and rdtype.name == "TXT" else NxDomain(60)
                    for name, rdtype in questions
                )  # type: ignore[misc]
            )
    except StopIteration as stop:
        return stop.value


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        ORDINARY.map(lambda record: [record]),
        st.lists(st.one_of(ORDINARY, RECORD, RECORD, st.text(max_size=9)), min_size=1, max_size=2),
    ),
    st.one_of(FOUR, SIX),
    st.data(),
)
def test_both_say_the_same(records: list[str], address: bytes, data: st.DataObject) -> None:
    texts = tuple(text.encode("latin-1", "replace") for text in records)
    answer = data.draw(st.sampled_from([Found(texts, 60, "s.example")] * 8 + [NxDomain(60), NoData(60)]))  # type: ignore[list-item]
    ours = judged(answer, address)
    with mock.patch.object(plain, "judge", return_value=None):
        assert ours == judged(answer, address)
