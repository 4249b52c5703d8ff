"""A real Postfix, and an operator who asks what was decided, makes exceptions and takes them back."""

from __future__ import annotations

import contextlib
import io
import json
import re
import socket
import sqlite3

import pytest

from contentfilter import cli as contentfilter_cli
from policyd import cli
from policyd.protocol.delegation import REQUEST_TYPE
from postwarden.demo import samples
from postwarden.sandbox import registered
from postwarden.sandbox.gateway import Gateway, metric
from postwarden.sandbox.nameserver import Nameserver
from postwarden.sandbox.waiting import wait_until

ZONE = """
    sender.example.          SOA   ns.sender.example. h.sender.example. 1 3600 600 86400 60
    sender.example.          MX    10 mail.sender.example.
    mail.sender.example.     A     198.18.0.7
    7.0.18.198.in-addr.arpa. PTR   mail.sender.example.
"""
V4, V6 = "198.18.0.9", "2001:db8:18::9"
BAD = {"helo": "friend", "sender": "alice@gone.example"}
GOOD = {"client": "198.18.0.7", "helo": "mail.sender.example", "sender": "alice@sender.example"}
ID = re.compile(r"\[([0-9a-z]{13})\]")
QUEUED = re.compile(r"queued as ([0-9A-Za-z]+)")


@pytest.fixture(scope="module")
def gateway(real_postfix, tmp_path_factory):
    nameserver = Nameserver(ZONE)
    settings = {
        "dns": {"servers": [f"{nameserver.host}:{nameserver.port}"]},
        "flows": {
            "inbound": {"checks": {"fcrdns": True, "helo": True, "sender_domain": True}, "reject_at": 6}
        },
    }
    with Gateway(tmp_path_factory.mktemp("explain"), settings=settings) as gateway:
        gateway.start()
        yield gateway
    nameserver.close()


@pytest.fixture
def policyd(gateway):
    """The operator's command: ``policyd("explain", …)`` gives its exit status and the JSON lines."""

    def run(*words: str) -> tuple[int, list[dict]]:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            status = cli.main([*words, "--config", str(gateway.config)])
        return status, [json.loads(line) for line in printed.getvalue().splitlines() if line[:1] == "{"]

    return run


@pytest.fixture
def contentfilter(gateway):
    """Likewise of contentfilter."""

    def run(*words: str) -> tuple[int, list[dict]]:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            status = contentfilter_cli.main([*words, "--config", str(gateway.config)])
        return status, [json.loads(line) for line in printed.getvalue().splitlines() if line[:1] == "{"]

    return run


@pytest.fixture
def exception(policyd):
    """Make an exception and take it back when the test is over."""
    made = []

    def make(verb: str, what: str, *more: str) -> None:
        assert policyd(verb, what, *more)[0] == 0
        made.append([what, *more[: 2 if more[:1] == ("--as",) else 0]])

    yield make
    for words in made:
        policyd("exceptions", "remove", *words)


def xclient(address: str) -> str:
    return f"IPV6:{address}" if ":" in address else address


@pytest.mark.parametrize("client", [V4, V6])
def test_a_refusal_is_explained_by_the_id_in_its_reply(outside, policyd, mark, client):
    outcome = outside.mx(samples.mail(mark), client=xclient(client), **BAD)
    assert outcome.code == 554
    decision_id = ID.search(str(outcome.reply))[1]
    status, told = policyd("explain", decision_id.upper())
    assert status == 0
    (decision,) = [one for one in told if one["id"] == decision_id]
    assert (decision["client"], decision["sender"]) == (client, "alice@gone.example")
    assert (decision["action"], decision["reason"]) == ("reject", "sender_domain-no-mail-host")
    assert decision["points"] >= decision["reject_at"] == 6.0
    assert {fact["check"] for fact in decision["facts"]} >= {"relay", "fcrdns", "helo", "sender_domain"}
    assert decision["advice"][0]["command"].startswith(f"policyd allow {client} ")
    assert decision["reply"].removeprefix("554 5.7.1 ") in str(outcome.reply)


def test_it_is_found_by_client_network_sender_recipient_and_domain(outside, policyd, mark):
    recipient = f"{mark}@{registered.OPEN_DOMAIN}"
    outcome = outside.mx(
        samples.mail(mark), recipient, client=V4, **{**BAD, "sender": f"{mark}@gone.example"}
    )
    decision_id = ID.search(str(outcome.reply))[1]
    for term in (
        V4,
        "198.18.0.0/28",
        recipient,
        f"{mark}@GONE.example",
        "gone.example",
        registered.OPEN_DOMAIN,
    ):
        status, told = policyd("explain", term)
        assert status == 0
        assert decision_id in [one["id"] for one in told], term
    assert policyd("explain", f"nobody-{mark}@gone.example") == (1, [])


@pytest.mark.parametrize("before_queue", [True, False])
def test_a_mail_is_found_by_its_queue_id_with_what_became_of_it(
    outside, policyd, contentfilter, gateway, mark, before_queue
):
    """Before the queue the id is that of the Postfix behind contentfilter, which answers."""
    mail = samples.mail(mark)
    outcome = outside.mx(mail, **GOOD) if before_queue else outside.user(mail)
    queue_id = QUEUED.search(str(outcome.reply))[1]
    assert gateway.sink.wait_for(mark.encode())

    def told():
        rows = policyd("explain", queue_id)[1]
        actions = [row["action"] for row in rows if row["kind"] == "outcome"]
        return rows if actions == ["accept", "queued"] else None

    rows = wait_until(told, 15.0, "contentfilter's reports")
    decisions = [row for row in rows if row["kind"] == "decision"]
    assert {row["user"] for row in decisions} == {"" if before_queue else "ada"}
    assert [row["stage"] for row in decisions][-1] in ("DATA", "END-OF-MESSAGE")
    assert len({row["instance"] for row in decisions}) == 1
    tickets = [row["id"] for row in decisions if row["stage"] == "DATA"]
    _, content = contentfilter("explain", tickets[0])
    assert [row["action"] for row in content] == ["accept", "queued"]
    assert content[0]["content"]["seconds"].keys() >= {"workers", "total", "ticket"}
    assert content[0]["content"]["parts"] > 0
    assert {row["id"] for row in rows if row["kind"] == "outcome"} == set(tickets)


