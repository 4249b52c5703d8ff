"""Every octet: what is carried arrives as it was, and nothing foreign gets into our own lines unencoded."""

from __future__ import annotations

import random
import re
import socket

import pytest

from postwarden.demo import documents, samples
from postwarden.demo.outcome import quarantined
from postwarden.sandbox import registered
from postwarden.sandbox.client import Dialogue, xtext
from postwarden.sandbox.ports import LOOPBACK
from postwarden.sandbox.waiting import wait_until
from tests.integration.octets import BODIES, HEADERS

WAYS = ("mx", "lmtp", "smtp")
PRINTABLE = re.compile(rb"[\x20-\x7e]*")
EVIL = "x\n\naction=OK\n\n\r\n250 2.0.0 Ok\r\n\0\xff.docm"


def send(outside, way, mail, **who):
    return outside.mx(mail, **who) if way == "mx" else outside.user(mail, over=way, **who)


@pytest.mark.parametrize("way", WAYS)
def test_bodies_pass_unchanged(gateway, mark, way):
    port = {
        "mx": gateway.ports.mx,
        "lmtp": gateway.ports.submission,
        "smtp": gateway.ports.submission_smtp,
    }[way]
    mails = {name: samples.mail(f"{mark}-{number}-e", text="").replace(b"us-ascii", b"utf-8") + body
             for number, (name, body) in enumerate(BODIES.items())}  # fmt: skip
    with Dialogue(port) as dialogue:
        dialogue.xclient(addr=registered.SYSTEM, login="ada")
        dialogue.hello()
        for name, mail in mails.items():
            outcome = dialogue.send("a@inst.example", ["c@elsewhere.example"], mail, "BODY=8BITMIME")
            assert outcome.code == 250, (name, outcome)
    for number, (name, mail) in enumerate(mails.items()):
        (arrived,) = gateway.sink.wait_for(f"{mark}-{number}-e".encode())
        wanted = mail if mail.endswith(b"\r\n") else mail + b"\r\n"
        assert arrived.data.endswith(wanted), name


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", HEADERS)
def test_header_lines_pass_unchanged(outside, gateway, mark, way, name):
    mail = f"X-Mark: {mark}\r\n".encode() + HEADERS[name] + samples.mail(mark)
    outcome = send(outside, way, mail)
    assert outcome.code == 250, outcome
    (arrived,) = gateway.sink.wait_for(mark.encode())
    assert arrived.data.endswith(mail)


@pytest.mark.parametrize("way", ["mx", "lmtp"])
def test_a_large_mail_passes_unchanged(outside, gateway, mark, way):
    blob = random.Random(7).randbytes(20 << 20)
    mail = samples.mail(mark, attachments=(samples.Attachment("big.bin", "application/octet-stream", blob),))
    assert send(outside, way, mail).code == 250
    (arrived,) = gateway.sink.wait_for(mark.encode(), within=60.0)
    assert arrived.data.endswith(mail)


