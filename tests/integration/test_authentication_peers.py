"""Debian's opendkim and opendmarc, and our own verifying, on 200 generated mails: they agree.

Mails come by the filter's own way: keys looked up, scanned as the workers scan, judged, told on top. What is
told is what opendmarc goes by.
"""

from __future__ import annotations

import io
import itertools
import os
import random
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import dkim
import pytest
from twisted.internet.defer import Deferred

from contentfilter.analysis import Analysis, Knowledge
from contentfilter.assessing import Mail
from contentfilter.authentication.judged import Judged
from contentfilter.authentication.judging import Authenticator
from contentfilter.authentication.outcome import Authentication, Signature
from contentfilter.authentication.preparing import KeyPreparer
from contentfilter.content.results import ScanResult
from contentfilter.content.scan import scan_message
from contentfilter.content.traits import Traits
from contentfilter.session.envelope import Client, Envelope
from contentfilter.session.envelope import Path as MailPath
from contentfilter.spool.spool import Spool
from contentfilter.together import Awaited
from mailbase.config.authentication import Enforcement
from mailbase.dns import TableResolver
from mailbase.evidence import Evidence
from mailbase.logs import Log
from mailbase.vocabulary import Flow
from postwarden.sandbox.nameserver import Nameserver
from tests.samples.signed import Private, ed25519_key, pem, record, rsa_key, sign

pytestmark = pytest.mark.integration

VERIFIED, SIGNED, JUDGED = 90, 30, 80
"""Mails of each sort; 200 in all."""
DOMAINS = (b"example.org", b"mail.example.org", b"example.net", b"list.example")
KEYS: dict[bytes, tuple[Private, bytes]] = {
    b"big": (rsa_key(), b""),
    b"old": (rsa_key(1024), b"s=email; "),
    b"ed": (ed25519_key(), b""),
    b"exact": (rsa_key(), b"t=s; "),
    b"sha": (rsa_key(), b"h=sha256; n=a note; "),
    b"revoked": (rsa_key(), b""),
    b"other": (rsa_key(number=1), b""),
}
SECOND_FROM = "there is a From that is not signed"
NOW = int(time.time())


def records() -> dict[str, bytes]:
    """Name → TXT record of every key in every domain."""
    found = {}
    for domain in DOMAINS:
        for selector, (key, tags) in KEYS.items():
            name = f"{selector.decode()}._domainkey.{domain.decode()}"
            found[name] = b"v=DKIM1; p=" if selector == b"revoked" else record(key, tags)
    return found


def table() -> TableResolver:
    return TableResolver({(name, "TXT"): text for name, text in records().items()})


def authentication(message: bytes) -> Authentication:
    """What the filter makes of a message."""
    # The clock of opendkim, which signs long after this module was read.
    preparer = KeyPreparer(table(), lambda: 0.0, time.time)
    done: list[Mapping[str, object]] = []
    Deferred.fromCoroutine(preparer.prepare(message[: 64 * 1024], Awaited())).addCallback(done.append)
    result = scan_message(message, analysis=Analysis(Knowledge(), {"authentication": done[0]}))
    assert result.traits.authentication is not None
    return result.traits.authentication


# Generated mail


def words(source: random.Random, count: int) -> bytes:
    # No bare CR: in its test mode opendkim makes line ends of them.
    choice = (
        b"the",
        b"mail",
        b"of",
        "\u00fcber".encode(),
        b".",
        b"a\tb",
        b"  two",
        b"x" * 70,
        b"=3D",
    )
    return b" ".join(source.choice(choice) for _ in range(count))


