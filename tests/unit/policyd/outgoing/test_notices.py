"""Notices: who gets them, what they say, how they get there, and what happens when they do not."""

from __future__ import annotations

import email
import io
import json
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from mailbase.config import loads
from mailbase.logs import Log
from policyd.outgoing import courier as courier_module
from policyd.outgoing.courier import MAX_AN_HOUR, PAUSES, Courier, way_back
from policyd.outgoing.judging import Against, Finding, Window, terms_of
from policyd.outgoing.measures import Kind, Measure, Whose
from policyd.outgoing.notice import Notice, compose, readers
from policyd.outgoing.record import Record
from policyd.outgoing.ways import Mailer, NotTaken, Poster
from policyd.outgoing.words import notice

NOW = 1_800_000_000.0
REGISTRY = """
default_server: b.example
servers:
  a.example:
    addresses: [192.0.2.1]
    administrators: [{name: Ada, email: ada@a.example, phone: "1"}]
    deputies: [{name: Dan, email: dan@a.example, phone: "1"}]
    domains: {inst.example: }
    systems: [198.51.100.0/24, printer.a.example]
  b.example:
    addresses: [192.0.2.2]
    deputies: [{name: Bea, email: bea@b.example, phone: "1"}]
  c.example:
    addresses: [192.0.2.3]
"""
FINDING = Finding(Measure.MESSAGES, Window.HOUR, Against.USUAL, 52.0, 45.0, 7.25)


def a_notice(whose: Whose = Whose(Kind.USER, "ada"), *, suspended: bool = False, client: str = "") -> Notice:  # noqa: B008
    terms = terms_of(loads("").policyd.outgoing)
    record = Record(NOW)
    for _ in range(52):
        record.mail(1, NOW, 1, [])
    return notice(
        whose, FINDING, record, terms, NOW, suspended=suspended, decision_id="1" * 13, client=client
    )


def settings_of(tmp_path: Path, notices: str = "") -> Any:
    (tmp_path / "r.yaml").write_text(REGISTRY)
    text = "identity: {hostname: mx.gate.example}\nregistry: r.yaml\n"
    return loads(f"{text}policyd: {{outgoing: {{notices: {{{notices}}}}}}}", folder=tmp_path)


@pytest.mark.parametrize(
    ("whose", "always", "people"),
    [
        (Whose(Kind.SYSTEM, "198.51.100.0/24"), (), ["ada@a.example"]),
        (Whose(Kind.SYSTEM, "printer.a.example"), ("noc@g.example",), ["ada@a.example", "noc@g.example"]),
        (Whose(Kind.SYSTEM, "192.0.2.1"), (), ["ada@a.example"]),
        (Whose(Kind.SYSTEM, "192.0.2.2"), (), ["bea@b.example"]),
        (Whose(Kind.SYSTEM, "192.0.2.3"), (), ["postmaster@mx.gate.example"]),
        (Whose(Kind.SYSTEM, "192.0.2.99"), (), ["postmaster@mx.gate.example"]),
        (Whose(Kind.USER, "eve@inst.example"), (), ["ada@a.example"]),
        (Whose(Kind.USER, "eve@elsewhere.example"), (), ["postmaster@mx.gate.example"]),
        (Whose(Kind.USER, "eve"), ("noc@g.example",), ["noc@g.example"]),
        (None, (), ["postmaster@mx.gate.example"]),
    ],
)
def test_who_is_told(tmp_path: Path, whose: Whose | None, always: tuple[str, ...], people: list[str]) -> None:
    registry = settings_of(tmp_path).registry
    told = Notice("e", "", NOW, "s", (), whose)
    assert list(readers(told, registry, always, "mx.gate.example")) == people


@pytest.mark.parametrize("suspended", [False, True])
def test_the_mail_is_one_and_says_what_to_do(suspended: bool) -> None:
    told = a_notice(suspended=suspended, client="192.0.2.7")
    raw = compose(told, ("a@x.example", "b@x.example"), "mx.gate.example", "Call 4711 [{id}]")
    assert raw.replace(b"\r\n", b"").count(b"\n") == 0
    assert max(map(len, raw.split(b"\r\n"))) <= 320
    message = email.message_from_bytes(raw)
    assert message["To"].replace("\r\n", "") == "a@x.example, b@x.example"
    assert message["Auto-Submitted"] == "auto-generated"
    text = message.get_payload()
    assert "52 in an hour, at most 7.2 before" in text
    assert "policyd explain 1111111111111" in text
    assert "Call 4711 [1111111111111]" in text
    assert ("policyd outgoing lift ada" in text) is suspended
    assert ("policyd deny ada --as user" in text) is not suspended


def test_a_name_from_outside_adds_no_line_to_it() -> None:
    whose = Whose(Kind.USER, "ada\r\nBcc: all@x.example\r\n\r\nhello \u00fc" + "x" * 500)
    raw = compose(a_notice(whose), ("a@x.example",), "mx.gate.example")
    message = email.message_from_bytes(raw)
    assert message["Bcc"] is None
    assert raw.isascii()
    assert len(message["Subject"]) <= 200


