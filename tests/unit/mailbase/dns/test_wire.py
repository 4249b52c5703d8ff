"""Packets, octet by octet: what an answer may say, and what of it is not believed."""

from __future__ import annotations

from itertools import pairwise

import dns.flags
import dns.message
import dns.rrset
import pytest

from mailbase.dns.answers import Found, Mx, NoData, NxDomain, RecordType
from mailbase.dns.wire import (
    MAX_CHAIN,
    MAX_RECORDS,
    Broken,
    Failed,
    Foreign,
    Question,
    Reading,
    Settled,
    Truncated,
)

ID = b"\x12\x67"
C00C = b"\xc0\x0c"


def answer(
    question: Question,
    *records: str,
    authority: tuple[str, ...] = (),
    extra: tuple[str, ...] = (),
    rcode: int = 0,
    flags: int = 0,
) -> bytes:
    message = dns.message.make_response(dns.message.from_wire(question.packet(ID)))
    message.set_rcode(rcode)
    message.flags = dns.flags.Flag(message.flags | flags)
    for section, lines in (
        (message.answer, records),
        (message.authority, authority),
        (message.additional, extra),
    ):
        for line in lines:
            section.append(dns.rrset.from_text(*line.split(maxsplit=4)))
    return message.to_wire()


def read(kind: RecordType, *records: str, name: str = "a.example", **more: object) -> Reading:
    question = Question(name, kind)
    return question.read(answer(question, *records, **more), ID)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "text", "record"),
    [
        (RecordType.A, "192.0.2.1", bytes([192, 0, 2, 1])),
        (RecordType.AAAA, "2001:db8::1", bytes.fromhex("20010db8" + "0" * 23 + "1")),
        (RecordType.MX, "10 MX.Example.", Mx(10, "mx.example")),
        (RecordType.MX, "0 .", Mx(0, "")),
        (RecordType.TXT, '"v=spf1 " "-all"', b"v=spf1 -all"),
        (RecordType.TXT, '""', b""),
        (RecordType.PTR, "Host.A.example.", "host.a.example"),
        (RecordType.NS, "a.example.", "a.example"),
        (RecordType.CNAME, "b.example.", "b.example"),
        (RecordType.PTR, "we\\.ird\\000\\\\.a.example.", "we\\046ird\\000\\092.a.example"),
    ],
)
def test_records_of_every_type(kind: RecordType, text: str, record: object) -> None:
    name = "b.a.example" if kind is RecordType.NS else "a.example"
    reading = read(kind, f"{name}. 77 IN {kind.name} {text}", name=name)
    assert reading == Settled(Found((record,), 77, name), 77)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", b""),
        (b"\x02ab", b"ab"),
        (b"\x01a\x02bc", b"abc"),
        (b"\x02a", None),
        (b"\x02abc", None),
        (b"\x00", b""),
    ],
)
def test_a_text_is_no_longer_and_no_shorter_than_its_record(content: bytes, text: bytes | None) -> None:
    question = Question("a.example", RecordType.TXT)
    packet = bytearray(answer(question, 'a.example. 77 IN TXT "x"', extra=()))
    at = packet.index(b"\0\2\1x")
    packet[at:] = len(content).to_bytes(2) + content
    packet[10:12] = b"\0\0"  # without EDNS
    reading = question.read(bytes(packet), ID)
    if text is None:
        assert isinstance(reading, Broken)
    else:
        assert reading == Settled(Found((text,), 77, "a.example"), 77)


def test_a_chain_is_followed_to_its_end_and_no_further() -> None:
    reading = read(
        RecordType.A,
        "a.example. 300 IN CNAME b.example.",
        "b.example. 30 IN CNAME C.example.",
        "c.example. 90 IN A 192.0.2.3",
        "victim.example. 90 IN A 203.0.113.66",
        extra=("a.example. 90 IN A 203.0.113.66",),
    )
    assert reading == Settled(Found((bytes([192, 0, 2, 3]),), 30, "c.example"), 30)


def test_records_beside_a_cname_count_and_not_the_cname() -> None:
    mistake = ("a.example. 30 IN CNAME b.example.", "a.example. 90 IN A 192.0.2.3")
    assert read(RecordType.A, *mistake) == Settled(Found((bytes([192, 0, 2, 3]),), 90, "a.example"), 90)


