"""Many sockets behind one descriptor; socket pairs stand for smtpds, and nothing runs by itself."""

from __future__ import annotations

import socket
from collections.abc import Callable

from policyd.server.readers import BATCH, TOGETHER, Readers

from .reading import Pair, Reactor, is_ready


def test_the_reactor_sees_when_any_of_them_can_be_read(readers: Readers, pairs: list[Pair]) -> None:
    assert not is_ready(readers)
    pairs[1].theirs.send(b"x")
    assert is_ready(readers)
    readers.doRead()
    assert [pair.got for pair in pairs] == [b"", b"x", b""]
    assert not is_ready(readers)


def test_one_that_is_left_alone_is_not_read_and_can_be_read_again(
    readers: Readers, pairs: list[Pair]
) -> None:
    readers.remove(pairs[0].ours.fileno())
    readers.remove(pairs[0].ours.fileno())
    pairs[0].theirs.send(b"x")
    assert not is_ready(readers)
    pairs[0].watch()
    pairs[0].watch()
    readers.doRead()
    assert pairs[0].got == b"x"


def leave_alone(readers: Readers, pairs: list[Pair]) -> None:
    """Whoever is read first has us leave all of them alone."""
    for pair in pairs:
        received = pair.received

        def leave(data: bytes, received: Callable[[bytes], None] = received) -> None:
            received(data)
            for other in pairs:
                readers.remove(other.ours.fileno())

        pair.received = leave  # type: ignore[method-assign]
        readers.remove(pair.ours.fileno())
        pair.watch()


def test_what_was_read_before_one_was_left_alone_is_not_lost(readers: Readers, pairs: list[Pair]) -> None:
    leave_alone(readers, pairs)
    for pair in pairs:
        pair.theirs.send(b"x")
    readers.doRead()
    assert [pair.got for pair in pairs] == [b"x"] * 3
    pairs[0].theirs.send(b"y")
    assert not is_ready(readers)


def test_the_end_of_one_that_was_left_alone_is_not_told(readers: Readers, pairs: list[Pair]) -> None:
    leave_alone(readers, pairs)
    pairs[0].theirs.send(b"x")
    for pair in pairs[1:]:
        pair.theirs.close()
    readers.doRead()
    assert [pair.ends for pair in pairs] == [0] * 3


def test_what_can_wait_is_done_when_the_replies_are_out(reactor: Reactor) -> None:
    row: list[str] = []
    readers = Readers(reactor, sent=lambda: row.append("sent"))
    pair = Pair(readers)
    readers.reply(lambda reply: row.append(reply.decode()), b"reply", lambda: None)
    reactor.advance(0)
    pair.close()
    readers.close()
    assert row[:2] == ["reply", "sent"]


def test_an_end_is_told_once(readers: Readers, pairs: list[Pair]) -> None:
    pairs[0].theirs.send(b"last")
    pairs[0].theirs.shutdown(socket.SHUT_WR)
    readers.doRead()
    assert (pairs[0].got, pairs[0].ends) == (b"last", 0)
    readers.doRead()
    assert pairs[0].ends == 1
    readers.doRead()
    assert pairs[0].ends == 1
    assert not is_ready(readers)


def test_an_error_is_an_end_and_a_false_alarm_is_none(readers: Readers, pairs: list[Pair]) -> None:
    answers: list[Exception] = [BlockingIOError(), InterruptedError(), ConnectionResetError()]

    def receive(size: int) -> bytes:
        raise answers.pop(0)

    one = pairs[0]
    readers.remove(one.ours.fileno())
    readers.add(one.ours.fileno(), receive, one.received, one.ended, one.failed)
    one.theirs.send(b"x")
    for ends in (0, 0, 1):
        readers.doRead()
        assert one.ends == ends