def plain(source: random.Random, odd: bool = True) -> bytes:
    """A mail.

    Arguments:
        odd: with blanks behind the colon as milters do not see them.
    """
    lines = [words(source, source.randrange(12)) for _ in range(source.randrange(30))]
    body = b"".join(line + source.choice((b"", b"", b" ", b"\t ")) + b"\r\n" for line in lines)
    fields = [
        b"From: Ann <ann@%b>" % source.choice(DOMAINS),
        b"To:  bob@example.com,\r\n\t carol@example.com",
        b"Subject: " + words(source, 4),
        b"Date: Mon, 21 Sep 2026 10:00:00 +0000",
        b"Message-ID: <%d@example.org>" % source.getrandbits(32),
        b"MIME-Version: 1.0",
        b"Content-Type: text/plain; charset=utf-8",
        b"X-Empty:",
        b"Received: from a by b; Mon, 21 Sep 2026 10:00:01 +0000",
        b"Received: from c by d; Mon, 21 Sep 2026 10:00:00 +0000",
    ]
    source.shuffle(fields)
    if not odd:
        fields = [re.sub(rb": +", b": ", line).replace(b"X-Empty:", b"X-Full: x") for line in fields]
    return b"".join(line + b"\r\n" for line in fields) + b"\r\n" + body + b"\r\n" * source.randrange(3)


CHANGES: tuple[tuple[bytes, bytes], ...] = (
    (b"Ann <", b"Eve <"),
    (b"\r\nTo:  bob", b"\r\nTo: bob"),
    (b"\r\nX-Empty:", b"\r\nX-Full: x\r\nX-Empty:"),
    (b"\r\nX-Empty:", b"\r\nFrom: eve@example.com\r\nX-Empty:"),
    (b"\r\nReceived: from a", b"\r\nReceived: from b"),
    (b"mail", b"male"),
    (b"  two", b" two"),
    (b" \r\n", b"\r\n"),
    (b"MIME-Version", b"MIME-version"),
    (b"bh=", b"bh=A"),
    (b"; s=", b"; s=no"),
    (b"v=1", b"v=2"),
    (b" h=", b" q=dns/txt; h="),
)


def corpus() -> list[bytes]:
    source = random.Random(20261127)
    mails = []
    for _ in range(VERIFIED):
        forms = source.choice((b"simple/simple", b"simple/relaxed", b"relaxed/simple", b"relaxed/relaxed"))
        message = plain(source, odd=forms.startswith(b"relaxed"))
        covered = [
            b"from",
            *source.sample((b"to", b"subject", b"date", b"message-id", b"received", b"no-such"), 4),
        ]
        covered += source.choice(([], [b"from"], [b"subject"], [b"received", b"received"]))
        selector = source.choice(list(KEYS))
        more = source.choice((b"", b"", b"", b"t=%d; " % NOW, b"x=%d; " % (NOW + 10**8), b"x=%d; " % (10**9)))
        domain = source.choice(DOMAINS)
        more += source.choice((b"", b"", b"i=@%b; " % domain, b"i=x@sub.%b; " % domain, b"i=@example.com; "))
        message = sign(
            message,
            KEYS[selector][0] if source.random() < 0.9 else rsa_key(number=2),
            domain=domain,
            selector=selector,
            forms=forms,
            covered=covered,
            more=more,
        )
        if source.random() < 0.5:
            message = message.replace(*source.choice(CHANGES), 1)
        mails.append(message)
    return mails


# opendkim


def opendkim(folder: Path, configuration: str, mails: Sequence[bytes]) -> list[str]:
    """What it says of each mail."""
    keys = b"".join(name.encode() + b" " + text + b"\n" for name, text in records().items())
    (folder / "keys").write_bytes(keys)
    (folder / "opendkim.conf").write_text(f"Syslog no\nTestDNSData file:{folder}/keys\n{configuration}")
    return said_of(folder, ["opendkim", "-x", f"{folder}/opendkim.conf"], mails)


