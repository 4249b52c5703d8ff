"""Garbage into engine and session: nothing breaks, nothing goes out unseen, no foreign byte comes back."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from contentfilter.disposition.disposition import Deliver
from contentfilter.session.envelope import Envelope, Path
from contentfilter.session.session import Profile, Session
from contentfilter.session.steps import (
    Close,
    CloseSpool,
    Command,
    DeliveryEnded,
    Inspect,
    OpenSpool,
    Reinject,
    Say,
    Store,
    Verdict,
)
from contentfilter.smtp.client import ClientEngine, Finished, Job, Outcome, Result, SendContent, Write
from contentfilter.smtp.offer import Offer
from contentfilter.smtp.server import ServerEngine
from mailbase.replies import Reply

LINES = st.sampled_from(
    [
        b"EHLO a\r\n",
        b"LHLO a\r\n",
        b"HELO a\xff\r\n",
        b"MAIL FROM:<a@x>\r\n",
        b"MAIL FROM:<> SIZE=10 BODY=8BITMIME\r\n",
        b"MAIL FROM:<a@x> SMTPUTF8\r\n",
        b"RCPT TO:<b@y>\r\n",
        b"RCPT TO:<c@y> NOTIFY=NEVER\r\n",
        b"DATA\r\n",
        b"Subject: x\r\n\r\nHi\r\n",
        b".\r\n",
        b"..\r\n",
        b".\n",
        b"\n",
        b"\r",
        b".\r\r\n",
        b"RSET\r\n",
        b"NOOP\r\n",
        b"QUIT\r\n",
        b"XFORWARD ADDR=192.0.2.1 NAME=x\r\n",
        b"XFORWARD HELO=+0A+0D+FF\r\n",
        b"bogus \x00\xff\r\n",
    ]
)
SCRIPT = st.lists(st.one_of(LINES, LINES, LINES, st.binary(max_size=20)), max_size=30)
OPENING = {
    False: b"EHLO a\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n",
    True: b"LHLO a\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n",
}


class Edge:
    """The least that an edge must do; everything it is told to do is checked against what went before."""

    def __init__(self, lmtp: bool) -> None:
        self.engine = ServerEngine(lmtp)
        offer = Offer({"8BITMIME": (), "SMTPUTF8": (), "DSN": ()})
        self.session = Session(Profile("filter.example", lmtp, 100, 3), lambda: offer)
        self.out = b""
        self.spool: bytes | None = None
        self.delivered: list[tuple[list[str], bytes]] = []
        self.closed = False

    def feed(self, data: bytes) -> None:
        if self.closed:
            return
        self.engine.receive(data)
        while not self.closed and (event := self.engine.next_event()) is not None:
            self.run(self.session.handle(event))

    def run(self, commands: list[Command]) -> None:
        for command in commands:
            assert not self.closed
            match command:
                case Say(reply=reply):
                    self.out += self.engine.reply(reply)
                case OpenSpool():
                    assert self.spool is None
                    self.spool = b""
                case Store(data=data):
                    assert self.spool is not None
                    self.spool += data
                case CloseSpool():
                    self.spool = None
                case Inspect():
                    assert self.spool is not None
                    assert self.spool == b"" or self.spool.endswith(b"\r\n")
                    assert self.spool.count(b"\n") == self.spool.count(b"\r\n")
                    self.run(self.session.handle(Verdict("id", Deliver())))
                case Reinject(job=job):
                    assert self.spool is not None
                    names = [path.address for path in job.envelope.recipients]
                    assert 1 <= len(names) <= 3
                    self.delivered.append((names, self.spool))
                    replies = (Reply(250, "2.0.0", "Ok"),) * (len(names) if job.envelope.lmtp else 1)
                    self.run(self.session.handle(DeliveryEnded(Outcome(Result.DELIVERED, replies))))
                case Close(reply=reply):
                    self.closed = True
                    self.engine.close()
                case _:
                    pass


def played(lmtp: bool, pieces: list[bytes]) -> Edge:
    edge = Edge(lmtp)
    for piece in pieces:
        edge.feed(piece)
    return edge


@settings(max_examples=600, deadline=None)
@given(st.booleans(), st.booleans(), SCRIPT, st.integers(1, 40))
def test_conversation_any_input_any_cut(lmtp: bool, opened: bool, script: list[bytes], size: int) -> None:
    wire = (OPENING[lmtp] if opened else b"") + b"".join(script)
    whole = played(lmtp, [wire])
    cut = played(lmtp, [wire[i : i + size] for i in range(0, len(wire), size)])
    assert (whole.out, whole.delivered, whole.closed) == (cut.out, cut.delivered, cut.closed)
    assert all(32 <= byte < 127 or byte in b"\r\n" for byte in whole.out)
    assert whole.out.count(b"\r\n") == whole.out.count(b"\n") == whole.out.count(b"\r")


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(st.binary(max_size=30), st.sampled_from([b"220 a\r\n", b"250 a\r\n", b"250-a\r\n"])),
        max_size=20,
    )
)
def test_conversation_back_end_garbage_never_delivers(pieces: list[bytes]) -> None:
    job = Job(Envelope(Path("a@x", b"<a@x>"), recipients=[Path("b@y", b"<b@y>")]))
    engine = ClientEngine("f", job)
    finished = 0
    for piece in pieces:
        for action in engine.receive(piece):
            if isinstance(action, Finished):
                finished += 1
                assert action.outcome.result is not Result.DELIVERED
                for reply in action.outcome.replies:
                    assert all(32 <= byte < 127 or byte in b"\r\n\t" for byte in reply.encode())
    engine.fail("over")
    assert finished <= 1


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from([b"line\r\n", b"..dot\r\n", b"\r\n", b"\x00\r\r\n", b"\xff\r\n"]), max_size=20),
    st.integers(1, 50),
    st.integers(1, 3),
    st.booleans(),
)
def test_conversation_our_client_with_our_server(
    lines: list[bytes], size: int, count: int, lmtp: bool
) -> None:
    """The two engines understand each other over a wire that cuts everything into pieces."""
    content = b"".join(lines)[:100]
    content = content[: content.rfind(b"\r\n") + 2] if b"\r\n" in content else b""
    edge = Edge(False)
    recipients = [Path(f"r{i}@y", b"<r%d@y>" % i) for i in range(count)]
    client = ClientEngine("f", Job(Envelope(Path("a@x", b"<a@x>"), recipients=recipients, lmtp=lmtp)))
    outcome: Outcome | None = None
    towards_client = edge.session.banner().encode()
    while towards_client:
        piece, towards_client = towards_client[:size], towards_client[size:]
        for action in client.receive(piece):
            match action:
                case Write(data=data):
                    pass
                case SendContent():
                    data = content + b".\r\n"
                    client.content_sent()
                case Finished(outcome=outcome):
                    data = b"QUIT\r\n"
                case _:
                    continue
            for i in range(0, len(data), size):
                edge.feed(data[i : i + size])
            towards_client += edge.out
            edge.out = b""
    assert outcome is not None
    assert outcome.result is Result.DELIVERED
    assert len(outcome.replies) == (count if lmtp else 1)
    assert edge.delivered == [([path.address for path in recipients], content)]
