"""The client engine: nothing is delivered but whole, and the server's words reach our client."""

from __future__ import annotations

import pytest

from contentfilter.session.envelope import Envelope, Path
from contentfilter.smtp.client import (
    TROUBLE,
    ClientEngine,
    Finished,
    Job,
    Offered,
    Outcome,
    Result,
    SendContent,
    Write,
)
from contentfilter.smtp.offer import Offer

EHLO = b"250-back.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250 XFORWARD NAME ADDR\r\n"
PLAIN = b"250 back.example\r\n"


def job(*recipients: bytes, lmtp: bool = False, sender: bytes = b"<a@x>", needs: tuple[str, ...] = ()) -> Job:
    paths = [Path(line.decode(), line) for line in recipients or (b"<b@y>",)]
    return Job(Envelope(Path("a@x", sender), recipients=paths, lmtp=lmtp), frozenset(needs))


def until_data(engine: ClientEngine, count: int = 1) -> None:
    engine.receive(b"220 hi\r\n")
    engine.receive(EHLO)
    engine.receive(b"250 ok\r\n" * (count + 1))
    assert engine.receive(b"354 go\r\n") == [SendContent()]


def test_client_pipelines_the_envelope_and_waits_with_data() -> None:
    envelope = job(b"<b@y>", b"<c@y> NOTIFY=NEVER").envelope
    envelope.xforward = [b"XFORWARD NAME=n PORT=1", b"xforward ADDR=192.0.2.1"]
    engine = ClientEngine("filter.example", Job(envelope))
    assert engine.receive(b"220 hi\r\n") == [Write(b"EHLO filter.example\r\n")]
    offered, write = engine.receive(EHLO)
    assert isinstance(offered, Offered)
    assert "8BITMIME" in offered.offer
    assert write == Write(
        b"XFORWARD NAME=n\r\nxforward ADDR=192.0.2.1\r\nMAIL FROM:<a@x>\r\n"
        b"RCPT TO:<b@y>\r\nRCPT TO:<c@y> NOTIFY=NEVER\r\n"
    )
    assert engine.receive(b"250 1\r\n250 2\r\n250 3\r\n250 4\r\n") == []
    assert engine.receive(b"250 5\r\n") == [Write(b"DATA\r\n")]
    assert engine.receive(b"354 go\r\n") == [SendContent()]
    engine.content_sent()
    (end,) = engine.receive(b"250-2.0.0 Ok\r\n250 2.0.0 queued as 4711\r\n")
    assert isinstance(end, Finished)
    assert end.polite
    assert end.outcome.result is Result.DELIVERED
    assert [reply.encode() for reply in end.outcome.replies] == [
        b"250-2.0.0 Ok\r\n250 2.0.0 queued as 4711\r\n"
    ]
    assert engine.receive(b"221 bye\r\n") == []


@pytest.mark.parametrize("lmtp", [False, True])
def test_client_sends_data_with_the_envelope_of_one_recipient(lmtp: bool) -> None:
    engine = ClientEngine("f", job(lmtp=lmtp))
    engine.receive(b"220 hi\r\n")
    assert engine.receive(EHLO)[1] == Write(b"MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n")
    assert engine.receive(b"250 ok\r\n") == []
    assert engine.receive(b"250 ok\r\n") == []
    assert engine.receive(b"354 go\r\n") == [SendContent()]


REFUSALS = [b"550 5.7.1 no\r\n503 5.5.1 no sender\r\n", b"250 ok\r\n550 5.7.1 no\r\n"]


@pytest.mark.parametrize("lmtp", [False, True])
@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize(
    ("data", "polite"),
    [
        (b"554 5.5.1 no valid recipients\r\n", True),
        (b"250 what\r\n", True),
        # Whoever reads content now is told nothing more.
        (b"354 go\r\n", False),
        (b"421 4.3.2 too many errors\r\n", False),
        (b"garbage\r\n", False),
        (None, False),
    ],
)
def test_client_refused_with_data_on_its_way_sends_no_content_and_tells_the_refusal(
    lmtp: bool, refusal: bytes, data: bytes | None, polite: bool
) -> None:
    for resumed in (False, True):
        engine = ClientEngine("f", job(lmtp=lmtp))
        if resumed:
            engine.resume(Offer.read(EHLO.splitlines()))
        else:
            engine.receive(b"220 hi\r\n" + EHLO)
        assert engine.receive(refusal) == []
        (end,) = engine.lost("gone") if data is None else engine.receive(data)
        assert isinstance(end, Finished)
        assert (end.outcome.result, end.polite) == (Result.REFUSED, polite)
        assert [str(reply) for reply in end.outcome.replies] == ["550 5.7.1 no"]
        assert engine.receive(b"250 ok\r\n") == engine.fail("late") == []


