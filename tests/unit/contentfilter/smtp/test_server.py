"""The server engine: syntax, order, bounds, and that cutting the input changes nothing."""

from __future__ import annotations

import pytest

from contentfilter.smtp import server as words
from contentfilter.smtp.data import Defect
from contentfilter.smtp.events import (
    Content,
    Data,
    EndOfData,
    Hello,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Refused,
    Reset,
    ServerEvent,
    XForward,
)
from contentfilter.smtp.server import Limits, ServerEngine
from mailbase.replies import Reply

OK = Reply(250, "2.0.0", "Ok")
GO = Reply(354, "", "go")


def drive(engine: ServerEngine, *pieces: bytes, refuse: tuple[type, ...] = ()) -> list[ServerEvent]:
    """Feed ``pieces``, agree to everything but ``refuse``; returns the events, content joined."""
    events: list[ServerEvent] = []
    for piece in pieces:
        engine.receive(piece)
        while (event := engine.next_event()) is not None:
            match event:
                case Content(data=data, size=size):
                    if events and isinstance(events[-1], Content):
                        data = events.pop().data + data  # type: ignore[union-attr]
                    events.append(Content(data, size))
                    continue
                case Refused(reply=reply) | Noop(reply=reply):
                    engine.reply(reply)
                case Data() if Data not in refuse:
                    engine.reply(GO)
                case EndOfData():
                    while engine.replies_due:
                        engine.reply(OK)
                case _:
                    engine.reply(Reply(550, "5.0.0", "no") if isinstance(event, refuse) else OK)
            events.append(event)
    return events


def kinds(events: list[ServerEvent]) -> list[str]:
    return [type(event).__name__ for event in events]


def refusals(events: list[ServerEvent]) -> list[Reply]:
    return [event.reply for event in events if isinstance(event, Refused)]


def greeted(lmtp: bool = False, limits: Limits | None = None) -> ServerEngine:
    engine = ServerEngine(lmtp, limits)
    drive(engine, b"LHLO me\r\n" if lmtp else b"EHLO me\r\n")
    return engine


WIRE = (
    b"EHLO client.example\r\nXFORWARD NAME=a ADDR=192.0.2.1\r\nMAIL FROM:<a@x.example> SIZE=10\r\n"
    b"RCPT TO:<b@y.example>\r\nRCPT TO:<c@y.example>\r\nDATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\n"
    b"MAIL FROM:<>\r\nrcpt to:<b@y.example>\r\ndata\r\n.\r\nNOOP\r\nRSET\r\nVRFY x\r\nbogus\r\nQUIT\r\n"
)


def test_engine_whole_conversation() -> None:
    events = drive(ServerEngine(), WIRE)
    assert kinds(events) == [
        *("Hello", "XForward", "Mail", "Rcpt", "Rcpt", "Data", "Content", "EndOfData"),
        *("Mail", "Rcpt", "Data", "EndOfData", "Noop", "Reset", "Noop", "Refused", "Quit"),
    ]
    assert events[0] == Hello(True, "client.example")
    assert events[1] == XForward(b"XFORWARD NAME=a ADDR=192.0.2.1", {"NAME": "a", "ADDR": "192.0.2.1"})
    mail, rcpt = events[2], events[4]
    assert isinstance(mail, Mail)
    assert mail.sender.line == b"<a@x.example> SIZE=10"
    assert isinstance(rcpt, Rcpt)
    assert rcpt.recipient.address == "c@y.example"
    assert events[6:8] == [Content(b"Subject: x\r\n\r\n..dot\r\n", 20), EndOfData(20, None)]
    assert events[11] == EndOfData(0, None)


def test_engine_every_split_gives_the_same_events() -> None:
    whole = drive(ServerEngine(), WIRE)
    for i in range(1, len(WIRE)):
        assert drive(ServerEngine(), WIRE[:i], WIRE[i:]) == whole
    assert drive(ServerEngine(), *[WIRE[i : i + 1] for i in range(len(WIRE))]) == whole


def test_engine_waits_for_the_reply_to_each_command() -> None:
    engine = ServerEngine()
    engine.receive(b"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<b@x>\r\n")
    assert isinstance(engine.next_event(), Hello)
    assert engine.next_event() is None
    engine.receive(b"DATA\r\n")
    assert engine.next_event() is None
    assert engine.buffered == len(b"MAIL FROM:<>\r\nRCPT TO:<b@x>\r\nDATA\r\n")
    assert engine.reply(OK) == b"250 2.0.0 Ok\r\n"
    assert isinstance(engine.next_event(), Mail)


