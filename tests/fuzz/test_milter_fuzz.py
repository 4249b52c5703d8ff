"""However packets are split, the answers are the same; whatever comes, nothing raises but a MilterError."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from contentfilter.disposition.disposition import Answer, Deliver
from contentfilter.disposition.splits import Splits
from contentfilter.milter import packets
from contentfilter.milter.packets import MilterError, PacketReader, packet
from contentfilter.milter.session import Profile, Session
from contentfilter.session.steps import Inspect, InspectionFailed, SpoolFailed, Stop, Store, Verdict
from mailbase.replies import Reply

BEGIN = packets.negotiation(6, 0x1FF, 0x1FFFFF)
MAIL = packet(packets.MAIL, b"<a@x.example>\0SIZE=9\0")
RCPT = packet(packets.RCPT, b"<b@y.example>\0")
ENVELOPE = MAIL + RCPT + packet(packets.DATA)
HEADER = packet(packets.HEADER, b"Subject\0 x\0") + packet(packets.END_OF_HEADER)
END = packet(packets.END_OF_MESSAGE)
COMMANDS = st.sampled_from(list(b"ODCHMRTLNBEAQKU?")).map(lambda octet: bytes((octet,)))
TEXT = st.one_of(
    st.binary(max_size=20),
    st.sampled_from(
        [b"<a@x>\0", b"x\x004\0\x19192.0.2.1\0", b"Ti\0Q\0", b"Name\0 value\n more\0", b".\r\n", b"\r"]
    ),
)
PACKETS = st.builds(packet, COMMANDS, TEXT)
GOOD = st.sampled_from(
    [MAIL, RCPT, packet(packets.DATA), ENVELOPE, HEADER, END, ENVELOPE + HEADER, packet(packets.ABORT)]
)
STREAMS = st.lists(st.one_of(GOOD, GOOD, PACKETS, st.binary(max_size=9)), max_size=10).map(
    lambda parts: BEGIN + b"".join(parts)
)
EVENTS = st.sampled_from(
    [
        Verdict("id", Deliver(b"X: y\r\n")),
        Verdict("id", Answer(Reply(554, "5.7.1", "no"))),
        InspectionFailed(),
        SpoolFailed(),
        Stop(),
    ]
)


def run(pieces: list[bytes], verdict: object = None, flowing: bool = True) -> tuple[list[object], bytes]:
    """What is to be done beside storing pieces of a message, and the message."""
    session, reader = Session(Profile(1000, 3), Splits(lambda: 0.0), lambda: False), PacketReader()
    commands: list[object] = []
    try:
        for piece in pieces:
            reader.flowing = flowing and session.body_flows
            for command, data in reader.feed(piece):
                commands += session.receive(command, data)
                if any(isinstance(one, Inspect) for one in commands[-3:]) and session.busy:
                    commands += session.handle(verdict or Verdict("id", Deliver()))
                if session.closed:
                    return commands, b""
    except MilterError as error:
        commands.append(str(error))
    message = b"".join(one.data for one in commands if isinstance(one, Store))
    return [one for one in commands if not isinstance(one, Store)], message


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(bounds)]


@given(STREAMS, st.lists(st.integers(0, 10_000), max_size=8), EVENTS)
@settings(max_examples=300, deadline=None)
def test_any_split_of_packets_gives_the_same(stream: bytes, places: list[int], event: object) -> None:
    whole = run([stream], event)
    assert run(cut(stream, places), event) == whole
    assert run(cut(stream, places), event, flowing=False) == whole
    assert run([stream[i : i + 1] for i in range(len(stream))], event) == whole


@given(st.lists(st.binary(max_size=30), max_size=6), st.lists(st.integers(0, 10_000), max_size=8))
@settings(max_examples=200, deadline=None)
def test_any_cut_of_a_body_gives_the_same_message(parts: list[bytes], places: list[int]) -> None:
    body = b"\r\n.".join(parts)
    whole = [packet(packets.BODY, body)] if body else []
    several = [packet(packets.BODY, piece) for piece in cut(body, places) if piece]
    flowing = cut(b"".join(whole), places)
    messages = {run([BEGIN, ENVELOPE, HEADER, *pieces, END])[1] for pieces in (whole, several, flowing)}
    assert len(messages) == 1
    (message,) = messages
    assert message.endswith(b"\r\n")
    assert b"\r\n." not in message.replace(b"\r\n..", b"")
