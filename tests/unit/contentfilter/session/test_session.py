"""A mail through a session: what the envelope may have, and what reaches the reinjection port."""

from __future__ import annotations

import pytest

from contentfilter.disposition.disposition import Deliver
from contentfilter.session import session as words
from contentfilter.session.envelope import Client, Envelope, Path
from contentfilter.session.steps import (
    CloseSpool,
    End,
    Record,
    Reinject,
    Say,
    Verdict,
)
from contentfilter.smtp.client import Job, Result
from contentfilter.smtp.events import (
    Data,
    EndOfData,
    Hello,
    Reset,
    ServerEvent,
    XForward,
)
from contentfilter.smtp.offer import Offer
from mailbase.replies import Reply

from .scripted import QUEUED, Script, ended, mail, rcpt, record, said


def test_session_mail_goes_through() -> None:
    script = Script()
    reinject = script.judged("b@y", "c@y", header=b"X-Ours: y\r\n")
    assert reinject.header == b"X-Ours: y\r\n"
    assert [path.address for path in reinject.job.envelope.recipients] == ["b@y", "c@y"]
    assert script.session.busy
    commands = script(ended(Result.DELIVERED, QUEUED))
    assert [type(command) for command in commands] == [CloseSpool, Say, Record]
    assert said(commands) == [QUEUED]
    assert record(commands).end is End.DELIVERED
    assert record(commands).id == "id1"
    assert not script.session.busy
    assert script(mail("next@x")) == [Say(words.SENDER_OK)]


def test_session_250_comes_only_after_the_reinjection_ports() -> None:
    script = Script()
    script.message()
    assert said(script(EndOfData(4, None))) == []
    assert said(script(Verdict("id1", Deliver()))) == []
    assert said(script(ended(Result.DELIVERED, QUEUED))) == [QUEUED]


def test_session_ehlo_offers_what_the_reinjection_port_has() -> None:
    script = Script()
    (greeting,) = said(script(Hello(True, "c")))
    assert greeting.encode() == (
        b"250-filter.example\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-ENHANCEDSTATUSCODES\r\n"
        b"250-XFORWARD NAME ADDR PORT HELO IDENT PROTO SOURCE\r\n"
        b"250-8BITMIME\r\n250-SMTPUTF8\r\n250 DSN\r\n"
    )
    script.offer = Offer({"SMTPUTF8": ()})
    (greeting,) = said(script(Hello(True, "c")))
    assert greeting.encode().endswith(b"SOURCE\r\n250 SMTPUTF8\r\n")
    assert said(script(Hello(False, "c")))[0].encode() == b"250 filter.example\r\n"


def test_session_banner_names_the_protocol() -> None:
    assert Script().session.banner().encode() == b"220 filter.example ESMTP\r\n"
    assert Script(lmtp=True).session.banner().encode() == b"220 filter.example LMTP\r\n"


@pytest.mark.parametrize(
    ("parameters", "reply"),
    [
        ({"SIZE": "1000"}, words.SENDER_OK),
        ({"SIZE": "1001"}, words.TOO_BIG),
        ({"SIZE": "9" * 20}, words.TOO_BIG),
        ({"SIZE": "9" * 21}, words.BAD_SIZE),
        ({"SIZE": ""}, words.BAD_SIZE),
        ({"SIZE": "-1"}, words.BAD_SIZE),
        ({"SIZE": "1e3"}, words.BAD_SIZE),
        ({"SIZE": "٣"}, words.BAD_SIZE),
        ({"BODY": "8BITMIME"}, words.SENDER_OK),
        ({"SMTPUTF8": ""}, words.SENDER_OK),
        ({"RET": "HDRS", "ENVID": "x"}, words.SENDER_OK),
        ({"AUTH": "<>"}, words.SENDER_OK),
        ({"HOLDFOR": "10"}, words.UNKNOWN_PARAMETER),
    ],
)
def test_session_mail_parameters(parameters: dict[str, str], reply: Reply) -> None:
    script = Script()
    script(Hello(True, "c"))
    assert script(mail("a@x", **parameters)) == [Say(reply)]


