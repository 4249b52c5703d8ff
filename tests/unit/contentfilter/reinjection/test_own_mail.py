"""Mail of our own, on its way to Postfix: what goes out, and when it counts as taken."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from contentfilter.reinjection.own_mail import SENDING, OwnMail
from contentfilter.session.envelope import Envelope
from contentfilter.session.envelope import Path as Mailbox
from contentfilter.smtp.client import Outcome, Result
from mailbase.logs import Log
from mailbase.replies import Reply

ENVELOPE = Envelope(Mailbox("", b"<>"), recipients=[Mailbox("a@x", b"<a@x>"), Mailbox("b@x", b"<b@x>")])
TAKEN = Reply(250, "2.0.0", "queued")
REFUSED = Reply(550, "5.1.1", "no such user")


class Port:
    """Postfix; what is handed over waits there."""

    def __init__(self) -> None:
        self.outcome: Deferred[Outcome] = Deferred()
        self.given: tuple[Any, ...] = ()
        self.octets = b""

    def deliver(self, job: Any, header: bytes, spool: Any, not_after: float) -> Any:
        self.given = (job.envelope, header, not_after)
        self.spool = spool
        self.octets = b"".join(spool.chunks())
        return SimpleNamespace(outcome=self.outcome)


class Rig:
    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.clock.advance(100)
        self.stream = io.StringIO()
        self.port: Any = Port()
        self.said: list[bool] = []
        own = OwnMail(self.clock, self.port, lambda: folder, Log("test", stream=self.stream))
        message = b"Subject: digest\r\n\r\n.hidden\r\n"
        Deferred.fromCoroutine(own.send(ENVELOPE, message)).addCallback(self.said.append)


def test_it_goes_out_dot_stuffed_with_a_deadline(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    assert rig.port.given == (ENVELOPE, b"", 100 + SENDING)
    assert rig.port.octets == b"Subject: digest\r\n\r\n..hidden\r\n"
    assert not rig.said


def test_it_counts_as_taken_once_postfix_has_said_so(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.port.outcome.callback(Outcome(Result.DELIVERED, (TAKEN,)))
    assert rig.said == [True]
    assert rig.stream.getvalue() == ""


def test_what_postfix_refuses_is_told_in_the_log(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.port.outcome.callback(Outcome(Result.REFUSED, (REFUSED, REFUSED)))
    assert rig.said == [False]
    assert "event=own-mail-refused recipients=2" in rig.stream.getvalue()
    assert "550 5.1.1 no such user" in rig.stream.getvalue()