@pytest.mark.parametrize(
    ("name", "typed"),
    [("ada@x.example", "ada@x.example"), ("a; rm -rf /", "'a; rm -rf /'"), ("-h", "NAME"), ("a\nb", "NAME")],
)
def test_a_name_commands_no_shell(name: str, typed: str) -> None:
    assert f"policyd outgoing show {typed}" in "\n".join(a_notice(Whose(Kind.USER, name)).lines)


def test_what_a_webhook_gets_is_json() -> None:
    data = json.loads(json.dumps(a_notice(suspended=True).to_dict("mx.gate.example")))
    assert data["event"] == "outgoing-suspended"
    assert (data["gateway"], data["kind"], data["name"]) == ("mx.gate.example", "user", "ada")
    assert data["suspended_until"] == NOW + 86400
    assert data["last_hour"]["messages"] == 52


class Ways:
    """Takes notices, or does not."""

    def __init__(self) -> None:
        self.taken: list[tuple[Any, ...]] = []
        self.answer: Any = None

    async def __call__(self, *what: Any) -> None:
        self.taken.append(what)
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            await self.answer


class World:
    def __init__(self, tmp_path: Path, notices: str = "webhook: 'https://h.example/x'") -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.settings = settings_of(tmp_path, notices)
        self.stream = io.StringIO()
        self.counted: list[tuple[str, str]] = []
        self.send, self.post = Ways(), Ways()
        self.courier = Courier(
            self.clock,
            lambda: self.settings,
            Log("policyd", stream=self.stream),
            lambda way, result: self.counted.append((way, result)),
            self.send,
            self.post,
        )


