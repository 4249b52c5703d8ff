"""Whatever a clamd says, in whatever pieces: a mail is clean only if it says so, once, when it was asked."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.engines.conversation import SMALL, Conversation, Handing
from tests.unit.contentfilter.clamds import Connection, Scene
from tests.unit.contentfilter.enginedoubles import Message

WORDS = st.sampled_from(
    [b"1: ", b"2: ", b"stream: ", b"OK", b" FOUND", b" ERROR", b"\0", b"Eicar", b"\n", b": ", b"1", b"\xff"]
)
NOISE = st.lists(WORDS | st.binary(max_size=8), max_size=12)


def clean(result: object) -> bool:
    return isinstance(result, ScanResult) and not result.findings and not result.unscanned


@given(before=NOISE, after=NOISE, pulls=st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_noise_is_never_a_clean_mail(before: list[bytes], after: list[bytes], pulls: int) -> None:
    scene = Scene(max_size=1 << 30, wait=0.0)
    scene[0].says = None
    scene.scan(b"x" * SMALL, b"y" * SMALL)
    connection = scene[0].connections[0]
    scene[0].there = False
    for _ in range(pulls):
        if connection.producer is not None:
            connection.producer.resumeProducing()
    for piece in before:
        connection.protocol.dataReceived(piece)
    if connection.open:
        connection.pull()
    for piece in after:
        connection.protocol.dataReceived(piece)
    connection.close()
    scene.pass_time(1, 0.25)
    (result,) = scene.results
    said = b"".join(before + after)
    assert not clean(result) or (said == b"1: stream: OK\0" and not before)


@given(st.integers(0, 5), st.data())
@settings(max_examples=50, deadline=None)
def test_right_answers_in_any_pieces_belong_to_their_questions(infected: int, data: st.DataObject) -> None:
    gone: list[Conversation] = []
    conversation = Conversation(gone.append, Handing())
    connection = Connection(conversation)
    conversation.makeConnection(connection)
    for number in range(6):
        answer: list[bytes | ScanFailed | Failure] = []
        asked: Deferred[bytes | ScanFailed] = conversation.ask(Message(b"x"))
        asked.addBoth(answer.append)
        connection.pull()
        text = b"stream: Eicar FOUND" if number == infected else b"stream: OK"
        line = b"%d: %b\0" % (number + 1, text)
        while line:
            size = data.draw(st.integers(1, len(line)))
            assert answer == []
            conversation.dataReceived(line[:size])
            line = line[size:]
        assert answer == [text]
    assert not gone
