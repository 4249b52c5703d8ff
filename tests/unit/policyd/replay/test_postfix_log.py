"""Requests from Postfix's lines: of several versions, in several wirings, whole and in pieces."""

# ruff: noqa: E501 - lines of a log are as long as they are

from __future__ import annotations

from pathlib import Path

import pytest

from policyd.replay import postfix as module
from policyd.replay.past import Recorded
from policyd.replay.postfix import HOLD, PostfixLog
from policyd.replay.stamps import Stamp, Stamps

WRITTEN = 1_795_737_600.0


def read(text: str) -> tuple[list[Recorded], PostfixLog]:
    """All requests of a log, each of whose lines comes at its time."""
    log, stamps, found = PostfixLog(), Stamps(WRITTEN), []
    for line in text.strip().splitlines():
        stamp = stamps.read(line.strip())
        assert stamp is not None, line
        log.feed(stamp, line.strip()[stamp.text :])
        found += log.ready(stamp.time)
    found += log.rest()
    return found, log


def shape(found: list[Recorded]) -> list[tuple[str, str, str, str, str, str]]:
    return [
        (
            one.request.stage.value,
            one.request.client_address,
            one.request.sender,
            one.request.recipient,
            one.answer.action.value if one.answer else "-",
            one.answer.reason if one.answer else "-",
        )
        for one in found
    ]


GREYLISTED = """
Nov 26 20:53:17 mx postfix/smtpd[1]: connect from mail.x.example[198.51.100.77]
Nov 26 20:53:18 mx postfix/smtpd[1]: NOQUEUE: reject: RCPT from mail.x.example[198.51.100.77]: 450 4.2.0 <bob@inst.example>: Recipient address rejected: Greylisted, try again in 300 s [aevgamzzdfvqq]; from=<alice@outside.example> to=<bob@inst.example> proto=ESMTP helo=<client.example>
Nov 26 20:53:18 mx postfix/smtpd[1]: disconnect from mail.x.example[198.51.100.77] ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4
"""


def test_a_recipient_that_was_put_off() -> None:
    found, _ = read(GREYLISTED)
    assert shape(found) == [
        ("RCPT", "198.51.100.77", "alice@outside.example", "bob@inst.example", "defer", "reply-4.2.0")
    ]
    request = found[0].request
    assert request.client_name == "mail.x.example"
    assert request.get("helo_name") == "client.example"
    assert request.get("protocol_name") == "ESMTP"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # postgrey, Postfix 2.11, a log with client ports, IPv6, null sender, no name
        (
            "NOQUEUE: reject: RCPT from unknown[2001:db8::7]:4711: 450 4.2.0 <b@inst.example>: Recipient address"
            " rejected: Greylisted, see http://postgrey.example/; from=<> to=<b@inst.example> proto=SMTP",
            ("2001:db8::7", "", "b@inst.example", "defer"),
        ),
        # a second recipient, after the first was accepted
        (
            "4F1B2C3D4E: reject: RCPT from m.x.example[198.51.100.7]: 554 5.7.1 <c@elsewhere.example>: Recipient"
            " address rejected: Relay access denied [aevgamzzdfvqq]; from=<a@x.example>"
            " to=<c@elsewhere.example> proto=ESMTP helo=<m.x.example>",
            ("198.51.100.7", "a@x.example", "c@elsewhere.example", "reject"),
        ),
        # long queue ids, and a recipient that imitates the fields
        (
            "4bZkTq3XyYz1qMz: reject: RCPT from m.x.example[198.51.100.7]: 450 4.7.1 <; from=<a@b> to=<c@d>"
            " proto=SMTP helo=<e>: greylisted; from=<a@x.example> to=<c@inst.example> proto=ESMTP helo=<h>",
            ("198.51.100.7", "a@x.example", "c@inst.example", "defer"),
        ),
    ],
)
def test_forms_of_refusals(line: str, expected: tuple[str, ...]) -> None:
    found, _ = read(f"Nov 26 20:53:18 mx postfix/submission/smtpd[1]: {line}")
    (one,) = found
    request = one.request
    assert one.answer is not None
    assert (request.client_address, request.sender, request.recipient, one.answer.action) == expected