def test_a_mail_beyond_the_limit_is_refused(outside, gateway, mark):
    announced = outside.mx(samples.mail(mark), parameters=f"SIZE={51 << 20}")
    assert (announced.stage, announced.code) == ("MAIL", 552)
    mail = samples.mail(mark, text="x" * 70 + "\r\n") + (b"y" * 70 + b"\r\n") * ((50 << 20) // 72 + 1)
    outcome = outside.mx(mail)
    assert (outcome.stage, outcome.code) == ("END", 552)
    assert not gateway.sink.find(mark.encode())


def test_parameters_of_the_envelope_pass(outside, gateway, mark):
    with Dialogue(gateway.ports.mx) as dialogue:
        dialogue.xclient(addr=registered.SYSTEM)
        dialogue.hello()
        assert dialogue.command(
            "MAIL FROM:<a@inst.example> RET=HDRS ENVID=QQ+2B314159 BODY=8BITMIME"
        ).positive
        assert dialogue.command(
            "RCPT TO:<c@elsewhere.example> NOTIFY=NEVER ORCPT=rfc822;other+2Bc@x.example"
        ).positive
        assert dialogue.command("DATA").code == 354
        dialogue.write(samples.mail(mark) + b".\r\n")
        assert dialogue.read().code == 250
    (arrived,) = gateway.sink.wait_for(mark.encode())
    assert b"ENVID=QQ+2B314159" in arrived.sender
    assert b"RET=HDRS" in arrived.sender
    assert b"NOTIFY=NEVER" in arrived.recipients[0]
    assert b"ORCPT=rfc822;other+2Bc@x.example" in arrived.recipients[0]


def test_international_addresses_pass(outside, gateway, mark):
    outcome = outside.mx(
        samples.mail(mark),
        f"jürgen@{registered.OPEN_DOMAIN}",
        sender="grüße@outside.example",
        parameters="SMTPUTF8",
    )
    assert outcome.code == 250, outcome
    (arrived,) = gateway.sink.wait_for(mark.encode())
    assert "grüße@outside.example".encode() in arrived.sender
    assert b"SMTPUTF8" in arrived.sender


@pytest.mark.parametrize("stop", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\n\n.\n\n"])
def test_no_second_mail_can_be_smuggled_past_the_filter(gateway, mark, stop):
    """Spoken to contentfilter directly, for Postfix normalises line ends before."""
    smuggled = (
        f"MAIL FROM:<x@y>\r\nRCPT TO:<z@elsewhere.example>\r\nDATA\r\nSubject: smuggled {mark}\r\n\r\nx\r\n"
    )
    with Dialogue(gateway.ports.before) as dialogue:
        dialogue.hello()
        dialogue.command("MAIL FROM:<a@b.example>")
        dialogue.command(f"RCPT TO:<eve@{registered.OPEN_DOMAIN}>")
        assert dialogue.command("DATA").code == 354
        dialogue.write(samples.mail(mark).rstrip(b"\r\n") + stop + smuggled.encode() + b".\r\n")
        reply = dialogue.read()
        assert reply.code >= 500, reply
    assert not gateway.sink.find(mark.encode())


def test_a_client_that_goes_away_has_sent_nothing(gateway, mark):
    dialogue = Dialogue(gateway.ports.mx)
    dialogue.xclient(addr=registered.SYSTEM)
    dialogue.hello()
    dialogue.command("MAIL FROM:<a@inst.example>")
    dialogue.command("RCPT TO:<c@elsewhere.example>")
    assert dialogue.command("DATA").code == 354
    dialogue.write(samples.mail(mark) * 100)
    dialogue.abort()
    gateway.postfix.when(lambda log: "lost connection after DATA" in log, 10.0, "Postfix noticed")
    other = f"{mark}-other"
    with Dialogue(gateway.ports.mx) as later:
        later.xclient(addr=registered.SYSTEM)
        later.hello()
        assert later.send("a@inst.example", ["c@elsewhere.example"], samples.mail(other)).code == 250
    (only,) = gateway.sink.wait_for(mark.encode())
    assert other.encode() in only.data


# ---- what comes from outside, in our own lines ------------------------------------------------------------


def printable(reply) -> bool:
    return all(PRINTABLE.fullmatch(line) for line in reply.lines)


NAMES = {
    "RFC 2231": "filename*=utf-8''" + "".join(f"%{byte:02X}" for byte in EVIL.encode("latin-1")),
    "encoded word": 'filename="=?utf-8?Q?a=0A=0Aaction=3DOK=0A=0A=0D=0A250_Ok=00=FF.docm?="',
    "raw": 'filename="a\x01\x7f\\"\xff\xfe.docm"',
    "very long": f'filename="{"n" * 900}.docm"',
    "unterminated": 'filename="a.docm',
}


def with_named_attachment(mark: str, disposition: str, data: bytes) -> bytes:
    mail = samples.mail(
        mark, attachments=(samples.Attachment("PLACEHOLDER", "application/octet-stream", data),)
    )
    mail = mail.replace(b'; name="PLACEHOLDER"', b"")
    return mail.replace(b'filename="PLACEHOLDER"', disposition.encode("latin-1"))


@pytest.mark.parametrize("name", NAMES)
def test_attachment_names_cannot_break_the_reply(gateway, mark, name):
    mail = with_named_attachment(mark, NAMES[name], documents.macro_document())
    with Dialogue(gateway.ports.mx) as dialogue:
        dialogue.xclient(addr=registered.OUTSIDER)
        dialogue.hello()
        outcome = dialogue.send("a@outside.example", [f"eve@{registered.OPEN_DOMAIN}"], mail)
        assert outcome.code == 554
        assert len(outcome.reply.lines) == 1
        assert len(outcome.reply.lines[0]) <= 510
        assert printable(outcome.reply)
        # The dialogue is in step: one command, one answer.
        assert dialogue.command("NOOP").code == 250


@pytest.mark.parametrize("name", NAMES)
def test_member_names_cannot_break_the_reply(outside, mark, name):
    data = documents.archive({EVIL.replace("\0", "0"): documents.macro_document()})
    outcome = outside.mx(with_named_attachment(mark, NAMES[name].replace("docm", "zip"), data))
    assert outcome.code == 554
    assert len(outcome.reply.lines) == 1
    assert printable(outcome.reply)


@pytest.mark.parametrize("name", NAMES)
def test_attachment_names_cannot_break_log_or_quarantine(outside, gateway, mark, name):
    mail = with_named_attachment(mark, NAMES[name], documents.macro_document())
    before = len(gateway.contentfilter.log.read_bytes())
    assert outside.mx(mail, client=registered.UPSTREAM).code == 250
    wait_until(
        lambda: quarantined(gateway.quarantine, mark.encode()), 10.0, "the mail lies in the quarantine"
    )
    new = gateway.contentfilter.log.read_bytes()[before:]
    assert all(PRINTABLE.fullmatch(line) for line in new.splitlines())
    assert not any(line.startswith((b"action=", b"250 ")) for line in new.splitlines())


HELOS = [b"a\xff\xfe.example", b"a\x01\x02b", b"[\x7f]", b"x" * 400, b"a\x00b.example", b"%s%n${x}`id`"]


@pytest.mark.parametrize("helo", HELOS)
def test_helo_names_are_only_echoed_printable(outside, gateway, mark, helo):
    outcome = outside.mx(samples.mail(mark), f"{mark}@{registered.DOMAIN}", helo=helo, client="203.0.113.25")
    assert outcome.code in (450, 501, 504)
    assert printable(outcome.reply)
    refused = outside.mx(samples.mail(mark), f"carol@{registered.FOREIGN_DOMAIN}", helo=helo)
    assert refused.code in (554, 501, 504)
    assert printable(refused.reply)


@pytest.mark.parametrize("local", [b'"a\x01b"', b'"x\\\x7f"', b"a\xffb", b'"action=OK"', b"a" * 200])
def test_addresses_are_only_echoed_printable(outside, mark, local):
    outcome = outside.mx(
        samples.mail(mark),
        local + b"@" + registered.DOMAIN.encode(),
        sender=local + b"@outside.example",
        client="203.0.113.26",
    )
    assert not outcome.reply.positive
    assert printable(outcome.reply)


@pytest.mark.parametrize(
    "attribute", ["helo_name", "sender", "recipient", "client_name", "sasl_username", "ccert_subject"]
)
def test_policyd_answers_one_printable_line(gateway, attribute):
    """Asked directly, with octets that Postfix would not have sent."""
    request = {
        b"request": b"smtpd_access_policy",
        b"protocol_state": b"RCPT",
        b"client_address": b"203.0.113.99",
        b"client_name": b"unknown",
        b"helo_name": b"x.example",
        b"sender": b"a@b.example",
        b"recipient": f"b@{registered.DOMAIN}".encode(),
        b"instance": attribute.encode(),
        attribute.encode(): b"a\raction=OK\r\r\x01\x7f\xff\xfe=%0A@" + registered.DOMAIN.encode(),
    }
    with socket.create_connection((LOOPBACK, gateway.ports.policyd), 10.0) as connection:
        connection.sendall(b"".join(name + b"=" + value + b"\n" for name, value in request.items()) + b"\n")
        answer = b""
        while not answer.endswith(b"\n\n"):
            piece = connection.recv(4096)
            assert piece, "closed"
            answer += piece
    assert answer.startswith(b"action=")
    assert answer.count(b"\n") == 2
    assert PRINTABLE.fullmatch(answer[:-2])
    # Whoever has a user name may relay, whatever the name; nobody else may.
    assert answer.upper().startswith(b"ACTION=OK") == (attribute == "sasl_username")


def test_xforward_attributes_cannot_add_lines(gateway, mark):
    """HELO and NAME of the client, as contentfilter gets them, with line ends in xtext."""
    with Dialogue(gateway.ports.before) as dialogue:
        dialogue.hello()
        reply = dialogue.command(
            f"XFORWARD NAME={xtext(EVIL)} ADDR=203.0.113.5 HELO={xtext(EVIL)} PROTO=ESMTP"
        )
        assert reply.code in (250, 501)
        outcome = dialogue.send(
            "a@b.example",
            [f"eve@{registered.OPEN_DOMAIN}"],
            samples.mail(mark, attachments=(samples.renamed_macros(),)),
        )
        assert outcome.code == 554
        assert len(outcome.reply.lines) == 1
        assert printable(outcome.reply)
        assert dialogue.command("NOOP").code == 250
    log = gateway.contentfilter.log.read_bytes()
    assert not any(line.startswith((b"action=", b"250 ")) for line in log.splitlines())
