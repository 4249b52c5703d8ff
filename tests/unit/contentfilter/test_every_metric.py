"""Every metric that contentfilter exports is moved by what it is to tell of: none is there for show.

Each entry of the table makes something happen to the daemon as it is wired; a metric without an entry fails.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from contentfilter.assessing import Assessment, Mail, Name
from contentfilter.authentication.outcome import Authentication
from contentfilter.content.results import ScanResult
from contentfilter.content.traits import Traits
from contentfilter.disposition.recipients import Share
from contentfilter.metering import STAGES
from contentfilter.pool.frames import Done, Ready
from contentfilter.quarantine.housekeeping import FIRST, State
from contentfilter.signing.messages import Signed, SignTask
from contentfilter.signing.record import record_text
from mailbase.dns import RecordType
from mailbase.vocabulary import Finding, Unscanned
from tests.samples.dkim_keys import lay_down

from .wired import REGISTRY, UPSTREAM, Wired

DAY = 86400.0
Happening = Callable[[Wired], object]

MACRO = Finding("office-macro", "2/a.docm")
DDE = Finding("office-dde", "2/a.docx")


def mail(wired: Wired) -> None:
    """One comes in and is passed on."""
    assert wired.mail().startswith("250 "), wired.stream.getvalue()


def mail_with_something_in_it(wired: Wired) -> None:
    wired.result = ScanResult((MACRO,), (Unscanned("3", "encrypted"),), 2)
    assert wired.mail().startswith("554 ")


def mail_that_is_quarantined(wired: Wired) -> None:
    wired.result = ScanResult((MACRO,))
    assert "quarantined" in wired.mail(client=UPSTREAM)


def disk_is_full(wired: Wired) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    wired.patch.setattr("contentfilter.quarantine.keeper.Quarantine.keep", full)
    wired.result = ScanResult((MACRO,))
    assert wired.mail(client=UPSTREAM).startswith("451 ")


def quarantine_later(wired: Wired, seconds: float) -> None:
    """What keeps the quarantine tidy comes by so many seconds after a mail."""
    mail_that_is_quarantined(wired)
    State(until=time.time() - 2 * DAY).write(wired.folder / "quarantine")
    wired.patch.setattr(wired.daemon.housekeeper, "_now", lambda: time.time() + seconds)
    wired.pass_time(2 * FIRST, 1)


def mail_is_kept_long_enough(wired: Wired) -> None:
    quarantine_later(wired, 1000 * DAY)


def administrators_are_told(wired: Wired) -> None:
    quarantine_later(wired, 2 * DAY)


def mail_without_an_answer(wired: Wired) -> None:
    wired.result = None
    wired.mail()
    wired.pass_time(60, 1)


def mail_with_a_ticket(wired: Wired) -> None:
    wired.mail(ticket={})


def mail_with_points(wired: Wired) -> None:
    wired.mail(ticket={"points": 5, "findings": [{"name": "helo.not-fqdn"}]})


def mail_that_has_to_wait(wired: Wired) -> None:
    assert wired.policyd is not None
    wired.policyd["defer"] = {"why": "waits", "wait": 300}
    assert wired.mail(ticket={"points": 9}).startswith("451 4.7.1 ")


def mail_that_is_authenticated(wired: Wired) -> None:
    wired.result = ScanResult(traits=Traits(authentication=Authentication(authors=("x.example",))))
    mail(wired)


def mail_of_an_upstream(wired: Wired) -> None:
    wired.mail(
        client=UPSTREAM,
        head=b"Received: from helo.example (helo.example [192.0.2.99]) by relay.example with ESMTP id 1\r\n",
    )


def mail_that_comes_apart(wired: Wired) -> None:
    wired.result = ScanResult((DDE,))
    assert wired.mail("r@inst.example", "r@strict.example").startswith("451 ")


def mail_that_comes_twice(wired: Wired) -> None:
    mail(wired)
    mail(wired)
    assert wired.tasks == 1


def worker_is_killed(wired: Wired) -> None:
    wired.pass_time()
    wired.worker.events.ended("SIGKILL")


def reload(wired: Wired) -> None:
    wired.write(REGISTRY + "  new.example: {addresses: [192.0.2.40], domains: {new.example: }}\n")
    wired.daemon.reload()


def connection_before_postfix_is_there(wired: Wired) -> None:
    wired.postfix = b""
    wired.pass_time()
    wired.connect()


def more_mails_than_may_wait(wired: Wired) -> None:
    """One worker, and none may wait."""
    wired.result = None
    wired.daemon.intake.bounds = type("None", (), {"backlog": 1})()
    for _ in range(3):
        wired.mail()


def mail_under_way(wired: Wired) -> None:
    wired.pass_time()
    wired.begin()


def mail_is_changed_on_its_way(wired: Wired) -> None:
    """By whatever: the hash of what came in is not that of what would go out."""
    wired.patch.setattr("contentfilter.spool.spool.Spool.digest", b"another")
    for engine in ("conversation", "command"):
        wired.patch.setattr(f"contentfilter.engines.{engine}.intact", lambda pieces, _digest: pieces)
    assert wired.mail().startswith("451 ")


def two_mails_for_one_worker(wired: Wired) -> None:
    wired.result = None
    for _ in range(2):
        wired.mail()


# DNS


def look_up(wired: Wired, *names: str) -> None:
    for name in names:
        wired.daemon.resolver.ask(name, RecordType.A, consumer="urls")
        wired.pass_time(0.1)


def look_up_at_once(wired: Wired, *names: str) -> None:
    wired.names.silent = True
    for name in names:
        wired.daemon.resolver.ask(name, RecordType.A, consumer="urls")


def look_up_in_silence(wired: Wired) -> None:
    look_up_at_once(wired, "a.example")
    wired.pass_time(10)


def look_up_with_little_memory(wired: Wired) -> None:
    wired.write(cache="1KiB")
    wired.daemon.reload()
    look_up(wired, "a.example", "b.example")


def more_dns_servers(wired: Wired) -> None:
    wired.write(servers="192.0.2.53, 192.0.2.54")
    wired.daemon.reload()


# Lists of links


def mail_with_a_listed_link(wired: Wired) -> None:
    wired.result = ScanResult(parts=1, traits=Traits(hosts=("www.evil.com",)))
    wired.pass_time()
    mail(wired)


def list_goes_away(wired: Wired) -> None:
    wired.pass_time()
    wired.names.records.clear()
    wired.pass_time(1000, 10)


# Virus engines


def engine_dies(wired: Wired) -> None:
    wired.pass_time()
    wired.clamds["unix:/a"].die()
    wired.pass_time()


def engine_dies_with_a_mail(wired: Wired) -> None:
    wired.pass_time()
    wired.clamds["unix:/a"].closes = True
    mail(wired)


def engines_are_busy(wired: Wired) -> None:
    wired.pass_time()
    for server in wired.clamds.values():
        server.says = lambda _message: b""
    for _ in range(3):
        wired.mail()


class Member:
    """Of the panel, in every role."""

    name: Name = "urls"

    async def assess(self, mail: Mail) -> Assessment:
        return Assessment()

    async def prepare(self, head: bytes, flow: Any) -> dict[str, Any]:
        return {}

    async def stamp(self, mail: Mail, shares: Sequence[Share]) -> bytes:
        return b""


def mail_for_the_panel(wired: Wired) -> None:
    panel = wired.daemon.inspector.backends.panel
    assert panel is not None
    panel.preparers = panel.beside = panel.after = panel.stampers = [Member()]
    mail(wired)


# Signing


class Signer:
    """A process that signs."""

    pid = 1

    def __init__(self, wired: Wired, events: Any) -> None:
        self.wired = wired
        self.events = events
        wired.reactor.callLater(0, events.answered, Ready())

    def give(self, task: SignTask, descriptor: int) -> None:
        lines = f"DKIM-Signature: v=1; d={task.domain}; s=x\r\n".encode()
        self.wired.reactor.callLater(0.01, self.events.answered, Done(Signed(lines)))

    def retire(self) -> None:
        self.wired.reactor.callLater(0, self.events.ended, "exit 0")

    kill = retire


def signing(wired: Wired) -> None:
    """It is switched on, with a key that one domain has in DNS."""
    key = lay_down(wired.folder / "dkim")
    text = record_text(key)
    strings = " ".join(f'"{text[start : start + 200]}"' for start in range(0, len(text), 200))
    wired.names.records["dkim001._domainkey.inst.example.", "TXT"] = strings
    wired.patch.setattr(wired.daemon.signing, "_launch", lambda *_: wired.launcher_of(Signer))
    wired.write(more="  signing: {keys: dkim, state: seen.json, settle: 0s}\n")
    wired.daemon.reload()
    wired.pass_time()


def signed_mail(wired: Wired) -> None:
    signing(wired)
    head = b"From: a@inst.example\r\n"
    assert wired.mail("r@elsewhere.example", client="192.0.2.25", head=head).startswith("250 ")


def unsigned_mail(wired: Wired) -> None:
    signing(wired)
    head = b"From: a@elsewhere.example\r\n"
    assert wired.mail("r@elsewhere.example", client="192.0.2.25", head=head).startswith("250 ")


def signing_ends(wired: Wired) -> None:
    signing(wired)
    wired.write()
    wired.daemon.reload()
    wired.pass_time()


MOVED_BY: dict[str, Happening] = {
    "messages": mail,
    "message_bytes": mail,
    "findings": mail_with_something_in_it,
    "unscanned": mail_with_something_in_it,
    "parts": mail,
    "scan_seconds": mail,
    "scanner_failures": mail_without_an_answer,
    "engine_scans": mail,
    "engine_self_tests": Wired.pass_time,
    "engine_up": engine_dies,
    "engine_busy": engines_are_busy,
    "engine_waiting": engines_are_busy,
    "engine_moved": engine_dies_with_a_mail,
    "engine_signatures_timestamp_seconds": Wired.pass_time,
    "authentication": mail_that_is_authenticated,
    "panel": mail_for_the_panel,
    "panel_seconds": mail_for_the_panel,
    **dict.fromkeys(
        (
            "dns_answers",
            "dns_packets",
            "dns_lookups",
            "dns_cached",
            "dns_cached_bytes",
            "dns_lookup_seconds",
        ),
        lambda wired: look_up(wired, "a.example"),
    ),
    "dns_hits": lambda wired: look_up(wired, "a.example", "a.example"),
    "dns_joined": lambda wired: look_up_at_once(wired, "a.example", "a.example"),
    "dns_in_flight": lambda wired: look_up_at_once(wired, "a.example"),
    "dns_waiting": lambda wired: look_up_at_once(wired, "a.example", "b.example", "c.example"),
    "dns_overloads": lambda wired: look_up_at_once(wired, *(f"{name}.example" for name in "abcd")),
    "dns_evicted": look_up_with_little_memory,
    "dns_servers": more_dns_servers,
    "dns_servers_down": look_up_in_silence,
    "list_lookups": mail_with_a_listed_link,
    "list_hits": mail_with_a_listed_link,
    "list_on": Wired.pass_time,
    "list_switched_off": list_goes_away,
    "lists_off": list_goes_away,
    "quarantine_failures": disk_is_full,
    "quarantine_removed": mail_is_kept_long_enough,
    "quarantine_messages": mail_that_is_quarantined,
    "quarantine_bytes": mail_that_is_quarantined,
    "quarantine_filled": mail_that_is_quarantined,
    "digests": administrators_are_told,
    "tickets": mail,
    "reports": mail_with_a_ticket,
    "evidence": mail_of_an_upstream,
    "by_points": mail_with_points,
    "score": mail_with_points,
    "clues": mail_with_points,
    "deferrals": mail_that_has_to_wait,
    "recipients": mail,
    "unprotected_recipients": lambda wired: wired.mail("r@free.example"),
    "splits": mail_that_comes_apart,
    "spamtrap_recipients": lambda wired: wired.mail("trap@inst.example", "r@inst.example"),
    "scans_recalled": mail_that_comes_twice,
    "lessons": lambda wired: wired.mail("trap@inst.example", "r@inst.example"),
    "workers_ended": worker_is_killed,
    "reloads": reload,
    "signatures": signed_mail,
    "unsigned": unsigned_mail,
    "signing_looks": signing,
    "signing_changes": signing,
    "signing_key_age_seconds": signing,
    "signing_key_domains": signing,
    "signers_ended": signing_ends,
    "transactions": mail,
    "transaction_seconds": mail,
    "connections": lambda wired: (wired.pass_time(), wired.connect()),
    "connections_refused": connection_before_postfix_is_there,
    "messages_kept_out": more_mails_than_may_wait,
    "spool_bytes": mail_under_way,
    "bodies_compared": mail,
    "body_mismatches": mail_is_changed_on_its_way,
    "reinjection_probes": Wired.pass_time,
    "workers": Wired.pass_time,
    "workers_queue": two_mails_for_one_worker,
}
"""What moves each metric; the names without "contentfilter_"."""
STILL = {"info"}
"""Tell what does not change while the daemon runs."""
STAGE_BY: dict[str, Happening] = {
    **dict.fromkeys(STAGES, mail),
    "evidence": mail_of_an_upstream,
    "greylist": mail_that_has_to_wait,
    "quarantine": mail_that_is_quarantined,
    **dict.fromkeys(("preparation", "beside", "assessment", "stamps"), mail_for_the_panel),
}


@pytest.fixture
def wired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wired]:
    made = Wired(tmp_path, monkeypatch)
    yield made
    made.end()


def test_each_has_its_entry(wired: Wired) -> None:
    assert {name.removeprefix("contentfilter_") for name in wired.families()} == MOVED_BY.keys() | STILL


@pytest.mark.parametrize("name", MOVED_BY)
def test_it_moves(wired: Wired, name: str) -> None:
    before = wired.samples(f"contentfilter_{name}")
    assert before, "not even a zero is exported"
    MOVED_BY[name](wired)
    assert wired.samples(f"contentfilter_{name}") != before


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_is_timed(wired: Wired, stage: str) -> None:
    counted = "contentfilter_scan_seconds_count", frozenset({("stage", stage)})
    assert wired.samples("contentfilter_scan_seconds")[counted] == 0
    STAGE_BY[stage](wired)
    assert wired.samples("contentfilter_scan_seconds")[counted] == 1