def test_client_without_pipelining_goes_step_by_step() -> None:
    engine = ClientEngine("f", job(b"<b@y>", b"<c@y>"))
    engine.receive(b"220 hi\r\n")
    assert engine.receive(PLAIN)[1] == Write(b"MAIL FROM:<a@x>\r\n")
    assert engine.receive(b"250 ok\r\n") == [Write(b"RCPT TO:<b@y>\r\n")]
    assert engine.receive(b"250 ok\r\n") == [Write(b"RCPT TO:<c@y>\r\n")]
    assert engine.receive(b"250 ok\r\n") == [Write(b"DATA\r\n")]


@pytest.mark.parametrize(
    ("replies", "told"),
    [
        (b"550 5.1.7 bad sender\r\n250 ok\r\n250 ok\r\n", b"550 5.1.7 bad sender\r\n"),
        (
            b"250 ok\r\n450-4.1.1 one\r\n450 4.1.1 later\r\n250 ok\r\n",
            b"450-4.1.1 one\r\n450 4.1.1 later\r\n",
        ),
        (b"250 ok\r\n250 ok\r\n550 5.1.1 who\r\n", b"550 5.1.1 who\r\n"),
    ],
)
def test_client_refused_sender_or_recipient_ends_it_without_data(replies: bytes, told: bytes) -> None:
    engine = ClientEngine("f", job(b"<b@y>", b"<c@y>"))
    engine.receive(b"220 hi\r\n" + EHLO)
    (end,) = engine.receive(replies)
    assert isinstance(end, Finished)
    assert end.outcome.result is Result.REFUSED
    assert [reply.encode() for reply in end.outcome.replies] == [told]


def test_client_refused_data_ends_it() -> None:
    engine = ClientEngine("f", job())
    engine.receive(b"220 hi\r\n" + EHLO + b"250 ok\r\n250 ok\r\n")
    (end,) = engine.receive(b"554 5.7.1 no\r\n")
    assert isinstance(end, Finished)
    assert (end.outcome.result, str(end.outcome.replies[0])) == (Result.REFUSED, "554 5.7.1 no")


def test_client_refused_content_is_told_verbatim() -> None:
    engine = ClientEngine("f", job())
    until_data(engine)
    engine.content_sent()
    (end,) = engine.receive(b"550 5.7.1 header check\r\n")
    assert isinstance(end, Finished)
    assert (end.outcome.result, str(end.outcome.replies[0])) == (Result.REFUSED, "550 5.7.1 header check")


def test_client_lmtp_refused_recipient_hears_it_and_the_others_get_theirs() -> None:
    engine = ClientEngine("f", job(b"<b@y>", b"<c@y>", b"<d@y>", lmtp=True))
    engine.receive(b"220 hi\r\n" + EHLO)
    assert engine.receive(b"250 ok\r\n250 ok\r\n550 5.1.1 who\r\n250 ok\r\n") == [Write(b"DATA\r\n")]
    assert engine.receive(b"354 go\r\n") == [SendContent()]
    engine.content_sent()
    (end,) = engine.receive(b"250 2.0.0 queued\r\n")
    assert isinstance(end, Finished)
    assert end.outcome.result is Result.DELIVERED
    assert [str(reply) for reply in end.outcome.replies] == [
        "250 2.0.0 queued",
        "550 5.1.1 who",
        "250 2.0.0 queued",
    ]


def test_client_lmtp_all_recipients_refused_means_no_data() -> None:
    engine = ClientEngine("f", job(b"<b@y>", b"<c@y>", lmtp=True))
    engine.receive(b"220 hi\r\n" + EHLO)
    (end,) = engine.receive(b"250 ok\r\n550 5.1.1 b\r\n450 4.1.1 c\r\n")
    assert isinstance(end, Finished)
    assert end.outcome.result is Result.REFUSED
    assert [str(reply) for reply in end.outcome.replies] == ["550 5.1.1 b", "450 4.1.1 c"]


