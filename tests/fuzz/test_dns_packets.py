"""The packet reader against any octets, against damaged answers, and against dnspython."""

from __future__ import annotations

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset
from hypothesis import given, settings
from hypothesis import strategies as st

from mailbase.dns.answers import Found, Mx, NoData, NxDomain, RecordType
from mailbase.dns.names import Malformed, decode, encode, normal
from mailbase.dns.wire import MAX_RECORDS, Broken, Failed, Foreign, Question, Settled, Truncated

BOUNDED = settings(max_examples=500, deadline=None)
ID = b"\0c"
NAMES = ("a.example", "b.example", "c.a.example", "example", "x.victim")

names = st.sampled_from(NAMES)
kinds = st.sampled_from(list(RecordType))
ttls = st.integers(0, 2**31 - 1)


@st.composite
def lines(draw: st.DrawFn) -> tuple[str, int, str, str]:
    kind = draw(kinds)
    other = draw(names)
    content = {
        RecordType.A: "192.0.2." + str(draw(st.integers(0, 3))),
        RecordType.AAAA: "2001:db8::" + str(draw(st.integers(0, 3))),
        RecordType.MX: f"{draw(st.integers(0, 65535))} {draw(st.sampled_from(['.', other + '.']))}",
        RecordType.TXT: " ".join(
            f'"{text}"' for text in draw(st.lists(st.sampled_from(["", "x", "y z"]), min_size=1))
        ),
    }.get(kind, other + ".")
    return draw(names) + ".", draw(ttls), kind.name, content


def build(question: Question, answers, authority, rcode: int) -> bytes:
    message = dns.message.make_response(dns.message.from_wire(question.packet(ID)))
    message.set_rcode(rcode)
    for section, records in ((message.answer, answers), (message.authority, authority)):
        for owner, ttl, kind, content in records:
            section.append(dns.rrset.from_text(owner, ttl, "IN", kind, content))
    return message.to_wire()


def check(question: Question, packet: bytes) -> None:
    reading = question.read(packet, ID)
    assert isinstance(reading, (Settled, Failed, Truncated, Foreign, Broken))
    if isinstance(reading, Settled):
        assert reading.ttl is None or 0 <= reading.ttl < 2**32
        if isinstance(reading.answer, Found):
            assert 0 < len(reading.answer.records) <= MAX_RECORDS
            hash(reading.answer)


@BOUNDED
@given(names, kinds, st.binary(max_size=300))
def test_noise_never_raises(name: str, kind: RecordType, noise: bytes) -> None:
    question = Question(name, kind)
    check(question, noise)
    head = question.packet(ID, edns=False)
    check(question, head[:2] + b"\x81\x80" + noise[:8].ljust(8, b"\1") + head[12:] + noise[8:])
    check(
        question, head[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + head[12:] + b"\xc0\x0c\0" + bytes([kind]) + noise
    )


@BOUNDED
@given(names, kinds, st.lists(lines(), max_size=6), st.data())
def test_damaged_answers_never_raise(name: str, kind: RecordType, records, data: st.DataObject) -> None:
    question = Question(name, kind)
    packet = bytearray(build(question, records, (), 0))
    for _ in range(data.draw(st.integers(1, 5))):
        packet[data.draw(st.integers(0, len(packet) - 1))] = data.draw(st.integers(0, 255))
    check(question, bytes(packet))
    check(question, bytes(packet[: data.draw(st.integers(0, len(packet)))]))


@BOUNDED
@given(names, kinds, st.lists(lines(), max_size=8), st.integers(0, 3600), st.sampled_from([0, 3]))
def test_answers_are_read_as_dnspython_reads_them(
    name: str, kind: RecordType, records, minimum: int, rcode: int
) -> None:
    # Several CNAMEs of one name are a zone's mistake; which one counts is nobody's business.
    seen: set[str] = set()
    records = [
        record
        for record in records
        if record[2] != "CNAME" or (record[0] not in seen and not seen.add(record[0]))  # type: ignore[func-returns-value]
    ]
    soa = ("example.", 300, "SOA", f"n.example. h.example. 1 2 3 4 {minimum}")
    question = Question(name, kind)
    packet = build(question, records, [soa], rcode)
    reading = question.read(packet, ID)
    message = dns.message.from_wire(packet)
    try:
        chain = message.resolve_chaining()
    except dns.exception.DNSException:
        # A loop, or NXDOMAIN with records, where dnspython refuses and we say what the code says.
        assert isinstance(reading, (Broken, Settled))
        return
    assert isinstance(reading, Settled)
    if chain.answer is not None and rcode == 0:
        assert isinstance(reading.answer, Found)
        assert set(reading.answer.records) == {plain(kind, rdata) for rdata in chain.answer}
        assert reading.answer.name + "." == chain.canonical_name.to_text()
        assert reading.ttl == chain.minimum_ttl
    else:
        assert isinstance(reading.answer, NxDomain if rcode else NoData)
        if str(chain.canonical_name).endswith("example."):
            assert reading.ttl == min(chain.minimum_ttl, 300, minimum)
        else:
            assert reading.ttl is None


def plain(kind: RecordType, rdata) -> object:
    match kind:
        case RecordType.A | RecordType.AAAA:
            return rdata.to_wire()
        case RecordType.TXT:
            return b"".join(rdata.strings)
        case RecordType.MX:
            return Mx(rdata.preference, rdata.exchange.to_text(omit_final_dot=True).strip("."))
        case _:
            return rdata.target.to_text(omit_final_dot=True)


labels = st.lists(st.binary(min_size=1, max_size=63), max_size=5)


@BOUNDED
@given(labels)
def test_names_are_read_as_dnspython_reads_them(parts: list[bytes]) -> None:
    try:
        wire = dns.name.Name([*parts, b""]).to_wire()
    except dns.name.NameTooLong:
        return
    assert wire is not None
    text, end = decode(wire, 0)
    assert end == len(wire)
    own = normal(text)
    if own is not None:
        assert encode(own).lower() == wire.lower()


@BOUNDED
@given(st.binary(max_size=80), st.integers(0, 80))
def test_noise_is_a_name_or_malformed(noise: bytes, at: int) -> None:
    try:
        text, end = decode(noise, at)
    except Malformed:
        return
    assert at < end <= len(noise)
    assert text.isascii()
    assert text == text.lower()


@BOUNDED
@given(st.text(max_size=80) | st.from_regex(r"[a-zA-Z0-9.\\ -]{0,270}", fullmatch=True))
def test_text_is_a_name_of_one_form_or_none(text: str) -> None:
    own = normal(text)
    if own is not None:
        assert normal(own) == own
        assert len(encode(own)) <= 255
        assert decode(encode(own), 0)[0] == own
