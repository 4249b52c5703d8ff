"""The session as scripts: this comes in, that must go out."""

from __future__ import annotations

import pytest

from contentfilter.disposition.disposition import Answer, Deliver
from contentfilter.disposition.splits import Splits
from contentfilter.session import session as words
from contentfilter.session.envelope import Client, Envelope, Path
from contentfilter.session.session import Profile, Session
from contentfilter.session.steps import (
    AbandonReinjection,
    CancelInspection,
    ClientGone,
    ClientSilent,
    Close,
    CloseSpool,
    Command,
    DeliveryEnded,
    EdgeEvent,
    End,
    Inspect,
    InspectionFailed,
    OpenSpool,
    Record,
    Reinject,
    Say,
    SpoolFailed,
    Stop,
    Store,
    TakeBack,
    Verdict,
)
from contentfilter.smtp.client import TROUBLE, Job, Outcome, Result
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
from contentfilter.smtp.offer import Offer
from mailbase.replies import Reply

FULL = Offer({"8BITMIME": (), "SMTPUTF8": (), "DSN": (), "PIPELINING": (), "CHUNKING": ()})
QUEUED = Reply.relayed([b"250 2.0.0 Ok: queued as 4711"])
NO = Reply(554, "5.7.1", "Macros [abc]")


class Script:
    """A session with its collected answers."""

    def __init__(
        self,
        lmtp: bool = False,
        offer: Offer = FULL,
        size_limit: int = 1000,
        recipients: int = 3,
        splits: Splits | None = None,
    ) -> None:
        self.offer = offer
        profile = Profile("filter.example", lmtp, size_limit, recipients)
        self.session = Session(profile, lambda: self.offer, splits)

    def __call__(self, event: ServerEvent | EdgeEvent) -> list[Command]:
        return self.session.handle(event)

    def envelope(self, *recipients: str) -> None:
        """EHLO, MAIL, RCPT … accepted."""
        self(Hello(True, "c.example"))
        assert self(mail()) == [Say(words.SENDER_OK)]
        for recipient in recipients or ("b@y",):
            assert self(rcpt(recipient)) == [Say(words.RECIPIENT_OK)]

    def message(self, *recipients: str) -> None:
        """… and a message up to its end."""
        self.envelope(*recipients)
        assert self(Data()) == [OpenSpool(), Say(words.GO_AHEAD)]
        assert self(Content(b"Hi\r\n", 4)) == [Store(b"Hi\r\n", 4)]

    def judged(self, *recipients: str, header: bytes = b"") -> Reinject:
        """… and passed by the inspector."""
        self.message(*recipients)
        (inspect,) = self(EndOfData(4, None))
        assert isinstance(inspect, Inspect)
        (reinject,) = self(Verdict("id1", Deliver(header)))
        assert isinstance(reinject, Reinject)
        return reinject


def mail(address: str = "a@x", **parameters: str) -> Mail:
    return Mail(Path(address, f"<{address}>".encode()), parameters)


def rcpt(address: str = "b@y", **parameters: str) -> Rcpt:
    return Rcpt(Path(address, f"<{address}>".encode()), parameters)


def ended(result: Result, *replies: Reply) -> DeliveryEnded:
    return DeliveryEnded(Outcome(result, replies, "why"))


def said(commands: list[Command]) -> list[Reply]:
    return [command.reply for command in commands if isinstance(command, Say)]


def record(commands: list[Command]) -> Record:
    (found,) = [command for command in commands if isinstance(command, Record)]
    return found


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


def test_session_inspector_refuses() -> None:
    script = Script()
    script.message()
    script(EndOfData(4, None))
    commands = script(Verdict("id1", Answer(NO)))
    assert said(commands) == [NO]
    assert record(commands).end is End.ANSWERED
    assert CloseSpool() in commands


def test_session_inspector_fails() -> None:
    script = Script()
    script.message()
    script(EndOfData(4, None))
    commands = script(InspectionFailed())
    assert said(commands) == [TROUBLE]
    assert TROUBLE.code == 451
    assert record(commands).end is End.INSPECTION_FAILED
    assert script(Verdict("late", Deliver())) == []