@pytest.mark.parametrize(
    "line",
    [
        "NOQUEUE: reject: RCPT from m.x.example[198.51.100.7]: 550 5.1.1 <b@inst.example>: Recipient address"
        " rejected: User unknown in relay recipient table; from=<a@x> to=<b@inst.example> proto=ESMTP helo=<h>",
        "NOQUEUE: reject: RCPT from m.x.example[198.51.100.7]: 554 5.7.1 Service unavailable; Client host"
        " [198.51.100.7] blocked using zen.dnsbl.example; from=<a@x> to=<b@inst.example> proto=ESMTP helo=<h>",
    ],
)
def test_what_others_refused_is_counted_and_left_out(line: str) -> None:
    found, log = read(f"Nov 26 20:53:18 mx postfix/smtpd[1]: {line}")
    assert not found
    assert log.tally.others == 1


ACCEPTED = """
Nov 26 20:53:18 mx postfix/smtpd[7]: 725F8210A11: client=mail.x.example[198.51.100.25]
Nov 26 20:53:18 mx postfix/cleanup[8]: 725F8210A11: message-id=<m4@outside.example>
Nov 26 20:53:19 mx postfix/qmgr[9]: 725F8210A11: from=<alice@x.example>, size=767, nrcpt=3 (queue active)
Nov 26 20:53:20 mx postfix/smtp[10]: 725F8210A11: to=<ada@inst.example>, relay=192.0.2.9[192.0.2.9]:25, delay=0.03, delays=0.01/0.01/0/0.01, dsn=2.0.0, status=sent (250 2.0.0 Ok)
Nov 26 20:53:20 mx postfix/smtp[10]: 725F8210A11: to=<new@inst.example>, orig_to=<old@inst.example>, relay=none, delay=0.03, delays=0.01/0.01/0/0.01, dsn=4.4.1, status=deferred (connect to 192.0.2.9[192.0.2.9]:25: Connection refused)
Nov 26 20:53:20 mx postfix/local[10]: 725F8210A11: to=<third@inst.example>, orig_to=<old@inst.example>, relay=local, delay=0.03, delays=0.01/0.01/0/0.01, dsn=2.0.0, status=sent (delivered to mailbox)
Nov 26 20:53:20 mx postfix/qmgr[9]: 725F8210A11: removed
"""


def test_an_accepted_mail_becomes_the_requests_it_took() -> None:
    found, log = read(ACCEPTED)
    who = ("198.51.100.25", "alice@x.example")
    assert shape(found) == [
        ("RCPT", *who, "ada@inst.example", "accept", "received"),
        ("RCPT", *who, "old@inst.example", "accept", "received"),
        ("DATA", *who, "", "-", "-"),
        ("END-OF-MESSAGE", *who, "", "-", "-"),
    ]
    assert {one.time for one in found} == {found[0].time}
    assert len({one.request.instance for one in found}) == 1
    assert found[0].fate == "delivered"
    assert found[2].request.number("recipient_count") == 2
    assert found[2].request.number("size") == 0
    assert found[3].request.number("size") == 767
    assert log.held == 0


def test_a_users_mail_has_its_login() -> None:
    found, _ = read(
        ACCEPTED.replace("[198.51.100.25]", "[198.51.100.25], sasl_method=PLAIN, sasl_username=ada")
    )
    assert all(one.request.sasl_username == "ada" for one in found)


def test_one_recipient_stands_in_data_too() -> None:
    lines = [line for line in ACCEPTED.strip().splitlines() if "new@" not in line and "third@" not in line]
    found, _ = read("\n".join(lines).replace("nrcpt=3", "nrcpt=1"))
    assert [(one.request.stage.value, one.request.recipient) for one in found] == [
        ("RCPT", "ada@inst.example"),
        ("DATA", "ada@inst.example"),
        ("END-OF-MESSAGE", "ada@inst.example"),
    ]


