"""dnsbl, dnswl and rhsbl, from the request to the points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailbase.dns import RecordType, TableResolver, Temporary, TimedOut
from mailbase.vocabulary import Action
from policyd.engine.decision import Decision
from policyd.evidence.weights import Thresholds
from policyd.observability.recorder import Recorder

CLIENT, V6 = "198.18.0.7", "2001:db8::7"
BL, BL6 = "7.0.18.198.bl.example", "7" + ".0" * 23 + ".8.b.d.0.1.0.0.2.bl.example"
WL = "7.0.18.198.wl.example"
FREE = "person@quiet.example"
"""Not greylisted."""

CONFIGURATION = """
policyd:
  lists:
    black: {kind: dnsbl, zone: bl.example, families: [ipv4, ipv6], codes: {bad: 127.0.0.2, odd: 127.0.0.4-7}}
    other: {kind: dnsbl, zone: other.example}
    white: {kind: dnswl, zone: wl.example, codes: {high: 127.0.*.3, none: 127.0.*.0}}
    names: {kind: rhsbl, zone: names.example, names: [sender, helo, ptr], codes: {bad: mask 2, odd: mask 4}}
    owners: {kind: rhsbl, zone: owners.example, registrable: true}
flows:
  inbound:
    reject_at: 5
    checks:
      dnsbl: {points: {black: 1, black.bad: 5, other: 2}}
      dnswl: {points: {white.high: -3}}
      rhsbl: {points: {names: 3, owners: 5}}