def test_engine_reply_without_event_is_a_mistake_of_ours() -> None:
    with pytest.raises(RuntimeError):
        ServerEngine().reply(OK)


@pytest.mark.parametrize(
    ("commands", "reply"),
    [
        (b"MAIL FROM:<>\r\nMAIL FROM:<>\r\n", words.NESTED_MAIL),
        (b"RCPT TO:<a@x>\r\n", words.NEED_MAIL),
        (b"DATA\r\n", words.NEED_MAIL),
        (b"MAIL FROM:<>\r\nDATA\r\n", words.NO_RECIPIENTS),
        (b"MAIL FROM:<>\r\nXFORWARD NAME=a\r\n", words.IN_TRANSACTION),
        (b"XFORWARD COLOUR=a\r\n", Reply(501, "5.5.4", "Unsupported attribute or missing value")),
        (b"LHLO a\r\n", words.WRONG_PROTOCOL),
        (b"EHLO\r\n", words.NEED_NAME),
        (b"EHLO \r\n", words.NEED_NAME),
        (b"MAIL\r\n", words.MAIL_SYNTAX),
        (b"MAIL TO:<a@x>\r\n", words.MAIL_SYNTAX),
        (b"MAIL FROM:<a\r\n", Reply(501, "5.1.7", "Bad address syntax")),
        (b"MAIL FROM:<>\r\nRCPT TO:<>\r\n", Reply(501, "5.1.3", "Bad address syntax")),
        (b"MAIL FROM:<>\r\nRCPT FROM:<a@x>\r\n", words.RCPT_SYNTAX),
        (b"MAIL FROM:<>\r\nRCPT TO:<a@x>\r\nDATA now\r\n", words.NO_ARGUMENT),
        (b"RSET x\r\n", words.NO_ARGUMENT),
        (b"QUIT x\r\n", words.NO_ARGUMENT),
        (b"STARTTLS\r\n", words.UNKNOWN),
        (b" EHLO a\r\n", words.UNKNOWN),
        (b"\r\n", words.UNKNOWN),
        (b"NOOP\n", words.BARE_LF_COMMAND),
        (b"\n", words.BARE_LF_COMMAND),
        (b"NOOP\rRSET\r\n", words.UNPRINTABLE),
        (b"NOOP\r\r\n", words.UNPRINTABLE),
        (b"MAIL FROM:<a\x00@x>\r\n", words.UNPRINTABLE),
        (b"MAIL FROM:<a\x7f@x>\r\n", words.UNPRINTABLE),
    ],
)
def test_engine_refuses(commands: bytes, reply: Reply) -> None:
    assert refusals(drive(greeted(), commands)) == [reply]


def test_engine_before_a_greeting_takes_no_mail() -> None:
    engine = ServerEngine()
    assert refusals(drive(engine, b"MAIL FROM:<>\r\nXFORWARD NAME=a\r\n")) == [words.NEED_HELLO] * 2


def test_engine_bare_lf_does_not_end_a_command() -> None:
    """MAIL with a bare LF inside must not become a line for the back end."""
    events = drive(greeted(), b"MAIL FROM:<a@x>\nRCPT TO:<b@x>\r\n")
    assert refusals(events) == [words.BARE_LF_COMMAND, words.NEED_MAIL]


@pytest.mark.parametrize(
    "line", [b"BDAT 10 LAST", b"GET / HTTP/1.1", b"POST / HTTP/1.1", b"CONNECT x:25", b"Host: x"]
)
def test_engine_cuts_off_what_is_no_smtp_client(line: bytes) -> None:
    engine = greeted()
    events = drive(engine, line + b"\r\nMAIL FROM:<>\r\n")
    assert events == [Refused(words.FOREIGN, fatal=True)]
    assert engine.next_event() is None


def test_engine_line_bound() -> None:
    limit = Limits().line
    fits = b"NOOP " + b"a" * (limit - 7) + b"\r\n"
    assert len(fits) == limit
    assert kinds(drive(greeted(), fits)) == ["Noop"]
    over = b"NOOP " + b"a" * (limit - 6) + b"\r\nNOOP\r\n"
    for pieces in ([over], [over[:100], over[100:]], [over[i : i + 1] for i in range(len(over))]):
        events = drive(greeted(), *pieces)
        assert refusals(events) == [words.LINE_TOO_LONG]
        assert kinds(events) == ["Refused", "Noop"]


