"""Whatever lists answer and clients call themselves, a check asks its lists and says something bounded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailbase.addresses import MAX_DOMAIN
from mailbase.config import loads
from mailbase.config.list_codes import Between, Bits, Like, parse_code
from mailbase.dns import BadName, Found, NoData, NxDomain, Temporary, TimedOut
from mailbase.dns.names import normal
from mailbase.lists.health import Health
from mailbase.lists.model import make_list
from mailbase.lists.roster import Roster, Watched
from policyd.checks import DnsblCheck, RhsblCheck
from policyd.evidence.facts import Evidence
from policyd.evidence.inquiry import Subject

SETTINGS = loads(
    """
policyd:
  lists:
    a: {kind: dnsbl, zone: a.example, families: [ipv4, ipv6], codes: {x: 127.0.0.2, y: mask 12, z: 127.*.*.9}}
    b: {kind: dnsbl, zone: b.example, families: ipv6, refused: 127.0.0.1-9}
    c: {kind: rhsbl, zone: c.example, names: [sender, helo, ptr]}
    d: {kind: rhsbl, zone: d.example, names: [sender, helo, ptr], registrable: true}
"""
).policyd

addresses = st.one_of(
    st.binary(min_size=4, max_size=4), st.binary(min_size=3, max_size=3).map(b"\x7f".__add__)
)
answers: st.SearchStrategy[Any] = st.one_of(
    st.lists(addresses, min_size=1, max_size=9).map(lambda some: Found(tuple(some), 300.0, "x")),
    st.sampled_from([NxDomain(), NoData(), Temporary(), TimedOut(), BadName()]),
)
names = st.one_of(st.text(max_size=300), st.from_regex(r"[a-z0-9_.\[\]:-]{0,260}", fullmatch=True))


def roster() -> Roster:
    watched = [
        Watched(make_list(name, one), Health(SETTINGS.list_health, 0.0))
        for name, one in SETTINGS.lists.items()
    ]
    for one in watched:
        one.health.tested(None, "", 0.0)
    made = Roster()
    made.select(watched)
    return made


def ended(inquiry: Any, replies: Any) -> tuple[Evidence, ...]:
    """What a check that was sent ``replies`` states; it must not ask again."""
    with pytest.raises(StopIteration) as stop:
        inquiry.send(replies)
    stated: tuple[Evidence, ...] = stop.value.value
    return stated


@settings(deadline=None)
@given(st.data())
def test_a_check_says_something_bounded(data: st.DataObject) -> None:
    sender = data.draw(names)
    address = data.draw(st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)))
    subject = Subject(address, data.draw(names), "", data.draw(names), "a@" + sender, sender, "")
    lists = roster()
    known = {fact for one in SETTINGS.lists for fact in (one, f"{one}.x", f"{one}.y", f"{one}.z")}
    for check in (DnsblCheck(lists), RhsblCheck(lists)):
        inquiry = check.inquire(subject)
        questions = next(inquiry, ())
        assert len(questions) == len(set(questions)) <= 6
        for name, _ in questions:
            assert name.endswith(".example")
            assert normal(name) is not None or len(name) > MAX_DOMAIN
        if questions:
            stated = ended(inquiry, tuple(data.draw(answers) for _ in questions))
            assert {fact.name for fact in stated} <= known | {"temporary"}
            assert len({fact.name.partition(".")[0] for fact in stated}) == len(stated) <= 3
            assert all(fact.detail.isascii() and len(fact.detail) < 400 for fact in stated)


@given(st.one_of(st.text(max_size=40), st.from_regex(r"(mask )?[0-9x.*\- ]{0,40}", fullmatch=True)))
def test_a_code_is_read_or_refused(text: str) -> None:
    try:
        code = parse_code(text)
    except ValueError:
        return
    match code:
        case Between(low, high):
            assert 127 << 24 <= low <= high < 128 << 24
        case Like(mask, value):
            assert value & mask == value
            assert value >> 24 == 127
        case Bits(mask):
            assert 0 < mask < 1 << 24
