"""The control socket: both ends in memory."""

import io
import json

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport

from mailbase.control import ControlError
from mailbase.control.client import Answer, _messages
from mailbase.control.peer import MAX_IN_FLIGHT, ControlClient
from mailbase.control.protocol import MAX_LINE, Lines, decode, encode
from mailbase.control.server import MAX_WAITING, ROWS_PER_STEP, ControlServer
from mailbase.logs import Log


def connect(handlers):
    clock = Clock()
    server = ControlServer(handlers, clock, Log("test", stream=io.StringIO()))
    connection = server.buildProtocol(None)
    transport = StringTransport()
    connection.makeConnection(transport)
    return connection, transport, clock


def said(transport):
    return [json.loads(line) for line in transport.value().splitlines()]


def test_a_verb_is_answered_with_one_final_line():
    connection, transport, _ = connect({"add": lambda request: {"sum": request["a"] + request["b"]}})
    connection.dataReceived(b'{"verb":"add","a":1,"b":2}\n')
    assert said(transport) == [{"ok": True, "sum": 3}]


def test_a_handler_is_told_who_asks_and_nobody_can_pretend():
    connection, transport, _ = connect({"who": lambda request: {"peer": request["peer"]}})
    connection.dataReceived(b'{"verb":"who","peer":"uid:0,pid:1"}\n')
    assert said(transport) == [{"ok": True, "peer": "unknown"}]


def test_a_request_may_come_in_any_pieces():
    line = b'{"verb":"x"}\n{"verb":"x"}\n'
    for cut in range(len(line) + 1):
        connection, transport, _ = connect({"x": lambda request: {}})
        connection.dataReceived(line[:cut])
        connection.dataReceived(line[cut:])
        assert said(transport) == [{"ok": True}, {"ok": True}]


def test_rows_come_in_steps_and_the_reactor_turns_between():
    connection, transport, clock = connect(
        {"list": lambda request: ({"n": n} for n in range(ROWS_PER_STEP + 1))}
    )
    connection.dataReceived(b'{"verb":"list"}\n')
    assert len(said(transport)) == ROWS_PER_STEP
    clock.advance(0)
    assert said(transport)[-2:] == [{"row": {"n": ROWS_PER_STEP}}, {"ok": True}]


def test_a_slow_reader_pauses_the_rows():
    connection, transport, clock = connect({"list": lambda request: ({"n": n} for n in range(1000))})
    connection.dataReceived(b'{"verb":"list"}\n')
    connection.pauseProducing()
    clock.pump([0] * 5)
    assert len(said(transport)) == ROWS_PER_STEP
    connection.resumeProducing()
    clock.pump([0] * 20)
    assert len(said(transport)) == 1001


def test_requests_are_answered_in_order_also_when_the_first_waits():
    slow: Deferred = Deferred()
    connection, transport, _ = connect({"slow": lambda request: slow, "fast": lambda request: {"fast": 1}})
    connection.dataReceived(b'{"verb":"slow"}\n{"verb":"fast"}\n')
    assert said(transport) == []
    slow.callback({"slow": 1})
    assert said(transport) == [{"ok": True, "slow": 1}, {"ok": True, "fast": 1}]


def test_an_unknown_verb_names_the_known_ones():
    connection, transport, _ = connect({"query": lambda request: {}})
    connection.dataReceived(b'{"verb":"quary"}\n')
    [answer] = said(transport)
    assert not answer["ok"]
    assert "query" in answer["error"]


def test_a_bad_request_gets_the_reason_and_a_fault_of_ours_does_not_leak():
    def bad(request):
        raise ControlError("name an address")

    def broken(request):
        raise RuntimeError("private")

    connection, transport, _ = connect({"bad": bad, "broken": broken})
    connection.dataReceived(b'{"verb":"bad"}\n{"verb":"broken"}\nnot json\n')
    first, second, third = said(transport)
    assert first == {"ok": False, "error": "name an address"}
    assert "private" not in second["error"]
    assert "not a JSON object" in third["error"]