def test_session_parameters_not_offered_make_the_mail_wait() -> None:
    """Postfix passes on what it offered itself: that the port behind us has less is our wiring's fault."""
    script = Script(offer=Offer({"8BITMIME": ()}))
    script(Hello(True, "c"))
    assert said(script(mail(SMTPUTF8=""))) == [words.NOT_OFFERED]
    assert said(script(mail(BODY="8BITMIME"))) == [words.SENDER_OK]
    assert said(script(rcpt(NOTIFY="NEVER"))) == [words.NOT_OFFERED]
    assert words.NOT_OFFERED.code == 451


def test_session_extensions_in_use_are_named_to_the_reinjection() -> None:
    script = Script()
    script(Hello(True, "c"))
    script(mail(BODY="8BITMIME", SIZE="4", AUTH="<>"))
    script(rcpt(NOTIFY="NEVER"))
    script(Data())
    script(EndOfData(0, None))
    (reinject,) = script(Verdict("id", Deliver()))
    assert isinstance(reinject, Reinject)
    assert reinject.job.needs == {"8BITMIME", "DSN"}


def test_session_offer_is_the_one_the_client_heard() -> None:
    script = Script()
    script(Hello(True, "c"))
    script.offer = Offer()
    assert said(script(mail(BODY="8BITMIME"))) == [words.SENDER_OK]


def test_session_recipients_are_bounded() -> None:
    script = Script(recipients=2)
    script.envelope("b@y", "c@y")
    assert said(script(rcpt("d@y"))) == [words.TOO_MANY_RECIPIENTS]
    assert words.TOO_MANY_RECIPIENTS.code == 452


def test_session_xforward_reaches_envelope_and_is_reset_after_the_transaction() -> None:
    script = Script()
    script(Hello(True, "c"))
    assert script(XForward(b"XFORWARD ADDR=1", {"ADDR": "192.0.2.1"})) == [Say(words.OK)]
    assert script(XForward(b"XFORWARD HELO=h", {"HELO": "h"})) == [Say(words.OK)]
    reinject = _through(script)
    assert reinject.job.envelope.client == Client(address="192.0.2.1", helo="h")
    assert reinject.job.envelope.xforward == [b"XFORWARD ADDR=1", b"XFORWARD HELO=h"]
    reinject = _through(script)
    assert reinject.job.envelope.client == Client()
    assert reinject.job.envelope.xforward == []


def _through(script: Script) -> Reinject:
    script(mail())
    script(rcpt())
    script(Data())
    script(EndOfData(0, None))
    (reinject,) = script(Verdict("id", Deliver()))
    assert isinstance(reinject, Reinject)
    script(ended(Result.DELIVERED, QUEUED))
    return reinject


@pytest.mark.parametrize("event", [Reset(), Hello(True, "again")])
def test_session_xforward_is_reset_by(event: ServerEvent) -> None:
    script = Script()
    script(Hello(True, "c"))
    script(XForward(b"XFORWARD ADDR=1", {"ADDR": "192.0.2.1"}))
    script(event)
    assert _through(script).job.envelope.client == Client()


def test_session_xforward_commands_are_bounded() -> None:
    script = Script()
    script(Hello(True, "c"))
    event = XForward(b"XFORWARD HELO=h", {"HELO": "h"})
    for _ in range(words.MAX_XFORWARD):
        assert said(script(event)) == [words.OK]
    assert said(script(event)) == [words.TOO_MANY_XFORWARD]


def test_session_job_is_what_came_in() -> None:
    script = Script()
    reinject = script.judged()
    expected = Envelope(Path("a@x", b"<a@x>"), recipients=[Path("b@y", b"<b@y>")])
    assert reinject.job == Job(expected, frozenset())