@pytest.mark.parametrize(("defect", "end"), [(Defect.BARE_LF, End.BARE_LF), (Defect.DOT_CR, End.DOT_CR)])
def test_session_defective_message_is_refused_unseen(defect: Defect, end: End) -> None:
    script = Script()
    script.message()
    commands = script(EndOfData(4, defect))
    (reply,) = said(commands)
    assert (reply.code, reply.status) == (550, "5.5.2")
    assert record(commands).end is end
    assert not any(isinstance(command, Inspect) for command in commands)


def test_session_too_large_is_let_go_at_once_and_refused_at_the_end() -> None:
    script = Script(size_limit=10)
    script.envelope()
    script(Data())
    assert script(Content(b"a" * 10, 10)) == [Store(b"a" * 10, 10)]
    assert script(Content(b"b", 11)) == [CloseSpool()]
    assert script(Content(b"c", 12)) == []
    commands = script(EndOfData(12, None))
    assert said(commands) == [words.TOO_BIG]
    assert (words.TOO_BIG.code, words.TOO_BIG.status) == (552, "5.3.4")
    assert record(commands).end is End.TOO_LARGE
    assert record(commands).size == 12


def test_session_full_disk_is_told_at_the_end() -> None:
    script = Script()
    script.message()
    assert script(SpoolFailed()) == []
    assert script(Content(b"more", 8)) == []
    commands = script(EndOfData(8, None))
    assert said(commands) == [words.NO_SPACE]
    assert words.NO_SPACE.code == 452
    assert record(commands).end is End.NO_SPACE
    script(mail())
    script(rcpt())
    script(Data())
    assert script(Content(b"Hi\r\n", 4)) == [Store(b"Hi\r\n", 4)]


@pytest.mark.parametrize(
    ("result", "end"),
    [
        (Result.REFUSED, End.REFUSED),
        (Result.FAILED, End.REINJECTION_FAILED),
        (Result.LATE, End.LATE),
        (Result.MISMATCH, End.MISMATCH),
        (Result.UNKNOWN, End.UNKNOWN),
    ],
)
def test_session_reinjection_that_did_not_succeed_is_told(result: Result, end: End) -> None:
    script = Script()
    script.judged()
    commands = script(ended(result, NO))
    assert said(commands) == [NO]
    assert record(commands).end is end
    assert record(commands).detail == "why"


def test_session_lmtp_answers_for_each_recipient() -> None:
    script = Script(lmtp=True)
    script.judged("b@y", "c@y")
    assert said(script(ended(Result.DELIVERED, QUEUED, NO))) == [QUEUED, NO]
    script.message("b@y", "c@y", "d@y")
    script(EndOfData(4, None))
    assert said(script(Verdict("id", Answer(NO)))) == [NO] * 3
    script.message("b@y", "c@y")
    assert len(said(script(EndOfData(4, Defect.BARE_LF)))) == 2


@pytest.mark.parametrize("before", [0, 1, 2])
def test_session_client_gone_before_the_end_leaves_nothing(before: int) -> None:
    script = Script()
    steps = [lambda: None, script.envelope, script.message]
    steps[before]()
    commands = script(ClientGone())
    if before == 2:
        assert CloseSpool() in commands
        assert record(commands).end is End.CLIENT_GONE
        assert record(commands).reply is None
    else:
        assert commands == []
    assert not any(isinstance(command, Inspect | Reinject) for command in commands)
    assert script.session.closed


def test_session_client_gone_while_inspecting() -> None:
    script = Script()
    script.message()
    script(EndOfData(4, None))
    commands = script(ClientGone())
    assert commands[:2] == [CancelInspection(), CloseSpool()]
    assert record(commands).end is End.CLIENT_GONE
    assert script(Verdict("late", Deliver())) == []


