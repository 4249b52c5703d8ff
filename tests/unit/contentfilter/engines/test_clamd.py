"""clamd without a clamd: what goes out, what each answer means, and what a broken one may do."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.python.failure import Failure

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.engines.answers import judge, signatures_made
from contentfilter.engines.conversation import MAX_ANSWER, SMALL
from contentfilter.engines.endpoint import IDLE, MAX_RETRY, REFRESH
from contentfilter.engines.engine import MAX_LOST
from contentfilter.spool.unstuffing import unstuffed
from mailbase.vocabulary import Finding, Unscanned

from ..clamds import Connection, Scene
from ..enginedoubles import Message

CLEAN = b"stream: OK"


def failure(scene: Scene) -> str:
    (failed,) = scene.results
    assert isinstance(failed, ScanFailed), failed
    assert failed.scanner == "clamd"
    return failed.reason


def by_hand(*chunks: bytes, **settings: object) -> tuple[Scene, Connection]:
    """A message on its way, with the test as clamd."""
    scene = Scene(**settings)
    scene[0].says = None
    scene.scan(*chunks)
    return scene, scene[0].connections[0]


# What goes out


def test_sends_the_message_in_chunks_behind_their_length():
    scene, connection = by_hand(b"one\r\n..two", b"three")
    pieces = [b"one\r\n.two", b"three", b""]
    expected = b"zIDSESSION\0zINSTREAM\0" + b"".join(struct.pack(">I", len(p)) + p for p in pieces)
    assert connection.pull() == expected
    connection.protocol.dataReceived(b"1: stream: ")
    assert scene.results == []
    connection.protocol.dataReceived(b"OK\0")
    assert scene.results == [ScanResult()]


def test_the_connection_is_kept_for_the_next_message_and_closed_when_there_is_none():
    scene = Scene()
    for number in range(3):
        scene.scan(b"message %d" % number)
    assert scene[0].heard == [b"message 0", b"message 1", b"message 2"]
    (connection,) = scene[0].connections
    assert connection.open
    scene.pass_time(IDLE + 1, 1)
    assert not connection.open
    assert not scene.reactor.getDelayedCalls()
    scene.scan()
    assert scene.results == [ScanResult()] * 4


def test_reads_no_further_than_clamd_takes():
    scene, connection = by_hand(*[b"x" * SMALL] * 50, max_size=1 << 30)
    assert connection.streaming is False
    connection.producer.resumeProducing()
    assert len(connection.value()) < 3 * SMALL
    assert scene.results == []


def test_large_messages_arrive_whole():
    chunks = [bytes([number]) * 40_000 for number in range(9)]
    scene = Scene(max_size=1 << 30)
    scene.scan(*chunks)
    assert scene[0].heard == [b"".join(chunks)]


def test_a_message_beyond_the_limit_is_said_to_be_unscanned():
    scene = Scene()
    scene.scan(b"x" * 1001)
    (result,) = scene.results
    assert [gap.reason for gap in result.unscanned] == ["too-large"]
    assert not scene[0].connections
    scene.scan(b"x" * 1000)
    assert scene.results[1] == ScanResult()


# What the answers mean


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        (b"stream: OK", ScanResult()),
        (b"fd[9]: OK", ScanResult()),
        (b"fd[1024]: Eicar-Test FOUND", ScanResult((Finding("virus", "", "Eicar-Test"),))),
        (b"stream: Eicar-Test FOUND", ScanResult((Finding("virus", "", "Eicar-Test"),))),
        (b"stream: A FOUND FOUND", ScanResult((Finding("virus", "", "A FOUND"),))),
        (b"stream: a\r\n\0\xff FOUND", ScanResult((Finding("virus", "", "a????"),))),
        (b"stream: Heuristics.Trojan.X FOUND", ScanResult((Finding("virus", "", "Heuristics.Trojan.X"),))),
        (b"stream: PUA.Win.X FOUND", ScanResult((Finding("virus-suspected", "", "PUA.Win.X"),))),
        (b"stream: X.PUA. FOUND", ScanResult((Finding("virus", "", "X.PUA."),))),
        (
            b"stream: Heuristics.Encrypted.PDF FOUND",
            ScanResult(unscanned=(Unscanned("", "encrypted", "Heuristics.Encrypted.PDF"),)),
        ),
        (
            b"stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND",
            ScanResult(unscanned=(Unscanned("", "too-large", "Heuristics.Limits.Exceeded.MaxFileSize"),)),
        ),
        (
            b"stream: Heuristics.Broken.Executable FOUND",
            ScanResult(unscanned=(Unscanned("", "malformed", "Heuristics.Broken.Executable"),)),
        ),
        (
            b"stream: Heuristics.OLE2.ContainsMacros.VBA FOUND",
            ScanResult((Finding("office-macro", "", "Heuristics.OLE2.ContainsMacros.VBA"),)),
        ),
    ],
)
def test_answers(answer, meaning):
    assert judge(answer, 0.0, ("PUA.",)) == meaning


def test_its_size_limit_is_an_unscanned_message_not_a_clean_one():
    for answer in (b"INSTREAM size limit exceeded. ERROR", b"stream: INSTREAM size limit exceeded. ERROR"):
        result = judge(answer, 0.0)
        assert isinstance(result, ScanResult)
        assert [(u.part, u.reason) for u in result.unscanned] == [("", "too-large")]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"OK",
        b"stream: OK FOUND OK",
        b"stream:  FOUND",
        b"UNKNOWN COMMAND",
        b"stream: lstat() failed: x. ERROR",
        b"fd: OK",
        b"fd[]: OK",
        b"fd[x]: OK",
        b"/etc/passwd: OK",
    ],
)
def test_any_other_answer_is_no_pass(answer):
    result = judge(answer, 0.0)
    assert isinstance(result, ScanFailed)
    assert (result.scanner, result.reason) == ("clamd", "protocol")


@given(st.binary(max_size=500))
@settings(max_examples=200, deadline=None)
def test_whatever_clamd_says_is_a_result_or_a_failure(answer):
    result = judge(answer, 0.0)
    assert isinstance(result, ScanFailed | ScanResult)
    if result == ScanResult():
        assert answer.strip() == b"stream: OK"


@pytest.mark.parametrize(
    ("answer", "known"),
    [
        (b"ClamAV 1.4.6/27500/Fri Jan 15 09:00:00 2027", True),
        (b"ClamAV 1.4.6", False),
        (b"ClamAV 1.4.6/27500/yesterday", False),
        (b"PONG", None),
        (b"", None),
    ],
)
def test_when_the_signatures_were_made(answer, known):
    made = signatures_made(answer)
    if known:
        assert made == pytest.approx(1_800_000_000, abs=86_400)
    else:
        assert made == (None if known is None else 0)


# clamds that are broken


def test_never_connects():
    scene = Scene(timeout=5.0)
    scene.reactor.servers = {}
    scene.scan()
    scene.reactor.advance(4.9)
    assert scene.results == []
    scene.reactor.advance(0.2)
    assert failure(scene) == "timed-out"


def test_a_connection_that_takes_too_long():
    scene = Scene(timeout=5.0, wait=0.0)
    scene.reactor.servers = {}
    scene.scan()
    scene.reactor.unixClients[0][1].clientConnectionFailed(None, Failure(ConnectTimeout()))
    scene.reactor.advance(5)
    assert failure(scene) in ("timed-out", "unavailable")


def test_never_answers():
    scene, connection = by_hand(timeout=5.0)
    scene.reactor.advance(4.9)
    assert scene.results == []
    scene.reactor.advance(0.2)
    assert failure(scene) == "timed-out"
    assert not connection.open


def test_refused_and_nobody_waits_for_it_to_come_back():
    scene = Scene(wait=0.0)
    scene[0].there = False
    scene.scan()
    assert failure(scene) == "unavailable"


def test_closes_every_time_without_an_answer():
    scene = Scene()
    scene[0].closes = True
    scene.scan()
    scene.pass_time(1)
    assert failure(scene) == "crashed"
    assert len(scene[0].heard) == MAX_LOST


@pytest.mark.parametrize(
    "early", [b"1: stream: OK\0", b"1: stream: X FOUND\0", b"stream: OK\0", b"1: stream: OK\0" * 2]
)
def test_a_verdict_before_the_end_of_the_message_is_none(early):
    scene, connection = by_hand(b"x" * SMALL, b"y" * SMALL, max_size=1 << 30, wait=0.0)
    connection.producer.resumeProducing()
    scene[0].there = False
    connection.protocol.dataReceived(early)
    assert not connection.open
    scene.pass_time(1)
    assert failure(scene) == "unavailable"


def test_its_size_limit_comes_in_the_middle_of_the_message():
    scene, connection = by_hand(b"x" * SMALL, b"y" * SMALL, max_size=1 << 30)
    connection.protocol.dataReceived(b"1: INSTREAM size limit exceeded. ERROR\0")
    (result,) = scene.results
    assert [gap.reason for gap in result.unscanned] == ["too-large"]
    assert not connection.open


@pytest.mark.parametrize(
    "garbage",
    [
        b"stream: OK\0",
        b"2: stream: OK\0",
        b"0: stream: OK\0",
        b"1: stream: OK\0002: stream: OK\0",
        b"1: stream: OK\0more",
        b"\0",
        b"HTTP/1.1 400 Bad Request\r\n\0",
        b"1: COMMAND READ TIMED OUT\0",
    ],
)
def test_garbage_is_no_verdict(garbage):
    scene, connection = by_hand(wait=0.0)
    connection.pull()
    scene[0].there = False
    connection.protocol.dataReceived(garbage)
    assert not connection.open or not scene.results
    scene.pass_time(1)
    assert failure(scene) in ("protocol", "unavailable")


def test_an_endless_answer_ends_at_the_bound():
    scene, connection = by_hand(wait=0.0)
    connection.pull()
    scene[0].there = False
    connection.protocol.dataReceived(b"s" * MAX_ANSWER)
    assert connection.open
    connection.protocol.dataReceived(b"s")
    assert not connection.open
    scene.pass_time(1)
    assert failure(scene) == "unavailable"


def test_what_nobody_asked_for_ends_an_idle_connection():
    scene = Scene()
    scene.scan()
    (connection,) = scene[0].connections
    connection.protocol.dataReceived(b"2: stream: OK\0")
    assert not connection.open
    scene[0].says = lambda _message: b"stream: Eicar FOUND"
    scene.scan()
    assert scene.results[1].findings == (Finding("virus", "", "Eicar"),)
    assert len(scene[0].connections) > 1


def test_that_it_has_ended_is_noticed_before_the_next_mail():
    scene = Scene()
    scene.scan()
    scene[0].die()
    scene.settle()
    assert not scene.engine.seats[0].usable
    scene[0].there = True
    scene.pass_time(1)
    assert scene.engine.seats[0].usable


def test_an_answer_may_come_octet_by_octet():
    scene, connection = by_hand()
    connection.pull()
    for octet in b"1: stream: OK\0":
        assert scene.results == []
        connection.protocol.dataReceived(bytes([octet]))
    assert scene.results == [ScanResult()]


# Our own side


def test_a_message_that_was_changed_on_its_way_has_no_end():
    """A worker that a mail has taken over must not blind the second scanner."""
    scene, connection = by_hand()
    message = Message(b"evil\r\n")
    message.pieces = (b"good\r\n",)
    outcome: list[object] = []
    Deferred.fromCoroutine(scene.engine.scan(message)).addBoth(outcome.append)
    scene.reactor.advance(0)
    other = scene[0].connections[1]
    assert not other.pull().endswith(struct.pack(">I", 0))
    (failed,) = outcome
    assert isinstance(failed, Failure)
    assert failed.check(OSError)
    assert not other.open
    assert connection.open


def test_a_spool_that_breaks_is_no_trouble_of_clamd():
    class Broken(Message):
        def chunks(self) -> Iterator[bytes]:
            yield b"begin"
            raise OSError("gone")

    scene = Scene()
    outcome: list[object] = []
    Deferred.fromCoroutine(scene.engine.scan(Broken())).addBoth(outcome.append)
    scene.settle()
    assert isinstance(outcome[0], Failure)
    assert scene.engine.seats[0].usable
    assert scene.engine.seats[0].busy == 0


def test_nobody_waits_any_more():
    for connected in (True, False):
        scene = Scene()
        scene[0].says = None
        if not connected:
            scene.reactor.servers = {}
        asking = scene.scan()
        asking.cancel()
        (cancelled,) = scene.results
        assert cancelled.check(CancelledError) or not connected
        assert not any(connection.open for connection in scene[0].connections)
        assert scene.engine.seats[0].busy == 0
        assert scene.engine.seats[0].usable


def test_the_age_of_its_signatures_is_asked_from_time_to_time():
    scene = Scene()
    scene.engine.start()
    scene.settle()
    assert scene.engine.seats[0].signatures == pytest.approx(1_800_000_000, abs=86_400)
    scene[0].version = b"ClamAV 1.4.6/27501/Sat Jan 16 09:00:00 2027"
    before = scene.engine.seats[0].signatures
    scene.pass_time(REFRESH + 1, 1)
    assert scene.engine.seats[0].signatures == before + 86_400
    scene.engine.close()
    scene.reactor.advance(1)
    assert not scene.reactor.getDelayedCalls()


def test_one_that_is_not_there_is_asked_at_most_every_few_seconds():
    scene = Scene()
    scene[0].there = False
    scene.engine.start()
    scene.pass_time(60, 0.25)
    before = len(scene.reactor.unixClients)
    scene.pass_time(60, 0.25)
    assert len(scene.reactor.unixClients) - before <= 60 / MAX_RETRY + 1
    assert scene.output.getvalue().count("engine-down") == 1
    scene[0].there = True
    scene.pass_time(MAX_RETRY + 1)
    assert scene.engine.seats[0].usable
    assert scene.output.getvalue().count("engine-answers") == 1


def test_what_is_no_clamd_gets_no_mail():
    scene = Scene(wait=0.0)
    scene[0].version = b"PONG"
    scene.engine.start()
    scene.settle()
    scene.scan()
    assert failure(scene) == "unavailable"
    assert scene[0].heard == []


def unstuff(wire: bytes) -> bytes:
    """The plain way: line by line."""
    return b"\r\n".join(line.removeprefix(b".") for line in wire.split(b"\r\n"))


WIRES = [
    b"..\r\n...a\r\n..",
    b".a\r\n\r\n..\r\n.b.\r.\n.\r\n",
    b"a\r\r\n..\r\n\r\n..b\n..c\r..d",
    b"\r\n..x",
    b"..",
    b"",
]


@given(st.lists(st.text(alphabet="\r\n.a", max_size=6).map(str.encode), max_size=8))
@settings(max_examples=300, deadline=None)
def test_dots_are_taken_out_of_any_pieces_of_anything(pieces):
    assert b"".join(unstuffed(pieces)) == unstuff(b"".join(pieces))


@pytest.mark.parametrize("wire", WIRES)
def test_dots_are_taken_out_wherever_the_pieces_end(wire):
    """Every split into three, and into single octets, is as the whole."""
    for first, second in itertools.combinations_with_replacement(range(len(wire) + 1), 2):
        pieces = [wire[:first], wire[first:second], wire[second:]]
        result = list(unstuffed(pieces))
        assert b"".join(result) == unstuff(wire), pieces
        assert all(result)
    assert b"".join(unstuffed(wire[i : i + 1] for i in range(len(wire)))) == unstuff(wire)