def test_engine_keeps_no_endless_line() -> None:
    engine = greeted()
    for _ in range(100):
        drive(engine, b"a" * 65536)
        assert engine.buffered < 65536 + Limits().line
    assert refusals(drive(engine, b"\r\nNOOP\r\n")) == [words.LINE_TOO_LONG]


def test_engine_ends_after_too_many_errors() -> None:
    engine = greeted(limits=Limits(errors=3))
    events = drive(engine, b"bogus\r\n" * 10)
    assert refusals(events) == [words.UNKNOWN] * 3 + [words.TOO_MANY_ERRORS]
    assert events[-1] == Refused(words.TOO_MANY_ERRORS, fatal=True)


def test_engine_forgives_errors_after_a_message() -> None:
    engine = greeted(limits=Limits(errors=1))
    mail = b"MAIL FROM:<>\r\nRCPT TO:<a@x>\r\nDATA\r\n.\r\n"
    events = drive(engine, b"bogus\r\n" + mail + b"bogus\r\n" + mail)
    assert refusals(events) == [words.UNKNOWN] * 2


def test_engine_refused_commands_change_nothing() -> None:
    engine = greeted()
    assert kinds(drive(engine, b"MAIL FROM:<>\r\n", refuse=(Mail,))) == ["Mail"]
    assert refusals(drive(engine, b"RCPT TO:<a@x>\r\n")) == [words.NEED_MAIL]
    drive(engine, b"MAIL FROM:<>\r\n")
    drive(engine, b"RCPT TO:<a@x>\r\n", refuse=(Rcpt,))
    assert refusals(drive(engine, b"DATA\r\n")) == [words.NO_RECIPIENTS]
    drive(engine, b"RCPT TO:<a@x>\r\n")
    assert kinds(drive(engine, b"DATA\r\n", refuse=(Data,))) == ["Data"]
    assert not engine.in_data


@pytest.mark.parametrize("command", [b"RSET\r\n", b"EHLO again\r\n"])
def test_engine_forgets_the_transaction(command: bytes) -> None:
    engine = greeted()
    drive(engine, b"MAIL FROM:<>\r\nRCPT TO:<a@x>\r\n" + command)
    assert refusals(drive(engine, b"DATA\r\n")) == [words.NEED_MAIL]


def test_engine_defect_is_told_at_the_true_end() -> None:
    engine = greeted()
    events = drive(engine, b"MAIL FROM:<>\r\nRCPT TO:<a@x>\r\nDATA\r\na\n.\nRSET\r\n.\r\nNOOP\r\n")
    assert events[3:] == [
        Content(b"a\n.\nRSET\r\n", 10),
        EndOfData(10, Defect.BARE_LF),
        Noop(words.NOOP_REPLY),
    ]


def test_engine_lmtp_wants_lhlo_and_one_reply_for_each_recipient() -> None:
    engine = ServerEngine(lmtp=True)
    assert refusals(drive(engine, b"EHLO a\r\nHELO a\r\n")) == [words.WRONG_PROTOCOL] * 2
    drive(engine, b"LHLO a\r\nMAIL FROM:<>\r\n")
    assert refusals(drive(engine, b"DATA\r\n")) == [words.NEED_RCPT]
    drive(engine, b"RCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\n")
    drive(engine, b"RCPT TO:<c@x>\r\n", refuse=(Rcpt,))
    drive(engine, b"DATA\r\n")
    engine.receive(b".\r\nNOOP\r\n")
    assert engine.next_event() == EndOfData(0, None)
    engine.reply(OK)
    assert engine.next_event() is None
    engine.reply(OK)
    assert engine.next_event() == Noop(words.NOOP_REPLY)


def test_engine_421_ends_it() -> None:
    engine = ServerEngine()
    engine.receive(b"EHLO a\r\nNOOP\r\n")
    engine.next_event()
    engine.reply(Reply(421, "4.3.2", "bye"))
    engine.receive(b"NOOP\r\n")
    assert engine.next_event() is None


def test_engine_quit_ends_it() -> None:
    engine = greeted()
    assert kinds(drive(engine, b"QUIT\r\nNOOP\r\n")) == ["Quit"]
    assert isinstance(drive(greeted(), b"RSET\r\n")[0], Reset)
    assert isinstance(drive(greeted(), b"quit\r\n")[0], Quit)


def test_engine_names_are_printable() -> None:
    (event,) = drive(ServerEngine(), b"EHLO a\xff\xc3\xbcb\r\n")
    assert event == Hello(True, "a???b")