def test_session_client_gone_while_delivering_waits_for_the_outcome() -> None:
    script = Script()
    script.judged()
    assert script(ClientGone()) == [AbandonReinjection()]
    assert not script.session.closed
    commands = script(ended(Result.DELIVERED, QUEUED))
    assert [type(command) for command in commands] == [CloseSpool, Record]
    assert record(commands).end is End.DELIVERED
    assert record(commands).reply is None
    assert script.session.closed


def test_session_silent_client_is_sent_away() -> None:
    script = Script()
    assert script(ClientSilent()) == [Close(words.TIMED_OUT)]
    assert script.session.closed
    script = Script()
    script.message()
    commands = script(ClientSilent())
    assert commands[0] == CloseSpool()
    assert commands[-1] == Close(words.TIMED_OUT)
    assert record(commands).end is End.CLIENT_GONE


def test_session_waiting_client_is_not_silent() -> None:
    script = Script()
    script.judged()
    assert script(ClientSilent()) == []


def test_session_stop_when_idle() -> None:
    script = Script()
    assert script(Stop()) == [Close(words.STOPPING)]


def test_session_stop_lets_the_transaction_end() -> None:
    script = Script()
    script.judged()
    assert script(Stop()) == []
    commands = script(ended(Result.DELIVERED, QUEUED))
    assert said(commands) == [QUEUED]
    assert commands[-1] == Close(words.STOPPING)
    assert script.session.closed


@pytest.mark.parametrize("event", [Reset(), Hello(True, "c"), Hello(False, "c")])
def test_session_stop_within_the_envelope(event: ServerEvent) -> None:
    script = Script()
    script.envelope()
    assert script(Stop()) == []
    assert script(event)[1:] == [Close(words.STOPPING)]
    assert script.session.closed


def test_session_quit_and_the_rest() -> None:
    script = Script()
    assert script(Noop(words.OK)) == [Say(words.OK)]
    assert script(Refused(NO)) == [Say(NO)]
    assert not script.session.closed
    assert script(Quit()) == [Say(words.BYE), Close()]
    assert script.session.closed
    script = Script()
    assert script(Refused(NO, fatal=True)) == [Say(NO), Close()]
    assert script.session.closed


def test_session_job_is_what_came_in() -> None:
    script = Script()
    reinject = script.judged()
    expected = Envelope(Path("a@x", b"<a@x>"), recipients=[Path("b@y", b"<b@y>")])
    assert reinject.job == Job(expected, frozenset())


THREE = ("a@y", "trap@y", "b@y")
TRAP = {1: words.OK}


@pytest.mark.parametrize("lmtp", [False, True])
def test_who_is_left_out_is_not_reinjected_and_hears_that_all_is_well(lmtp: bool) -> None:
    script = Script(lmtp)
    script.message(*THREE)
    script(EndOfData(4, None))
    (reinject,) = script(Verdict("id1", Deliver(b"", TRAP)))
    assert isinstance(reinject, Reinject)
    assert [path.address for path in reinject.job.envelope.recipients] == ["a@y", "b@y"]
    replies = (QUEUED, NO) if lmtp else (QUEUED,)
    commands = script(ended(Result.DELIVERED, *replies))
    assert said(commands) == ([QUEUED, words.OK, NO] if lmtp else [QUEUED])
    assert len(record(commands).envelope.recipients) == 3


@pytest.mark.parametrize("lmtp", [False, True])
def test_who_is_left_out_is_not_refused_either(lmtp: bool) -> None:
    script = Script(lmtp)
    script.message(*THREE)
    script(EndOfData(4, None))
    commands = script(Verdict("id1", Answer(NO, TRAP)))
    assert said(commands) == ([NO, words.OK, NO] if lmtp else [NO])


def test_the_next_mail_leaves_nobody_out() -> None:
    script = Script(lmtp=True)
    script.message(*THREE)
    script(EndOfData(4, None))
    script(Verdict("id1", Answer(NO, TRAP)))
    script.message(*THREE)
    script(EndOfData(4, None))
    assert said(script(InspectionFailed())) == [TROUBLE] * 3