BEFORE_QUEUE = """
Nov 26 20:53:17 mx postfix/smtpd[17987]: NOQUEUE: client=unknown[198.51.100.25]
Nov 26 20:53:17 mx postfix/smtpd[17990]: connect from localhost[127.0.0.1]
Nov 26 20:53:17 mx postfix/smtpd[17990]: 0F18B2107E3: client=localhost[127.0.0.1], orig_client=unknown[198.51.100.25]
Nov 26 20:53:17 mx postfix/cleanup[18026]: 0F18B2107E3: message-id=<m1@outside.example>
Nov 26 20:53:17 mx postfix/qmgr[17982]: 0F18B2107E3: from=<alice@outside.example>, size=992, nrcpt=1 (queue active)
Nov 26 20:53:17 mx postfix/smtpd[17987]: proxy-accept: END-OF-MESSAGE: 250 2.0.0 Ok: queued as 0F18B2107E3; from=<alice@outside.example> to=<eve@open.example> proto=ESMTP helo=<client.example>
Nov 26 20:53:17 mx postfix/smtp[18027]: 0F18B2107E3: to=<eve@open.example>, relay=127.0.0.1[127.0.0.1]:47935, delay=0.04, delays=0.03/0.01/0/0, dsn=2.0.0, status=sent (250 2.0.0 Ok: kept)
Nov 26 20:53:17 mx postfix/qmgr[17982]: 0F18B2107E3: removed
"""


def test_with_a_filter_before_the_queue_the_client_is_the_original_one() -> None:
    found, _ = read(BEFORE_QUEUE)
    assert [one.request.client_address for one in found] == ["198.51.100.25"] * 3
    assert found[0].request.get("helo_name") == "client.example"


def test_what_the_filter_refused_was_received_before() -> None:
    found, _ = read("""
Nov 26 20:53:17 mx postfix/smtpd[17987]: NOQUEUE: client=unknown[198.51.100.25]
Nov 26 20:53:17 mx postfix/smtpd[17987]: proxy-reject: END-OF-MESSAGE: 554 5.7.1 The attachment "a" contains a macro; from=<alice@outside.example> to=<eve@open.example> proto=ESMTP helo=<client.example>
""")
    (one,) = found
    assert one.fate == "refused"
    assert one.answer is not None
    assert one.answer.action == "accept"
    assert one.request.client_address == "198.51.100.25"


AFTER_QUEUE = """
Nov 26 20:53:18 mx postfix/smtpd[18024]: 76BEC210AB2: client=localhost[127.0.0.1], orig_queue_id=725F8210A11, orig_client=unknown[198.51.100.25]
Nov 26 20:53:18 mx postfix/qmgr[17982]: 76BEC210AB2: from=<alice@x.example>, size=1025, nrcpt=1 (queue active)
Nov 26 20:53:18 mx postfix/smtp[18027]: 76BEC210AB2: to=<ada@inst.example>, relay=x, delay=0.01, dsn=2.0.0, status=sent (250 2.0.0 Ok: kept)
"""


def test_what_a_filter_behind_the_queue_brings_back_is_not_counted_again() -> None:
    found, log = read(ACCEPTED + AFTER_QUEUE.strip())
    assert len(found) == 4
    assert log.tally.brought_back == 1


def test_mail_of_programs_on_this_machine_is_left_out() -> None:
    for address in ("127.0.0.1", "::1"):
        found, log = read(ACCEPTED.replace("198.51.100.25", address))
        assert not found
        assert log.tally.brought_back == 1


