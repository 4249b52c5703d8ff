"""The inspector with a scripted pool, clamd, policyd and quarantine."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from contentfilter.assessing import Assessment, Mail, StampFailed
from contentfilter.assessing import Name as PanelName
from contentfilter.clues import Clue
from contentfilter.disposition import Answer, Deliver, Disposition
from contentfilter.engines.seat import Name as EngineName
from contentfilter.envelope import Client, Envelope
from contentfilter.envelope import Path as MailPath
from contentfilter.inspector import RESERVE, Backends, MailInspector
from contentfilter.macros.allowlist import Allowlist
from contentfilter.macros.entry import entry_of
from contentfilter.macros.file import change
from contentfilter.metrics import Metrics
from contentfilter.origin import TICKET_TIMEOUT, ticket_id
from contentfilter.panel import Panel
from contentfilter.recall import Recall
from contentfilter.received import Hop
from contentfilter.recipients import LEFT_OUT
from contentfilter.results import ScanFailed, ScanResult
from contentfilter.spool import Spool
from contentfilter.verdict import Verdict
from mailbase.config import ListenerSettings, Settings, loads
from mailbase.control import ControlError
from mailbase.evidence import Evidence
from mailbase.ids import is_id
from mailbase.logs import Log
from mailbase.registry import load_registry
from mailbase.report import Report
from mailbase.spamtraps import Spamtraps
from mailbase.vocabulary import Action, Finding, Flow, Unscanned

ID = "0123456789abc"
MACRO = Finding("office-macro", "2/a.docm")
VIRUS = Finding("virus", "", "Eicar")
LISTENER = ListenerSettings(listen="127.0.0.1:10024", reinject="127.0.0.1:10025")
AFTER_QUEUE = LISTENER.model_copy(update={"flow": Flow.SUBMISSION})
TICKETED = b"X-Postwarden-Id: " + ID.encode() + b"\r\nReceived: from x\r\nSubject: hi\r\n\r\nbody\r\n"
REGISTRY = """
default_server: mail.inst.example
upstreams: [198.51.100.0/24]
servers:
  mail.inst.example:
    addresses: [192.0.2.25]
    systems: [192.0.2.0/24]
    domains:
      inst.example:
      lax.example: {actions: {office-macro: accept}, unscanned: {failed: accept}}
      open.example: {protection: false}