def test_a_row_that_fails_ends_the_answer_and_not_the_connection():
    def rows(request):
        yield {"n": 1}
        raise RuntimeError("private")

    connection, transport, _ = connect({"list": rows, "x": lambda request: {}})
    connection.dataReceived(b'{"verb":"list"}\n{"verb":"x"}\n')
    assert [answer.get("ok") for answer in said(transport)][-2:] == [False, True]


def test_a_burst_of_requests_is_answered_whole_and_reading_pauses_meanwhile():
    slow: list[Deferred] = []

    def wait(request):
        slow.append(Deferred())
        return slow[-1]

    connection, transport, _ = connect({"wait": wait})
    connection.dataReceived(b'{"verb":"wait"}\n' * (3 * MAX_WAITING))
    assert transport.producerState == "paused"
    for number in range(3 * MAX_WAITING):
        slow[number].callback({})
    assert transport.producerState == "producing"
    assert len(said(transport)) == 3 * MAX_WAITING


def test_a_burst_that_is_answered_at_once_needs_no_pause():
    connection, transport, _ = connect({"x": lambda request: {}})
    connection.dataReceived(b'{"verb":"x"}\n' * (3 * MAX_WAITING))
    assert transport.producerState == "producing"
    assert len(said(transport)) == 3 * MAX_WAITING


def test_who_reads_no_answers_is_neither_answered_nor_read_any_further():
    connection, transport, _ = connect({"x": lambda request: {}})
    connection.pauseProducing()
    connection.dataReceived(b'{"verb":"x"}\n' * (2 * MAX_WAITING))
    assert said(transport) == []
    assert transport.producerState == "paused"
    connection.resumeProducing()
    assert transport.producerState == "producing"
    assert len(said(transport)) == 2 * MAX_WAITING


def test_too_long_a_line_ends_the_connection():
    connection, transport, _ = connect({})
    connection.dataReceived(b"x" * (MAX_LINE + 1))
    assert transport.disconnecting


def test_lines_at_the_bound():
    assert len(Lines().feed(b"x" * (MAX_LINE - 1) + b"\n")) == 1
    with pytest.raises(ControlError):
        Lines().feed(b"x" * MAX_LINE + b"\n")
    with pytest.raises(ControlError):
        encode({"x": "y" * MAX_LINE})