def test_client_lmtp_refused_sender_is_told_to_all() -> None:
    engine = ClientEngine("f", job(b"<b@y>", b"<c@y>", lmtp=True))
    engine.receive(b"220 hi\r\n" + EHLO)
    (end,) = engine.receive(b"550 no\r\n")
    assert isinstance(end, Finished)
    assert [str(reply) for reply in end.outcome.replies] == ["550 no", "550 no"]


def test_client_lmtp_refused_content_keeps_each_recipients_own_refusal() -> None:
    engine = ClientEngine("f", job(b"<b@y>", b"<c@y>", lmtp=True))
    engine.receive(b"220 hi\r\n" + EHLO + b"250 ok\r\n550 5.1.1 b\r\n250 ok\r\n354 go\r\n")
    engine.content_sent()
    (end,) = engine.receive(b"452 4.3.1 full\r\n")
    assert isinstance(end, Finished)
    assert [str(reply) for reply in end.outcome.replies] == ["550 5.1.1 b", "452 4.3.1 full"]
    assert end.outcome.result is Result.REFUSED


def test_client_lmtp_refused_data_keeps_each_recipients_own_refusal() -> None:
    engine = ClientEngine("f", job(b"<b@y>", b"<c@y>", lmtp=True))
    engine.receive(b"220 hi\r\n" + EHLO + b"250 ok\r\n550 5.1.1 b\r\n250 ok\r\n")
    (end,) = engine.receive(b"452 4.3.1 full\r\n")
    assert isinstance(end, Finished)
    assert [str(reply) for reply in end.outcome.replies] == ["550 5.1.1 b", "452 4.3.1 full"]
    assert end.outcome.result is Result.REFUSED


def test_client_another_go_ahead_after_the_content_is_no_answer_for_our_client() -> None:
    engine = ClientEngine("f", job())
    until_data(engine)
    engine.content_sent()
    (end,) = engine.receive(b"354 go\r\n")
    assert isinstance(end, Finished)
    assert all(reply.code == 451 for reply in end.outcome.replies)


@pytest.mark.parametrize(
    "wire",
    [
        b"554 go away\r\n",
        b"250 not a banner\r\n",
        b"421 busy\r\n",
        b"garbage\r\n",
        b"\x00\xff\r\n",
        b"220 hi\r\n500 what\r\n",
        b"220 hi\r\n354 what\r\n",
        b"220 hi\r\n" + EHLO + b"354 what\r\n",
        b"220 hi\r\n" + EHLO + b"421 4.3.2 bye\r\n",
        b"220 hi\r\n" + EHLO + b"250 ok\r\n250 ok\r\n250 not data\r\n",
        b"220 hi\r\n" + EHLO + b"250 ok\r\n250 ok\r\n421 bye\r\n",
        b"220 hi\r\n" + EHLO + b"250 ok\r\n250 ok\r\n354 go\r\n451 too early\r\n",
        b"220 hi\r\n" + EHLO + b"250 ok\r\n250 ok\r\n354 go\r\n250 too early\r\n",
    ],
)
def test_client_trouble_is_451_and_nothing_is_delivered(wire: bytes) -> None:
    for pieces in ([wire], [wire[i : i + 1] for i in range(len(wire))]):
        engine = ClientEngine("f", job())
        ends = [
            action for piece in pieces for action in engine.receive(piece) if isinstance(action, Finished)
        ]
        assert [end.outcome.result for end in ends] == [Result.FAILED]
        assert ends[0].outcome.replies == (TROUBLE,)
        assert not ends[0].polite
        assert engine.fail("lost") == []


def test_client_refused_xforward_is_our_trouble() -> None:
    envelope = job().envelope
    envelope.xforward = [b"XFORWARD NAME=n"]
    engine = ClientEngine("f", Job(envelope))
    engine.receive(b"220 hi\r\n" + EHLO)
    (end,) = engine.receive(b"550 5.7.1 not authorized\r\n250 ok\r\n250 ok\r\n")
    assert isinstance(end, Finished)
    assert end.outcome.replies == (TROUBLE,)


