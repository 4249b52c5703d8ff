"""Authentication in the daemon: judged once for each mail, told, remembered, and off where it is off."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from contentfilter.analysis import Analysis, Knowledge
from contentfilter.assessing import Assessment, Mail
from contentfilter.authentication.assembly import build_authentication
from contentfilter.authentication.dmarc import Spf
from contentfilter.authentication.judged import Judged
from contentfilter.authentication.judging import FAILED, Authenticator, spf_of
from contentfilter.authentication.outcome import Authentication, Chain, Sealed, Signature
from contentfilter.authentication.preparing import KeyPreparer
from contentfilter.content.clues import Clue
from contentfilter.content.results import ScanResult
from contentfilter.content.scan import scan_message
from contentfilter.content.traits import Traits
from contentfilter.origin.received import Hop
from contentfilter.recall import Recall, Recalled
from contentfilter.session.envelope import Client, Envelope
from contentfilter.session.envelope import Path as MailPath
from contentfilter.spool.spool import Spool
from mailbase.config import loads
from mailbase.config.authentication import Enforcement
from mailbase.dns import TableResolver, Temporary
from mailbase.evidence import Evidence
from mailbase.logs import Log
from mailbase.vocabulary import Flow
from tests.samples.signed import PLAIN, record, rsa_key, seal, sign

from ..wired import Wired
from .vouched import AUTHOR, GOOD, KEY, NOW, signed_by

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