def said_of(folder: Path, command: Sequence[str], mails: Sequence[bytes], **more: str) -> list[str]:
    """What a milter in its test mode says of each mail.

    Arguments:
        more: environment.
    """
    names = [f"{folder}/{number}.eml" for number in range(len(mails))]
    for name, mail in zip(names, mails, strict=True):
        Path(name).write_bytes(mail)
    # It speaks on both streams; without buffers in between what it says of a mail stays together.
    ran = subprocess.run(
        ["stdbuf", "-o0", *command, "-vv", "-t", ",".join(names)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **more},
        timeout=60,
        check=False,
    )
    output = ran.stdout.decode("latin-1")
    said = re.split(r"(?m)^open\w+: \S+: mlfi_eom\(\).*$", output)
    assert len(said) == len(mails) + 1, output[-3000:]
    return said[:-1]


def test_what_opendkim_finds_valid_we_do_and_nothing_else(tmp_path: Path) -> None:
    mails = corpus()
    theirs = opendkim(tmp_path, "Mode v\nAuthservID test\nAlwaysAddARHeader yes\n", mails)
    differing = []
    valid = 0
    for mail, said in zip(mails, theirs, strict=True):
        (ours,) = authentication(mail).signatures
        found = re.search(r"\bdkim=(\w+)", said)
        good = found is not None and found[1] == "pass"
        valid += good
        # opendkim does not mind a From that is not the signed one.
        if good is not (ours.result == "pass") and ours.reason != SECOND_FROM:
            differing.append((ours, said[:400], mail[:900]))
    assert differing == []
    assert VERIFIED * 0.3 < valid < VERIFIED * 0.7