def test_both_ways_are_gone(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    world = World(tmp_path, f"webhook: 'https://h.example/x', token_file: {token}, to: [noc@g.example]")
    world.courier.tell(a_notice())
    ((place, to, message, _),) = world.send.taken
    assert (place, to) == ("127.0.0.1:10025", ("noc@g.example",))
    assert b"To: noc@g.example" in message
    ((url, data, secret, _),) = world.post.taken
    assert (url, data["name"], secret) == ("https://h.example/x", "ada", "secret")
    assert sorted(world.counted) == [("mail", "sent"), ("webhook", "sent")]
    assert "secret" not in world.stream.getvalue()
    assert world.clock.getDelayedCalls() == []


def test_neither_if_nobody_wants_it(tmp_path: Path) -> None:
    world = World(tmp_path, "mail: false")
    world.courier.tell(a_notice())
    assert (world.send.taken, world.post.taken) == ([], [])


def test_it_is_tried_again_and_given_up_in_the_end(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.post.answer = NotTaken("the webhook answers 503")
    world.courier.tell(a_notice())
    for pause in PAUSES:
        world.clock.advance(pause)
    world.clock.advance(100_000)
    assert len(world.post.taken) == 1 + len(PAUSES)
    assert world.counted == [("mail", "sent"), ("webhook", "failed")]
    assert world.stream.getvalue().count("event=notice-failed") == 1 + len(PAUSES)


def test_each_attempt_has_a_deadline(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.send.answer = Deferred()
    world.courier.tell(a_notice())
    world.clock.advance(10)
    assert 'error="TimeoutError: not done in 10 s"' in world.stream.getvalue()
    world.send.answer = None
    world.clock.advance(PAUSES[0])
    assert ("mail", "sent") in world.counted


def test_a_token_that_cannot_be_read_is_a_failure_like_others(tmp_path: Path) -> None:
    world = World(tmp_path, f"webhook: 'https://h.example/x', token_file: {tmp_path / 'none'}, mail: false")
    world.courier.tell(a_notice())
    assert world.post.taken == []
    assert "FileNotFoundError" in world.stream.getvalue()


def test_more_than_anybody_reads_are_dropped(tmp_path: Path) -> None:
    world = World(tmp_path, "")
    for _ in range(MAX_AN_HOUR + 5):
        world.courier.tell(a_notice())
    assert len(world.send.taken) == MAX_AN_HOUR
    assert world.stream.getvalue().count("event=notices-dropped") == 5
    assert world.counted.count(("mail", "failed")) == 5
    world.clock.advance(courier_module.AN_HOUR)
    world.courier.tell(a_notice())
    assert len(world.send.taken) == MAX_AN_HOUR + 1


def test_stopped_it_tries_nothing_again(tmp_path: Path) -> None:
    world = World(tmp_path, "")
    world.send.answer = NotTaken("no")
    world.courier.tell(a_notice())
    world.courier.stop()
    assert world.clock.getDelayedCalls() == []


def test_mail_goes_behind_the_filter(tmp_path: Path) -> None:
    assert way_back(loads("")) == "127.0.0.1:10025"
    lmtp = (
        "contentfilter: {listeners: [{listen: '127.0.0.1:1', protocol: lmtp, reinject: '127.0.0.1:10028'}]}"
    )
    assert way_back(loads(lmtp)) == "127.0.0.1:10028"


def post(
    reactor: MemoryReactorClock, answer: bytes, token: str = "", transport: StringTransport | None = None
) -> tuple[list[Any], bytes]:
    results: list[Any] = []
    poster = Poster(reactor)
    doing = Deferred.fromCoroutine(poster("http://192.0.2.9:81/x?y", {"a": 1}, token, 5.0))
    doing.addCallbacks(results.append, lambda failure: results.append(failure.value))
    _, port, factory, _, _ = reactor.tcpClients[0]
    assert port == 81
    protocol, transport = factory.buildProtocol(None), transport or StringTransport()
    protocol.makeConnection(transport)
    reactor.advance(0)
    protocol.dataReceived(answer)
    reactor.advance(0)
    return results, transport.value()


def test_a_post_is_json_with_a_token() -> None:
    results, sent = post(MemoryReactorClock(), b"HTTP/1.1 204 No Content\r\n\r\n", "secret")
    assert results == [None]
    assert sent.startswith(b"POST /x?y HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer secret\r\n" in sent
    assert b"\r\nContent-Type: application/json\r\n" in sent
    assert sent.endswith(b'\r\n\r\n{"a": 1}')


@pytest.mark.parametrize("status", [b"301 Moved\r\nLocation: http://127.0.0.1/", b"404 No", b"500 No"])
def test_only_a_yes_is_one_and_no_redirection_is_followed(status: bytes) -> None:
    reactor = MemoryReactorClock()
    results, _ = post(reactor, b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
    assert isinstance(results[0], NotTaken)
    assert len(reactor.tcpClients) == 1


@pytest.mark.parametrize("body", [b"\r\n" + b"x" * 100_000, b"Content-Length: 1000\r\n\r\n"])
def test_no_body_is_read_or_waited_for(body: bytes) -> None:
    transport = StringTransport()
    results, _ = post(MemoryReactorClock(), b"HTTP/1.1 200 Ok\r\n" + body, transport=transport)
    assert results == [None]
    assert transport.disconnecting


def mailing(script: list[bytes]) -> tuple[list[Any], bytes]:
    """Answers of the other side, one after another."""
    reactor, results = MemoryReactorClock(), []
    message = b"Subject: x\r\n\r\n.dot\r\nlast\r\n"
    doing = Deferred.fromCoroutine(
        Mailer(reactor, "mx.gate.example")("192.0.2.9:10025", ("a@x.example", "b@x.example"), message, 5.0)
    )
    doing.addCallbacks(results.append, lambda failure: results.append(failure.value))
    _, _, factory, _, _ = reactor.tcpClients[0]
    protocol, transport = factory.buildProtocol(None), StringTransport()
    protocol.makeConnection(transport)
    for answer in script:
        protocol.dataReceived(answer)
        producer = transport.producer
        while producer is not None and transport.producer is producer:
            producer.resumeProducing()
    return results, transport.value()


def test_a_mail_is_handed_over_from_nobody() -> None:
    results, sent = mailing(
        [
            b"220 hi\r\n",
            b"250 me\r\n",
            b"250 ok\r\n",
            b"250 ok\r\n",
            b"550 no\r\n",
            b"354 go\r\n",
            b"250 ok\r\n",
        ]
    )
    assert results == [None]
    assert sent.startswith(b"HELO policyd.mx.gate.example\r\nMAIL FROM:<>\r\n")
    assert b"RCPT TO:<b@x.example>\r\nDATA\r\nSubject: x\r\n\r\n..dot\r\nlast\r\n.\r\n" in sent


@pytest.mark.parametrize(
    "script",
    [
        [b"554 no\r\n"],
        [b"220 hi\r\n", b"250 me\r\n", b"250 ok\r\n", b"550 no\r\n", b"550 no\r\n"],
        [
            b"220 hi\r\n",
            b"250 me\r\n",
            b"250 ok\r\n",
            b"250 ok\r\n",
            b"250 ok\r\n",
            b"354 go\r\n",
            b"451 no\r\n",
        ],
    ],
)
def test_a_no_is_a_failure(script: list[bytes]) -> None:
    results, _ = mailing(script)
    assert isinstance(results[0], Exception)


def test_a_peer_that_says_nothing_is_left_in_time() -> None:
    reactor, results = MemoryReactorClock(), []
    mailer = Mailer(reactor, "mx.gate.example")
    doing = Deferred.fromCoroutine(mailer("192.0.2.9:10025", ("a@x.example",), b"x\r\n", 5.0))
    doing.addErrback(lambda failure: results.append(failure.type))
    doing.cancel()
    assert results == [CancelledError]
    assert reactor.connectors[0]._disconnected
    # Its connection may end as it likes.
    _, _, factory, _, _ = reactor.tcpClients[0]
    factory.clientConnectionLost(reactor.connectors[0], Failure(ConnectionLost()))