"""


@dataclass
class FakePool:
    result: Any = field(default_factory=ScanResult)
    asked: list[tuple[int, float | None]] = field(default_factory=list)
    answer: Deferred[Any] | None = None
    given: Any = None
    dotted: list[bool] = field(default_factory=list)

    async def scan(
        self,
        message: int | bytes,
        wire_size: int,
        timeout: float | None = None,
        given: Any = None,
        dotted: bool = True,
    ) -> Any:
        if isinstance(message, int):
            os.close(message)
        self.given = given
        self.dotted.append(dotted)
        self.asked.append((wire_size, timeout))
        return self.result if self.answer is None else await self.answer


@dataclass
class FakeClamd:
    result: Any = field(default_factory=ScanResult)
    answer: Deferred[Any] | None = None
    name: EngineName = "clamd"

    async def scan(self, message: Spool, timeout: float | None = None) -> Any:
        return self.result if self.answer is None else await self.answer


@dataclass
class FakePolicyd:
    answer: Any = None
    asked: list[Any] = field(default_factory=list)

    async def request(self, verb: str, arguments: dict[str, Any], timeout: float) -> dict[str, Any]:
        self.asked.append((verb, arguments, timeout))
        if self.answer is None:
            raise ControlError("not reachable")
        return {"ok": True, **self.answer}


@dataclass
class FakeQuarantine:
    problem: OSError | None = None
    kept: list[Verdict] = field(default_factory=list)
    kept_for: list[tuple[Verdict, Envelope]] = field(default_factory=list)
    taken_back: list[str] = field(default_factory=list)

    def take_back(self, name: str) -> None:
        self.taken_back.append(name)

    async def keep(
        self, verdict: Verdict, envelope: Envelope, message: object, now: float, reinject: str
    ) -> Path:
        assert reinject == LISTENER.reinject
        if self.problem is not None:
            raise self.problem
        self.kept.append(verdict)
        self.kept_for.append((verdict, envelope))
        return Path("/quarantine/file")


class Scene:
    def __init__(
        self,
        tmp_path: Path,
        *,
        clamd: FakeClamd | None = None,
        configuration: str = "",
        registry: str = REGISTRY,
    ) -> None:
        (tmp_path / "registry.yaml").write_text(registry)
        text = "identity: {hostname: mx.example.org, contact: 'https://help.example'}\n"
        loaded = loads(text + configuration)
        self.settings = loaded.with_registry(load_registry(tmp_path / "registry.yaml"))
        self.clock = Clock()
        self.output = io.StringIO()
        self.reports: list[Report] = []
        self.looked: list[Any] = []
        self.found: tuple[Hop | None, Evidence | None] = (None, None)
        self.ident = ""
        self.registry = CollectorRegistry()
        self.pool, self.policyd, self.quarantine = FakePool(), FakePolicyd(), FakeQuarantine()
        self.backends = Backends(
            self.settings,
            self.pool,  # type: ignore[arg-type]
            [clamd] if clamd is not None else [],
            self.policyd,
            self.quarantine,  # type: ignore[arg-type]
            self,
            self,
        )
        log = Log("test", stream=self.output)
        self.inspector = MailInspector(
            self.clock,
            self.backends,
            log,
            metrics := Metrics(self.registry),
            lambda: 1795312800.0,
            recall=Recall(self.clock.seconds, 3600.0, metrics),
        )
        self.folder = tmp_path
        self.spool = Spool(tmp_path, 1 << 20)

    async def look(
        self, settings: Settings, envelope: Envelope, head: bytes, ticket_id: str, patience: float
    ) -> tuple[Hop | None, Evidence | None]:
        """See :class:`contentfilter.inspector.Investigator`."""
        self.looked.append((head, ticket_id, patience))
        return self.found

    def report(self, report: Report) -> None:
        """See :class:`contentfilter.inspector.Reporter`."""
        self.reports.append(report)

    def start(
        self,
        wire: bytes = b"Subject: hi\r\n\r\nbody\r\n",
        client: str = "203.0.113.9",
        listener: ListenerSettings = LISTENER,
        deadline: float = 75.0,
        recipients: tuple[str, ...] = ("r@inst.example",),
        lmtp: bool = False,
        inseparable: bool = False,
    ) -> Deferred[tuple[str, Disposition]]:
        self.spool = Spool(self.folder, 1 << 20)
        self.spool.write(wire)
        envelope = Envelope(
            MailPath("Sender@x.example", b"<Sender@x.example>"),
            Client("c.example", client, ident=self.ident),
            [],
            [MailPath(address, f"<{address}>".encode()) for address in recipients],
            lmtp=lmtp,
            inseparable=inseparable,
        )
        return Deferred.fromCoroutine(self.inspector.inspect(envelope, self.spool, listener, deadline))

    def inspect(self, *args: Any, **kwargs: Any) -> tuple[str, Disposition]:
        results: list[Any] = []
        self.start(*args, **kwargs).addBoth(results.append)
        (result,) = results
        assert isinstance(result, tuple), result
        return result

    def count(self, name: str, /, **labels: str) -> float:
        value = self.registry.get_sample_value(name, labels)
        assert value is not None, name
        return value


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


def reply(disposition: Disposition) -> tuple[int, str]:
    assert isinstance(disposition, Answer)
    return disposition.reply.code, disposition.reply.status


def test_clean_mail_is_delivered_with_its_decision_on_top(scene):
    decision, disposition = scene.inspect()
    assert is_id(decision)
    assert disposition == Deliver(
        f"X-Postwarden-Decision: {decision} accept flow=inbound\r\n".encode()
        + b"X-Postwarden-Flag: NO\r\nX-Postwarden-Score: 0\r\n"
    )
    assert scene.pool.asked == [(21, 75.0 - RESERVE)]
    assert scene.policyd.asked == []
    assert scene.count("contentfilter_messages_total", flow="inbound", action="accept") == 1
    assert scene.count("contentfilter_message_bytes_total") == 21


def test_a_macro_is_refused_with_name_contact_and_id(scene):
    scene.pool.result = ScanResult((MACRO,), (Unscanned("3", "encrypted"),), 5)
    decision, disposition = scene.inspect()
    assert reply(disposition) == (554, "5.7.1")
    text = disposition.reply.text
    assert '"a.docm"' in text
    assert text.endswith(f"https://help.example [{decision}]")
    assert scene.count("contentfilter_findings_total", name="office-macro") == 1
    assert scene.count("contentfilter_unscanned_total", reason="encrypted") == 1
    assert scene.count("contentfilter_parts_total") == 5
    line = scene.output.getvalue()
    for item in (
        f"id={decision}",
        "action=reject",
        "cause=office-macro:2/a.docm",
        "flow=inbound",
        "recipients=1",
    ):
        assert item in line
    assert "seconds_workers=" in line


def test_the_same_mail_is_given_to_the_workers_once(scene):
    scene.pool.result = ScanResult((MACRO,), (), 5)
    for trace in (b"Received: from a\r\n", b"Received: from b\r\n"):
        _, disposition = scene.inspect(trace + b"Subject: hi\r\n\r\nbody\r\n")
        assert reply(disposition) == (554, "5.7.1")
    assert len(scene.pool.asked) == 1
    assert scene.count("contentfilter_findings_total", name="office-macro") == 2
    assert scene.count("contentfilter_parts_total") == 5
    assert scene.count("contentfilter_scans_recalled_total", what="result") == 1


def test_the_workers_are_told_whether_dots_were_stuffed(scene):
    for wire in (b"Subject: hi\r\n\r\na.b\r\n", b"Subject: hi\r\n\r\n..b\r\n", b".a: hi\r\n\r\nb\r\n"):
        scene.inspect(wire)
    assert scene.pool.dotted == [False, True, True]


def test_a_mail_that_ended_a_worker_is_answered_without_another_one(scene):
    scene.pool.result = ScanFailed("workers", "crashed", "worker ended: SIGSEGV")
    for _ in range(3):
        _, disposition = scene.inspect()
        assert reply(disposition) == (451, "4.3.0")
    assert len(scene.pool.asked) == 1
    assert scene.count("contentfilter_scans_recalled_total", what="failure") == 2
    assert "not tried again: worker ended: SIGSEGV" in scene.output.getvalue()


def test_the_time_of_every_stage_is_told(tmp_path):
    scene = Scene(tmp_path, clamd=FakeClamd(answer=Deferred()))
    scene.pool.answer = Deferred()
    scene.start(TICKETED)
    scene.clock.advance(3.0)
    scene.pool.answer.callback(ScanResult(seconds=1.0))
    scene.clock.advance(2.0)
    scene.backends.engines[0].answer.callback(ScanResult())  # type: ignore[attr-defined]
    line = scene.output.getvalue()
    for told in (
        "seconds_wait=2",
        "seconds_workers=3",
        "seconds_clamd=5",
        "seconds_total=5",
        "seconds_ticket=0",
    ):
        assert told in line
    for stage, seconds in {"wait": 2, "workers": 3, "clamd": 5, "total": 5, "ticket": 0}.items():
        assert scene.count("contentfilter_scan_seconds_sum", stage=stage) == seconds
        assert scene.count("contentfilter_scan_seconds_count", stage=stage) == 1
    assert scene.count("contentfilter_engine_scans_total", engine="clamd", result="clean") == 1


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (ScanResult((VIRUS,)), "found"),
        (ScanResult(unscanned=(Unscanned("", "too-large"),)), "unscanned"),
        (ScanFailed("clamd", "unavailable"), "failed"),
    ],
)
def test_what_an_engine_says_is_counted(tmp_path, result, said):
    scene = Scene(tmp_path, clamd=FakeClamd(result))
    scene.inspect()
    assert scene.count("contentfilter_engine_scans_total", engine="clamd", result=said) == 1


def test_policyd_is_asked_about_the_topmost_line_and_its_answer_rules(scene):
    scene.policyd.answer = {"found": True, "flow": "submission", "user": "anna"}
    decision, disposition = scene.inspect(TICKETED)
    assert scene.policyd.asked == [
        ("ticket", {"id": ID, "client": "203.0.113.9", "sender": "Sender@x.example"}, TICKET_TIMEOUT)
    ]
    assert decision == ID
    assert isinstance(disposition, Deliver)
    assert b"flow=submission" in disposition.header
    assert "user=anna" in scene.output.getvalue()
    assert scene.count("contentfilter_tickets_total", result="found") == 1


def test_policyd_is_told_what_became_of_a_mail_with_a_ticket(scene):
    scene.policyd.answer = {"found": True, "flow": "inbound"}
    scene.pool.result = ScanResult((MACRO, MACRO, VIRUS))
    scene.inspect(TICKETED)
    (report,) = scene.reports
    assert replace(report, reply="", content=None) == Report(
        ID, "203.0.113.9", "Sender@x.example", Action.REJECT, ("office-macro", "virus"), len(TICKETED)
    )
    assert report.reply.startswith('554 5.7.1 The attachment "a.docm"')
    assert report.content is not None
    assert report.content["cause"] == "office-macro:2/a.docm"
    assert [fact["name"] for fact in report.content["facts"]] == ["office-macro", "office-macro", "virus"]
    assert scene.inspector.recent.get(ID, None) is not None


def test_without_a_ticket_there_is_nothing_to_tell(scene):
    scene.pool.result = ScanResult((MACRO,))
    scene.inspect()
    assert scene.reports == []


LOOKING = (
    "flows: {inbound: {tag_at: 4, checks: {helo: true}},"
    " upstream: {tag_at: 4, quarantine_at: 8, checks: true}}"
)
RELAY = "198.51.100.7"
CLIENT = Hop(b"\xc0\x00\x02\x63", "helo.example")


@pytest.mark.parametrize(
    ("points", "action"), [(3.9, "accept"), (4, "tag"), (7.5, "tag"), (8, "quarantine"), (99, "quarantine")]
)
def test_mail_of_an_upstream_is_judged_by_its_client(tmp_path, points, action):
    scene = Scene(tmp_path, configuration=LOOKING)
    scene.policyd.answer = {"found": True, "flow": "upstream", "points": 100}
    scene.found = (CLIENT, Evidence(points, ("helo.not-fqdn:1.5", "fcrdns.no-ptr:2")))
    _, disposition = scene.inspect(TICKETED, client=RELAY)
    assert scene.looked == [(TICKETED, ID, 75.0 - RESERVE)]
    assert scene.count("contentfilter_messages_total", flow="upstream", action=action) == 1
    assert scene.reports[0].origin == "192.0.2.99"
    told = ("helo.not-fqdn:1.5", "fcrdns.no-ptr:2")
    assert scene.reports[0].findings == (told if action == "accept" else ("points", *told))
    line = scene.output.getvalue()
    assert f"points={points} facts=helo.not-fqdn:1.5,fcrdns.no-ptr:2 address=192.0.2.99" in line
    if action == "quarantine":
        assert reply(disposition) == (250, "2.0.0")
        assert scene.quarantine.kept[0].cause.name == "points"
        assert scene.quarantine.kept[0].facts == (scene.quarantine.kept[0].cause,)
    else:
        rest = f"policyd {points - 3.5:g}, " if points - 3.5 > 2 else ""
        last = "" if rest else f", policyd {points - 3.5:g}"
        expected = (
            f"Score: {points:g}\r\nX-Postwarden-Report: {rest}fcrdns.no-ptr 2, helo.not-fqdn 1.5{last}\r\n"
        )
        assert expected.encode() in disposition.header
        assert (b"X-Postwarden-Flag: YES\r\n" in disposition.header) is (action == "tag")
    counted = scene.count("contentfilter_by_points_total", flow="upstream", action="tag")
    assert counted == (action == "tag")
    assert scene.count("contentfilter_by_points_total", flow="upstream", action="quarantine") == (
        action == "quarantine"
    )


def test_without_a_ticket_the_upstream_is_known_by_its_address(tmp_path):
    scene = Scene(tmp_path, configuration=LOOKING)
    scene.found = (CLIENT, Evidence(8.0, ("x.y:8",)))
    scene.inspect(client=RELAY)
    assert len(scene.looked) == len(scene.quarantine.kept) == 1


@pytest.mark.parametrize("found", [(None, None), (CLIENT, None)])
def test_what_cannot_be_told_changes_nothing(tmp_path, found):
    scene = Scene(tmp_path, configuration=LOOKING)
    scene.found = found
    _, disposition = scene.inspect(client=RELAY)
    assert isinstance(disposition, Deliver)
    assert b" accept flow=upstream" in disposition.header


def test_other_mail_is_not_looked_at_again_but_tagged_by_its_tickets_points(tmp_path):
    scene = Scene(tmp_path, configuration=LOOKING)
    scene.policyd.answer = {
        "found": True,
        "flow": "inbound",
        "points": 5,
        "findings": [{"name": "helo.not-fqdn"}],
        "facts": ["helo.not-fqdn:5"],
    }
    _, disposition = scene.inspect(TICKETED)
    assert scene.looked == []
    assert isinstance(disposition, Deliver)
    assert (
        b"-Flag: YES\r\nX-Postwarden-Score: 5\r\nX-Postwarden-Report: helo.not-fqdn 5\r\n"
        in disposition.header
    )
    scene.policyd.answer |= {"points": 3.9, "facts": ["helo.not-fqdn:3.9"]}
    _, disposition = scene.inspect(TICKETED)
    assert (
        b"-Flag: NO\r\nX-Postwarden-Score: 3.9\r\nX-Postwarden-Report: helo.not-fqdn 3.9\r\n"
        in disposition.header
    )


def test_with_every_check_off_nobody_is_looked_at(scene):
    scene.found = (CLIENT, Evidence(99.0, ("x.y:99",)))
    _, disposition = scene.inspect(client=RELAY)
    assert scene.looked == []
    assert isinstance(disposition, Deliver)


@pytest.mark.parametrize(
    ("recipients", "action"),
    [
        (("Abuse+x@inst.example",), "accept"),
        (("abuse@inst.example", "postmaster@inst.example"), "accept"),
    ],
)
def test_complaints_get_through(tmp_path, recipients, action):
    scene = Scene(tmp_path, configuration=LOOKING)
    scene.found = (CLIENT, Evidence(99.0, ("x.y:99",)))
    _, disposition = scene.inspect(client=RELAY, recipients=recipients)
    assert isinstance(disposition, Deliver)
    assert f" {action} flow=upstream".encode() in disposition.header


def test_content_that_is_worse_decides(tmp_path):
    scene = Scene(tmp_path, configuration=LOOKING)
    scene.found = (CLIENT, Evidence(4.0, ("x.y:4",)))
    scene.pool.result = ScanResult((MACRO,))
    scene.inspect(client=RELAY)
    assert scene.quarantine.kept[0].cause == MACRO


TRAPPED = {"found": True, "flow": "inbound", "spamtraps": ["Trap@inst.example"]}
BOTH = ("trap@inst.example", "r@inst.example")


def test_a_spamtrap_is_left_out_and_the_others_get_their_mail(scene):
    scene.policyd.answer = TRAPPED
    _, disposition = scene.inspect(TICKETED, recipients=BOTH)
    assert isinstance(disposition, Deliver)
    assert disposition.apart == {0: LEFT_OUT}
    assert scene.count("contentfilter_spamtrap_recipients_total") == 1
    assert " recipients=2 spamtraps=1 " in scene.output.getvalue()
    assert scene.reports[0].action is Action.ACCEPT


@pytest.mark.parametrize("result", [ScanResult(), ScanResult((MACRO,)), ScanFailed("workers", "overload")])
def test_mail_to_spamtraps_alone_is_discarded_whatever_it_holds(scene, result):
    scene.policyd.answer = TRAPPED
    scene.pool.result = result
    decision, disposition = scene.inspect(TICKETED, recipients=("<TRAP@inst.example>", '"trap"@inst.example'))
    assert reply(disposition) == (250, "2.0.0")
    assert disposition.reply.text == f"Ok [{decision}]"
    assert scene.count("contentfilter_messages_total", flow="inbound", action="discard") == 1
    assert scene.reports[0].action is Action.DISCARD
    assert "action=discard" in scene.output.getvalue()


def test_refused_and_quarantined_mail_leaves_spamtraps_out(scene):
    scene.policyd.answer = TRAPPED
    scene.pool.result = ScanResult((MACRO,))
    _, disposition = scene.inspect(TICKETED, recipients=BOTH)
    assert reply(disposition) == (554, "5.7.1")
    assert disposition.apart == {0: LEFT_OUT}
    scene.policyd.answer = {**TRAPPED, "flow": "upstream"}
    scene.inspect(TICKETED, recipients=BOTH)
    ((_, envelope),) = scene.quarantine.kept_for
    assert [path.address for path in envelope.recipients] == ["r@inst.example"]


def test_without_policyd_the_configuration_tells(scene):
    scene.backends.traps = Spamtraps(["trap@inst.example"])
    _, disposition = scene.inspect(recipients=BOTH)
    assert disposition.apart == {0: LEFT_OUT}
    _, disposition = scene.inspect(recipients=("trap+1@inst.example",))
    assert reply(disposition) == (250, "2.0.0")


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (None, "unavailable"),
        ({"found": False}, "unknown"),
        ({}, "unknown"),
        ({"found": "yes"}, "unknown"),
        ({"found": True}, "unavailable"),
        ({"found": True, "flow": "everything"}, "unavailable"),
        ({"found": True, "flow": "upstream", "id": "1" * 13}, "unknown"),
    ],
)
def test_without_an_answer_the_mail_goes_on_by_what_we_know(scene, answer, result):
    scene.policyd.answer = answer
    decision, disposition = scene.inspect(TICKETED)
    assert decision != ID
    assert isinstance(disposition, Deliver)
    assert b"flow=inbound" in disposition.header
    assert scene.count("contentfilter_tickets_total", result=result) == 1


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (TICKETED, ID),
        (b"x-postwarden-id:" + ID.encode() + b"\r\n", ID),
        (b"A: b\r\nX-Postwarden-Id: " + ID.encode() + b"\r\nX-Postwarden-Id: 1111111111111\r\n\r\n", ID),
        (b"Subject: x\r\n\r\nX-Postwarden-Id: " + ID.encode() + b"\r\n", ""),
        (b"X-Postwarden-Id: " + ID.upper().encode() + b"\r\n", ID),
        (b"X-Postwarden-Id: " + b"z" * 13 + b"\r\n", ""),
        (b"X-Postwarden-Id: " + ID.encode() + b" more\r\n", ""),
        (b"NotX-Postwarden-Id: " + ID.encode() + b"\r\n", ""),
        (b"", ""),
    ],
)
def test_the_ticket_line(head, expected):
    assert ticket_id(head) == expected


@pytest.mark.parametrize(
    ("client", "listener", "flow"),
    [
        ("203.0.113.9", LISTENER, "inbound"),
        ("198.51.100.7", LISTENER, "upstream"),
        ("192.0.2.77", LISTENER, "outbound"),
        ("::ffff:198.51.100.7", LISTENER, "upstream"),
        ("203.0.113.9", AFTER_QUEUE, "submission"),
        ("198.51.100.7", AFTER_QUEUE, "upstream"),
        ("", LISTENER, "inbound"),
        ("garbage", AFTER_QUEUE, "submission"),
    ],
)
def test_the_flow_without_a_ticket(scene, client, listener, flow):
    _decision, disposition = scene.inspect(client=client, listener=listener)
    assert isinstance(disposition, Deliver)
    assert f"flow={flow}".encode() in disposition.header


def test_an_upstream_is_never_refused_but_its_mail_quarantined(scene):
    scene.pool.result = ScanResult((MACRO,))
    decision, disposition = scene.inspect(client="198.51.100.7")
    assert reply(disposition) == (250, "2.0.0")
    (kept,) = scene.quarantine.kept
    assert (kept.id, kept.cause) == (decision, MACRO)
    assert scene.count("contentfilter_messages_total", flow="upstream", action="quarantine") == 1


def test_a_full_disk_leaves_the_mail_with_the_client(scene):
    scene.pool.result = ScanResult((MACRO,))
    scene.quarantine.problem = OSError(28, "No space left on device")
    _decision, disposition = scene.inspect(client="198.51.100.7")
    assert reply(disposition) == (451, "4.3.0")
    assert scene.count("contentfilter_quarantine_failures_total") == 1
    assert scene.count("contentfilter_messages_total", flow="upstream", action="defer") == 1
    assert scene.count("contentfilter_messages_total", flow="upstream", action="quarantine") == 0


@pytest.mark.parametrize(("reason", "status"), [("crashed", "4.3.0"), ("overload", "4.3.2")])
def test_a_scanner_that_fails_makes_the_mail_wait(scene, reason, status):
    scene.pool.result = ScanFailed("workers", reason)
    _decision, disposition = scene.inspect()
    assert reply(disposition) == (451, status)
    assert scene.count("contentfilter_scanner_failures_total", scanner="workers", reason=reason) == 1


def test_scanners_run_side_by_side_and_order_of_finishing_does_not_matter(tmp_path):
    texts = []
    for first in ("pool", "clamd"):
        clamd = FakeClamd(answer=Deferred())
        scene = Scene(tmp_path, clamd=clamd)
        scene.pool.answer = Deferred()
        results: list[Any] = []
        scene.start().addBoth(results.append)
        assert not results
        order = [(scene.pool.answer, ScanResult((MACRO,))), (clamd.answer, ScanResult((VIRUS,)))]
        for answer, result in order if first == "pool" else reversed(order):
            assert answer is not None
            answer.callback(result)
        texts.append(results[0][1].reply.text[:30])
    assert texts[0] == texts[1] == 'The attachment "a.docm" contai'


def test_clamd_alone_failing_is_no_pass(tmp_path):
    scene = Scene(tmp_path, clamd=FakeClamd(ScanFailed("clamd", "unavailable")))
    _decision, disposition = scene.inspect()
    assert reply(disposition) == (451, "4.3.0")


def test_when_nobody_waits_all_is_given_up(tmp_path):
    clamd = FakeClamd(answer=Deferred())
    scene = Scene(tmp_path, clamd=clamd)
    scene.pool.answer = Deferred()
    inspection = scene.start()
    inspection.cancel()
    inspection.addErrback(lambda failure: failure.trap(CancelledError) and None)
    assert scene.pool.answer.called
    assert clamd.answer is not None
    assert clamd.answer.called
    assert scene.output.getvalue() == ""


def test_our_own_mistake_is_raised_not_passed(tmp_path):
    scene = Scene(tmp_path, clamd=FakeClamd(answer=Deferred()))
    scene.pool.answer = Deferred()
    failures: list[Any] = []
    scene.start().addErrback(failures.append)
    scene.pool.answer.errback(ZeroDivisionError())
    assert failures[0].check(ZeroDivisionError)
    assert scene.backends.engines[0].answer.called  # type: ignore[attr-defined]


def test_every_label_starts_at_zero(scene):
    for flow in Flow:
        for action in Action:
            assert scene.count("contentfilter_messages_total", flow=flow, action=action) == 0
    assert scene.count("contentfilter_findings_total", name="pdf-encrypted") == 0
    assert scene.count("contentfilter_scanner_failures_total", scanner="clamd", reason="unavailable") == 0
    assert scene.count("contentfilter_workers_ended_total", fate="crashed") == 0


def test_an_allowed_macro_is_told_and_not_acted_on(scene, tmp_path):
    digest = "0" * 40
    macro = Finding("office-macro", "2/a.docm", "VBA in x", digest)
    scene.pool.result = ScanResult((macro,))
    path = tmp_path / "allowed"
    change(path, lambda _old: [entry_of(digest, "inst.example")])
    scene.backends.allowed = Allowlist(path, Log("test", stream=scene.output), lambda: 1795312800.0)
    _decision, disposition = scene.inspect()
    assert isinstance(disposition, Deliver)
    assert scene.count("contentfilter_findings_total", name="office-macro-allowed") == 1
    assert f"office-macro-allowed:2/a.docm(VBA in x)#{digest}" in scene.output.getvalue()
    both = ("r@inst.example", "r@other.example")
    assert reply(scene.inspect(recipients=both)[1]) == (451, "4.5.3")
    _decision, disposition = scene.inspect(recipients=both, lmtp=True)
    assert codes(disposition) == {1: 554}
    assert f"office-macro:2/a.docm(VBA in x)#{digest}" in scene.output.getvalue()


MIXED = ("r@inst.example", "l@lax.example", "abuse@inst.example", "o@open.example", "trap@inst.example")


def codes(disposition: Disposition) -> dict[int, int]:
    return {place: reply.code for place, reply in disposition.apart.items()}


def test_on_lmtp_each_recipient_has_its_own_answer(scene):
    scene.backends.traps = Spamtraps(["trap@inst.example"])
    scene.pool.result = ScanResult((MACRO,))
    decision, disposition = scene.inspect(recipients=MIXED, lmtp=True)
    assert isinstance(disposition, Deliver)
    assert codes(disposition) == {0: 554, 2: 250, 4: 250}
    assert disposition.header.startswith(
        f"X-Postwarden-Decision: {decision} accept flow=inbound\r\n".encode()
    )
    ((verdict, envelope),) = scene.quarantine.kept_for
    assert [path.address for path in envelope.recipients] == ["abuse@inst.example"]
    assert (verdict.action, verdict.cause) == (Action.QUARANTINE, MACRO)
    assert disposition.kept == "file"
    line = scene.output.getvalue()
    assert "action=reject cause=office-macro" in line
    assert "actions=reject:1,quarantine:1,accept:1,accept:1 unprotected=1" in line
    for action, count in (("reject", 1), ("quarantine", 1), ("accept", 2)):
        assert scene.count("contentfilter_recipients_total", flow="inbound", action=action) == count
    assert scene.count("contentfilter_unprotected_recipients_total") == 1
    assert scene.count("contentfilter_messages_total", flow="inbound", action="reject") == 1
    assert scene.count("contentfilter_findings_total", name="office-macro") == 1


@pytest.mark.parametrize(
    ("recipients", "action"),
    [(MIXED[:2], Action.ACCEPT), (MIXED[:1], Action.REJECT), ((MIXED[0], MIXED[2]), Action.QUARANTINE)],
)
def test_what_anybody_gets_is_not_reported_as_refused(scene, recipients, action):
    """Else a recipient who refuses would give a hijacked account back what the others cost its limits."""
    scene.policyd.answer = {"found": True, "flow": "inbound"}
    scene.pool.result = ScanResult((MACRO,))
    scene.inspect(TICKETED, recipients=recipients, lmtp=True)
    assert scene.reports[0].action is action


def test_on_lmtp_a_quarantine_that_fails_makes_its_recipients_wait_alone(scene):
    scene.quarantine.problem = OSError(28, "No space left on device")
    scene.pool.result = ScanResult((MACRO,))
    _, disposition = scene.inspect(recipients=MIXED[:3], lmtp=True)
    assert isinstance(disposition, Deliver)
    assert (codes(disposition), disposition.kept) == ({0: 554, 2: 451}, "")


def test_on_smtp_answers_that_differ_make_the_client_come_again(scene):
    scene.policyd.answer = {"found": True, "flow": "inbound"}
    scene.pool.result = ScanResult((MACRO,))
    decision, disposition = scene.inspect(TICKETED, recipients=MIXED[:2])
    assert reply(disposition) == (451, "4.5.3")
    assert disposition.reply.text.endswith(f"[{decision}]")
    assert scene.reports[0].action is Action.DEFER
    assert scene.count("contentfilter_messages_total", flow="inbound", action="defer") == 1
    splits = scene.inspector._splits
    assert splits.recipients == 2
    # Nobody is quarantined before he has come by himself.
    scene.inspect(TICKETED, recipients=MIXED[:3])
    assert scene.quarantine.kept == []
    _, disposition = scene.inspect(TICKETED, recipients=MIXED[1:3])
    assert isinstance(disposition, Deliver)
    assert codes(disposition) == {1: 250}
    _, disposition = scene.inspect(TICKETED, recipients=MIXED[:1])
    assert reply(disposition) == (554, "5.7.1")
    assert len(splits) == 0


def test_while_they_wait_they_are_remembered(scene):
    scene.pool.result = ScanResult((MACRO,))
    scene.inspect(recipients=MIXED[:2])
    scene.pool.result = ScanFailed("workers", "overload")
    _, disposition = scene.inspect(b"Subject: hi\r\n\r\nchanged\r\n", recipients=MIXED[:1])
    assert reply(disposition) == (451, "4.3.2")
    assert scene.inspector._splits.recipients == 2


@pytest.mark.parametrize(("reason", "status", "count"), [("overload", "4.3.2", 0), ("crashed", "4.5.3", 1)])
def test_nobody_comes_apart_for_having_come_when_there_was_too_much_to_do(scene, reason, status, count):
    scene.pool.result = ScanFailed("workers", reason)
    _, disposition = scene.inspect(recipients=("a@inst.example", "b@open.example"))
    assert reply(disposition) == (451, status)
    assert len(scene.inspector._splits) == count


def test_on_smtp_delivered_and_quarantined_are_one_answer(scene):
    scene.pool.result = ScanResult((MACRO,))
    _, disposition = scene.inspect(recipients=MIXED[1:3])
    assert isinstance(disposition, Deliver)
    assert codes(disposition) == {1: 250}
    assert disposition.kept == "file"
    scene.inspector.take_back("file")
    assert scene.quarantine.taken_back == ["file"]


def test_on_smtp_a_quarantine_that_fails_makes_all_wait_and_delivers_nothing(scene):
    scene.quarantine.problem = OSError(28, "No space left on device")
    scene.pool.result = ScanResult((MACRO,))
    _, disposition = scene.inspect(recipients=MIXED[1:3])
    assert reply(disposition) == (451, "4.3.0")
    assert len(scene.inspector._splits) == 0
    assert scene.count("contentfilter_quarantine_failures_total") == 1


def test_who_cannot_come_again_for_some_is_refused_nothing(scene):
    scene.pool.result = ScanResult((MACRO,))
    _, disposition = scene.inspect(recipients=MIXED[:2], inseparable=True)
    assert isinstance(disposition, Deliver)
    assert codes(disposition) == {0: 250}
    ((_, envelope),) = scene.quarantine.kept_for
    assert [path.address for path in envelope.recipients] == ["r@inst.example"]


@pytest.mark.parametrize("lmtp", [False, True])
def test_an_upstreams_recipients_are_delivered_or_quarantined_each_on_its_own(scene, lmtp):
    scene.pool.result = ScanResult((MACRO,))
    _, disposition = scene.inspect(recipients=MIXED[:2], client="198.51.100.7", lmtp=lmtp)
    assert isinstance(disposition, Deliver)
    assert codes(disposition) == {0: 250}
    ((_, envelope),) = scene.quarantine.kept_for
    assert [path.address for path in envelope.recipients] == ["r@inst.example"]
    assert len(scene.inspector._splits) == 0


def test_an_upstream_is_never_told_to_come_again_for_some(scene):
    scene.pool.result = ScanFailed("workers", "crashed")
    _, disposition = scene.inspect(recipients=MIXED[:2], client="198.51.100.7")
    assert reply(disposition) == (451, "4.3.0")
    assert len(scene.inspector._splits) == 0


def test_points_hold_back_those_they_count_for(tmp_path):
    scene = Scene(tmp_path, configuration=LOOKING)
    scene.found = (CLIENT, Evidence(99.0, ("x.y:99",)))
    _, disposition = scene.inspect(client=RELAY, recipients=("abuse@inst.example", "r@inst.example"))
    assert isinstance(disposition, Deliver)
    assert b" accept flow=upstream" in disposition.header
    assert codes(disposition) == {1: 250}


def test_a_reload_changes_the_policy_of_a_domain(scene, tmp_path):
    scene.pool.result = ScanResult((MACRO,))
    assert isinstance(scene.inspect(recipients=("l@lax.example",))[1], Deliver)
    (tmp_path / "registry.yaml").write_text(REGISTRY.replace("accept}, unscanned", "tag}, unscanned"))
    settings = scene.settings.with_registry(load_registry(tmp_path / "registry.yaml"))
    scene.inspector.backends = replace(scene.backends, settings=settings)
    _, disposition = scene.inspect(recipients=("l@lax.example",))
    assert b"X-Postwarden-Findings: office-macro" in disposition.header


class Panelist:
    """One of the panel: an assessor, a preparer and a stamper in one."""

    name: PanelName = "urls"

    def __init__(self, said: Any = None) -> None:
        self.said = said
        self.mails: list[Mail] = []

    async def assess(self, mail: Mail) -> Assessment:
        self.mails.append(mail)
        return Assessment(self.said)

    async def prepare(self, head: bytes, flow: Any) -> dict[str, Any]:
        return {"head": len(head)}

    async def stamp(self, mail: Mail, shares: Any) -> bytes:
        self.mails.append(mail)
        if isinstance(self.said, Exception):
            raise self.said
        return b"X-Stamp: 1\r\n"


@pytest.fixture
def with_panel(tmp_path):
    scene = Scene(tmp_path, configuration="flows: {inbound: {tag_at: 5, checks: true}}\n")
    metrics = Metrics(CollectorRegistry())
    scene.backends.panel = Panel(scene.clock, Log("test", stream=scene.output), metrics)
    return scene


def test_what_is_found_before_the_scan_goes_to_the_workers(with_panel):
    with_panel.backends.panel.preparers = [Panelist()]
    with_panel.inspect()
    assert with_panel.pool.given == {"urls": {"head": 21}}


class Asking(Panelist):
    """Prepares nothing for mail of registered systems; hears of the flow from the ticket."""

    def __init__(self) -> None:
        super().__init__()
        self.flows: list[Any] = []

    async def prepare(self, head: bytes, flow: Any) -> dict[str, Any]:
        self.flows.append(await flow.get())
        return {} if self.flows[-1] is Flow.OUTBOUND else {"head": len(head)}


def test_who_prepares_hears_of_the_flow_when_policyd_has_told_it(with_panel):
    asking = Asking()
    with_panel.backends.panel.preparers = [asking]
    with_panel.policyd.answer = {"found": True, "flow": "outbound"}
    with_panel.inspect(TICKETED)
    with_panel.inspect()
    assert asking.flows == [Flow.OUTBOUND, Flow.INBOUND]
    assert with_panel.pool.given == {"urls": {"head": 21}}


def test_what_ends_a_worker_is_remembered_though_nothing_was_prepared_and_a_result_is_not(with_panel):
    with_panel.backends.panel.preparers = [Asking()]
    with_panel.policyd.answer = {"found": True, "flow": "outbound"}
    with_panel.inspect(TICKETED)
    with_panel.inspect(TICKETED)
    assert len(with_panel.pool.asked) == 2
    with_panel.pool.result = ScanFailed("workers", "crashed", "SIGSEGV")
    with_panel.inspect(TICKETED)
    with_panel.inspect(TICKETED)
    assert len(with_panel.pool.asked) == 3


def test_what_the_workers_were_spared_is_told_to_them_and_the_result_is_not_remembered(with_panel):
    counter = Panelist([])
    counter.name, counter.spares = "bulk", lambda: True
    with_panel.backends.panel.after = [counter]
    with_panel.inspect()
    assert with_panel.pool.given == {"bulk": False}
    counter.spares = lambda: False
    with_panel.inspect()
    assert with_panel.pool.given == {}
    with_panel.inspect()
    assert len(with_panel.pool.asked) == 2, "the second result is remembered"


def test_the_points_of_workers_and_panel_make_one_total_with_policyds(with_panel):
    beside, after = Panelist([Clue("rspamd.score", "", 1.5)]), Panelist([Clue("url.listed", "", 1.5)])
    with_panel.backends.panel.beside, with_panel.backends.panel.after = [beside], [after]
    with_panel.policyd.answer = {
        "found": True,
        "flow": "inbound",
        "findings": [{"name": "helo.no-fqdn:1"}],
        "points": 1.0,
    }
    with_panel.pool.result = ScanResult(clues=(Clue("statistics.spam", "", 1.0),))
    _, disposition = with_panel.inspect(TICKETED)
    assert b"accept" not in disposition.header
    assert beside.mails[0].result is None
    assert after.mails[0].result == with_panel.pool.result
    assert after.mails[0].ticket is not None
    assert after.mails[0].ticket.id == ID
    with_panel.pool.result = ScanResult()
    _, disposition = with_panel.inspect(TICKETED + b"more\r\n")
    assert b" accept " in disposition.header


def test_stamps_stand_below_our_own_lines(with_panel):
    with_panel.backends.panel.stampers = [Panelist()]
    decision, disposition = with_panel.inspect()
    assert disposition == Deliver(
        f"X-Postwarden-Decision: {decision} accept flow=inbound\r\n".encode()
        + b"X-Postwarden-Flag: NO\r\nX-Postwarden-Score: 0\r\nX-Stamp: 1\r\n"
    )


def test_a_mail_that_cannot_be_stamped_waits(with_panel):
    with_panel.backends.panel.stampers = [Panelist(StampFailed("no key"))]
    _, disposition = with_panel.inspect()
    assert reply(disposition) == (451, "4.3.0")
    assert "no key" in with_panel.output.getvalue()


def test_a_mail_that_is_refused_is_not_stamped(with_panel):
    stamper = Panelist(StampFailed("no key"))
    with_panel.backends.panel.stampers = [stamper]
    with_panel.pool.result = ScanResult((MACRO,))
    _, disposition = with_panel.inspect()
    assert reply(disposition) == (554, "5.7.1")
    assert stamper.mails == []