@pytest.mark.parametrize("line", [b"", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_object_is_refused(line):
    with pytest.raises(ControlError):
        decode(line)


class Wire:
    """A ControlClient and what it sees of the world."""

    def __init__(self):
        self.reactor = MemoryReactorClock()
        self.client = ControlClient(self.reactor, "/run/x.sock")
        self.results = []

    def ask(self, verb="ticket", timeout=2.0):
        answer = Deferred.fromCoroutine(self.client.request(verb, {}, timeout))
        answer.addBoth(self.results.append)

    def accept(self):
        factory = self.reactor.unixClients[-1][1]
        self.protocol = factory.buildProtocol(None)
        self.transport = StringTransport()
        self.transport.abortConnection = lambda: self.protocol.connectionLost(None)
        self.protocol.makeConnection(self.transport)

    def refuse(self):
        self.reactor.unixClients[-1][1].clientConnectionFailed(None, None)

    def errors(self):
        return [str(result.value) for result in self.results]


def test_the_peer_gets_its_answers_in_order_over_one_connection():
    wire = Wire()
    wire.ask()
    wire.ask()
    wire.accept()
    assert wire.transport.value().count(b"\n") == 2
    wire.protocol.dataReceived(b'{"ok":true,"n":1}\n{"ok":true,"n":2}\n')
    assert [result["n"] for result in wire.results] == [1, 2]
    assert len(wire.reactor.unixClients) == 1
    assert wire.reactor.getDelayedCalls() == []


def test_an_unreachable_peer_fails_at_once_for_a_while():
    wire = Wire()
    wire.ask()
    wire.refuse()
    wire.ask()
    assert len(wire.errors()) == 2
    assert len(wire.reactor.unixClients) == 1
    wire.reactor.advance(1.5)
    wire.ask()
    assert len(wire.reactor.unixClients) == 2


def test_no_descriptor_left_fails_at_once_and_is_tried_again_later():
    wire = Wire()
    connect_unix = wire.reactor.connectUNIX

    def no_descriptor(*arguments, **options):
        raise OSError(24, "Too many open files")

    wire.reactor.connectUNIX = no_descriptor
    wire.ask()
    assert wire.errors() == ["/run/x.sock: not reachable"]
    wire.reactor.connectUNIX = connect_unix
    wire.reactor.advance(1.5)
    wire.ask()
    wire.accept()
    wire.protocol.dataReceived(b'{"ok":true,"n":1}\n')
    assert wire.results[1]["n"] == 1


def test_a_silent_peer_is_given_up_with_all_that_wait_for_it():
    wire = Wire()
    wire.ask(timeout=1.0)
    wire.ask(timeout=5.0)
    wire.accept()
    wire.reactor.advance(1.1)
    assert wire.errors() == ["no answer in time", "the connection was lost"]
    assert wire.reactor.getDelayedCalls() == []


def test_a_peer_that_is_slow_to_accept_is_given_up_too():
    wire = Wire()
    wire.ask(timeout=1.0)
    wire.reactor.advance(1.1)
    assert wire.errors() == ["no answer in time"]
    wire.accept()
    assert wire.transport.value() == b""


def test_a_refusal_and_garbage_are_errors():
    wire = Wire()
    wire.ask()
    wire.ask()
    wire.accept()
    wire.protocol.dataReceived(b'{"ok":false,"error":"no such verb"}\nrubbish\n')
    assert wire.errors() == ["no such verb", "the connection was lost"]


def test_what_waits_for_the_peer_is_bounded():
    wire = Wire()
    wire.ask()
    wire.accept()
    for _ in range(MAX_IN_FLIGHT):
        wire.ask()
    assert wire.errors() == ["too many requests wait for their answer"]


# The operator's end


class Connection:
    """A connected socket that gives what a daemon says, and then ends or fails."""

    def __init__(self, *said: bytes | OSError) -> None:
        self._said = [*said, b""]

    def __enter__(self):
        return self

    def __exit__(self, *_about):
        return None

    def sendall(self, request):
        assert request == encode({"verb": "lists"})

    def recv(self, _most):
        piece = self._said.pop(0)
        if isinstance(piece, OSError):
            raise piece
        return piece


def answered(*said):
    return Answer(_messages(Connection(*said), encode({"verb": "lists"}), "/run/x.sock"))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "/run/x.sock: another program listens there.*--config"),
        (b"[1]\n", "/run/x.sock: another program listens there.*not a JSON object"),
        (b"x" * MAX_LINE, "/run/x.sock: another program listens there.*line longer"),
        (b'{"ok": tr', "closed the connection in the middle of its answer"),
        (
            ConnectionResetError(104, "reset"),
            "/run/x.sock: the daemon closed the connection; its log says why",
        ),
        (BrokenPipeError(32, "broken"), "/run/x.sock: the daemon closed the connection; its log says why"),
        (TimeoutError(), "/run/x.sock: the daemon did not answer in time"),
        (b'{"ok": false, "error": "no\\u001b[31m"}\n', r"^no\?\[31m$"),
    ],
)
def test_what_is_no_answer_is_told_in_the_operators_words(said, told):
    with pytest.raises(ControlError, match=told):
        answered(said).wait()


def test_a_daemon_of_another_version_may_leave_out_what_is_looked_for():
    answer = answered(b'{"row": {"a": 1}}\n{"ok": true, "b": 2}\n')
    [row] = answer
    assert (row, answer.final) == ({"a": 1}, {"ok": True, "b": 2})
    for fields in (row, answer.final):
        with pytest.raises(ControlError, match=r"answer lacks 'recording'.*another version"):
            fields["recording"]
        assert fields.get("recording") is None
