"""SPF beyond the suite: whom it is about, what is asked when, what is remembered, what it may cost."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailbase.addresses import domain_of, pack
from mailbase.config import ConfigError, loads
from mailbase.dns import TableResolver, Temporary, TimedOut
from policyd.checks.spf import SpfCheck
from policyd.evidence.facts import Evidence
from policyd.evidence.gathering import Gatherer
from policyd.evidence.inquiry import Collected, Subject, side_by_side
from policyd.spf.evaluation import MAX_HINTS, MAX_RECORD, MAX_TERM
from policyd.spf.memo import MAX_LIFETIME, Entry, Memo

CLIENT = "198.18.0.7"
CLIENT_V6 = "2001:db8:18::7"


class Desk:
    """The check with a table for DNS."""

    def __init__(self, table: Mapping[tuple[str, str], Any], *, ttl: float = 60.0, **slow: float) -> None:
        self.clock = Clock()
        self.resolver = TableResolver(
            table,
            clock=self.clock,
            slow={name.replace("_", "."): seconds for name, seconds in slow.items()},
            ttl=ttl,
        )
        self.failures: list[Exception] = []
        self.check = SpfCheck("mx.gate.example", self.clock.seconds)
        self.gatherer = Gatherer(self.resolver, self.clock.seconds, self, self.clock.seconds)  # type: ignore[arg-type]

    def established(self, *_: Any) -> None: ...

    def late(self) -> None: ...

    def check_failed(self, check: str, error: Exception) -> None:
        self.failures.append(error)

    def ask(
        self, sender: str = "a@s.example", helo: str = "friend", client: str = CLIENT, name: str = ""
    ) -> Any:
        address = pack(client)
        assert address is not None
        subject = Subject(address, name, "", helo, sender, domain_of(sender) if sender else None, "")
        return self.gatherer.gather([self.check], subject, self.clock.seconds() + 8.0, True)

    def facts(self, *arguments: Any, **more: Any) -> dict[str, str]:
        collected = self.ask(*arguments, **more)
        if not isinstance(collected, Collected):
            done: list[Collected] = []
            deferred: Deferred[Collected] = collected
            deferred.addCallback(done.append)
            for _ in range(400):
                self.clock.advance(0.05)
            (collected,) = done
        assert self.failures == []
        assert {one.check for one in collected.evidence} <= {"spf"}
        return {one.name: one.detail for one in collected.evidence}


def record(text: str, domain: str = "s.example") -> dict[tuple[str, str], Any]:
    return {(domain, "TXT"): text}


# Whose


def test_helo_and_mail_from_are_judged_each_for_itself() -> None:
    desk = Desk(
        record("v=spf1 -all") | record("v=spf1 a -all", "mail.h.example") | {("mail.h.example", "A"): CLIENT}
    )
    assert desk.facts(helo="mail.h.example") == {"fail": "s.example", "helo-pass": "mail.h.example"}
    assert desk.facts(helo="Mail.H.example.") == {"fail": "s.example", "helo-pass": "mail.h.example"}


@pytest.mark.parametrize("client", [CLIENT, CLIENT_V6])
def test_both_address_families(client: str) -> None:
    desk = Desk(record(f"v=spf1 ip4:{CLIENT} ip6:2001:db8:18::/48 -all"))
    assert desk.facts(client=client) == {"pass": "s.example"}
    assert desk.facts(client="198.18.0.8") == {"fail": "s.example"}
    assert desk.facts(client="2001:db8:19::7") == {"fail": "s.example"}


def test_the_null_senders_domain_is_the_helo_name() -> None:
    desk = Desk(record("v=spf1 -all", "mail.h.example"))
    assert desk.facts("", "mail.h.example") == {"fail": "mail.h.example"}
    assert desk.facts("", "[198.18.0.7]") == {"none": ""}
    assert desk.facts("", "friend") == {"none": ""}


@pytest.mark.parametrize(
    "helo", ["", "friend", "[198.18.0.7]", "198.18.0.7", "a b.example", "a..example", "é\n"]
)
def test_what_is_no_host_name_is_not_looked_up(helo: str) -> None:
    desk = Desk(record("v=spf1 -all"))
    assert desk.facts(helo=helo) == {"fail": "s.example"}
    assert {name for name, _, _ in desk.resolver.asked} == {"s.example"}


@pytest.mark.parametrize("sender", ["nobody", "a@", f"a@[{CLIENT}]", "a@b c", "a@a..example", "@", 'a"@x"'])
def test_a_sender_without_domain_has_no_result(sender: str) -> None:
    desk = Desk({})
    assert list(desk.facts(sender)) == ["none"]
    assert desk.resolver.asked == []


def test_the_domain_stands_behind_the_last_at() -> None:
    assert Desk(record("v=spf1 -all")).facts('"a@b"@s.example') == {"fail": "s.example"}
    assert Desk(record("v=spf1 -all", "xn--bcher-kva.example")).facts("a@Bücher.example") == {
        "fail": "xn--bcher-kva.example"
    }


@pytest.mark.parametrize(
    ("text", "anybody"),
    [
        ("+all", True),
        ("all", True),
        ("-ip4:192.0.2.1 ALL", True),
        ("ip4:0.0.0.0/0 -all", True),
        ("ip4:0.0.0.0/1 ip4:128.0.0.0/1 -all", True),
        ("a/0", True),
        ("ip4:198.0.0.0/8 -all", False),
        ("ip4:198.18.0.7 -all", False),
        ("ip4:198.18.0.0/17 -all", False),
        ("include:t.example -all", False),
    ],
)
def test_everybodys_pass_is_told_apart(text: str, anybody: bool) -> None:
    table = record(f"v=spf1 {text}") | {("s.example", "A"): "192.0.2.1"}
    table |= record("v=spf1 ip4:198.18.0.0/16", "t.example")
    told = {"pass": "s.example", "plus-all": "s.example"} if anybody else {"pass": "s.example"}
    assert Desk(table).facts() == told


@pytest.mark.parametrize(
    ("prefix", "anybody"), [("2000::/3", True), ("2000::/12", True), ("2001:d00::/24", False)]
)
def test_everybodys_pass_by_ipv6(prefix: str, anybody: bool) -> None:
    facts = Desk(record(f"v=spf1 ip6:{prefix} ip6:2001:db8::/32 -all")).facts(client=CLIENT_V6)
    assert ("plus-all" in facts) is anybody


def test_neutral_for_all_is_nobodys_pass() -> None:
    assert Desk(record("v=spf1 ?all")).facts() == {"neutral": "s.example"}


def test_an_explanation_is_asked_for_only_where_it_is_wanted() -> None:
    table = record(f"v=spf1 ip4:{CLIENT} -all exp=why.%{{d}}") | record(
        "%{i} is not ours,\n %{s}", "why.s.example"
    )
    desk = Desk(table)
    assert desk.facts() == {"pass": "s.example"}
    assert ("why.s.example", 16, "spf") not in desk.resolver.asked
    assert desk.facts(client="192.0.2.9") == {"fail": "s.example: 192.0.2.9 is not ours,\n a@s.example"}
    failing = Desk(record("v=spf1 -all exp=why.s.example") | {("why.s.example", "TXT"): Temporary()})
    assert failing.facts() == {"fail": "s.example"}
    long = Desk(record("v=spf1 -all exp=why.s.example") | record("x" * 500, "why.s.example"))
    assert long.facts() == {"fail": "s.example: " + "x" * 200}


# Who is left out


@pytest.mark.parametrize(
    ("client", "name", "skipped"),
    [
        ("192.0.2.1", "", True),
        ("2001:db8:f::1", "", True),
        ("198.18.0.7", "lists.forward.example", True),
        ("198.18.0.7", "forward.example", True),
        ("198.18.0.7", "xforward.example", False),
        ("198.18.0.7", "", False),
    ],
)
def test_known_forwarders_are_not_looked_at(client: str, name: str, skipped: bool) -> None:
    desk = Desk(record("v=spf1 -all"))
    desk.check = SpfCheck("x", desk.clock.seconds, ["192.0.2.0/24", "2001:db8:f::/48", "forward.example"])
    assert desk.facts(client=client, name=name) == ({} if skipped else {"fail": "s.example"})
    assert bool(desk.resolver.asked) is not skipped


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("skip: [forward.example]", r"policyd.spf.skip\[0\]: expected a network such as"),
        ("forwarders: [192.0.2.1/24]", r"policyd.spf.forwarders\[0\]: expected the network's first address"),
        ("forwarders: ['a b']", "expected a network or a domain"),
        ("forwarders: ['192.0.2']", "expected a network or a domain"),
    ],
)
def test_settings_that_are_none(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        loads(f"policyd: {{spf: {{{text}}}}}")


# DNS


@pytest.mark.parametrize("trouble", [Temporary(), TimedOut()])
def test_trouble_with_dns_has_no_points_and_is_not_remembered(trouble: Any) -> None:
    desk = Desk(record("v=spf1 include:i.example -all") | {("i.example", "TXT"): trouble})
    assert desk.facts() == {"temporary": "s.example"}
    desk.resolver.set("i.example", "TXT", f"v=spf1 ip4:{CLIENT}")
    assert desk.facts() == {"pass": "s.example"}


def test_a_failing_ptr_matches_nobody() -> None:
    table = record("v=spf1 ptr ?all") | {("7.0.18.198.in-addr.arpa", "PTR"): Temporary()}
    assert Desk(table).facts() == {"neutral": "s.example"}
    names = {
        ("7.0.18.198.in-addr.arpa", "PTR"): ["x.example", "mail.s.example"],
        ("x.example", "A"): TimedOut(),
        ("mail.s.example", "A"): CLIENT,
    }
    assert Desk(record("v=spf1 ptr -all") | names).facts() == {"pass": "s.example"}


def test_everything_that_is_known_to_be_needed_is_asked_together() -> None:
    table: dict[tuple[str, str], Any] = record("v=spf1 include:a.example include:b.example mx:m.example -all")
    table |= record("v=spf1 ip4:192.0.2.1", "a.example") | record("v=spf1 ip4:192.0.2.1", "b.example")
    table[("m.example", "MX")] = [(number, f"mx{number}.m.example") for number in range(10)]
    table |= {(f"mx{number}.m.example", "A"): f"198.18.9.{number}" for number in range(10)}
    table |= record("v=spf1 -all", "mail.h.example")
    desk = Desk(table, **{"": 1.0})
    done: list[Collected] = []
    desk.ask(helo="mail.h.example").addCallback(done.append)
    for _ in range(3):
        assert not done
        desk.clock.advance(1.0)
    assert [one.name for one in done[0].evidence] == ["fail", "helo-fail"]
    assert len(desk.resolver.asked) == len(set(desk.resolver.asked)) == 15


def test_the_deadline_holds() -> None:
    desk = Desk(record("v=spf1 include:slow.example -all"), slow_example=60.0)
    done: list[Collected] = []
    desk.ask().addCallback(done.append)
    desk.clock.advance(7.9)
    assert not done
    desk.clock.advance(0.1)
    assert done[0].evidence == (Evidence("spf", "temporary", "s.example"),)
    assert done[0].late


def test_interleaved_evaluations_know_nothing_of_each_other() -> None:
    table = record("v=spf1 include:%{l}.example -all")
    table |= record(f"v=spf1 ip4:{CLIENT}", "good.example") | record("v=spf1 -all", "bad.example")
    desk = Desk(table, good_example=1.0, bad_example=2.0)
    results: dict[str, Collected] = {}
    for local in ("good", "bad", "good2"):
        desk.ask(f"{local}@s.example")
        waiting = desk.ask(f"{local}@s.example")
        if isinstance(waiting, Collected):
            results[local] = waiting
        else:
            waiting.addCallback(lambda collected, local=local: results.__setitem__(local, collected))
    for _ in range(3):
        desk.clock.advance(1.0)
    assert {local: result.evidence[0].name for local, result in results.items()} == {
        "good": "pass",
        "bad": "fail",
        "good2": "permerror",
    }
    import spf

    assert spf.DNSLookup.__module__ == "spf"


# What is remembered


def test_the_next_mail_asks_nothing() -> None:
    desk = Desk(record("v=spf1 mx -all"), ttl=60.0)
    assert desk.facts() == {"fail": "s.example"}
    asked = len(desk.resolver.asked)
    assert desk.facts("other@s.example") == {"fail": "s.example"}
    assert len(desk.resolver.asked) == asked
    assert desk.facts(client="198.18.0.8") == {"fail": "s.example"}
    assert len(desk.resolver.asked) > asked
    asked = len(desk.resolver.asked)
    desk.clock.advance(60)
    desk.facts()
    assert len(desk.resolver.asked) > asked


@pytest.mark.parametrize(
    ("macro", "personal"), [("%{l}", True), ("%{S}", True), ("%{h}", True), ("%{i}", False)]
)
def test_what_depends_on_the_sender_is_remembered_for_him_alone(macro: str, personal: bool) -> None:
    desk = Desk(record(f"v=spf1 exists:{macro}.x.example -all"))
    desk.facts("a@s.example", "one.example")
    asked = len(desk.resolver.asked)
    desk.facts("a@s.example", "one.example")
    assert len(desk.resolver.asked) == asked
    # Another sender of the domain, or another HELO name.
    other = ("a@s.example", "two.example") if macro == "%{h}" else ("b@s.example", "one.example")
    desk.facts(*other)
    names = [name for name, _, _ in desk.resolver.asked[asked:] if name.endswith("x.example")]
    assert bool(names) is personal


def test_what_is_remembered_does_not_grow_with_what_clients_say() -> None:
    desk = Desk(record("v=spf1 exists:%{l}.x.example -all"))
    for number in range(3):
        desk.facts(f"{'l' * 5000}{number}@s.example", helo=f"{'h' * 5000}{number}")
        desk.facts(f"a@{number}.example", helo=f"{'h' * 5000}{number}")
    kept = [*desk.check._told._entries, *desk.check._outcomes._entries]
    assert kept
    assert max(sum(len(part) for part in key if part) for key in kept) < 2000


def test_what_is_told_twice_was_judged_within_its_time() -> None:
    desk = Desk(record("v=spf1 -all") | record("v=spf1 ?all", "h.example"), ttl=100.0)
    assert desk.facts(helo="friend") == {"fail": "s.example"}
    desk.clock.advance(90)
    # The HELO name's outcome is new, the sender's is not.
    assert desk.facts(helo="h.example") == {"fail": "s.example", "helo-neutral": "h.example"}
    desk.resolver.set("s.example", "TXT", "v=spf1 +all")
    desk.clock.advance(11)
    assert "pass" in desk.facts(helo="h.example")


@pytest.mark.parametrize("sender", ["", "@s.example", "s.example", "a@s.example"])
def test_senders_that_look_alike_are_told_apart(sender: str) -> None:
    desk = Desk(record("v=spf1 -all"))
    for other in ("", "@s.example", "s.example", "a@s.example"):
        desk.facts(other)
    assert desk.facts(sender) == ({"fail": "s.example"} if "@" in sender else {"none": ""})


def test_the_memory_is_bounded_and_forgets() -> None:
    memo: Memo[str, int] = Memo(3)
    for number in range(5):
        memo.put(f"{number}", Entry(300.0, number), 0.0)
        memo.get("2", 0.0)
    assert len(memo) == 3
    assert memo.get("1", 0.0) is None
    assert memo.get("2", 299.0) == Entry(300.0, 2)
    assert memo.get("2", 300.0) is None
    memo.put("x", Entry(300.0, 1), 300.0)
    assert memo.get("x", 300.0) is None


def test_no_outcome_is_remembered_longer_than_five_minutes() -> None:
    desk = Desk(record("v=spf1 -all"), ttl=1e6)
    desk.facts()
    desk.clock.advance(MAX_LIFETIME - 1)
    asked = len(desk.resolver.asked)
    desk.facts()
    assert len(desk.resolver.asked) == asked
    desk.clock.advance(1)
    desk.facts()
    assert len(desk.resolver.asked) > asked


# What it may cost


HOSTILE = {
    "long": record("v=spf1 " + "?all " * MAX_RECORD),
    "long term": record("v=spf1 a:" + "a" * MAX_TERM + " -all"),
    "nested": {
        (f"i{number}.example" if number else "s.example", "TXT"): f"v=spf1 include:i{number + 1}.example"
        + " ip4:192.0.2.1" * 280
        for number in range(12)
    },
    "macros": record("v=spf1 " + " ".join(["exists:" + "%{s200r.-+,/_=}" * 30] * 8)),
    "many mx": record("v=spf1 " + " ".join(f"mx:m{number}.example" for number in range(10)))
    | {
        (f"m{number}.example", "MX"): [(1, f"x{number}{n}.example") for n in range(10)]
        for number in range(10)
    }
    | {(f"x{number}{n}.example", "A"): "192.0.2.1" for number in range(10) for n in range(10)},
    "loop": record("v=spf1 include:t.example") | record("v=spf1 include:s.example", "t.example"),
    "redirects": record("v=spf1 redirect=s.example"),
    "labels": record("v=spf1 a:" + "a." * 250 + "example"),
    "dots in macros": {
        (f"i{number}.example" if number else "s.example", "TXT"): f"v=spf1 include:i{number + 1}.example"
        + f" a:{'a.' * 240}%{{d}}" * 8
        for number in range(12)
    },
    "digits": record("v=spf1 exists:%{s" + "9" * 400 + "}.example"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_record_costs_little(name: str) -> None:
    desk = Desk(HOSTILE[name])
    began = time.process_time()
    facts = desk.facts("a-b.c+d" * 100 + "@s.example")
    assert time.process_time() - began < 0.5
    assert len(desk.resolver.asked) < 130
    assert set(facts) <= {"permerror", "neutral", "none"}


def test_the_longest_record_that_is_read() -> None:
    head, tail = "v=spf1 ", f"ip4:{CLIENT}"
    for length, result in ((MAX_RECORD, "pass"), (MAX_RECORD + 1, "permerror")):
        filler = " " * (length - len(head) - len(tail))
        assert list(Desk(record(head + filler + tail)).facts()) == [result]
    for length, result in ((MAX_TERM, "pass"), (MAX_TERM + 1, "permerror")):
        text = f"{head}x={'y' * (length - 2)} {tail}"
        assert list(Desk(record(text)).facts()) == [result]


def test_the_work_of_all_runs_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    table = record("v=spf1 a:%{l}.example include:i.example") | record(f"v=spf1 ip4:{CLIENT}", "i.example")
    # The first record is read in two runs, and each time both its names are made.
    once = len(table["s.example", "TXT"]) + len("a.example") + len("i.example")
    once += 2 * len("%{l}.example") // 16  # labels with a macro are looked at once more
    work = 2 * once + len(table["i.example", "TXT"])
    for limit, result in ((work, "pass"), (work - 1, "permerror")):
        monkeypatch.setattr("policyd.spf.evaluation.MAX_WORK", limit)
        assert list(Desk(table).facts()) == [result]


def test_only_some_questions_are_asked_before_their_turn() -> None:
    names = [f"n{number}.example" for number in range(30)]
    desk = Desk(record("v=spf1 " + " ".join(f"a:{name}" for name in names)))
    desk.facts()
    assert len(desk.resolver.asked) <= 1 + MAX_HINTS + 3


def test_more_than_ten_exchangers_are_a_permanent_error() -> None:
    table = record("v=spf1 mx -all") | {
        ("s.example", "MX"): [(1, f"x{number}.example") for number in range(11)]
    }
    desk = Desk(table)
    assert desk.facts() == {"permerror": "s.example"}
    assert len(desk.resolver.asked) == 2


# Several inquiries as one


def test_inquiries_side_by_side() -> None:
    def ask(*rounds: int) -> Any:
        got = []
        for count in rounds:
            answers = yield tuple(range(count))
            got.append(answers)
        return got

    both = side_by_side([ask(2, 1), ask(), ask(1), ask(0, 1)])
    assert both.send(None) == (0, 1, 0)  # type: ignore[arg-type,comparison-overlap]
    assert both.send(("a", "b", "c")) == (0, 0)  # type: ignore[arg-type,comparison-overlap]
    with pytest.raises(StopIteration) as stop:
        both.send(("d", "e"))  # type: ignore[arg-type]
    assert stop.value.value == [[("a", "b"), ("d",)], [], [("c",)], [(), ("e",)]]