@pytest.mark.parametrize("forms", ["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"])
def test_what_opendkim_signs_verifies(tmp_path: Path, forms: str) -> None:
    source = random.Random(forms)
    mails = [plain(source, odd=False) for _ in range(SIGNED // 4 + 1)]
    (tmp_path / "key.pem").write_bytes(pem(rsa_key()))
    (tmp_path / "key.pem").chmod(0o600)
    theirs = opendkim(
        tmp_path,
        f"RequireSafeKeys no\nMode s\nDomain *\nKeyFile {tmp_path}/key.pem\nSelector big\n"
        f"Canonicalization {forms}\nOversignHeaders From\nInternalHosts 0.0.0.0/0\n",
        mails,
    )
    for mail, said in zip(mails, theirs, strict=True):
        found = re.search(r"hname='DKIM-Signature' hvalue='([^']*)'", said)
        assert found, said
        value = found[1].replace("\n", "\r\n").encode("latin-1")
        signed = b"DKIM-Signature:" + (b"" if value[:1] == b" " else b" ") + value + b"\r\n" + mail
        (signature,) = authentication(signed).signatures
        assert (signature.result, signature.reason) == ("pass", ""), signed
        # And so for dkimpy, which has no part in hashing here.
        assert dkim.verify(signed, dnsfunc=lambda name, timeout=5: records()[name.decode().rstrip(".")])


# opendmarc


@dataclass
class Case:
    """A mail as DMARC sees it."""

    author: str
    spf: str
    sender: str
    signatures: dict[str, str] = field(default_factory=dict)


ZONE = {
    "one.example": "v=DMARC1; p=reject",
    "two.example": "v=DMARC1; p=quarantine; sp=reject",
    "three.example": "v=DMARC1; p=none",
    "sub.three.example": "v=DMARC1; p=reject",
    "four.example": "v=DMARC1; p=reject; sp=none; pct=100; rua=mailto:a@four.example",
    "five.example": "v=DMARC1; p=none; t=y",
    "six.example": "v=spf1 -all",
}


def cases() -> list[Case]:
    source = random.Random(9989)
    organisations = [*(name for name in ZONE if name.count(".") == 1), "seven.example"]
    prefixes = ("", "", "sub.", "mail.sub.")
    found = []
    for _ in range(JUDGED):
        organisation = source.choice(organisations)

        def some(organisation: str = organisation) -> str:
            return source.choice(prefixes) + source.choice((organisation, organisation, "else.example"))

        found.append(
            Case(
                source.choice(prefixes) + organisation,
                source.choice(("pass", "fail", "softfail", "none")),
                some(),
                {some(): source.choice(("pass", "pass", "fail")) for _ in range(source.randrange(3))},
            )
        )
    return found


def judged(case: Case, folder: Path) -> tuple[Judged, bytes]:
    """Our judgement, and the line for the top."""
    rows = {(f"_dmarc.{name}", "TXT"): text for name, text in ZONE.items()}
    counted: list[Judged] = []

    class Meter:
        def authenticated(self, judged: Judged) -> None:
            counted.append(judged)

    it = Authenticator(
        TableResolver(rows),
        lambda: 0.0,
        Log("test", stream=io.StringIO()),
        Meter(),
        "mx.gate.example",
        (),
        dict.fromkeys(Flow, Enforcement.POINTS),
    )
    signatures = tuple(
        Signature("pass" if result == "pass" else "fail", domain, "s", "", "rsa-sha256", 2048, tag="abcdefgh")
        for domain, result in case.signatures.items()
    )
    found = Authentication(signatures, authors=(case.author,), from_fields=1)
    envelope = Envelope(MailPath(f"x@{case.sender}", b""), Client("c", "192.0.2.1"))
    result = ScanResult(traits=Traits(authentication=found))
    evidence = Evidence(0.0, (f"spf.{case.spf}",))
    mail = Mail("0", envelope, Spool(folder, 1 << 20), Flow.INBOUND, evidence=evidence, result=result)
    lines: list[bytes] = []
    Deferred.fromCoroutine(it.assess(mail))
    Deferred.fromCoroutine(it.stamp(mail, ())).addCallback(lines.append)
    return counted[0], lines[0]


def test_opendmarc_comes_to_the_same_by_what_we_write_on_top(tmp_path: Path) -> None:
    shim = tmp_path / "shim.so"
    source = Path(__file__).parents[1] / "samples" / "resolver_shim.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=True, timeout=60)
    zone = "".join(f'_dmarc.{name}. TXT "{text}"\n{name}. A 192.0.2.1\n' for name, text in ZONE.items())
    # Where we walk the tree, it knows RFC 7489's list.
    suffixes = tmp_path / "suffixes"
    suffixes.write_text("example\n")
    (tmp_path / "opendmarc.conf").write_text(
        "AuthservID mx.other.example\nTrustedAuthservIDs mx.gate.example\nSyslog false\nRejectFailures true\n"
        f"PublicSuffixList {suffixes}\n"
    )
    # The envelope sender is the same for all mails of a run.
    all_cases = sorted(cases(), key=lambda case: case.sender)
    ours: list[Judged] = []
    said: list[str] = []
    nameserver = Nameserver(zone)
    try:
        for sender, same in itertools.groupby(all_cases, key=lambda case: case.sender):
            mails = []
            for case in same:
                outcome, line = judged(case, tmp_path)
                ours.append(outcome)
                text = b"From: Ann <ann@%b>\r\nDate: Mon, 21 Sep 2026 10:00:00 +0000\r\n\r\nHello\r\n"
                mails.append(line + text % case.author.encode())
            said += said_of(
                tmp_path,
                ["opendmarc", "-c", f"{tmp_path}/opendmarc.conf"],
                mails,
                LD_PRELOAD=str(shim),
                NAMESERVER_PORT=str(nameserver.port),
                OPENDMARC_TEST_ENVFROM=f"<x@{sender}>",
            )
    finally:
        nameserver.close()
    found = [re.search(r"hvalue='[^']*dmarc=(\w+)", text) for text in said]
    # What it refuses it writes nothing on.
    theirs = [
        one[1] if one else "fail" if "rcode='550'" in text else "?"
        for one, text in zip(found, said, strict=True)
    ]
    differing = [
        (case, outcome.dmarc, said)
        for case, outcome, said in zip(all_cases, ours, theirs, strict=True)
        if outcome.dmarc.result != said
    ]
    assert differing == []
    assert {"pass", "fail", "none"} <= set(theirs)
    refused = ["rcode='550'" in text for text in said]
    assert refused == [outcome.enforced == "reject" for outcome in ours]
    assert sum(refused) > 5
