"""Messages that are handed to clamd as open files: what goes out, and what if clamd cannot take it."""

from __future__ import annotations

import os
from typing import Any

import pytest
from twisted.internet.interfaces import IUNIXTransport
from zope.interface import directlyProvides

from contentfilter.content.results import ScanFailed, ScanResult
from contentfilter.engines.conversation import HANDED, Conversation, Handing
from contentfilter.engines.dialect import OTHERWISE

from .. import clamds
from ..enginedoubles import Connection, Message

REFUSED = b"No file descriptor received. ERROR"


class Local(Connection):
    """A connection that descriptors go over.

    Attributes:
        files: the contents of those that went, as the other end would read them.
        descriptors: their numbers at this end.
    """

    def __init__(self, protocol: Any) -> None:
        super().__init__(protocol)
        directlyProvides(self, IUNIXTransport)
        self.files: list[bytes] = []
        self.descriptors: list[int] = []

    def sendFileDescriptor(self, descriptor: int) -> None:
        self.descriptors.append(descriptor)
        self.files.append(os.pread(descriptor, 1 << 30, 0))


class Clamd:
    """Conversations with one clamd, one connection after the other."""

    def __init__(self) -> None:
        self.handing = Handing()
        self.gone: list[Conversation] = []
        self.connect()

    def connect(self) -> None:
        self.conversation = Conversation(self.gone.append, self.handing)
        self.connection = Local(self.conversation)
        self.conversation.makeConnection(self.connection)

    def ask(self, message: Message | None) -> list[Any]:
        answers: list[Any] = []
        self.conversation.ask(message).addBoth(answers.append)
        return answers


@pytest.fixture
def clamd() -> Clamd:
    return Clamd()


def closed(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return True
    return False


def test_the_file_holds_the_message_without_dot_stuffing_and_is_closed_when_it_has_gone(clamd: Clamd) -> None:
    for number, text in enumerate((b"one\r\n..two", b"three"), 1):
        answers = clamd.ask(Message(text[:5], text[5:]))
        out = clamd.connection.pull()
        assert out.removeprefix(b"zIDSESSION\0") == b"zFILDES\0\0"
        assert closed(clamd.connection.descriptors[-1])
        clamd.conversation.dataReceived(b"%d: fd[9]: OK\0" % number)
        assert answers == [b"fd[9]: OK"]
    assert clamd.connection.files == [b"one\r\n.two", b"three"]


def test_the_descriptor_goes_behind_the_command_and_with_the_next_octet(clamd: Clamd) -> None:
    clamd.connection.clear()
    clamd.ask(Message(b"x"))
    clamd.connection.producer.resumeProducing()
    assert (clamd.connection.value(), clamd.connection.files) == (b"zFILDES\0", [])
    clamd.connection.producer.resumeProducing()
    assert (clamd.connection.value(), clamd.connection.files) == (b"zFILDES\0\0", [b"x"])


def test_what_is_large_is_sent_in_chunks(clamd: Clamd) -> None:
    for size, command in ((HANDED, b"zFILDES"), (HANDED + 1, b"zINSTREAM")):
        clamd.connect()
        clamd.ask(Message(b"x" * size))
        assert clamd.connection.pull().removeprefix(b"zIDSESSION\0").startswith(command + b"\0")


def test_the_version_is_asked_for_as_ever(clamd: Clamd) -> None:
    clamd.ask(None)
    assert clamd.connection.pull() == b"zIDSESSION\0zVERSION\0"


def test_after_one_that_was_not_taken_all_are_sent_in_chunks(clamd: Clamd) -> None:
    answers = clamd.ask(Message(b"x"))
    clamd.connection.pull()
    clamd.conversation.dataReceived(b"1: " + REFUSED + b"\0")
    assert answers == [ScanFailed("clamd", OTHERWISE, REFUSED.decode())]
    assert clamd.gone
    for _ in range(2):
        clamd.connect()
        clamd.ask(Message(b"x"))
        assert clamd.connection.pull() == b"zIDSESSION\0zINSTREAM\0\0\0\0\1x\0\0\0\0"
    assert clamd.connection.files == []


def test_the_mail_that_was_not_taken_is_asked_about_again_at_once() -> None:
    class Relayed(Local, clamds.Connection):
        """One that loses descriptors."""

    scene = clamds.Scene(connection=Relayed)
    scene[0].says = None
    scene.scan(b"x")
    first = scene[0].connections[0]
    first.pull()
    first.protocol.dataReceived(b"1: " + REFUSED + b"\0")
    scene.settle()
    second = scene[0].connections[1]
    assert clamds.instream(second.pull().removeprefix(b"zIDSESSION\0")) == b"x"
    second.protocol.dataReceived(b"1: stream: OK\0")
    assert scene.results == [ScanResult()]
    assert scene[0].heard == []
    assert "engine-trouble" not in scene.output.getvalue()


def test_other_errors_do_not_end_handing_over(clamd: Clamd) -> None:
    clamd.ask(None)
    clamd.connection.pull()
    clamd.conversation.dataReceived(b"1: COMMAND READ TIMED OUT. ERROR\0")
    clamd.connect()
    answers = clamd.ask(Message(b"x" * (HANDED + 1)))
    clamd.connection.pull()
    clamd.conversation.dataReceived(b"1: INSTREAM size limit exceeded. ERROR\0")
    assert answers == [b"INSTREAM size limit exceeded. ERROR"]
    clamd.connect()
    clamd.ask(Message(b"x"))
    assert clamd.connection.pull().endswith(b"zFILDES\0\0")


def test_of_a_message_that_is_not_what_came_in_nothing_goes_out(clamd: Clamd) -> None:
    clamd.connection.clear()
    message = Message(b"one", b"two")
    message.pieces = (b"one", b"twice")
    answers = clamd.ask(message)
    assert clamd.connection.pull() == b""
    assert answers[0].check(OSError)
    assert clamd.connection.files == []


@pytest.mark.parametrize("steps", [1, 2])
def test_the_file_is_closed_when_the_connection_ends_first(clamd: Clamd, steps: int) -> None:
    before = len(os.listdir("/proc/self/fd"))
    answers = clamd.ask(Message(b"x"))
    for _ in range(steps):
        clamd.connection.producer.resumeProducing()
    clamd.connection.close()
    assert isinstance(answers[0], ScanFailed)
    assert len(os.listdir("/proc/self/fd")) == before
