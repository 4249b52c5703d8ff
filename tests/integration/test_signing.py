"""Mail of registered systems and users leaves signed by way of a real Postfix, and verifies on arrival."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import dkim
import dns.resolver
import pytest

from contentfilter.signing.keys import make, path_of
from contentfilter.signing.record import record_text
from postwarden import cli
from postwarden.demo import samples
from postwarden.dkim import keyring
from postwarden.sandbox import registered
from postwarden.sandbox.client import Dialogue
from postwarden.sandbox.gateway import Gateway, metric
from postwarden.sandbox.nameserver import Nameserver
from postwarden.sandbox.sink import CAPABILITIES
from postwarden.sandbox.waiting import wait_until
from tests.samples.noise import noise

RELAY = "mx.gateway.example"
NEW, OTHER = "new.example", "other.example"
OTHER_SYSTEM = "203.0.113.77"
CUSTOMERS = (registered.DOMAIN, registered.OPEN_DOMAIN, OTHER)
DAY = 86400.0


def zone(*keys, without=()):
    """The relay's zone with its keys, and the customers' with their CNAMEs."""
    lines = []
    for key in keys:
        text = record_text(key)
        strings = " ".join(f'"{text[start : start + 255]}"' for start in range(0, len(text), 255))
        lines.append(f"{key.selector}.{RELAY}. 1 TXT {strings}")
    lines += [
        f"{selector}._domainkey.{domain}. 1 CNAME {selector}.{RELAY}."
        for domain in CUSTOMERS
        for selector in ("dkim001", "dkim002")
        if (domain, selector) not in without
    ]
    return "\n".join(lines)


class Signed:
    """A gateway that signs, and DNS around it."""

    def __init__(self, folder: Path) -> None:
        self.keys = folder / "dkim"
        # Long settled, as a key is after its first day.
        self.first = make(self.keys, "dkim001", "rsa-sha256", time.time() - DAY)
        self.published = [self.first]
        self.nameserver = Nameserver(zone(self.first), record=False)
        registry = registered.registry()
        registry["servers"]["mail.inst.example"]["users"] = ["ada"]
        registry["servers"]["mail.inst.example"]["domains"][NEW] = {}
        registry["servers"]["mail.other.example"] = {"systems": [OTHER_SYSTEM], "domains": {OTHER: {}}}
        settings = {
            "dns": {"servers": [f"{self.nameserver.host}:{self.nameserver.port}"], "min_ttl": "0s"},
            "contentfilter": {
                "signing": {
                    "keys": str(self.keys),
                    "state": str(folder / "seen.json"),
                    "settle": "0s",
                    "check_every": "1s",
                    "keep": "0s",
                    "line_length": 998,
                }
            },
        }
        self.gateway = Gateway(
            folder, settings=settings, registry=registry, postfix_main={"smtp_line_length_limit": "998"}
        )
        self._resolver = dns.resolver.Resolver(configure=False)
        self._resolver.nameservers = [self.nameserver.host]
        self._resolver.port = self.nameserver.port

    def publish(self, *keys, without=()):
        self.published = list(keys)
        self.nameserver.load(zone(*keys, without=without))

    def lookup(self, name, timeout=5):
        try:
            found = self._resolver.resolve(name.decode(), "TXT")
        except dns.resolver.NXDOMAIN:
            return None
        return b"".join(found[0].strings)

    def verifies(self, mail):
        return dkim.verify(mail, dnsfunc=self.lookup)

    def command(self, *arguments):
        command = [sys.executable, "-m", "postwarden", *self.line(*arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def line(self, *arguments):
        return ["dkim", *arguments, "--config", str(self.gateway.config)]

    def signers(self):
        """Process ids."""
        children = Path(f"/proc/{self.gateway.contentfilter.pid}/task").glob("*/children")
        pids = [pid for file in children for pid in file.read_text().split()]
        return [int(pid) for pid in pids if b"signing.signer" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.fixture(scope="module")
def signed(real_postfix, tmp_path_factory):
    signed = Signed(tmp_path_factory.mktemp("signing"))
    with signed.gateway as gateway:
        gateway.start()
        yield signed
    signed.nameserver.close()


@pytest.fixture
def gateway(signed):
    return signed.gateway


def signature(mail):
    found = re.search(rb"(?m)^DKIM-Signature: (.*?)\r\n(?! )", mail, re.S)
    return re.sub(rb"\s", b"", found[1]).decode() if found else ""


def domain_and_selector(mail):
    found = re.search(r";d=([^;]+);s=([^;]+);", signature(mail))
    return found.groups() if found else None


HEAD = "From: Ada <ada@inst.example>\r\nTo: x@elsewhere.example\r\nSubject: {} Grüße\r\nDate: x\r\n"
MIME = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
LONG = "".join([MIME, "\r\n", "ü" * 5000, "\r\n", "y" * 998, "\r\n", "z" * 999, "\r\n", "." * 2500, "\r\n"])
MAILS = {
    "plain": (MIME + "\r\nGood morning\r\n").encode(),
    "8 bits": (MIME + "\r\nGrüße, 你好 \t x  \r\n\r\n\r\n").encode(),
    "long lines": LONG.encode(),
    "lines like Postfix's records": b"\r\n" + b"\r\n".join([b"a" * 2048, b"b" * 2047, b"c" * 4097, b""]),
    "carriage returns": b"\r\na\rb\r\rc\r\r\nend\r \r\n\rx\r\n",
    "a carriage return in the header": b"Reply-To: x\ry@inst.example\r\r\n\r\nx\r\n",
    "a long header line": b"Cc: " + b"y" * 3000 + b"\r\n\r\nx\r\n",
    "no empty line": b"this is body\r\nmore: x\r\n",
    "no body": b"",
    "an empty body": b"\r\n\r\n\r\n \r\n",
    "no line end at the end": b"\r\nlast line",
    "dots": b"\r\n.\r\n..\r\n...\r\n.x\r\n",
    "odd header lines": b"Message-ID :  <1@x>\r\nCc:x@y\r\nReply-To:\r\n \r\n\tz@y.example\r\n\r\nx\r\n",
    "lines that Postfix may drop": b"Bcc: q@r.example\r\nReturn-Path: <x@y>\r\n\r\nx\r\n",
    "NUL and other controls": b"\r\na\0b\x01\x0c\x7f\r\n",
    "From in column one": b"\r\nFrom here on\r\n>From there\r\n",
    "no line is short": b"\r\n" + b"x" * 60_000,
}


@pytest.mark.parametrize("way", ["mx", "lmtp", "smtp"])
def test_it_verifies_after_postfix(signed, gateway, mark, way):
    port = {
        "mx": gateway.ports.mx,
        "lmtp": gateway.ports.submission,
        "smtp": gateway.ports.submission_smtp,
    }[way]
    with Dialogue(port) as dialogue:
        if way == "mx":
            dialogue.xclient(addr=registered.SYSTEM)
        else:
            dialogue.xclient(addr="198.18.7.7", login="ada")
        dialogue.hello()
        for number, rest in enumerate(MAILS.values()):
            mail = HEAD.format(f"{mark}-{number}-e").encode() + rest
            outcome = dialogue.send("ada@inst.example", ["x@elsewhere.example"], mail, "BODY=8BITMIME")
            assert outcome.code == 250, outcome
    for number, name in enumerate(MAILS):
        (arrived,) = gateway.sink.wait_for(f"{mark}-{number}-e".encode())
        assert domain_and_selector(arrived.data) == (registered.DOMAIN, "dkim001"), name
        assert signed.verifies(arrived.data), (name, arrived.data[:3000])


def test_eight_bits_verify_at_a_server_that_does_not_say_it_takes_them(signed, gateway, outside_of, mark):
    gateway.sink.capabilities = tuple(word for word in CAPABILITIES if word not in (b"8BITMIME", b"SMTPUTF8"))
    try:
        mail = HEAD.format(mark).encode() + MAILS["8 bits"]
        sent = outside_of(gateway).mx(
            mail, "x@elsewhere.example", client=registered.SYSTEM, sender="ada@inst.example"
        )
        assert sent.code == 250, sent
        (arrived,) = gateway.sink.wait_for(mark.encode())
    finally:
        gateway.sink.capabilities = CAPABILITIES
    assert b"BODY" not in arrived.sender
    assert signed.verifies(arrived.data)


def test_a_large_mail_verifies(signed, gateway, outside_of, mark):
    blob = noise(2 << 20)
    attachment = samples.Attachment("big.bin", "application/octet-stream", blob)
    mail = samples.mail(mark, sender="ada@inst.example", attachments=(attachment,))
    sent = outside_of(gateway).mx(
        mail, "x@elsewhere.example", client=registered.SYSTEM, sender="ada@inst.example"
    )
    assert sent.code == 250, sent
    (arrived,) = gateway.sink.wait_for(mark.encode(), within=60.0)
    assert signed.verifies(arrived.data)


@pytest.mark.parametrize(
    ("who", "author", "domain"),
    [
        ({"client": registered.SYSTEM}, OTHER, None),
        ({"client": OTHER_SYSTEM}, OTHER, OTHER),
        ({"client": OTHER_SYSTEM}, registered.DOMAIN, None),
        ({"client": registered.SYSTEM}, NEW, None),
        ({"client": registered.SYSTEM}, "elsewhere.example", None),
        ({"client": registered.OUTSIDER}, registered.OPEN_DOMAIN, None),
        ({"client": registered.UPSTREAM}, registered.OPEN_DOMAIN, None),
        ({"user": "ada", "client": OTHER_SYSTEM}, registered.DOMAIN, registered.DOMAIN),
        ({"user": "ada", "client": OTHER_SYSTEM}, OTHER, None),
        ({"user": "eve", "client": "198.18.7.7"}, registered.DOMAIN, None),
    ],
    ids=range(10),
)
def test_who_is_signed_for(signed, gateway, outside_of, mark, who, author, domain):
    mail = samples.mail(mark, sender=f"x@{author}")
    outside = outside_of(gateway)
    if "user" in who:
        sent = outside.send(
            gateway.ports.submission, mail, "x@elsewhere.example", sender=f"x@{author}", **who
        )
    else:
        registered_system = who["client"] in (registered.SYSTEM, OTHER_SYSTEM)
        recipient = f"x@{registered.FOREIGN_DOMAIN if registered_system else registered.OPEN_DOMAIN}"
        sent = outside.send(gateway.ports.mx, mail, recipient, sender=f"x@{author}", **who)
    assert sent.code == 250, sent
    (arrived,) = gateway.sink.wait_for(mark.encode())
    assert domain_and_selector(arrived.data) == (None if domain is None else (domain, "dkim001"))
    assert domain is None or signed.verifies(arrived.data)


class Traffic:
    """Mails of all customers, one after another, in a thread of its own."""

    def __init__(self, gateway: Gateway, mark: str) -> None:
        self._gateway = gateway
        self._mark = mark
        self._over = threading.Event()
        self.sent = 0
        self.refused = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        port = self._gateway.ports.mx
        with Dialogue(port) as one, Dialogue(port) as other:
            for dialogue, client in ((one, registered.SYSTEM), (other, OTHER_SYSTEM)):
                dialogue.xclient(addr=client)
                dialogue.hello()
            while not self._over.is_set():
                for dialogue, domain in ((one, registered.DOMAIN), (other, OTHER)):
                    mail = samples.mail(f"{self._mark}-{self.sent}-e", sender=f"x@{domain}")
                    outcome = dialogue.send(f"x@{domain}", ["x@elsewhere.example"], mail)
                    if outcome.code == 250:
                        self.sent += 1
                    else:
                        self.refused.append(outcome)
                time.sleep(0.02)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._over.set()
        self._thread.join(30.0)

    def more(self, count=4):
        """Wait until so many more have been sent."""
        wanted = self.sent + count
        wait_until(lambda: self.sent >= wanted, 20.0, f"{count} more mails are sent")

    def arrived(self):
        mark = f"<{self._mark}-".encode()
        return self._gateway.sink.wait_for(mark, count=self.sent)


def domains_with(gateway, selector):
    labels = f'contentfilter_signing_key_domains{{selector="{selector}"}}'
    return int(metric(gateway.ports.filter_metrics, labels))


def test_a_killed_signer_costs_a_moment_and_no_signature(signed, gateway, mark):
    with Traffic(gateway, mark) as traffic:
        for _ in range(2):
            traffic.more()
            (signer,) = wait_until(signed.signers, 10.0, "a signer is there")
            os.kill(signer, signal.SIGKILL)
            wait_until(lambda gone=signer: gone not in signed.signers(), 10.0, "it is gone")
        wait_until(signed.signers, 10.0, "a signer is there")
        traffic.more()
    arrived = traffic.arrived()
    assert len(arrived) == traffic.sent
    assert all(outcome.code == 451 for outcome in traffic.refused)
    assert [one.header for one in arrived if not signed.verifies(one.data)] == []


def test_keys_roll_over_under_traffic(signed, gateway, mark, capsys):
    """The last but one of the module: it leaves another key behind."""

    def rotate(*options):
        status = cli.main(signed.line("rotate", *options))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    with Traffic(gateway, mark) as traffic:
        traffic.more()
        # One customer has set one CNAME only.
        signed.publish(signed.first, without=[(OTHER, "dkim002")])
        status, out, err = rotate()
        assert (status, "Publish the record above" in err) == (0, True), err
        assert out.startswith(f'dkim002.{RELAY}. IN TXT "v=DKIM1; k=rsa; p=')
        status, _out, err = rotate()
        assert (status, "sign with dkim001 alone" in err) == (1, True), err
        traffic.more()
        new = keyring.read(gateway.config, []).of("dkim002")
        signed.publish(signed.first, new, without=[(OTHER, "dkim002")])
        wait_until(lambda: domains_with(gateway, "dkim002") == 2, 20.0, "domains sign with the new key")
        assert domains_with(gateway, "dkim001") == 1
        traffic.more()
        # That customer holds nobody back, and is not forgotten.
        status, _out, err = wait_until(
            lambda: found if OTHER in (found := rotate("--remove"))[2] else None, 20.0, "rotate knows of it"
        )
        assert status == 1
        assert f"2 domains can sign with dkim002, 1 sign with dkim001 alone: {OTHER}" in err
        assert path_of(signed.keys, "dkim001").exists()
        signed.publish(signed.first, new)
        wait_until(lambda: domains_with(gateway, "dkim001") == 0, 20.0, "all sign with the new key")
        traffic.more()
        wait_until(lambda: rotate()[0] == 0, 20.0, "the old key may go")
        status, _out, err = rotate("--remove")
        assert (status, path_of(signed.keys, "dkim001").exists()) == (0, False), err
        traffic.more()
        earlier = traffic.arrived()
        assert all(signed.verifies(one.data) for one in earlier)
        signed.publish(new)
        traffic.more(8)
    assert traffic.refused == []
    arrived = [one.data for one in traffic.arrived()]
    assert len(arrived) == traffic.sent
    assert {domain_and_selector(mail)[1] for mail in arrived} == {"dkim001", "dkim002"}
    assert all(signed.verifies(mail) for mail in arrived[len(earlier) :])
    seen = json.loads((gateway.folder / "seen.json").read_text())["seen"]
    assert set(seen) >= set(CUSTOMERS)


def test_check_says_what_is_missing(signed):
    """After the rollover: one key, and CNAMEs for both selectors but for one domain."""
    found = signed.command("check", "mail.inst.example", "mail.other.example")
    rows = [json.loads(line) for line in found.stdout.splitlines()]
    assert found.returncode == 1, found
    subjects = {row["subject"]: row for row in rows}
    assert not subjects.keys() & set(CUSTOMERS)
    assert subjects[NEW]["found"] == "no CNAME is set: its mail goes unsigned"
    assert f"dkim001._domainkey.{NEW}. IN CNAME dkim001.{RELAY}." in subjects[NEW]["change"]