def test_records_beside_the_question_are_no_answer() -> None:
    soa = "a.example. 60 IN SOA ns.example. h.example. 1 2 3 4 50"
    reading = read(RecordType.A, "victim.example. 90 IN A 203.0.113.66", authority=(soa,))
    assert reading == Settled(NoData(), 50)


@pytest.mark.parametrize(
    ("owner", "ttl"), [("a.example.", 50), ("example.", 50), (".", 50), ("victim.", None), ("le.", None)]
)
def test_only_a_zone_around_the_name_says_how_long_a_no_holds(owner: str, ttl: int | None) -> None:
    soa = f"{owner} 60 IN SOA ns.example. h.example. 1 2 3 4 50"
    assert read(RecordType.A, authority=(soa,), rcode=3) == Settled(NxDomain(), ttl)


def test_a_no_holds_no_longer_than_the_soa_or_the_chain() -> None:
    soa = "example. 20 IN SOA ns.example. h.example. 1 2 3 4 50"
    assert read(RecordType.A, authority=(soa,)) == Settled(NoData(), 20)
    chain = "a.example. 7 IN CNAME b.example."
    assert read(RecordType.A, chain, authority=(soa,)) == Settled(NoData(), 7)
    assert read(RecordType.A, chain, authority=(soa,), rcode=3) == Settled(NxDomain(), 7)


@pytest.mark.parametrize("zone", ["a.example.", "example.", "."])
@pytest.mark.parametrize("records", [(), ("a.example. 7 IN CNAME b.a.example.",)])
def test_a_referral_says_nothing_of_the_name(zone: str, records: tuple[str, ...]) -> None:
    """RFC 2308 2.2: else a server that is not recursive would make all names lack everything."""
    servers = (f"{zone} 99 IN NS ns1.other.", f"{zone} 99 IN NS ns2.other.")
    reading = read(RecordType.MX, *records, authority=servers, extra=("ns1.other. 99 IN A 192.0.2.1",))
    assert isinstance(reading, Broken)
    assert "recursive" in reading.why


def test_name_servers_beside_an_answer_are_no_referral() -> None:
    servers = "example. 99 IN NS ns.example."
    soa = "example. 50 IN SOA ns.example. h.example. 1 3600 600 86400 60"
    nothing = Settled(NoData(), None)
    assert read(RecordType.MX, authority=(servers, soa)) == Settled(NoData(), 50)
    assert read(RecordType.MX, authority=(servers,), flags=dns.flags.AA) == nothing
    assert read(RecordType.MX, authority=("other. 99 IN NS ns.example.",)) == nothing
    assert read(RecordType.MX, authority=(servers,), rcode=3) == Settled(NxDomain(), None)
    found = read(RecordType.A, "a.example. 7 IN A 192.0.2.1", authority=(servers,))
    assert found == Settled(Found((bytes([192, 0, 2, 1]),), 7, "a.example"), 7)


def test_a_chain_without_end_is_broken() -> None:
    loop = read(RecordType.A, "a.example. 7 IN CNAME b.example.", "b.example. 7 IN CNAME a.example.")
    assert isinstance(loop, Broken)
    links = ["a.example."] + [f"n{number}.example." for number in range(MAX_CHAIN + 1)]
    steps = [f"{one} 7 IN CNAME {other}" for one, other in pairwise(links)]
    assert isinstance(read(RecordType.A, *steps), Broken)
    assert isinstance(read(RecordType.A, *steps[:-1], f"{links[-2]} 7 IN A 192.0.2.1"), Settled)


def test_records_are_bounded_and_each_stands_once() -> None:
    question = Question("a.example", RecordType.A)

    def packet(count: int, distinct: bool) -> bytes:
        head = answer(question, "a.example. 9 IN A 192.0.2.1")[: 12 + 15]
        records = [
            C00C + b"\0\1\0\1\0\0\0\x09\0\4" + (number if distinct else 0).to_bytes(4)
            for number in range(count)
        ]
        return (
            head[:6]
            + count.to_bytes(2)
            + head[8:12]
            + question.packet(ID, edns=False)[12:]
            + b"".join(records)
        )

    many = question.read(packet(1000, True), ID)
    assert isinstance(many, Settled)
    assert isinstance(many.answer, Found)
    assert len(many.answer.records) == MAX_RECORDS
    same = question.read(packet(1000, False), ID)
    assert isinstance(same, Settled)
    assert same.answer == Found((bytes(4),), 9, "a.example")
    assert isinstance(question.read(packet(2000, True), ID), Broken)