def test_client_xforward_that_is_not_announced_is_left_out() -> None:
    envelope = job().envelope
    envelope.xforward = [b"XFORWARD NAME=n"]
    engine = ClientEngine("f", Job(envelope))
    engine.receive(b"220 hi\r\n")
    assert engine.receive(PLAIN)[1] == Write(b"MAIL FROM:<a@x>\r\n")


def test_client_extension_that_is_gone_is_451() -> None:
    engine = ClientEngine("f", job(needs=("8BITMIME", "SMTPUTF8")))
    engine.receive(b"220 hi\r\n")
    offered, end = engine.receive(EHLO)
    assert isinstance(offered, Offered)
    assert isinstance(end, Finished)
    assert end.polite
    assert end.outcome == Outcome(Result.FAILED, (TROUBLE,), "SMTPUTF8 no longer offered")


def test_client_parameters_for_us_alone_go_no_further_than_the_server_understands() -> None:
    sender = b"<a@x> SIZE=5 AUTH=<> BODY=8BITMIME"
    engine = ClientEngine("f", job(sender=sender))
    engine.receive(b"220 hi\r\n")
    assert engine.receive(PLAIN)[1] == Write(b"MAIL FROM:<a@x> BODY=8BITMIME\r\n")
    engine = ClientEngine("f", job(sender=sender))
    engine.receive(b"220 hi\r\n")
    engine.receive(b"250-x\r\n250-AUTH PLAIN\r\n250 SIZE\r\n")
    assert engine.receive(b"") == []
    engine = ClientEngine("f", job(sender=sender))
    engine.receive(b"220 hi\r\n")
    assert engine.receive(b"250-x\r\n250-AUTH PLAIN\r\n250 SIZE\r\n")[1] == Write(
        b"MAIL FROM:" + sender + b"\r\n"
    )


def test_client_lost_at_each_step() -> None:
    steps = [b"220 hi\r\n", EHLO, b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"]
    for count in range(len(steps) + 1):
        engine = ClientEngine("f", job())
        for step in steps[:count]:
            engine.receive(step)
        (end,) = engine.fail("connection lost")
        assert isinstance(end, Finished)
        assert end.outcome.result is Result.FAILED
        assert end.outcome.replies == (TROUBLE,)


def test_client_lost_after_the_end_of_data_is_unknown() -> None:
    engine = ClientEngine("f", job(b"<b@y>", b"<c@y>", lmtp=True))
    until_data(engine, 2)
    engine.content_sent()
    (end,) = engine.fail("connection lost", Result.ABANDONED)
    assert isinstance(end, Finished)
    assert end.outcome.result is Result.UNKNOWN
    assert end.outcome.replies == (TROUBLE, TROUBLE)


def test_client_content_cannot_be_sent_unasked() -> None:
    engine = ClientEngine("f", job())
    with pytest.raises(RuntimeError):
        engine.content_sent()


def test_client_probe_only_asks() -> None:
    engine = ClientEngine("f", None)
    assert engine.receive(b"220 hi\r\n") == [Write(b"EHLO f\r\n")]
    offered, end = engine.receive(EHLO)
    assert isinstance(offered, Offered)
    assert offered.offer.carried == ("8BITMIME",)
    assert offered.offer.xforward == {"NAME", "ADDR"}
    assert end == Finished(Outcome(Result.DELIVERED, ()), polite=True)


def test_client_every_split_of_the_replies_gives_the_same() -> None:
    wire = b"220 hi\r\n" + EHLO + b"250 ok\r\n250 ok\r\n354 go\r\n"
    for i in range(1, len(wire)):
        engine = ClientEngine("f", job())
        actions = engine.receive(wire[:i]) + engine.receive(wire[i:])
        assert [type(action) for action in actions] == [Write, Offered, Write, SendContent]
    wire = b"220 hi\r\n" + EHLO + b"250 ok\r\n550 5.1.1 who\r\n554 no\r\n"
    for i in range(1, len(wire)):
        engine = ClientEngine("f", job())
        actions = engine.receive(wire[:i]) + engine.receive(wire[i:])
        assert [type(action) for action in actions] == [Write, Offered, Write, Finished]
