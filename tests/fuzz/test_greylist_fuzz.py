"""Greylisting's pure parts: nothing raises, who waits passes, lists match as their definition says."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from policyd.greylist.allowlist import ClientList, Line, RecipientList
from policyd.greylist.keys import (
    client_network,
    normal_recipient,
    normal_sender,
    own_key,
    pair_key,
    pair_text,
)
from policyd.greylist.terms import Entry, Outcome, Terms, expiry, judge

TERMS = st.builds(
    Terms,
    delay=st.floats(0, 1000),
    retry_window=st.floats(1001, 10_000),
    lifetime=st.floats(3600, 100_000),
)
LABEL = st.sampled_from(["a", "b", "mail", "mx1", "example", "org", "co", "uk", "A", "Mail"])
NAME = st.lists(LABEL, min_size=1, max_size=4).map(".".join)


@given(
    st.text(), st.text(), st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16))
)
@settings(max_examples=200, deadline=None)
def test_any_triplet_has_a_key(sender: str, recipient: str, address: bytes) -> None:
    network = client_network(address, 24, 64, exact=False)
    pair = pair_text(normal_sender(sender), normal_recipient(recipient))
    assert len(pair_key(pair)) == len(own_key(network, pair)) == 16
    assert pair_key(pair) != own_key(network, pair)


@given(st.from_regex(r"[a-z0-9=+.@-]{0,40}", fullmatch=True))
@settings(max_examples=300, deadline=None)
def test_normalising_ends_in_something_and_keeps_the_domain(sender: str) -> None:
    normal = normal_sender(sender)
    assert normal
    assert "@" not in sender or normal.endswith("@" + sender.rpartition("@")[2])


@given(TERMS, st.floats(1e6, 1e9), st.lists(st.floats(0, 20_000), max_size=10))
@settings(max_examples=300, deadline=None)
def test_who_comes_back_when_told_passes_and_no_entry_outlives_its_expiry(
    terms: Terms, start: float, pauses: list[float]
) -> None:
    entry: Entry | None = None
    now = start
    for pause in pauses:
        changed, answer = judge(entry, now, terms)
        entry = changed or entry
        assert entry is not None
        assert 0 <= answer.wait <= terms.delay + 1
        assert (answer.wait > 0) == (answer.outcome in (Outcome.NEW, Outcome.EARLY))
        assert judge(entry, now + answer.wait, terms)[1].outcome in (Outcome.PASSED, Outcome.KNOWN)
        assert judge(entry, expiry(entry, terms) + 0.5, terms)[1].outcome in (Outcome.NEW, Outcome.PASSED)
        assert terms.delay == 0 or judge(entry, expiry(entry, terms) + 0.5, terms)[1].outcome is Outcome.NEW
        now += pause


@given(st.lists(NAME, max_size=5), NAME)
@settings(max_examples=300, deadline=None)
def test_client_names_match_as_postgreys_expression_does(entries: list[str], name: str) -> None:
    expected = any(re.search(rf"(?:^|\.){re.escape(entry)}$", name, re.IGNORECASE) for entry in entries)
    found = ClientList([Line("x", number, entry) for number, entry in enumerate(entries)])
    assert found.matches(None, name.lower()) is expected


def postgrey_recipient(entry: str, recipient: str) -> bool:
    user, at, domain = entry.partition("@")
    if domain:
        pattern = rf"^{re.escape(user)}(?:\+[^@]+)?@{re.escape(domain)}$"
    elif at:
        pattern = rf"^{re.escape(user)}(?:\+[^@]+)?@"
    else:
        pattern = rf"(?:@|\.){re.escape(user)}$"
    return re.search(pattern, recipient, re.IGNORECASE) is not None


LOCAL = st.sampled_from(["a", "b", "a+x", "a+x+y", "a+", "+a", "A", "a.b", "b.example"])
RECIPIENT = st.one_of(
    st.builds("{}@{}".format, LOCAL, NAME), NAME, st.builds("{}@{}@{}".format, LOCAL, NAME, NAME)
)
ENTRY = st.one_of(st.builds("{}@{}".format, LOCAL, NAME), st.builds("{}@".format, LOCAL), NAME)


@given(st.lists(ENTRY, max_size=4), RECIPIENT)
@settings(max_examples=500, deadline=None)
def test_recipients_match_as_postgreys_expression_does(entries: list[str], recipient: str) -> None:
    expected = any(postgrey_recipient(entry, recipient) for entry in entries)
    found = RecipientList([Line("x", number, entry) for number, entry in enumerate(entries)])
    assert found.matches(recipient) is expected