def test_all_hear_that_a_mail_was_discarded() -> None:
    script = Script(lmtp=True)
    script.message("t@y", "u@y")
    script(EndOfData(4, None))
    assert said(script(Verdict("id1", Answer(words.OK)))) == [words.OK] * 2


def test_who_is_refused_is_never_passed_over_in_silence() -> None:
    script = Script()
    script.message("a@y", "b@y")
    script(EndOfData(4, None))
    with pytest.raises(RuntimeError):
        script(Verdict("id1", Deliver(b"", {0: NO})))


@pytest.mark.parametrize("lmtp", [False, True])
def test_recipients_apart_are_not_reinjected_and_hear_their_own_where_they_can(lmtp: bool) -> None:
    script = Script(lmtp)
    script.message("a@y", "b@y", "c@y")
    script(EndOfData(4, None))
    first = NO if lmtp else words.OK
    (reinject,) = script(Verdict("id1", Deliver(b"", {0: first, 2: words.OK})))
    assert isinstance(reinject, Reinject)
    assert [path.address for path in reinject.job.envelope.recipients] == ["b@y"]
    commands = script(ended(Result.DELIVERED, QUEUED))
    assert said(commands) == ([NO, QUEUED, words.OK] if lmtp else [QUEUED])


@pytest.mark.parametrize(
    ("result", "lmtp", "gone", "taken_back"),
    [
        (Result.DELIVERED, False, False, False),
        (Result.DELIVERED, False, True, False),
        (Result.FAILED, False, False, True),
        (Result.REFUSED, False, False, True),
        (Result.UNKNOWN, False, False, True),
        (Result.ABANDONED, False, True, True),
        # Who was quarantined has heard 250.
        (Result.FAILED, True, False, False),
        (Result.ABANDONED, True, True, True),
    ],
)
def test_what_was_kept_is_taken_back_if_the_client_keeps_it(
    result: Result, lmtp: bool, gone: bool, taken_back: bool
) -> None:
    script = Script(lmtp)
    script.message("a@y", "b@y")
    script(EndOfData(4, None))
    script(Verdict("id1", Deliver(b"", {0: words.OK}, "file.mail")))
    if gone:
        script(ClientGone())
    commands = script(ended(result, NO))
    assert (TakeBack("file.mail") in commands) is taken_back
    if not gone:
        script.message()
        script(EndOfData(4, None))
        script(Verdict("id2", Deliver()))
        assert TakeBack("file.mail") not in script(ended(Result.FAILED, NO))


def parted() -> Splits:
    """… of a mail of a@x whose recipients b@y and d@y need another answer than c@y."""
    splits = Splits(lambda: 0.0)
    paths = [Path(address, b"") for address in ("b@y", "c@y", "d@y")]
    splits.remember(Envelope(Path("a@x", b""), recipients=paths, size=10), {0: 2, 1: 5, 2: 2})
    return splits


def test_session_puts_off_those_that_do_not_go_with_the_first() -> None:
    script = Script(size_limit=10_000, splits=parted())
    script(Hello(True, "c"))
    script(mail(SIZE="10"))
    assert [said(script(rcpt(one))) for one in ("b@y", "c@y", "d@y")] == [
        [words.RECIPIENT_OK],
        [words.PUT_OFF],
        [words.RECIPIENT_OK],
    ]
    script(Data())
    (inspect,) = script(EndOfData(0, None))
    assert isinstance(inspect, Inspect)
    assert [path.address for path in inspect.envelope.recipients] == ["b@y", "d@y"]
    assert inspect.envelope.size == 10
    assert (words.PUT_OFF.code, words.PUT_OFF.status) == (452, "4.5.3")
    # A transaction begins anew, whichever way the one before ended.
    script(Verdict("id", Answer(NO)))
    script(mail(SIZE="10"))
    assert said(script(rcpt("c@y"))) == [words.RECIPIENT_OK]
    assert said(script(rcpt("b@y"))) == [words.PUT_OFF]
    script(Reset())
    script(mail(SIZE="5000"))
    assert said(script(rcpt("b@y"))) == said(script(rcpt("c@y"))) == [words.RECIPIENT_OK]