def test_a_fault_ends_one_connection_and_not_all(
    readers: Readers, pairs: list[Pair], faults: Callable[[], list[str]]
) -> None:
    one, *others = pairs

    def fails(data: bytes) -> None:
        raise RuntimeError("private cause")

    readers.remove(one.ours.fileno())
    readers.add(one.ours.fileno(), one.ours.recv, fails, one.ended, one.failed)
    for pair in pairs:
        pair.theirs.send(b"x")
    readers.doRead()
    assert [pair.got for pair in others] == [b"x"] * 2
    assert (one.failures, one.ends) == (1, 0)
    assert faults() == ["private cause"]
    one.theirs.send(b"x")
    assert not is_ready(readers), "it is left alone"


def test_one_that_is_closed_already_can_be_left_alone(readers: Readers, pairs: list[Pair]) -> None:
    one = pairs.pop()
    descriptor = one.ours.fileno()
    one.ours.close()
    readers.remove(descriptor)
    one.theirs.close()


def test_a_batch_is_bounded(readers: Readers) -> None:
    pairs = [Pair(readers) for _ in range(BATCH + 5)]
    for pair in pairs:
        pair.theirs.send(b"x")
    readers.doRead()
    assert sum(len(pair.got) for pair in pairs) == BATCH
    readers.doRead()
    assert sum(len(pair.got) for pair in pairs) == BATCH + 5
    for pair in pairs:
        pair.close()


def test_who_asks_again_meanwhile_is_read_after_those_who_wait(readers: Readers) -> None:
    pairs = [Pair(readers) for _ in range(TOGETHER + 3)]
    row: list[int] = []
    for number, pair in enumerate(pairs):

        def received(data: bytes, number: int = number, pair: Pair = pair) -> None:
            row.append(number)
            if data == b"first":
                pair.theirs.send(b"again")

        pair.received = received  # type: ignore[method-assign]
        readers.remove(pair.ours.fileno())
        pair.watch()
        pair.theirs.send(b"first")
    readers.doRead()
    everybody = [*range(TOGETHER + 3)]
    assert sorted(row[: len(pairs)]) == everybody
    assert sorted(row[len(pairs) :]) == everybody
    for pair in pairs:
        pair.close()


def test_replies_go_out_in_a_row_of_bounded_length(readers: Readers) -> None:
    pairs = [Pair(readers) for _ in range(TOGETHER + 3)]
    row: list[str] = []

    def received(data: bytes) -> None:
        row.append("read")
        readers.reply(lambda reply: row.append(reply.decode()), b"reply", lambda: None)

    for pair in pairs:
        pair.received = received  # type: ignore[method-assign]
        readers.remove(pair.ours.fileno())
        pair.watch()
        pair.theirs.send(b"x")
    readers.doRead()
    assert row == ["read"] * TOGETHER + ["reply"] * TOGETHER + ["read"] * 3 + ["reply"] * 3
    for pair in pairs:
        pair.close()


def test_replies_that_had_to_be_waited_for_go_out_with_the_next_turn(
    readers: Readers, reactor: Reactor
) -> None:
    sent: list[bytes] = []
    for reply in (b"1", b"2"):
        readers.reply(sent.append, reply, lambda: None)
    assert sent == []
    assert len(reactor.getDelayedCalls()) == 1
    reactor.advance(0)
    assert sent == [b"1", b"2"]
    readers.reply(sent.append, b"3", lambda: None)
    readers.close()
    assert sent == [b"1", b"2", b"3"]
    assert not reactor.getDelayedCalls()


def test_a_reply_that_cannot_be_sent_keeps_no_other_back(
    readers: Readers, pairs: list[Pair], faults: Callable[[], list[str]]
) -> None:
    sent: list[bytes] = []
    failed: list[str] = []

    def fails(data: bytes) -> None:
        raise RuntimeError("private cause")

    def received(data: bytes) -> None:
        readers.reply(fails, b"1", lambda: failed.append("1"))
        readers.reply(sent.append, b"2", lambda: failed.append("2"))
        raise RuntimeError("another")

    pairs[0].received = received  # type: ignore[method-assign]
    readers.remove(pairs[0].ours.fileno())
    pairs[0].watch()
    pairs[0].theirs.send(b"x")
    readers.doRead()
    assert (sent, failed, pairs[0].failures) == ([b"2"], ["1"], 1)
    assert faults() == ["another", "private cause"]
    readers.flush()
    assert sent == [b"2"], "sent once"
