"""What an operator types, or somebody in his place: understood or refused, and never anything else."""

from __future__ import annotations

import io

from hypothesis import example, given
from hypothesis import strategies as st

from mailbase.addresses import normal_address, pack, unpack
from mailbase.logs import Log
from policyd.evidence.facts import Effect, Named
from policyd.exceptions.matching import Rules
from policyd.exceptions.rule import rule_of
from policyd.journal.masks import Masks, client_text, mailbox_text
from policyd.journal.search import search_for

PLAIN = Masks()
HIDDEN = Masks(Log("policyd", stream=io.StringIO(), pseudonym_key=b"key").pseudonym)
PIECES = st.lists(
    st.sampled_from(
        ["a", "B", ".", "@", "+", "/", ":", "::", "192.0.2.1", "24", "x.example", "*", " ", "ü", '"', "<>"]
    ),
    max_size=8,
).map("".join)
TERMS = st.one_of(PIECES, st.text(max_size=40))


@given(TERMS)
@example("@")
@example("/")
@example("::ffff:0:0/96")
def test_a_search_is_understood_or_refused(term: str) -> None:
    for masks in (PLAIN, HIDDEN):
        try:
            search = search_for(term, masks)
        except ValueError:
            continue
        assert search.transactions or search.decisions


@given(TERMS, st.none() | st.sampled_from(Named), TERMS)
def test_a_rule_is_understood_or_refused_and_applies_to_what_it_names(
    what: str, named: Named | None, other: str
) -> None:
    try:
        rule = rule_of(what, Effect.DENY, named)
    except ValueError:
        return
    # What is kept is understood as the same again.
    assert rule_of(rule.what, Effect.DENY, rule.named) == rule
    rules = Rules()
    rules.put(rule)
    match rule.named:
        case Named.USER:
            found = rules.match(None, "unknown", "", "", rule.what, 0)
        case Named.CLIENT:
            address = pack(rule.what.partition("/")[0])
            found = rules.match(address, rule.what if address is None else "unknown", "", "", "", 0)
        case _:
            mailbox = rule.what if rule.single else f"x@{rule.what}"
            sender, recipient = (mailbox, "") if rule.named is Named.SENDER else ("", mailbox)
            found = rules.match(None, "unknown", sender, recipient, "", 0)
    assert found is rule or (rule.named is Named.CLIENT and rule.what == "unknown")
    rules.match(pack(other), other, other, other, other, 0)
    rules.remove(rule)
    assert rules.all == {}


@given(st.text(max_size=60))
@example("@")
@example('"a b"@x.example')
def test_a_mailbox_is_told_as_it_is_compared(address: str) -> None:
    told = mailbox_text(PLAIN.mailbox(address), hidden=False)
    normal = normal_address(address)
    assert told == (address.lower() if normal is None else normal)


@given(st.text(max_size=60), st.text(max_size=60))
def test_equal_mailboxes_have_equal_pseudonyms(one: str, other: str) -> None:
    same = PLAIN.mailbox(one) == PLAIN.mailbox(other)
    assert (HIDDEN.mailbox(one) == HIDDEN.mailbox(other)) is same


@given(st.text(max_size=60))
def test_a_client_is_told_as_it_is_compared(address: str) -> None:
    packed = pack(address)
    assert client_text(PLAIN.client(address)) == (address if packed is None else unpack(packed))
