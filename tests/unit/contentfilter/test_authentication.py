"""A mail's authentication from its head to the line on its top: keys, judgement, clues, results."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from authres import all_features
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from contentfilter.analysis import Analysis, Knowledge
from contentfilter.assessing import Assessment, Mail
from contentfilter.authentication.assembly import build_authentication
from contentfilter.authentication.dmarc import Dmarc, Spf
from contentfilter.authentication.given import verified
from contentfilter.authentication.judged import Judged, clues_of
from contentfilter.authentication.judging import FAILED, Authenticator, spf_of
from contentfilter.authentication.outcome import EMPTY, Authentication, Chain, Sealed, Signature
from contentfilter.authentication.preparing import MAX_OCTETS, MAX_RECORDS, PATIENCE, KeyPreparer
from contentfilter.authentication.results_line import results_line
from contentfilter.content.clues import Clue, is_clue
from contentfilter.content.results import ScanResult
from contentfilter.content.scan import scan_message
from contentfilter.content.traits import Traits
from contentfilter.message.wire import BytesWire
from contentfilter.origin.received import Hop
from contentfilter.recall import Recall, Recalled
from contentfilter.session.envelope import Client, Envelope
from contentfilter.session.envelope import Path as MailPath
from contentfilter.spool.spool import Spool
from contentfilter.together import Awaited
from mailbase.config import loads
from mailbase.config.authentication import AUTHENTICATION_POINTS, Enforcement
from mailbase.dns import TableResolver, Temporary
from mailbase.evidence import Evidence
from mailbase.logs import Log
from mailbase.vocabulary import Flow
from tests.samples.signed import PLAIN, ed25519_key, record, rsa_key, seal, sign

from .wired import Wired

KEY = "s._domainkey.example.org"
NOW = 1_800_000_000.0
FAIL = Spf("fail", "bulk.example")
GOOD = Signature("pass", "example.org", "s", "", "rsa-sha256", 2048, tag="abcdefgh")
AUTHOR = Authentication((), authors=("example.org",), from_fields=1)
REJECT = Dmarc("fail", "example.org", "reject", "reject", "example.org")


def signed_by(*signatures: Signature, **more: Any) -> Authentication:
    return replace(AUTHOR, signatures=signatures, **more)


def names(judged: Judged) -> set[str]:
    clues = list(clues_of(judged))
    assert all(is_clue(clue.name) for clue in clues)
    known = {f"{source}.{fact}" for source, facts in AUTHENTICATION_POINTS.items() for fact in facts}
    assert known.issuperset(clue.name for clue in clues)
    return {clue.name for clue in clues}


@pytest.mark.parametrize(
    ("judged", "expected"),
    [
        (Judged(AUTHOR, FAIL, Dmarc("none", "example.org")), {"dkim.none", "dmarc.none"}),
        (Judged(signed_by(GOOD), FAIL, Dmarc("pass", "example.org")), {"dkim.pass", "dmarc.pass"}),
        (
            Judged(signed_by(Signature("fail", "a.example"), GOOD), FAIL, Dmarc("pass", "example.org")),
            {"dkim.pass", "dmarc.pass"},
        ),
        (
            Judged(signed_by(Signature("fail"), Signature("temperror")), FAIL, Dmarc("temperror")),
            {"dkim.temperror", "dmarc.temperror"},
        ),
        (
            Judged(signed_by(Signature("permerror"), Signature("policy")), FAIL, Dmarc("none")),
            {"dkim.policy", "dmarc.none"},
        ),
        (
            Judged(signed_by(Signature("fail", testing=True)), FAIL, Dmarc("none")),
            {"dkim.none", "dmarc.none"},
        ),
        (
            Judged(signed_by(replace(GOOD, bits=1024)), FAIL, Dmarc("none")),
            {"dkim.pass", "dkim.short-key", "dmarc.none"},
        ),
        (
            Judged(
                signed_by(replace(GOOD, algorithm="ed25519-sha256", bits=256), replace(GOOD, bits=1024)),
                FAIL,
                Dmarc("none"),
            ),
            {"dkim.pass", "dmarc.none"},
        ),
        (
            Judged(signed_by(Signature("policy", unsigned=7)), FAIL, Dmarc("none")),
            {"dkim.policy", "dkim.partial", "dmarc.none"},
        ),
        # Once a policy is to be applied, what it rests on does not count again.
        (Judged(signed_by(Signature("fail")), FAIL, REJECT), {"dmarc.reject"}),
        (Judged(AUTHOR, FAIL, replace(REJECT, policy="quarantine")), {"dmarc.quarantine"}),
        (Judged(AUTHOR, FAIL, replace(REJECT, policy="none")), {"dmarc.fail", "dkim.none"}),
        (Judged(AUTHOR, FAIL, REJECT, "list.example"), {"dmarc.forwarded", "dkim.none"}),
        (Judged(AUTHOR, Spf(), Dmarc("unjudged")), {"dmarc.unjudged", "dkim.none"}),
        (
            Judged(signed_by(GOOD, chain=Chain("pass", "", (Sealed("a.example"),))), FAIL, Dmarc("none")),
            {"dkim.pass", "dmarc.none", "arc.pass"},
        ),
        (
            Judged(signed_by(GOOD, chain=Chain("fail", "no")), FAIL, Dmarc("none"), "", True),
            {"dkim.pass", "dmarc.none", "arc.fail", "auth.foreign-results"},
        ),
        (
            Judged(replace(AUTHOR, from_fields=2, authors=("a.example", "b.example")), FAIL, Dmarc("none")),
            {"dkim.none", "dmarc.none", "auth.several-from", "auth.several-authors"},
        ),
        (Judged(EMPTY, FAIL, Dmarc("permerror")), {"dkim.none", "dmarc.permerror"}),
    ],
)
def test_clues(judged: Judged, expected: set[str]) -> None:
    assert names(judged) == expected


def test_which_clues_are_findings() -> None:
    def findings(judged: Judged) -> list[tuple[str, str]]:
        return [(clue.finding, clue.detail) for clue in clues_of(judged) if clue.finding]

    assert findings(Judged(AUTHOR, FAIL, REJECT)) == [("dmarc-reject", "example.org")]
    quarantine = replace(REJECT, policy="quarantine")
    assert findings(Judged(AUTHOR, FAIL, quarantine)) == [("dmarc-quarantine", "example.org")]
    assert findings(Judged(AUTHOR, FAIL, replace(REJECT, policy="none"))) == []
    assert findings(Judged(AUTHOR, FAIL, REJECT, "list.example")) == []
    assert findings(Judged(AUTHOR, FAIL, Dmarc("pass"), forged=True)) == [("foreign-results", "")]


# Authentication-Results


def test_the_line_says_it_all_and_can_be_read_again() -> None:
    judged = Judged(
        signed_by(
            replace(GOOD, identity="@mail.example.org"),
            Signature(
                "fail", "list.example", "x", "a b@list.example", "ed25519-sha256", 256, "body (x)", True, "zz"
            ),
            chain=Chain("pass", "", (Sealed("list.example"),)),
        ),
        Spf("pass", "example.org"),
        Dmarc("pass", "example.org", "reject", "none", "example.org", "example.org"),
    )
    line = results_line("mx.gate.example", judged)
    assert line == (
        b"Authentication-Results: mx.gate.example;\r\n"
        b"\tspf=pass smtp.mailfrom=example.org;\r\n"
        b"\tdkim=pass (2048-bit key) header.d=example.org header.i=@mail.example.org header.s=s"
        b" header.a=rsa-sha256 header.b=abcdefgh;\r\n"
        b"\tdkim=fail (body ?x?, in testing) header.d=list.example header.s=x header.a=ed25519-sha256"
        b" header.b=zz;\r\n"
        b"\tarc=pass header.as-d=list.example;\r\n"
        b"\tdmarc=pass (p=reject) header.from=example.org\r\n"
    )
    read = all_features().parse(line.decode().replace("\r\n", ""))
    assert read.authserv_id == "mx.gate.example"
    assert [result.result for result in read.results] == ["pass", "pass", "fail", "pass", "pass"]


@pytest.mark.parametrize(
    ("judged", "line"),
    [
        (None, b"mx.example;\r\n\tnone\r\n"),
        (
            Judged(AUTHOR, Spf("none", "h.example", helo=True), Dmarc("none", "example.org")),
            b"mx.example;\r\n\tspf=none smtp.helo=h.example;\r\n\tdkim=none;\r\n"
            b"\tdmarc=none header.from=example.org\r\n",
        ),
        (Judged(AUTHOR, Spf(), Dmarc("unjudged", "example.org")), b"mx.example;\r\n\tdkim=none\r\n"),
        (
            Judged(AUTHOR, Spf(), REJECT, "list.example"),
            b"mx.example;\r\n\tdkim=none;\r\n\tdmarc=fail (p=reject, forwarded by list.example)"
            b" header.from=example.org\r\n",
        ),
        (
            Judged(EMPTY, Spf(), Dmarc("permerror", reason="there is no author's domain")),
            b"mx.example;\r\n\tdkim=none;\r\n\tdmarc=permerror (there is no author's domain)\r\n",
        ),
    ],
)
def test_lines(judged: Judged | None, line: bytes) -> None:
    assert results_line("mx.example", judged) == b"Authentication-Results: " + line


@pytest.mark.parametrize(
    ("tag", "told"), [("xyzXYZ12", b"xyzXYZ12"), ("a/b+c==", b'"a/b+c=="'), ("a b", b"")]
)
def test_each_mail_has_the_beginning_of_its_own_signature(tag: str, told: bytes) -> None:
    """What else stands there is kept from mail to mail."""
    for one in (GOOD, replace(GOOD, tag=tag)):
        line = results_line("mx.example", Judged(signed_by(one), Spf(), Dmarc("none", "example.org")))
    begin = b"\tdkim=pass (2048-bit key) header.d=example.org header.s=s header.a=rsa-sha256"
    assert line.splitlines()[1] == begin + (b" header.b=" + told if told else b"") + b";"


def test_nothing_from_outside_can_add_a_line() -> None:
    evil = "a\r\nX-Evil: 1; dkim=pass ("
    judged = Judged(
        signed_by(
            Signature("fail", evil, evil, evil, evil, 1, evil, False, evil[:8]),
            chain=Chain("fail", evil),
        ),
        Spf("pass", evil),
        Dmarc("fail", evil, "reject", "reject", evil),
        evil,
    )
    lines = results_line("mx.example", judged).split(b"\r\n")
    assert lines.pop() == b""
    assert all(line.startswith((b"Authentication-Results:", b"\t")) for line in lines)
    assert not any(b"header.d" in line or b"smtp.mailfrom" in line for line in lines)
    assert (
        max(
            map(
                len,
                results_line(
                    "mx", Judged(signed_by(*[replace(GOOD, selector="s" * 255)] * 8), FAIL, REJECT)
                ).split(),
            )
        )
        < 998
    )


# Keys


OFF = (Flow.SUBMISSION, Flow.OUTBOUND)


def prepared(
    resolver: TableResolver, head: bytes, clock: Clock | None = None, flow: Flow | None = Flow.INBOUND
) -> Any:
    clock = clock or Clock()
    preparer = KeyPreparer(resolver, clock.seconds, lambda: NOW, OFF)
    done: list[Mapping[str, Any]] = []

    known: Awaited[Flow | None] = Awaited()
    work = Deferred.fromCoroutine(preparer.prepare(head, known))
    known.tell(flow)
    work.addCallback(done.append)
    clock.pump([1.0] * 6)
    (given,) = done
    return json.loads(json.dumps(given))


@pytest.mark.parametrize("flow", [*Flow, None])
def test_no_key_is_looked_up_where_nobody_asks_who_vouches_for_the_mail(flow: Flow | None) -> None:
    table = TableResolver({(KEY, "TXT"): record(rsa_key())})
    given = prepared(table, sign(PLAIN, rsa_key()), flow=flow)
    assert (given == {}) is (flow in OFF)
    assert bool(table.asked) is (flow not in OFF)


def test_the_flow_is_waited_for_only_where_there_is_something_to_look_up() -> None:
    table = TableResolver({(KEY, "TXT"): record(rsa_key())})
    flow: Awaited[Flow | None] = Awaited()

    def given(head: bytes, off: Sequence[Flow] = OFF) -> list[Any]:
        done: list[Any] = []
        preparer = KeyPreparer(table, lambda: 0.0, lambda: NOW, off)
        Deferred.fromCoroutine(preparer.prepare(head, flow)).addCallback(done.append)
        return done

    signed = sign(PLAIN, rsa_key())
    assert given(PLAIN) == [{"now": NOW, "keys": {}}]
    waiting = given(signed)
    assert (waiting, len(table.asked)) == ([], 0)
    given(signed, ())
    assert len(table.asked) == 1
    flow.tell(Flow.SUBMISSION)
    assert waiting == [{}]
    assert len(table.asked) == 1
    assert given(PLAIN) == [{}], "it is known already"
    assert given(PLAIN, ()) == [{"now": NOW, "keys": {}}]


def test_keys_are_looked_up_and_handed_over() -> None:
    message = sign(sign(PLAIN, rsa_key()), ed25519_key(), domain=b"lost.example")
    table = TableResolver(
        {(KEY, "TXT"): record(rsa_key()), ("s._domainkey.lost.example", "TXT"): Temporary()}
    )
    given = prepared(table, message)
    assert given == {
        "now": NOW,
        "keys": {KEY: [record(rsa_key()).decode()], "s._domainkey.lost.example": None},
    }
    assert {consumer for _, _, consumer in table.asked} == {"authentication"}
    found = verified(BytesWire(message), {"authentication": given})
    assert found is not None
    assert [one.result for one in found.signatures] == ["temperror", "pass"]


def test_a_mail_without_signatures_asks_nothing_and_is_looked_at_all_the_same() -> None:
    table = TableResolver({})
    given = prepared(table, PLAIN)
    assert given == {"now": NOW, "keys": {}}
    assert table.asked == []
    assert verified(BytesWire(PLAIN), {"authentication": given}) == AUTHOR
    assert verified(BytesWire(PLAIN), {}) is None


@pytest.mark.parametrize("given", [5, {}, {"keys": {"a": [1]}, "now": 1}, {"keys": [], "now": 1}])
def test_what_is_given_wrongly_verifies_nothing_and_does_no_harm(given: Any) -> None:
    assert verified(BytesWire(PLAIN), {"authentication": given}) is None


def test_records_that_are_handed_over_are_bounded() -> None:
    records = [b"v=spf1 -all", b"x" * 5000, *(b"p=%d" % number for number in range(9))]
    given = prepared(TableResolver({(KEY, "TXT"): records}), sign(PLAIN, rsa_key()))
    assert given["keys"][KEY] == ["p=0", "p=1", "p=2"]
    assert len(given["keys"][KEY]) == MAX_RECORDS
    message = PLAIN
    rows: dict[tuple[str, str], Any] = {}
    for number in range(5):
        message = sign(message, rsa_key(), selector=b"s%d" % number)
        rows[f"s{number}._domainkey.example.org", "TXT"] = b"p=" + b"A" * 4000
    keys = prepared(TableResolver(rows), message)["keys"]
    assert len(keys) == 3
    assert sum(len(name) + len(found[0]) for name, found in keys.items()) <= MAX_OCTETS


def test_a_key_that_comes_late_counts_as_a_failed_look_up() -> None:
    clock = Clock()
    slow = TableResolver({(KEY, "TXT"): record(rsa_key())}, clock=clock, slow={KEY: PATIENCE + 1})
    assert prepared(slow, sign(PLAIN, rsa_key()), clock)["keys"] == {KEY: None}


# Judging


class Room:
    """An authenticator, and mail for it."""

    def __init__(
        self,
        folder: Path,
        table: TableResolver,
        enforcement: Enforcement = Enforcement.POINTS,
        pseudonym_key: bytes | None = None,
    ) -> None:
        self.output = io.StringIO()
        log = Log("test", stream=self.output, pseudonym_key=pseudonym_key)
        self.folder = folder
        self.judged: list[Judged] = []
        flows = dict.fromkeys(Flow, Enforcement.OFF) | {Flow.INBOUND: enforcement}
        self.it = Authenticator(table, lambda: 0.0, log, self, "mx.example", ("list.example",), flows)

    def authenticated(self, judged: Judged) -> None:
        self.judged.append(judged)

    def mail(self, found: Authentication | None, facts: Sequence[str] = ("spf.fail",), **more: Any) -> Mail:
        envelope = Envelope(MailPath("b@bulk.example", b""), Client("c", "192.0.2.1", helo="h.example"))
        result = ScanResult(traits=Traits(authentication=found))
        spool = Spool(self.folder, 1 << 20)
        mail = Mail(
            "0123456789abc", envelope, spool, Flow.INBOUND, evidence=Evidence(0, tuple(facts)), result=result
        )
        return replace(mail, **more)

    def assess(self, mail: Mail) -> Assessment:
        done: list[Assessment] = []
        Deferred.fromCoroutine(self.it.assess(mail)).addCallback(done.append)
        return done[0]

    def stamp(self, mail: Mail) -> bytes:
        done: list[bytes] = []
        Deferred.fromCoroutine(self.it.stamp(mail, ())).addCallback(done.append)
        return done[0]


def test_a_forged_mail_is_judged_counted_logged_and_told(tmp_path: Path) -> None:
    table = TableResolver({("_dmarc.example.org", "TXT"): "v=DMARC1; p=reject"})
    room = Room(tmp_path, table)
    mail = room.mail(replace(AUTHOR, claims=("mx.example",)))
    said = room.assess(mail)
    assert not said.failed
    assert Clue("dmarc.reject", "example.org", finding="dmarc-reject") in said.clues
    assert [clue.name for clue in said.clues] == ["dmarc.reject", "auth.foreign-results"]
    assert b"dmarc=fail (p=reject) header.from=example.org" in room.stamp(mail)
    assert "event=authenticated" in room.output.getvalue()
    assert "dmarc=fail policy=reject" in room.output.getvalue()
    assert len(room.judged) == 1
    # It is told once; another mail under this id has no part in it.
    assert room.stamp(mail) == b"Authentication-Results: mx.example;\r\n\tnone\r\n"


def test_a_forwarder_that_is_trusted(tmp_path: Path) -> None:
    table = TableResolver({("_dmarc.example.org", "TXT"): "v=DMARC1; p=reject"})
    room = Room(tmp_path, table)
    sealed = replace(AUTHOR, chain=Chain("pass", "", (Sealed("lists.list.example", "pass"),)))
    assert [clue.name for clue in room.assess(room.mail(sealed)).clues] == [
        "dmarc.forwarded",
        "dkim.none",
        "arc.pass",
    ]
    other = replace(AUTHOR, chain=Chain("pass", "", (Sealed("other.example", "pass"),)))
    assert room.assess(room.mail(other)).clues[0].finding == "dmarc-reject"
    several = replace(sealed, authors=("example.org", "second.example"))
    assert room.assess(room.mail(several)).clues[0].finding == "dmarc-reject"


def test_with_pseudonyms_the_log_names_no_domain(tmp_path: Path) -> None:
    table = TableResolver({("_dmarc.example.org", "TXT"): "v=DMARC1; p=reject"})
    room = Room(tmp_path, table, pseudonym_key=b"k" * 16)
    sealed = Chain("pass", "", (Sealed("lists.list.example", "pass"),))
    found = signed_by(Signature("pass", "example.org", "s"), chain=sealed)
    room.assess(room.mail(found, ("spf.pass",)))
    room.assess(room.mail(replace(found, signatures=()), ("spf.pass",)))
    written = room.output.getvalue()
    assert written.count("event=authenticated") == 2
    assert not re.search(r"example|list", written)
    for name in ("author", "spf=[a-z]+:", "dkim=pass:", "aligned", "forwarder"):
        assert re.search(rf" {name}=?[0-9a-f]{{16}}", written), name


def test_nothing_is_said_where_it_is_off_or_nothing_was_verified(tmp_path: Path) -> None:
    table = TableResolver({})
    room = Room(tmp_path, table)
    assert room.assess(room.mail(None)).failed == FAILED
    assert room.assess(room.mail(AUTHOR, result=None)).failed == FAILED
    assert room.stamp(room.mail(None)).endswith(b"none\r\n")
    outbound = room.mail(AUTHOR, flow=Flow.OUTBOUND)
    assert room.assess(outbound) == Assessment()
    assert room.stamp(outbound) == b""
    assert table.asked == []


def test_dns_that_fails_is_no_fail(tmp_path: Path) -> None:
    room = Room(tmp_path, TableResolver({("_dmarc.example.org", "TXT"): Temporary()}))
    assert room.assess(room.mail(AUTHOR)).clues[0].name == "dmarc.temperror"


def test_mails_are_forgotten_that_are_never_stamped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contentfilter.authentication.judging.MAX_KEPT", 2)
    room = Room(tmp_path, TableResolver({}))
    mails = [room.mail(AUTHOR, id=name) for name in "abc"]
    for mail in mails:
        room.assess(mail)
    assert [b"dkim=none" in room.stamp(mail) for mail in mails] == [False, True, True]


@pytest.mark.parametrize(
    ("facts", "sender", "expected"),
    [
        (("helo.not-fqdn", "spf.pass"), "a@b.example", Spf("pass", "b.example")),
        (("spf.softfail:1",), "a@B.example", Spf("softfail", "b.example")),
        (("(spf.fail:2.5)",), "a@b.example", Spf("fail", "b.example")),
        (("spf.temporary",), "a@b.example", Spf("temperror", "b.example")),
        (("spf.helo-fail", "spf.pass", "spf.plus-all"), "a@b.example", Spf("pass", "b.example")),
        (("spf.helo-pass",), "a@b.example", Spf("", "b.example")),
        (("spf.failed",), "a@b.example", Spf("", "b.example")),
        ((), "a@b.example", Spf("", "b.example")),
        (("spf.pass",), "", Spf("pass", "h.example", helo=True)),
    ],
)
def test_what_policyd_knows_of_spf(tmp_path: Path, facts: Sequence[str], sender: str, expected: Spf) -> None:
    mail = Room(tmp_path, TableResolver({})).mail(None, facts)
    mail.envelope.sender = MailPath(sender, b"")
    assert spf_of(mail) == expected


def test_behind_an_upstream_relay_the_relay_s_client_said_helo(tmp_path: Path) -> None:
    mail = Room(tmp_path, TableResolver({})).mail(None, ("spf.pass",), client=Hop(b"\1\2\3\4", "far.example"))
    mail.envelope.sender = MailPath("", b"")
    assert spf_of(mail) == Spf("pass", "far.example", helo=True)
    assert spf_of(replace(mail, evidence=None)).result == ""


# Configuration


def test_nobody_is_asked_where_every_flow_is_off() -> None:
    def built(text: str) -> Any:
        table = TableResolver({})
        return build_authentication(
            loads(text), table, lambda: 0.0, lambda: NOW, Log("test", stream=io.StringIO()), Nobody()
        )

    off = built("flows: {inbound: {authentication: off}, upstream: {authentication: 'off'}}")
    assert (off.preparers, off.after, off.stampers) == ((), (), ())
    assert len(built("{}").stampers) == 1


class Nobody:
    def authenticated(self, judged: Judged) -> None: ...


# In a scan


def test_a_scan_verifies_what_it_has_keys_for() -> None:
    message = seal(sign(PLAIN, rsa_key()), rsa_key(), 1)
    keys = {KEY: [record(rsa_key()).decode()], "s._domainkey.sealer.example": [record(rsa_key()).decode()]}
    task = {"authentication": {"now": NOW, "keys": keys}}
    result = scan_message(message, analysis=Analysis(Knowledge(), task))
    found = result.traits.authentication
    assert found is not None
    assert (found.signatures[0].result, found.chain.result) == ("pass", "pass")
    assert Traits.from_dict(json.loads(json.dumps(result.traits.to_dict()))) == result.traits
    assert scan_message(message, analysis=Analysis(Knowledge())).traits.authentication is None


# What is remembered


class Uncounted:
    def recalled(self, what: Recalled) -> None: ...


def test_a_result_with_a_failed_look_up_is_not_remembered(tmp_path: Path) -> None:
    recall = Recall(lambda: 0.0, 60.0, Uncounted())
    spool = Spool(tmp_path, 1 << 20)
    spool.write(PLAIN)
    key = recall.key(spool)
    recall.note(key, spool, ScanResult(traits=Traits(authentication=signed_by(Signature("temperror")))))
    assert recall.answer(key) is None
    recall.note(key, spool, ScanResult(traits=Traits(authentication=signed_by(GOOD))))
    known = recall.answer(key)
    assert isinstance(known, ScanResult)
    assert known.traits.authentication == signed_by(GOOD)


def test_what_was_scanned_without_its_keys_is_scanned_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: KeyPreparer, head: bytes, flow: Any) -> Mapping[str, Any]:
        raise RuntimeError("no")

    wired = Wired(tmp_path, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(KeyPreparer, "prepare", broken)
        for _ in range(2):
            assert wired.mail().startswith("250 ")
        assert wired.tasks == 2
    for _ in range(2):
        assert wired.mail().startswith("250 ")
    assert wired.tasks == 3
    wired.end()