@pytest.mark.parametrize("client", [V4, V6])
def test_who_is_refused_for_points_is_allowed_at_once(outside, policyd, exception, gateway, mark, client):
    assert outside.mx(samples.mail(mark), client=xclient(client), **BAD).code == 554
    exception("allow", client, "--for", "1h", "--why", "test")
    assert outside.mx(samples.mail(mark), client=xclient(client), **BAD).code == 250
    assert gateway.sink.wait_for(mark.encode())
    _, told = policyd("explain", client, "--limit", "3")
    assert any(fact["check"] == "exceptions" for one in told for fact in one.get("facts", ()))


def test_who_is_greylisted_is_allowed_at_once(outside, exception, mark):
    who = {**GOOD, "recipient": f"{mark}@{registered.DOMAIN}"}
    assert outside.mx(samples.mail(mark), **who).code == 450
    exception("allow", "alice@sender.example")
    assert outside.mx(samples.mail(mark), **who).code == 250


@pytest.mark.parametrize(
    ("what", "client"),
    [
        (("198.18.0.7",), "198.18.0.7"),
        (("2001:db8:18::/48",), "2001:db8:18::9"),
        (("@sender.example",), "198.18.0.7"),
        ((f"eve@{registered.OPEN_DOMAIN}", "--as", "recipient"), "198.18.0.7"),
    ],
)
def test_who_is_denied_is_refused_at_once(outside, policyd, exception, mark, what, client):
    who = {**GOOD, "client": xclient(client), "helo": "mail.sender.example"}
    assert outside.mx(samples.mail(mark), **who).code == 250
    exception("deny", *what)
    outcome = outside.mx(samples.mail(mark), **who)
    assert outcome.code == 554
    assert "5.7.1 " in str(outcome.reply)
    assert "Refused by local policy [" in str(outcome.reply)
    _, told = policyd("explain", ID.search(str(outcome.reply))[1])
    assert told[-1]["advice"][0]["command"].startswith("policyd exceptions remove ")


def test_a_user_is_denied_and_others_are_not(outside, exception, mark):
    exception("deny", "ada", "--as", "user", "--for", "1h")
    outcome = outside.user(samples.mail(mark))
    assert (outcome.code, "Refused by local policy" in str(outcome.reply)) == (554, True)
    assert outside.user(samples.mail(mark), user="bob", sender=f"bob@{registered.DOMAIN}").code == 250


def test_an_exception_ends_by_itself(outside, policyd, exception, mark):
    exception("deny", "198.18.0.7", "--for", "1s")

    def passes():
        return outside.mx(samples.mail(mark), **GOOD).code == 250

    wait_until(passes, 10.0, "the end of the exception")
    assert policyd("exceptions", "list")[1] == []


def test_allowing_grants_no_relaying(outside, exception, mark):
    exception("allow", "198.18.0.7")
    outcome = outside.mx(samples.mail(mark), f"carol@{registered.FOREIGN_DOMAIN}", **GOOD)
    assert (outcome.code, "Relay access denied" in str(outcome.reply)) == (554, True)


def ask(port: int, number: int) -> None:
    """One request, as Postfix would ask it."""
    with socket.create_connection(("127.0.0.1", port), 5.0) as connection:
        connection.sendall(
            f"request={REQUEST_TYPE}\nprotocol_state=RCPT\nclient_address=198.18.7.7\nclient_name=unknown\n"
            f"sender=s{number}@x.example\nrecipient=eve@{registered.OPEN_DOMAIN}\n\n".encode()
        )
        assert connection.recv(1000).endswith(b"\n\n")


def test_kill_9_loses_the_last_moments_at_most_and_exceptions_stay(gateway, policyd, exception):
    """Last in this file: the daemon is started anew."""
    exception("deny", "203.0.113.66")
    port = gateway.ports.policyd
    figures = gateway.ports.policyd_metrics
    # It is in force at once, and on the disk within 200 ms.
    wait_until(lambda: metric(figures, "policyd_store_pending") == 0, 10.0, "the exception in the file")
    before = metric(figures, "policyd_journal_written_total")
    for number in range(20):
        ask(port, number)
    wait_until(
        lambda: metric(figures, "policyd_journal_written_total") >= before + 20, 10.0, "entries in the file"
    )
    for number in range(20, 25):
        ask(port, number)
    gateway.policyd.kill()
    with sqlite3.connect(gateway.folder / "journal.sqlite") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    gateway.start_policyd()
    _, told = policyd("explain", "198.18.7.7", "--limit", "100")
    senders = {one["sender"] for one in told}
    assert senders >= {f"s{number}@x.example" for number in range(20)}
    assert [rule["what"] for rule in policyd("exceptions", "list")[1]] == ["203.0.113.66"]
    assert metric(figures, "policyd_journal_damaged_total") == 0
