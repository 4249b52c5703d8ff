"""What links lead to, looked up on DNS lists."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from contentfilter.assessing import Assessment, Mail
from contentfilter.content.clues import Clue
from contentfilter.content.results import ScanResult
from contentfilter.content.traits import MAX_HOSTS, Traits
from contentfilter.links.common import common_domains
from contentfilter.session.envelope import Client, Envelope
from contentfilter.session.envelope import Path as MailPath
from contentfilter.spool.spool import Spool
from contentfilter.urls.assembly import UrlWatch
from contentfilter.urls.questions import Exempt, subjects_of
from mailbase.addresses import normal_domain
from mailbase.config import Settings, load, loads
from mailbase.dns import Found, RecordType, TableResolver, Temporary
from mailbase.logs import Log
from mailbase.organisation import organisation
from mailbase.vocabulary import Flow

LISTS = """
black: {zone: black.example, codes: {phish: 127.0.0.4, spam: mask 2}, points: 1, code_points: {phish: 4}}
hosts: {zone: hosts.example, ask: [host, ipv4, ipv6], points: 3}
"""
TABLE: dict[tuple[str, str], Any] = {
    ("test.black.example", "A"): "127.0.0.2",
    ("test.hosts.example", "A"): "127.0.0.2",
    ("2.0.0.127.hosts.example", "A"): "127.0.0.2",
    ("2.0.0.0.0.0.f.7.f.f.f.f" + ".0" * 20 + ".hosts.example", "A"): "127.0.0.2",
    ("evil.com.black.example", "A"): "127.0.0.4",
    ("spam.co.uk.black.example", "A"): "127.0.0.2",
    ("shop.spam.co.uk.hosts.example", "A"): "127.0.0.9",
    ("8.8.8.8.hosts.example", "A"): "127.0.0.5",
    ("google.com.black.example", "A"): "127.0.0.2",
    ("own.net.black.example", "A"): "127.0.0.2",
}
BOOT = 1_800_000_000
"""When the machine was started."""
REGISTRY = "servers: {mail.own.net: {addresses: [192.0.2.25], domains: {own.net: }}}"


def settings(tmp_path: Path, text: str = "", lists: str = LISTS) -> Settings:
    indented = "".join(f"      {line}\n" for line in lists.strip().splitlines())
    (tmp_path / "registry.yaml").write_text(REGISTRY)
    (tmp_path / "c.yaml").write_text(
        f"registry: registry.yaml\ncontentfilter:\n  urls:\n    lists:\n{indented}{text}"
    )
    return load(tmp_path / "c.yaml")


class Room:
    """The lists under watch, and mails for which they are asked.

    Arguments:
        slow: seconds until DNS answers, by name.
    """

    def __init__(self, folder: Path, text: str = "", slow: dict[str, float] | None = None) -> None:
        self.folder = folder
        self.clock = Clock()
        # Seconds since the machine was started.
        self.clock.advance(500)
        self.stream = io.StringIO()
        self.resolver: Any = TableResolver(TABLE, clock=self.clock, slow=slow or {})
        log = Log("contentfilter", stream=self.stream)
        self.watch = UrlWatch(self.clock, self.resolver, log, lambda: BOOT + self.clock.seconds())
        self.configure(text)

    def configure(self, text: str = "", lists: str = LISTS) -> None:
        self.settings = settings(self.folder, text, lists)
        self.watch.configure(self.settings)
        self.clock.advance(0)
        (self.assessor,) = self.watch.assessors(self.settings)
        self.resolver.asked.clear()

    def ask(self, *hosts: str) -> Assessment:
        results: list[Assessment] = []
        self.begin(*hosts).addCallback(results.append)
        assert results, "no answer yet"
        return results[0]

    def begin(self, *hosts: str) -> Deferred[Assessment]:
        envelope = Envelope(MailPath("a@x.example", b"<a@x.example>"), Client("c", "192.0.2.1"), [], [])
        result = ScanResult(traits=Traits(hosts=hosts))
        mail = Mail("0123456789abc", envelope, Spool(self.folder, 1 << 20), Flow.INBOUND, result=result)
        return Deferred.fromCoroutine(self.assessor.assess(mail))

    @property
    def asked(self) -> list[str]:
        return [name for name, _rdtype, consumer in self.resolver.asked if consumer == "urls"]


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_a_listed_domain_is_a_clue_with_the_points_of_its_code(room: Room) -> None:
    assert room.ask("www.evil.com").clues == (Clue("url.black.phish", "evil.com 127.0.0.4", 4.0),)
    assert room.ask("spam.co.uk").clues == (Clue("url.black.spam", "spam.co.uk 127.0.0.2", 1.0),)
    assert room.ask("good.com") == Assessment()


def test_lists_are_asked_after_what_they_list(room: Room) -> None:
    said = room.ask("shop.spam.co.uk", "8.8.8.8", "2001:db9::1")
    assert room.asked == [
        "spam.co.uk.black.example",
        "shop.spam.co.uk.hosts.example",
        "8.8.8.8.hosts.example",
        "1" + ".0" * 23 + ".9.b.d.0.1.0.0.2.hosts.example",
    ]
    assert {clue.name for clue in said.clues} == {"url.black.spam", "url.hosts"}


def test_of_several_listings_by_one_list_the_one_with_most_points_counts(room: Room) -> None:
    assert [clue.name for clue in room.ask("spam.co.uk", "evil.com", "other.com").clues] == [
        "url.black.phish"
    ]


def test_nothing_is_asked_twice(room: Room) -> None:
    room.ask("evil.com", "a.evil.com", "evil.com", "b.evil.com")
    assert len(room.asked) == len(set(room.asked)) == 4


def test_common_domains_own_ones_and_exempt_ones_are_not_asked_after(room: Room) -> None:
    room.configure("    exempt: [evil.com]\n")
    assert room.ask("www.google.com", "news.own.net", "a.b.evil.com", "evil.com") == Assessment()
    assert room.asked == []
    room.ask("notevil.com")
    assert room.asked


def test_what_a_worker_makes_up_is_not_asked(room: Room) -> None:
    made_up = (
        "10.0.0.1",
        "::1",
        "localhost",
        "a b.com",
        "x" * 255,
        "..",
        "",
        "[8.8.8.8]",
        "-.com\n",
        "1.2.3",
    )
    assert room.ask(*made_up) == Assessment()
    assert room.asked == []


def test_there_is_a_bound(tmp_path: Path) -> None:
    room = Room(tmp_path, "    max_domains: 3\n")
    room.ask(*(f"h{number}.com" for number in range(MAX_HOSTS)))
    assert len(room.asked) == 6
    hosts = [f"a.h{number}.com" for number in range(MAX_HOSTS)]
    assert len(subjects_of(hosts, lambda _name: False, 50)) == MAX_HOSTS


def test_a_mail_without_links_or_without_a_result_asks_nobody(room: Room) -> None:
    assert room.ask() == Assessment()
    assert room.asked == []


def test_a_list_that_does_not_answer_is_told(room: Room) -> None:
    room.resolver.set("odd.com.black.example", "A", Temporary())
    said = room.ask("odd.com", "8.8.8.8")
    assert said.failed == "no answer from black"
    assert [clue.name for clue in said.clues] == ["url.hosts"]


def test_refusals_are_no_listings(room: Room) -> None:
    room.resolver.set("odd.com.black.example", "A", "127.255.255.254")
    assert room.ask("odd.com").clues == ()
    room.resolver.set("odd.com.black.example", "A", "192.0.2.1")
    assert room.ask("odd.com") == Assessment((), "no answer from black")


def test_what_is_late_adds_nothing(tmp_path: Path) -> None:
    room = Room(tmp_path, "    deadline: 1s\n", slow={"evil.com.black.example": 5.0})
    results: list[Assessment] = []
    room.begin("evil.com", "8.8.8.8").addCallback(results.append)
    room.clock.advance(0.9)
    assert not results
    room.clock.advance(0.2)
    assert [clue.name for clue in results[0].clues] == ["url.hosts"]
    assert results[0].failed == "no answer from black"
    # It is in memory by the time that somebody asks again.
    room.clock.advance(5)
    assert [clue.name for clue in room.ask("evil.com").clues] == ["url.black.phish"]


def test_a_list_that_fails_its_test_is_not_asked(room: Room) -> None:
    room.resolver.set("test.black.example", "A", "127.255.255.254")
    room.clock.advance(1000)
    assert "list-off" in room.stream.getvalue()
    room.resolver.asked.clear()
    assert room.ask("evil.com") == Assessment()
    assert room.asked == ["evil.com.hosts.example"]
    room.resolver.set("test.black.example", "A", "127.0.0.2")
    room.clock.advance(4000)
    assert room.ask("evil.com").clues


def test_answers_that_make_no_sense_switch_a_list_off(room: Room) -> None:
    hear = room.resolver.looked_up
    refusal = Found((bytes([127, 255, 255, 254]),), 60.0, "x")
    hear("evil.com.black.example", RecordType.A, refusal, frozenset({"authentication"}))
    assert room.ask("evil.com").clues
    hear("evil.com.black.example", RecordType.A, refusal, frozenset({"urls"}))
    assert room.ask("evil.com") == Assessment()


def test_a_shadow_is_told_and_worth_nothing(room: Room) -> None:
    room.configure(lists="black: {zone: black.example, shadow: true}")
    (clue,) = room.ask("evil.com").clues
    assert (clue.name, clue.shadow) == ("url.black", True)


def test_a_reload_puts_other_lists_in_force(room: Room) -> None:
    old = room.assessor
    room.configure(lists="white: {zone: hosts.example, ask: host}")
    assert [clue.name for clue in room.ask("shop.spam.co.uk").clues] == ["url.white"]
    # A mail that was being asked about goes on with what it began with.
    room.assessor = old
    assert [(clue.name, clue.points) for clue in room.ask("shop.spam.co.uk").clues] == [("url.white", 0.0)]


def test_without_lists_nobody_is_asked_and_nobody_listens(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.watch.configure(loads(""))
    assert room.watch.assessors(loads("")) == []
    assert room.resolver.looked_up is None
    assert list(room.watch.board.rows()) == []


def test_look_ups_and_hits_are_counted(room: Room) -> None:
    room.ask("evil.com", "good.com")
    counted = {row["list"]: (row["lookups"], row["hits"]) for row in room.watch.board.rows()}
    assert counted == {"black": (2, 1), "hosts": (2, 0)}


def test_the_very_common_domains_are_registrable_domains() -> None:
    for domain in common_domains():
        assert normal_domain(domain) == domain
        assert organisation(domain) == domain, domain
    assert len(common_domains()) > 200


def test_exempt_stands_for_all_below() -> None:
    exempt = Exempt(["a.example.com"])
    assert exempt("a.example.com")
    assert exempt("x.y.a.example.com")
    assert not exempt("ba.example.com")
    assert not exempt("example.com")
    assert exempt("maps.google.com")


def test_times_are_told_by_the_calendar_whatever_clock_the_daemon_goes_by(room: Room) -> None:
    room.clock.advance(60)
    row = next(room.watch.board.rows())
    assert (row["since"], row["tested"]) == (BOOT + 500, BOOT + 500)
    assert row["next_test"] == BOOT + 500 + room.settings.contentfilter.urls.list_health.interval