def test_what_is_not_our_answer_is_foreign() -> None:
    question = Question("a.example", RecordType.A)
    good = answer(question, "a.example. 9 IN A 192.0.2.1")
    assert isinstance(question.read(good, ID), Settled)
    assert isinstance(question.read(good, b"\x12\x68"), Foreign)
    assert isinstance(question.read(good[:11], ID), Foreign)
    assert isinstance(question.read(b"", ID), Foreign)
    assert isinstance(question.read(question.packet(ID), ID), Foreign)  # our own packet, sent back
    for other in (Question("b.example", RecordType.A), Question("a.example", RecordType.MX)):
        assert isinstance(other.read(good, ID), Foreign)
    assert isinstance(question.read(good[:2] + b"\xa8" + good[3:], ID), Foreign)  # another opcode
    chaos = good[:12] + good[12:].replace(b"\0\1\0\1", b"\0\1\0\3", 1)
    assert isinstance(question.read(chaos, ID), Foreign)


def test_the_case_of_the_question_does_not_matter() -> None:
    question = Question("a.example", RecordType.A)
    good = answer(question, "a.example. 9 IN A 192.0.2.1").replace(b"example", b"eXAMPle", 1)
    assert isinstance(question.read(good, ID), Settled)


def test_without_question_only_a_failure_is_believed() -> None:
    question = Question("a.example", RecordType.A)
    for code, kind in ((1, Failed), (2, Failed), (5, Failed), (0, Foreign), (3, Foreign)):
        bare = ID + bytes([0x81, code]) + bytes(8)
        assert isinstance(question.read(bare, ID), kind)


def test_truncated_and_failed() -> None:
    question = Question("a.example", RecordType.A)
    good = answer(question, "a.example. 9 IN A 192.0.2.1")
    assert question.read(good[:2] + bytes([good[2] | 2]) + good[3:], ID) == Truncated()
    assert question.read(answer(question, rcode=5), ID) == Failed(5)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (RecordType.A, b"\1\2\3"),
        (RecordType.A, b"\1\2\3\4\5"),
        (RecordType.AAAA, b"\1\2\3\4"),
        (RecordType.TXT, b"\5abc"),
        (RecordType.MX, b"\0\1"),
        (RecordType.MX, b"\0\1\1a\0x"),
        (RecordType.PTR, b""),
        (RecordType.PTR, b"\1a"),
        (RecordType.PTR, b"\1a\0\0"),
        (RecordType.PTR, b"\x40a\0"),
        (RecordType.PTR, b"\xc0\xff"),
        (RecordType.PTR, b"\xc0\x00"),
        (RecordType.PTR, b"\xc0"),
        (RecordType.PTR, b"\xc0\x27"),
        (RecordType.CNAME, b"\1a\xc0\x27"),
    ],
)
def test_content_that_is_none_is_broken(kind: RecordType, content: bytes) -> None:
    question = Question("a.example", kind)
    head = question.packet(ID, edns=False)
    head = head[:2] + b"\x81\x80" + head[4:6] + b"\0\1" + head[8:]
    record = C00C + int(kind).to_bytes(2) + b"\0\1\0\0\0\x09" + len(content).to_bytes(2) + content
    assert isinstance(question.read(head + record, ID), Broken)
    assert isinstance(question.read(head + record[:-1], ID), Broken)
    assert isinstance(question.read(head, ID), Broken)


def test_a_name_of_pointers_costs_no_more_than_a_name() -> None:
    question = Question("a.example", RecordType.PTR)
    head = question.packet(ID, edns=False)
    head = head[:2] + b"\x81\x80" + head[4:6] + b"\0\1" + head[8:]
    # A pointer to a label behind which stands a pointer, and so on: 300 labels in all.
    start = len(head) + 12
    chain = b"\0" + b"".join(
        b"\1a" + (0xC000 | max(start, start + 1 + 4 * n - 4)).to_bytes(2) for n in range(300)
    )
    content = chain + (0xC000 | start + 1 + 4 * 299).to_bytes(2)
    record = C00C + b"\0\x0c\0\1\0\0\0\x09" + len(content).to_bytes(2) + content
    assert isinstance(question.read(head + record, ID), Broken)
