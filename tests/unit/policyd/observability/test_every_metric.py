"""Every metric that policyd exports is moved by what it is to tell of: none is there for show.

Each entry of the table makes something happen to the daemon as it is wired; a metric without an entry fails.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mailbase.config import loads
from mailbase.dns import RecordType
from mailbase.statistics.lesson import encode_lesson, pack
from policyd.outgoing.judging import terms_of

from ..callouts import DOWN, replies
from ..wired import REGISTRY, Wired

Happening = Callable[[Wired], object]

CLIENT, SENDER = "198.18.0.7", "someone@sender.example"
FULL = sqlite3.OperationalError("database or disk is full")


def mail(wired: Wired) -> None:
    """One comes in, and all is known of it."""
    wired.ask()
    wired.pass_time(3)


def learn(wired: Wired) -> None:
    lessons = [encode_lesson(pack([1]))]
    about = {"spam": True, "source": "command", "run": "r", "mails": lessons}
    wired.verb(wired.daemon.learning.verbs, "learn", **about)
    wired.pass_time(3)


def count_a_text(wired: Wired) -> None:
    wired.verb(wired.daemon.learning.bulk, "bulk", keys=["0123456789abcdef"])


def learn_without_a_trainer(wired: Wired) -> None:
    wired.reactor.output = None
    learn(wired)


def mail_to_be_greylisted(wired: Wired) -> None:
    wired.ask(recipient="person@grey.example")
    wired.pass_time(3)


def mail_with_dns_silent(wired: Wired) -> None:
    wired.pass_time(1)
    wired.names.silent = True
    mail(wired)


def repeat(wired: Wired) -> None:
    for _ in range(2):
        wired.ask(instance="same")
        wired.pass_time(1)


def junk(wired: Wired) -> None:
    wired.connect()[0].dataReceived(b"GET / HTTP/1.1\r\n\n\n")


def junk_for_a_map(wired: Wired) -> None:
    wired.connect(wired.daemon.maps)[0].dataReceived(b"x")


def ask_a_map(wired: Wired) -> None:
    question = b"relay_domains inst.example"
    wired.connect(wired.daemon.maps)[0].dataReceived(b"%d:%b," % (len(question), question))


def bug(*_: Any, **__: Any) -> Any:
    raise RuntimeError("bug")


def bug_in_a_check(wired: Wired) -> None:
    wired.patch.setattr(wired.daemon.resolver, "ask", bug)
    wired.patch.setattr(wired.daemon.resolver, "ask_for", bug)
    wired.patch.setattr(wired.daemon.resolver, "cached", bug)
    mail(wired)


def bug_in_the_engine(wired: Wired) -> None:
    wired.patch.setattr(wired.daemon.engine, "decide_all", bug)
    wired.ask()


def shadows_alone_object(wired: Wired) -> None:
    wired.ask(recipient="person@quiet.example")
    wired.pass_time(3)


def limits_without_store(wired: Wired) -> None:
    wired.redis.refuses = True
    wired.pass_time(3)
    wired.ask()
    wired.pass_time(3)


def mail_without_store(wired: Wired) -> None:
    wired.redis.refuses = True
    wired.pass_time(3)
    wired.mail()


def mail_to_a_trap(wired: Wired) -> None:
    wired.mail("trap@inst.example")


def report(wired: Wired) -> None:
    ticket = wired.mail()
    told = {"id": ticket, "client": CLIENT, "sender": SENDER, "action": "accept"}
    assert wired.verb(wired.daemon.reports, "report", **told)["known"]


def mail_of_a_user(wired: Wired, mails: int = 1) -> None:
    for _ in range(mails):
        number = wired.mails
        to = {"sasl_username": "ada", "recipient": f"x{number}@elsewhere.example", "instance": f"u{number}"}
        wired.ask(**to)
        wired.ask(**to, protocol_state="DATA")
    wired.pass_time(0.1)


def mails_of_a_thief(wired: Wired) -> None:
    wired.daemon.outgoing.courier._send = _taken
    mail_of_a_user(wired, 46)


async def _taken(place: str, to: Any, message: bytes, timeout: float) -> None:
    assert b"user ada" in message


def thief_who_goes_on(wired: Wired) -> None:
    mails_of_a_thief(wired)
    wired.reactor.advance(3600)
    mail_of_a_user(wired, 46)


def thief_who_is_suspended(wired: Wired) -> None:
    wired.daemon.outgoing.watch.terms = replace(
        wired.daemon.outgoing.watch.terms,
        levels=levels_of("policyd: {outgoing: {users: {suspend: {messages: 46}}}}"),
    )
    mails_of_a_thief(wired)


def levels_of(configuration: str) -> Any:
    return terms_of(loads(configuration).policyd.outgoing).levels


def a_round_over_our_addresses(wired: Wired) -> None:
    wired.names.records["mx.gate.example.", "A"] = "198.18.0.7"
    wired.pass_time(62, 1)
    wired.pass_time(1)


def too_much_to_count(wired: Wired) -> None:
    wired.patch.setattr("policyd.outgoing.watch.MAX_PENDING", 0)
    mail_of_a_user(wired)


def ask_for_a_ticket(wired: Wired) -> None:
    ticket = wired.mail()
    assert wired.verb(wired.daemon.verbs, "ticket", id=ticket, client=CLIENT, sender=SENDER)["found"]


def ask_for_no_ticket(wired: Wired) -> None:
    assert not wired.verb(wired.daemon.verbs, "ticket", id="1", client=CLIENT, sender=SENDER)["found"]


def ask_whether_a_mail_waits(wired: Wired) -> None:
    question = {"id": wired.mail(), "client": CLIENT, "name": "", "sender": SENDER, "digest": "0" * 32}
    assert wired.verb(wired.daemon.mails, "defer", **question)["wait"] > 0


def ask_of_an_upstreams_client(wired: Wired) -> None:
    question = {"id": "1", "client": CLIENT, "helo": "x", "name": "", "sender": SENDER}
    wired.verb(wired.daemon.upstream, "evidence", **question)


def allow(wired: Wired) -> None:
    wired.verb(wired.daemon.exceptions, "exceptions.put", effect="allow", what=CLIENT)


def deny(wired: Wired) -> None:
    wired.verb(wired.daemon.exceptions, "exceptions.put", effect="deny", what=CLIENT)


def mail_from_one_denied(wired: Wired) -> None:
    deny(wired)
    mail(wired)


def register_more(wired: Wired) -> None:
    wired.write(REGISTRY + "  new.example: {addresses: [192.0.2.40], domains: {new.example: }}\n")
    wired.daemon.reload()


def more_dns_servers(wired: Wired) -> None:
    wired.write(servers="192.0.2.53, 192.0.2.54")
    wired.daemon.reload()


def record(wired: Wired) -> str:
    return str(wired.verb(wired.daemon.tape, "record.start")["recording"])


def record_a_mail(wired: Wired) -> None:
    recording = record(wired)
    mail(wired)
    wired.verb(wired.daemon.tape, "record.take", recording=recording)


def record_too_much(wired: Wired) -> None:
    record(wired)
    wired.patch.setattr("policyd.observability.tape.MAX_ROWS", 0)
    mail(wired)


# DNS


def look_up(wired: Wired, *names: str) -> None:
    for name in names:
        wired.daemon.resolver.ask(name, RecordType.A, consumer="fcrdns")


def look_up_in_silence(wired: Wired, *names: str) -> None:
    wired.pass_time(1)
    wired.names.silent = True
    look_up(wired, *names)


def look_up_again(wired: Wired) -> None:
    for _ in range(2):
        look_up(wired, "a.example")
        wired.pass_time(0.1)


def look_up_with_little_memory(wired: Wired) -> None:
    wired.write(cache="1KiB")
    wired.daemon.reload()
    for name in ("a.example", "b.example"):
        look_up(wired, name)
        wired.pass_time(0.1)


# Lists


def list_misses_its_test_point(wired: Wired) -> None:
    wired.names.records.clear()
    wired.pass_time(1)


def mail_from_one_listed(wired: Wired) -> None:
    wired.pass_time(1)
    mail(wired)


# Disks


def disk_is_full(wired: Wired) -> None:
    wired.disk.error = FULL
    wired.ask(sasl_username="ada", recipient="x@elsewhere.example", protocol_state="DATA")
    wired.pass_time(1)


def note_a_decision(wired: Wired) -> None:
    wired.ask(sasl_username="ada", recipient="x@elsewhere.example", protocol_state="DATA")


def keep_for_a_moment(wired: Wired) -> None:
    wired.daemon.state.memory("tickets").put(b"key", ("{}", int(wired.reactor.seconds()) + 1))
    wired.pass_time(25)


def keep_what_sqlite_cannot(wired: Wired) -> None:
    wired.daemon.state.memory("tickets").put(b"key", ("\ud800", int(wired.reactor.seconds()) + 100))
    wired.pass_time(1)


def damaged(name: str) -> Happening:
    def begin_with_it(wired: Wired) -> None:
        wired.end()
        (wired.folder / f"{name}.sqlite").write_bytes(b"no database at all" * 100)
        wired.begin()
        wired.pass_time(1)

    return begin_with_it


def begin_with_much_on_disk(wired: Wired) -> None:
    wired.pass_time(1)
    until = int(wired.reactor.seconds()) + 100
    triplets = wired.daemon.state.memory("greylist_triplets")
    for number in range(600):
        triplets.put(b"%d" % number, (1, 0, 1, "192.0.2.0/24", "s@x.example", "r@y.example", until))
    wired.end()
    wired.begin()


def flood_the_journal(wired: Wired) -> None:
    for _ in range(1_100):
        wired.ask(sasl_username="ada", recipient="x@elsewhere.example")


def forget_after_a_day(wired: Wired) -> None:
    note_a_decision(wired)
    wired.pass_time(1)
    wired.reactor.advance(2 * 86400)
    wired.pass_time(11)


# Callouts


def callout_under_way(wired: Wired, recipients: int = 1) -> None:
    wired.server = None
    for number in range(recipients):
        wired.ask(recipient=f"person{number}@inst.example", client_address=f"198.18.{number}.7")
        wired.pass_time(0.2)


def callout_for_two_mails(wired: Wired) -> None:
    wired.server = None
    for _ in range(2):
        wired.ask()
        wired.pass_time(0.2)


def callout_takes_too_long(wired: Wired) -> None:
    callout_under_way(wired)
    wired.pass_time(3)


def recipients_server_is_down(wired: Wired) -> None:
    wired.server = DOWN
    mail(wired)


def recipients_server_refuses_all(wired: Wired) -> None:
    wired.server = replies("550 no", "550 no")
    mail(wired)


def recipient_seen_before(wired: Wired) -> None:
    mail(wired)
    mail(wired)


def recipients_server_is_ourselves(wired: Wired) -> None:
    wired.ask(recipient="person@loop.example")
    wired.pass_time(1)


# Redis


def redis_is_there(wired: Wired) -> None:
    wired.pass_time(1)


def redis_is_gone(wired: Wired) -> None:
    wired.redis.refuses = True
    wired.pass_time(1)


def redis_says_nothing(wired: Wired) -> None:
    wired.pass_time(1)
    wired.redis.silent = True
    wired.ask(recipient="person@quiet.example")
    wired.pass_time(0.1)


ON_DISK: dict[str, Happening] = {
    "requests": mail,
    "decisions": mail,
    "greylist": mail_to_be_greylisted,
    "exceptions": mail_from_one_denied,
    "recipients": mail,
    "repeated": repeat,
    "request_seconds": mail,
    "protocol_errors": junk,
    "check_failures": bug_in_a_check,
    "facts": mail,
    "check_seconds": mail,
    "late": mail_with_dns_silent,
    "shadow": shadows_alone_object,
    "limits": Wired.mail,
    "spamtrap": mail_to_a_trap,
    "reports": report,
    "content_greylist": ask_whether_a_mail_waits,
    "engine_failures": bug_in_the_engine,
    "connections": Wired.connect,
    "open_connections": Wired.connect,
    "reloads": more_dns_servers,
    "socketmap_lookups": ask_a_map,
    "socketmap_errors": junk_for_a_map,
    "tickets_found": ask_for_a_ticket,
    "tickets_unknown": ask_for_no_ticket,
    "upstream_clients": ask_of_an_upstreams_client,
    "exceptions_allow": allow,
    "exceptions_deny": deny,
    "registered_domains": register_more,
    "registered_servers": register_more,
    "recording": record,
    "recorded": record_a_mail,
    "recording_dropped": record_too_much,
    "list_lookups": mail_from_one_listed,
    "list_hits": mail_from_one_listed,
    "list_on": lambda wired: wired.pass_time(1),
    "list_switched_off": list_misses_its_test_point,
    "lists_off": list_misses_its_test_point,
    "store_broken": disk_is_full,
    "store_pending": note_a_decision,
    "store_learning": begin_with_much_on_disk,
    "store_commits": mail,
    "store_purged": keep_for_a_moment,
    "store_damaged": damaged("state"),
    "store_failures": disk_is_full,
    "store_lost": keep_what_sqlite_cannot,
    "journal_written": mail,
    "journal_lost": flood_the_journal,
    "journal_failures": disk_is_full,
    "journal_purged": forget_after_a_day,
    "journal_damaged": damaged("journal"),
    "journal_broken": disk_is_full,
    "journal_pending": note_a_decision,
    "journal_bytes": mail,
    "dns_answers": mail,
    "dns_packets": mail,
    "dns_hits": look_up_again,
    "dns_lookups": mail,
    "dns_joined": lambda wired: look_up_in_silence(wired, "a.example", "a.example"),
    "dns_overloads": lambda wired: look_up_in_silence(
        wired, "a.example", "b.example", "c.example", "d.example"
    ),
    "dns_evicted": look_up_with_little_memory,
    "dns_in_flight": lambda wired: look_up_in_silence(wired, "a.example"),
    "dns_waiting": lambda wired: look_up_in_silence(wired, "a.example", "b.example", "c.example"),
    "dns_cached": mail,
    "dns_cached_bytes": mail,
    "dns_servers": more_dns_servers,
    "dns_servers_down": mail_with_dns_silent,
    "dns_lookup_seconds": mail,
    "outgoing_mails": mail_of_a_user,
    "outgoing_recipients": mail_of_a_user,
    "outgoing_jumps": mails_of_a_thief,
    "outgoing_suspended": thief_who_is_suspended,
    "outgoing_suspensions": thief_who_is_suspended,
    "outgoing_notices": mails_of_a_thief,
    "outgoing_notices_held": thief_who_goes_on,
    "outgoing_lost": too_much_to_count,
    "outgoing_held": mail_of_a_user,
    "own_addresses": a_round_over_our_addresses,
    "own_addresses_listed": a_round_over_our_addresses,
    "own_address_lookups": a_round_over_our_addresses,
    "bulk_mails": count_a_text,
    "statistics_learned": learn,
    "statistics_lessons": learn,
    "statistics_oldest_lesson_seconds": lambda wired: (learn(wired), wired.pass_time(1)),
    "statistics_tokens": learn,
    "statistics_judges": learn,
    "statistics_model_age_seconds": learn,
    "statistics_training_failures": learn_without_a_trainer,
    "callouts": mail,
    "callout_hits": recipient_seen_before,
    "callout_joined": callout_for_two_mails,
    "callout_late": callout_takes_too_long,
    "callout_failures": recipients_server_is_down,
    "callout_existing_refused": recipients_server_refuses_all,
    "callout_forbidden": recipients_server_is_ourselves,
    "callout_in_flight": callout_under_way,
    "callout_waiting": lambda wired: callout_under_way(wired, 2),
    "callout_servers_down": recipients_server_is_down,
    "callout_seconds": mail,
}
"""What moves each metric of a node with its own state; the names without "policyd_"."""
ON_REDIS: dict[str, Happening] = {
    "tickets_lost": mail_without_store,
    "limits_unavailable": limits_without_store,
    "redis_commands": redis_is_there,
    "redis_up": redis_is_there,
    "redis_in_flight": redis_says_nothing,
    "redis_connections": redis_is_there,
    "redis_failures": redis_is_gone,
    "redis_seconds": redis_is_there,
}
"""Likewise where nodes share it."""


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bool], Wired]]:
    made: list[Wired] = []

    def make(on_redis: bool) -> Wired:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Wired(folder, monkeypatch, on_redis))
        return made[-1]

    yield make
    for wired in made:
        wired.end()


def test_each_has_its_entry(make: Callable[[bool], Wired]) -> None:
    exported = [name for on_redis in (False, True) for name in make(on_redis).families()]
    assert set(exported) == {f"policyd_{name}" for name in (*ON_DISK, *ON_REDIS)}


@pytest.mark.parametrize("name", [*ON_DISK, *ON_REDIS])
def test_it_moves(make: Callable[[bool], Wired], name: str) -> None:
    wired = make(name in ON_REDIS)
    before = wired.samples(f"policyd_{name}")
    assert before, "not even a zero is exported"
    (ON_REDIS if name in ON_REDIS else ON_DISK)[name](wired)
    assert wired.samples(f"policyd_{name}") != before