def test_mail_that_did_not_come_over_smtp_is_none_of_ours() -> None:
    found, log = read("""
Nov 26 20:53:18 mx postfix/pickup[3]: 725F8210A11: uid=0 from=<root>
Nov 26 20:53:18 mx postfix/qmgr[3]: 725F8210A11: from=<root@mx>, size=400, nrcpt=1 (queue active)
Nov 26 20:53:18 mx postfix/local[3]: 725F8210A11: to=<root@mx>, relay=local, delay=0, dsn=2.0.0, status=sent (ok)
Nov 26 20:53:18 mx postfix/postscreen[3]: NOQUEUE: reject: RCPT from [198.51.100.7]:4711: 450 4.3.2 Service currently unavailable; from=<a@x>, to=<b@y>, proto=ESMTP, helo=<h>
""")
    assert not found
    assert log.held == 0


def test_requests_come_in_the_order_of_their_time() -> None:
    """The recipients of a mail are known only after others were refused."""
    late = GREYLISTED.replace("20:53:18", "20:53:19").replace("20:53:17", "20:53:18").strip()
    first, *others = ACCEPTED.strip().splitlines()
    found, _ = read("\n".join([first, late, *others]))
    times = [one.time for one in found]
    assert times == sorted(times)
    assert [one.request.stage.value for one in found] == ["RCPT", "RCPT", "DATA", "END-OF-MESSAGE", "RCPT"]


def test_a_mail_whose_recipients_never_show_up_does_not_hold_others_for_ever() -> None:
    first = ACCEPTED.strip().splitlines()[0]
    log, stamps = PostfixLog(), Stamps(WRITTEN)
    stamp = stamps.read(first)
    assert stamp is not None
    log.feed(stamp, first[stamp.text :])
    refused = GREYLISTED.strip().splitlines()[1]
    other = stamps.read(refused)
    assert other is not None
    later = other._replace(time=stamp.time + 1)
    log.feed(later, refused[other.text :])
    assert not list(log.ready(stamp.time + HOLD - 1))
    assert len(list(log.ready(stamp.time + HOLD))) == 1
    assert log.tally.incomplete == 1


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAX_MAILS", "MAX_HELD", "MAX_CLIENTS", "MAX_RECIPIENTS"):
        monkeypatch.setattr(module, name, 10)
    log = PostfixLog()
    for number in range(200):
        stamp = Stamp(1000.0 + number / 1000, "postfix/smtpd", str(number), 0)
        log.feed(stamp, f"AB{number:06X}: client=x[198.51.100.1]")
        log.feed(stamp, f"NOQUEUE: client=x[198.51.100.{number}]")
        qmgr = stamp._replace(program="postfix/qmgr")
        log.feed(qmgr, f"AB{number:06X}: from=<a@b>, size=1, nrcpt=50 (queue active)")
        for recipient in range(40):
            smtp = stamp._replace(program="postfix/smtp")
            log.feed(smtp, f"AB{number:06X}: to=<{recipient}@c>, relay=x, status=sent (ok)")
        list(log.ready(stamp.time))
        assert log.held <= 10 + 1 + 10 + 12 + 10


def test_a_queue_id_may_come_again() -> None:
    first = ACCEPTED.strip().splitlines()[:-1]
    text = "\n".join([*first, *(line.replace("20:53:", "20:54:") for line in first)])
    found, _ = read(text)
    assert [one.request.stage.value for one in found] == ["RCPT", "RCPT", "DATA", "END-OF-MESSAGE"] * 2


def test_lines_cut_off_anywhere_harm_nothing() -> None:
    text = (ACCEPTED + BEFORE_QUEUE.strip() + GREYLISTED + AFTER_QUEUE.strip()).strip()
    for line in text.splitlines():
        for end in range(20, len(line)):
            stamp = Stamps(WRITTEN).read(line[:end])
            if stamp is not None:
                PostfixLog().feed(stamp, line[stamp.text : end])


def test_the_samples_fit_a_file(tmp_path: Path) -> None:
    """As ``policyd replay`` reads it."""
    from policyd.replay.sources import Sources

    path = tmp_path / "mail.log"
    path.write_text(GREYLISTED.strip() + "\n" + ACCEPTED.strip() + "\n")
    assert len(list(Sources([path]))) == 5