"""
WELL = {
    ("2.0.0.127.bl.example", "A"): "127.0.0.2",
    ("2.0.0.0.0.0.f.7.f.f.f.f" + ".0" * 20 + ".bl.example", "A"): "127.0.0.2",
    ("2.0.0.127.other.example", "A"): "127.0.0.2",
    ("2.0.0.127.wl.example", "A"): "127.0.10.0",
    ("test.names.example", "A"): "127.0.0.2",
    ("test.owners.example", "A"): "127.0.0.2",
}


def make(
    make_bench: Callable[..., Any], table: Any = None, configuration: str = CONFIGURATION, **slow: float
) -> Any:
    bench = make_bench(configuration)
    bench.resolver = TableResolver({**WELL, **(table or {})}, clock=bench.clock, slow=slow)
    bench.restart()
    bench.clock.advance(0)  # the lists' tests
    bench.resolver.asked.clear()
    return bench


def stated(bench: Any, **attributes: str) -> tuple[Decision, list[tuple[str, str, float]]]:
    """The decision, and its facts with details and points."""
    decision = bench.decide(client_address=CLIENT, recipient=FREE, **attributes)
    weighed = decision.weighed
    assert weighed is not None
    return decision, [
        (f"{one.check}.{one.name}", one.detail, points)
        for one, points in zip(weighed.evidence, weighed.points, strict=True)
    ]


def asked(bench: Any, check: str) -> list[str]:
    return [name for name, rdtype, consumer in bench.resolver.asked if consumer == check]


def test_a_client_that_is_listed_nowhere(make_bench: Any) -> None:
    bench = make(make_bench)
    decision, facts = stated(bench)
    assert (decision.reply, facts) == ("DUNNO", [])
    assert asked(bench, "dnsbl") == [BL, "7.0.18.198.other.example"]
    assert asked(bench, "dnswl") == [WL]
    assert {rdtype for _, rdtype, _ in bench.resolver.asked} == {RecordType.A}


@pytest.mark.parametrize(
    ("answer", "fact", "points"),
    [
        ("127.0.0.2", "dnsbl.black.bad", 5.0),
        ("127.0.0.5", "dnsbl.black.odd", 1.0),
        ("127.0.0.99", "dnsbl.black", 1.0),
        # Of several answers the first code of the table counts, and it counts once.
        (["127.0.0.99", "127.0.0.4", "127.0.0.2"], "dnsbl.black.bad", 5.0),
    ],
)
def test_points_for_list_and_code(make_bench: Any, answer: Any, fact: str, points: float) -> None:
    bench = make(make_bench, {(BL, "A"): answer})
    _, facts = stated(bench)
    detail = answer if isinstance(answer, str) else ",".join(answer)
    assert facts == [(fact, detail, points)]


def test_lists_add_up_and_the_reply_names_the_strongest(make_bench: Any) -> None:
    bench = make(make_bench, {(BL, "A"): "127.0.0.2", ("7.0.18.198.other.example", "A"): "127.0.0.3"})
    decision, facts = stated(bench)
    assert [points for _, _, points in facts] == [5.0, 2.0]
    assert decision.reply == f"554 5.7.1 Refused: your address is listed by black [{decision.id}]"
    assert decision.reason == "dnsbl-black.bad"


def test_a_list_that_speaks_for_the_client(make_bench: Any) -> None:
    bench = make(make_bench, {(BL, "A"): "127.0.0.2", (WL, "A"): "127.0.5.3"})
    decision, facts = stated(bench)
    assert facts[1] == ("dnswl.white.high", "127.0.5.3", -3.0)
    assert decision.reply == "DUNNO"
    assert decision.weighed is not None
    assert decision.weighed.total == 2.0
    assert decision.weighed.favoured_by("dnswl")
    assert not decision.weighed.favoured_by("dnsbl")


@pytest.mark.parametrize(
    ("answer", "configuration"),
    [
        ("127.0.5.0", CONFIGURATION),  # listed, and not trusted
        (Temporary(), CONFIGURATION),
        ("127.0.5.3", CONFIGURATION.replace("dnswl: {", "dnswl: {shadow: true, ")),
        ("127.0.5.3", CONFIGURATION.replace("{kind: dnswl,", "{kind: dnswl, shadow: true,")),
    ],
)
def test_what_does_not_spare_greylisting(make_bench: Any, answer: Any, configuration: str) -> None:
    bench = make(make_bench, {(WL, "A"): answer}, configuration)
    decision, facts = stated(bench)
    assert len(facts) == 1
    assert decision.weighed is not None
    assert not decision.weighed.favoured_by("dnswl")


def test_ipv6_clients_are_asked_after_where_the_list_has_them(make_bench: Any) -> None:
    bench = make(make_bench, {(BL6, "A"): "127.0.0.2"})
    decision = bench.decide(client_address=V6, recipient=FREE)
    assert decision.reply.startswith("554 5.7.1 Refused: your address is listed by black [")
    assert asked(bench, "dnsbl") == [BL6]
    assert asked(bench, "dnswl") == []


def test_an_ipv4_client_in_ipv6_clothes_is_an_ipv4_client(make_bench: Any) -> None:
    bench = make(make_bench, {(BL, "A"): "127.0.0.2"})
    assert bench.action(client_address=f"::ffff:{CLIENT}", recipient=FREE) == "554"


@pytest.mark.parametrize("answer", ["127.255.255.254", "192.0.2.1", ["127.0.0.2", "127.255.255.255"]])
def test_a_refusal_is_no_listing(make_bench: Any, answer: Any) -> None:
    bench = make(make_bench, {(BL, "A"): answer})
    decision, facts = stated(bench)
    assert (decision.reply, facts) == ("DUNNO", [("dnsbl.temporary", "black", 0.0)])


def test_a_list_without_an_answer_leaves_the_others_be(make_bench: Any) -> None:
    bench = make(make_bench, {(BL, "A"): "127.0.0.2", ("7.0.18.198.other.example", "A"): TimedOut()})
    _, facts = stated(bench)
    assert facts == [("dnsbl.black.bad", "127.0.0.2", 5.0), ("dnsbl.temporary", "other", 0.0)]


SENDER = {"sender": "a@mail.bad.example", "helo_name": "helo.example", "client_name": "ptr.example"}


@pytest.mark.parametrize(
    ("listed", "fact", "detail"),
    [
        ("mail.bad.example.names.example", "rhsbl.names.bad", "sender=mail.bad.example 127.0.0.2"),
        ("helo.example.names.example", "rhsbl.names.bad", "helo=helo.example 127.0.0.2"),
        ("ptr.example.names.example", "rhsbl.names.bad", "ptr=ptr.example 127.0.0.2"),
        ("bad.example.owners.example", "rhsbl.owners", "sender=bad.example 127.0.0.2"),
    ],
)
def test_names_are_asked_after(make_bench: Any, listed: str, fact: str, detail: str) -> None:
    bench = make(make_bench, {(listed, "A"): "127.0.0.2"})
    _, facts = stated(bench, **SENDER)
    assert [(name, text) for name, text, _ in facts] == [(fact, detail)]
    assert asked(bench, "rhsbl") == [
        "mail.bad.example.names.example",
        "helo.example.names.example",
        "ptr.example.names.example",
        "bad.example.owners.example",
    ]


def test_of_several_names_on_a_list_the_first_code_counts(make_bench: Any) -> None:
    bench = make(
        make_bench,
        {
            ("mail.bad.example.names.example", "A"): "127.0.0.4",
            ("helo.example.names.example", "A"): "127.0.0.2",
            ("ptr.example.names.example", "A"): "127.0.0.8",
        },
    )
    decision, facts = stated(bench, **SENDER)
    assert facts == [("rhsbl.names.bad", "helo=helo.example 127.0.0.2", 3.0)]
    assert decision.reply == "DUNNO"
    watched = bench.lists.watched["names"]
    assert (watched.lookups, watched.hits) == (3, 3)


def test_a_name_in_several_places_is_asked_after_once(make_bench: Any) -> None:
    bench = make(make_bench, {("x.example.names.example", "A"): "127.0.0.2"})
    _, facts = stated(bench, sender="a@X.example", helo_name="x.example.", client_name="x.example")
    assert facts == [("rhsbl.names.bad", "sender+helo+ptr=x.example 127.0.0.2", 3.0)]
    assert asked(bench, "rhsbl") == ["x.example.names.example", "x.example.owners.example"]


@pytest.mark.parametrize(
    "names",
    [
        {"sender": "", "helo_name": "[192.0.2.1]"},
        {"sender": "postmaster", "helo_name": "192.0.2.1"},
        {"sender": "a@[192.0.2.1]", "helo_name": "friend"},
        {"sender": "a@localhost", "helo_name": "x y.example"},
        {"sender": "a@b\t.example", "helo_name": "a..b"},
        {"sender": "a@" + "x." * 130 + "example", "helo_name": ""},
    ],
)
def test_what_is_no_name_is_not_asked_after(make_bench: Any, names: dict[str, str]) -> None:
    bench = make(make_bench)
    # The PTR name counts only if it leads back.
    stated(bench, client_name="unknown", reverse_client_name="ptr.example", **names)
    assert asked(bench, "rhsbl") == []


def test_a_public_suffix_is_nobodys_domain(make_bench: Any) -> None:
    bench = make(make_bench)
    stated(bench, sender="a@co.uk", helo_name="", client_name="unknown")
    assert asked(bench, "rhsbl") == ["co.uk.names.example"]


def test_a_name_too_long_for_a_list_is_not_on_it(make_bench: Any) -> None:
    bench = make(make_bench)
    long = ".".join(["x" * 60] * 4)
    _, facts = stated(bench, sender=f"a@{long}", helo_name="", client_name="unknown")
    assert facts == []


def test_a_list_that_is_off_is_not_asked_and_has_no_facts(make_bench: Any) -> None:
    bench = make(make_bench, {(BL, "A"): "127.0.0.2", ("1.0.0.127.bl.example", "A"): "127.0.0.2"})
    decision, facts = stated(bench)
    assert (decision.reply, facts) == ("DUNNO", [])
    assert asked(bench, "dnsbl") == ["7.0.18.198.other.example"]
    assert "event=list-off list=black trouble=lists-all" in bench.stream.getvalue()


def test_before_the_first_test_no_list_is_asked(make_bench: Any) -> None:
    bench = make_bench(CONFIGURATION)
    bench.resolver = TableResolver({**WELL, (BL, "A"): "127.0.0.2"}, clock=bench.clock)
    bench.restart()
    _, facts = stated(bench)
    assert (facts, bench.resolver.asked) == ([], [])
    bench.clock.advance(0)
    _, facts = stated(bench)
    assert [name for name, _, _ in facts] == ["dnsbl.black.bad"]


def test_all_lists_are_asked_at_the_same_time_and_once(make_bench: Any) -> None:
    slow = {BL: 1.0, "7.0.18.198.other.example": 1.0, WL: 1.0, "sender.example.names.example": 1.0}
    bench = make(make_bench, {(BL, "A"): "127.0.0.2"}, **slow)
    waiting = bench.engine.decide(bench.request(client_address=CLIENT, recipient=FREE))
    done: list[Decision] = []
    Deferred.fromCoroutine(waiting).addCallback(done.append)
    bench.clock.advance(0.99)
    assert not done
    bench.clock.advance(0.01)
    assert done[0].action is Action.REJECT
    # The second time all of it is in memory.
    assert stated(bench)[0].action is Action.REJECT


def test_a_shadow_of_a_list_is_counted_and_not_acted_on(make_bench: Any) -> None:
    configuration = CONFIGURATION.replace("{kind: dnsbl, zone: bl", "{shadow: true, kind: dnsbl, zone: bl")
    bench = make(
        make_bench, {(BL, "A"): "127.0.0.2", ("7.0.18.198.other.example", "A"): "127.0.0.2"}, configuration
    )
    decision, _ = stated(bench)
    weighed = decision.weighed
    assert weighed is not None
    assert (decision.reply, weighed.total, weighed.shadow_total) == ("DUNNO", 2.0, 7.0)
    assert weighed.under(Thresholds(reject_at=5.0)).shadow is Action.REJECT
    assert weighed.text() == "(dnsbl.black.bad:5),dnsbl.other:2"


def test_a_shadow_of_a_check(make_bench: Any) -> None:
    configuration = CONFIGURATION.replace("dnsbl: {points", "dnsbl: {shadow: true, points")
    bench = make(make_bench, {(BL, "A"): "127.0.0.2"}, configuration)
    assert stated(bench)[0].reply == "DUNNO"


@pytest.mark.parametrize(
    ("actions", "answer", "reply"),
    [
        ("black: defer", "127.0.0.5", "450 4.7.1 Not now: your address is listed by black; "),
        ("black: defer", "127.0.0.99", "450"),
        (
            "black: defer, black.odd: reject",
            "127.0.0.5",
            "554 5.7.1 Refused: your address is listed by black",
        ),
        ("black: defer, black.odd: reject", "127.0.0.99", "450"),
        ("black.odd: reject", "127.0.0.99", "DUNNO"),
    ],
)
def test_a_listing_can_be_enough(make_bench: Any, actions: str, answer: str, reply: str) -> None:
    configuration = CONFIGURATION.replace("dnsbl: {points", f"dnsbl: {{actions: {{{actions}}}, points")
    bench = make(make_bench, {(BL, "A"): answer}, configuration)
    assert stated(bench)[0].reply.startswith(reply)


def test_configured_facts_are_counted_from_zero(make_bench: Any) -> None:
    bench = make(make_bench, {(BL, "A"): "127.0.0.2"})
    facts = bench.metrics.facts
    assert {fact for check, fact in facts if check == "dnsbl"} == {
        "black",
        "black.bad",
        "black.odd",
        "other",
        "temporary",
    }
    assert set(facts.values()) == {0}
    stated(bench)
    assert facts["dnsbl", "black.bad"] == 1
    bench.metrics.count_facts([("dnsbl", "black.bad"), ("dnsbl", "new")])
    assert (bench.metrics.facts["dnsbl", "black.bad"], bench.metrics.facts["dnsbl", "new"]) == (1, 0)
    assert ("dnsbl", "other") not in bench.metrics.facts
    assert ("fcrdns", "no-ptr") in bench.metrics.facts


def test_facts_of_lists_go_into_the_log_and_the_ticket(make_bench: Any) -> None:
    bench = make(make_bench, {(BL, "A"): "127.0.0.5"})
    decision = bench.decide(client_address=CLIENT, recipient=FREE, instance="i")
    Recorder(bench.log, bench.metrics).decision(bench.request(), decision, 0.001)
    assert " points=1 facts=dnsbl.black.odd:1 " in bench.stream.getvalue().splitlines()[-1]
    data = bench.decide(client_address=CLIENT, instance="i", protocol_state="DATA", recipient="")
    ticket = bench.tickets.find(data.id, CLIENT, "someone@sender.example", bench.clock.seconds())
    assert [(finding.name, finding.detail) for finding in ticket.findings] == [
        ("dnsbl.black.odd", "127.0.0.5")
    ]


def test_checks_without_a_list_cost_nothing(make_bench: Any) -> None:
    bench = make(make_bench, None, "flows: {inbound: {checks: {dnsbl: true, rhsbl: true}}}")
    assert all(
        check.name != "points" for course in bench.engine.policy.plan.values() for check in course.checks
    )


def test_lists_that_no_flow_asks_are_not_tested(make_bench: Any) -> None:
    bench = make_bench(CONFIGURATION.replace("dnswl: {points: {white.high: -3}}", "dnswl: false"))
    assert [one.name for one in bench.engine.policy.dns_lists] == ["black", "other", "names", "owners"]
    bench = make_bench("policyd: {lists: {a: {kind: dnsbl, zone: a.example}}}")
    bench.clock.advance(3600)
    assert bench.resolver.asked == []
