"""From evidence to the answer: thresholds, shadows, deadlines, and what is asked only once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from mailbase.config import ConfigError, loads
from mailbase.dns import RecordType, TableResolver
from mailbase.vocabulary import Action
from policyd.engine.decision import Decision
from policyd.engine.texts import Texts
from policyd.evidence.facts import Evidence
from policyd.evidence.gathering import MAX_ROUNDS, Gatherer
from policyd.evidence.inquiry import Collected
from policyd.evidence.weights import Thresholds, Weights
from policyd.observability.recorder import Recorder

CLIENT = "198.18.0.7"
PTR = "7.0.18.198.in-addr.arpa"
BAD = {
    "client_address": CLIENT,
    "client_name": "unknown",
    "reverse_client_name": "unknown",
    "helo_name": "friend",
    "sender": "a@gone.example",
}
"""No PTR (2), no full host name (1.5), no mail host (4): 7.5 points."""
GOOD = {
    "client_address": CLIENT,
    "client_name": "mail.sender.example",
    "helo_name": "mail.sender.example",
    "sender": "a@sender.example",
}
TABLE = {("sender.example", "MX"): [(10, "mail.sender.example")], ("mail.sender.example", "A"): CLIENT}
FREE = "person@quiet.example"
"""Not greylisted."""


def settings(extra: str = "checks: true", **thresholds: float) -> str:
    limits = "".join(f"{name}: {value}, " for name, value in thresholds.items())
    return f"flows: {{inbound: {{{limits}{extra}}}}}"


def make(make_bench: Callable[..., Any], configuration: str, table: Any = TABLE, **slow: float) -> Any:
    bench = make_bench(configuration)
    bench.resolver = TableResolver(
        table, clock=bench.clock, slow={name.replace("_", "."): time for name, time in slow.items()}
    )
    bench.restart()
    bench.recorder = Recorder(bench.log, bench.metrics)
    return bench


def wait(bench: Any, **attributes: str) -> list[Decision]:
    waiting = bench.engine.decide(bench.request(**attributes))
    assert not isinstance(waiting, Decision)
    done: list[Decision] = []
    Deferred.fromCoroutine(waiting).addCallback(done.append)
    return done


def line(bench: Any, decision: Decision, **attributes: str) -> str:
    bench.recorder.decision(bench.request(**attributes), decision, 0.001)
    return str(bench.stream.getvalue().splitlines()[-1])


def test_by_default_nothing_is_refused_for_points(make_bench: Any) -> None:
    bench = make(make_bench, settings())
    decision = bench.decide(**BAD, recipient=FREE)
    assert decision.reply == "DUNNO"
    assert decision.weighed is not None
    assert decision.weighed.total == 7.5
    assert (
        decision.weighed.text() == "fcrdns.no-ptr:2,helo.not-fqdn:1.5,sender_domain.no-mail-host:4,spf.none:0"
    )


def test_points_and_facts_stand_in_the_log(make_bench: Any) -> None:
    bench = make(make_bench, settings())
    text = line(bench, bench.decide(**BAD, recipient=FREE), **BAD, recipient=FREE)
    assert (
        " points=7.5 facts=fcrdns.no-ptr:2,helo.not-fqdn:1.5,sender_domain.no-mail-host:4,spf.none:0 " in text
    )
    assert " helo=friend " in text


@pytest.mark.parametrize(
    ("thresholds", "code"),
    [
        ({"reject_at": 7.5}, "554"),
        ({"reject_at": 7.6}, "DUNNO"),
        ({"defer_at": 7.5}, "450"),
        ({"defer_at": 7.6}, "DUNNO"),
        ({"defer_at": 3, "reject_at": 7}, "554"),
        ({"defer_at": 3, "reject_at": 8}, "450"),
    ],
)
def test_thresholds(make_bench: Any, thresholds: dict[str, float], code: str) -> None:
    bench = make(make_bench, settings(**thresholds))
    assert bench.action(**BAD, recipient=FREE) == code
    assert bench.action(**GOOD, recipient=FREE) == "DUNNO"


def test_a_refusal_names_the_strongest_reason_the_id_and_the_contact(make_bench: Any) -> None:
    bench = make(make_bench, settings(reject_at=5))
    bench.engine.policy = replace(bench.engine.policy, texts=Texts("https://x.example/mail"))
    decision = bench.decide(**BAD)
    assert decision.reply == (
        f"554 5.7.1 Refused: the sender's domain cannot receive mail [{decision.id}] https://x.example/mail"
    )
    assert decision.reason == "sender_domain-no-mail-host"


def test_what_is_refused_is_not_greylisted_and_what_is_deferred_is(make_bench: Any) -> None:
    bench = make(make_bench, settings(reject_at=5))
    bench.decide(**BAD)
    assert bench.store.pending == 0
    bench = make(make_bench, settings(defer_at=5))
    decision = bench.decide(**BAD)
    assert decision.reply.startswith("450 4.7.1 Not now: the sender's domain cannot receive mail; try again")
    assert bench.store.pending == 1


def test_a_settled_outcome_asks_nobody(make_bench: Any) -> None:
    bench = make(make_bench, settings(reject_at=5))
    assert bench.action(**BAD, recipient="a@elsewhere.example") == "554"
    assert bench.resolver.asked == []


@pytest.mark.parametrize(
    "recipient", ["abuse@inst.example", "Postmaster@quiet.example", "abuse+x@inst.example"]
)
def test_exempt_recipients_get_no_points(make_bench: Any, recipient: str) -> None:
    bench = make(make_bench, settings(reject_at=1))
    decision = bench.decide(**BAD, recipient=recipient)
    assert (decision.reply, decision.weighed) == ("DUNNO", None)
    assert bench.resolver.asked == []


def test_an_exempt_recipient_does_not_lose_the_others_evidence(make_bench: Any) -> None:
    bench = make(make_bench, settings())
    for recipient in (FREE, "abuse@quiet.example"):
        bench.decide(**BAD, instance="i", recipient=recipient)
    decision = bench.decide(**BAD, instance="i", protocol_state="DATA", recipient="")
    ticket = bench.tickets.find(decision.id, CLIENT, "a@gone.example", bench.clock.seconds())
    assert ticket.points == 7.5
    assert [finding.name for finding in ticket.findings] == [
        "fcrdns.no-ptr",
        "helo.not-fqdn",
        "sender_domain.no-mail-host",
        "spf.none",
    ]


@pytest.mark.parametrize(
    "who",
    [
        {"client_address": "203.0.113.5"},
        {"client_address": "198.51.100.7"},
        {"sasl_username": "ada"},
    ],
)
def test_other_flows_are_not_looked_at(make_bench: Any, who: dict[str, str]) -> None:
    bench = make(make_bench, settings(reject_at=1))
    assert bench.decide(**{**BAD, **who}).weighed is None
    assert bench.resolver.asked == []


def test_another_flow_can_be_looked_at(make_bench: Any) -> None:
    bench = make(make_bench, "flows: {outbound: {reject_at: 1.5, checks: {helo: {enabled: true}}}}")
    assert bench.action(**{**BAD, "client_address": "198.51.100.7"}) == "554"


def test_nothing_is_looked_up_where_no_check_is_on(make_bench: Any) -> None:
    bench = make(make_bench, settings("checks: false"))
    bench.decide(**BAD)
    assert bench.resolver.asked == []
    assert all(
        check.name != "points" for course in bench.engine.policy.plan.values() for check in course.checks
    )


def test_a_shadow_is_counted_and_not_acted_on(make_bench: Any) -> None:
    bench = make(
        make_bench, settings("checks: {fcrdns: true, helo: true, sender_domain: {shadow: true}}", reject_at=5)
    )
    decision = bench.decide(**BAD, recipient=FREE)
    assert decision.reply == "DUNNO"
    assert decision.weighed is not None
    assert (decision.weighed.total, decision.weighed.shadow_total) == (3.5, 7.5)
    text = line(bench, decision, **BAD, recipient=FREE)
    assert (
        " points=3.5 facts=fcrdns.no-ptr:2,helo.not-fqdn:1.5,(sender_domain.no-mail-host:4) shadow=reject "
        in text
    )
    assert bench.metrics.shadows["inbound", Action.REJECT] == 1


def test_further_recipients_cost_nothing(make_bench: Any) -> None:
    bench = make(make_bench, settings())
    bench.decide(**BAD, instance="i", recipient="a@quiet.example")
    asked = len(bench.resolver.asked)
    decision = bench.decide(**BAD, instance="i", recipient="b@quiet.example")
    assert decision.weighed is not None
    assert len(bench.resolver.asked) == asked > 0
    assert bench.metrics.facts["fcrdns", "no-ptr"] == 1
    bench.decide(**BAD, instance="j", recipient="b@quiet.example")
    assert bench.metrics.facts["fcrdns", "no-ptr"] == 2


def test_a_repeated_request_counts_once(make_bench: Any) -> None:
    bench = make(make_bench, settings(reject_at=5))
    first = bench.decide(**BAD, instance="i")
    again = bench.decide(**BAD, instance="i")
    assert (again.reply, again.repeated) == (first.reply, True)
    assert bench.metrics.facts["fcrdns", "no-ptr"] == 1


def test_a_query_counts_nothing_and_keeps_nothing(make_bench: Any) -> None:
    bench = make(make_bench, settings(reject_at=5))
    decision = bench.engine.query(bench.request(**BAD, instance="i"))
    assert decision.reply.startswith("554 5.7.1 ")
    assert set(bench.metrics.facts.values()) == {0}
    assert not bench.decide(**BAD, instance="i").repeated


def test_all_checks_wait_at_the_same_time(make_bench: Any) -> None:
    slow: Mapping[str, float] = {PTR.replace(".", "_"): 2.0, "gone_example": 2.0, "h_example": 2.0}
    bench = make(make_bench, settings(reject_at=7), **slow)
    done = wait(bench, **{**BAD, "helo_name": "h.example"}, recipient=FREE)
    bench.clock.advance(1.9)
    assert not done
    bench.clock.advance(0.2)
    # HELO asks for an MX record as well, once it knows of no address.
    bench.clock.advance(2.0)
    assert done[0].reply.startswith("554 5.7.1 ")
    assert bench.metrics.late == 0


def test_what_is_known_at_the_deadline_decides(make_bench: Any) -> None:
    bench = make(make_bench, settings(reject_at=3.5), gone_example=60.0)
    done = wait(bench, **BAD, instance="i", recipient=FREE)
    bench.clock.advance(7.89)
    assert not done
    bench.clock.advance(0.01)
    assert done[0].reply.startswith("554 5.7.1 Refused: your address has no PTR record [")
    assert done[0].weighed is not None
    assert done[0].weighed.late
    assert bench.metrics.late == 1
    assert bench.metrics.facts["sender_domain", "temporary"] == 1


def test_a_check_asks_no_more_after_the_deadline(make_bench: Any) -> None:
    table = {("sender.example", "MX"): [(10, "m.example")]}
    bench = make(
        make_bench, settings() + "\npolicyd: {deadline: 1s}", table, sender_example=0.8, m_example=0.9
    )
    done = wait(bench, **GOOD, recipient=FREE)
    bench.clock.advance(0.89)
    assert not done
    bench.clock.advance(0.01)
    assert done[0].reply == "DUNNO"
    assert bench.metrics.late == 1


def test_the_late_answer_is_there_for_the_next_mail(make_bench: Any) -> None:
    bench = make(make_bench, settings() + "\npolicyd: {deadline: 1s}", gone_example=3.0)
    done = wait(bench, **BAD, recipient=FREE)
    bench.clock.advance(1.0)
    assert done[0].weighed is not None
    assert done[0].weighed.total == 3.5
    bench.clock.advance(2.0)
    assert bench.decide(**BAD, recipient=FREE).weighed.total == 7.5


class Asks:
    """A check that never has enough."""

    name = "fcrdns"

    def inquire(self, subject: Any) -> Any:
        while True:
            yield (("x.example", 1),)


class Raises:
    name = "helo"

    def __init__(self, at_once: bool) -> None:
        self.at_once = at_once

    def inquire(self, subject: Any) -> Any:
        if self.at_once:
            raise RuntimeError("at once")
        return self._later()

    def _later(self) -> Any:
        yield ()
        raise RuntimeError("later")


class Mixed:
    """A check that asks for what is there, what is not, and what cannot even be asked for."""

    name = "helo"

    def __init__(self, *questions: Any) -> None:
        self.questions = questions
        self.answers: list[Any] = []

    def inquire(self, subject: Any) -> Any:
        self.answers.append((yield self.questions))
        return (Evidence("helo", "equals-ptr"),)


def gathered(bench: Any, check: Any) -> list[Collected]:
    recorder = Recorder(bench.log, bench.metrics)
    gatherer = Gatherer(bench.resolver, bench.clock.seconds, recorder, bench.clock.seconds)
    done: list[Collected] = []
    collected = gatherer.gather([check], object(), 1e12, True)  # type: ignore[arg-type]
    if isinstance(collected, Collected):
        done.append(collected)
    else:
        assert isinstance(collected, Deferred)
        collected.addCallback(done.append)
    return done


@pytest.mark.parametrize("slow", [0.0, 1.0])
def test_answers_stand_in_the_order_of_the_questions_whenever_they_come(make_bench: Any, slow: float) -> None:
    table = {("a.example", "A"): "192.0.2.1", ("b.example", "A"): "192.0.2.2"}
    bench = make(make_bench, settings(), table, a_example=slow)
    later: Deferred[str] = Deferred()
    check = Mixed(
        succeed("at once"),
        ("a.example", RecordType.A),
        later,
        ("b.example", RecordType.A),
        fail(OSError("x")),
    )
    done = gathered(bench, check)
    later.callback("later")
    bench.clock.advance(slow)
    assert done[0].evidence == (Evidence("helo", "equals-ptr"),)
    ((first, second, third, fourth, fifth),) = check.answers
    assert (first, second.records, third, fourth.records) == (
        "at once",
        (b"\xc0\0\2\1",),
        "later",
        (b"\xc0\0\2\2",),
    )
    assert isinstance(fifth, OSError)


def test_what_comes_for_a_check_that_has_failed_is_nobodys(make_bench: Any) -> None:
    bench = make(make_bench, settings(), {}, a_example=1.0)
    check = Mixed(("a.example", RecordType.A), ("b.example", RecordType.A, "and more"))
    (collected,) = gathered(bench, check)
    assert collected.evidence == (Evidence("helo", "failed"),)
    bench.clock.advance(2.0)
    assert check.answers == []
    assert bench.metrics.check_failures["helo"] == 1


@pytest.mark.parametrize("check", [Asks(), Raises(True), Raises(False)])
def test_a_check_that_misbehaves_has_no_opinion(bench: Any, check: Any) -> None:
    recorder = Recorder(bench.log, bench.metrics)
    gatherer = Gatherer(bench.resolver, bench.clock.seconds, recorder, bench.clock.seconds)
    collected = gatherer.gather([check], object(), 1e12, True)  # type: ignore[arg-type]
    assert isinstance(collected, Collected)
    assert collected.evidence == (Evidence(check.name, "failed"),)
    assert bench.metrics.check_failures[check.name] == 1
    assert len(bench.resolver.asked) <= MAX_ROUNDS


def test_points_add_up_without_rounding_errors_and_facts_without_points_are_no_reason() -> None:
    weights, thresholds = Weights({"a": {"x": 0.1, "y": 0.2, "z": -1}}), Thresholds(defer_at=0.3)
    weighed = weights.weigh((Evidence("a", "x"), Evidence("a", "y"), Evidence("a", "new")))
    fact = weighed.under(thresholds)
    assert (weighed.total, fact.action, fact.name) == (0.3, Action.DEFER, "y")
    assert weights.weigh((Evidence("a", "y"), Evidence("a", "z"))).total == -0.8
    assert weights.weigh(()).under(thresholds).name == ""


def test_the_times_of_the_checks_are_measured(make_bench: Any) -> None:
    bench = make(make_bench, settings(), gone_example=3.0)
    wait(bench, **BAD, recipient=FREE)
    bench.clock.advance(3.0)
    assert bench.metrics.check_times["sender_domain"].seconds == 3.0
    assert bench.metrics.check_times["fcrdns"].seconds == 0.0


def test_a_threshold_without_a_check_is_for_the_content_alone(make_bench: Any) -> None:
    assert make(make_bench, "flows: {inbound: {greylisting: false, reject_at: 5}}").action(**BAD) == "DUNNO"


def test_a_check_that_is_named_is_on_and_the_others_stay_off() -> None:
    checks = loads("flows: {inbound: {checks: {helo: {shadow: true}}}}").flows.inbound.checks
    assert (checks.helo.enabled, checks.helo.shadow) == (True, True)
    assert not checks.fcrdns.enabled
    assert not loads("").flows.inbound.checks.helo.enabled


def test_a_fact_can_have_an_action_of_its_own(make_bench: Any) -> None:
    bench = make(make_bench, settings("checks: {helo: {actions: {not-fqdn: reject}}, sender_domain: true}"))
    decision = bench.decide(**BAD, recipient=FREE)
    assert decision.reply.startswith("554 5.7.1 Refused: your HELO is not a full host name [")
    assert decision.reason == "helo-not-fqdn"
    assert bench.action(**GOOD, recipient=FREE) == "DUNNO"


def test_an_action_of_a_shadow_is_only_noted(make_bench: Any) -> None:
    bench = make(make_bench, settings("checks: {helo: {shadow: true, actions: {not-fqdn: reject}}}"))
    decision = bench.decide(**BAD, recipient=FREE)
    assert decision.reply == "DUNNO"
    assert " shadow=reject " in line(bench, decision, **BAD, recipient=FREE)


def test_points_refuse_where_an_action_only_defers(make_bench: Any) -> None:
    own = "checks: {helo: {actions: {not-fqdn: defer}}, sender_domain: true}"
    assert make(make_bench, settings(own, reject_at=5)).action(**BAD, recipient=FREE) == "554"
    assert make(make_bench, settings(own, reject_at=6)).action(**BAD, recipient=FREE) == "450"


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ("{not-fqdn: tag}", "expected defer or reject"),
        ("{not-fqdm: reject}", "helo states no such fact"),
    ],
)
def test_actions_that_cannot_be(actions: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        loads(f"flows: {{inbound: {{checks: {{helo: {{actions: {actions}}}}}}}}}")


DOMAINS = """
servers:
  mail.inst.example:
    domains:
      strict.example: {greylisting: false, reject_at: 2}
      mild.example: {greylisting: false, reject_at: null}
      plain.example: {greylisting: false}
"""


def test_a_domain_has_thresholds_of_its_own_in_one_mail(make_bench: Any) -> None:
    bench = make_bench(settings(reject_at=7), DOMAINS)

    def actions(**about: str) -> dict[str, str]:
        return {
            name: bench.action(**{**BAD, **about}, recipient=f"p@{name}.example")
            for name in ("mild", "strict", "plain")
        }

    assert actions(instance="one") == {"mild": "DUNNO", "strict": "554", "plain": "554"}
    assert actions(instance="two", sender="") == {"mild": "DUNNO", "strict": "554", "plain": "DUNNO"}


def test_thresholds_of_a_domain_are_for_inbound_mail(make_bench: Any) -> None:
    registry = f"default_server: mail.inst.example\nsystems: [192.0.2.0/24]\n{DOMAINS}"
    outbound = {**BAD, "client_address": "192.0.2.7", "recipient": "p@strict.example"}
    bench = make_bench("flows: {outbound: {checks: {helo: {points: {not-fqdn: 3}}}}}", registry)
    assert bench.action(**outbound) == "OK", "its points are only logged"
    bench = make_bench("flows: {outbound: {reject_at: 3, checks: {helo: {points: {not-fqdn: 3}}}}}", registry)
    assert bench.action(**outbound) == "554"
    assert bench.action(**{**outbound, "recipient": "p@mild.example"}) == "554"


def test_thresholds_of_a_domain_must_be_in_order(make_bench: Any) -> None:
    with pytest.raises(ConfigError, match=r"expected a defer_at below reject_at \(2\), got 3"):
        make_bench(settings(), "servers: {m.example: {domains: {d.example: {defer_at: 3, reject_at: 2}}}}")


def test_nobody_is_asked_once_the_outcome_is_settled(make_bench: Any) -> None:
    forged = {**BAD, "helo_name": "mx.gate.example"}
    bench = make(make_bench, settings(reject_at=4.4))
    assert bench.action(**forged, recipient=FREE) == "554"
    assert not bench.resolver.asked
    # One that is still open could lower the total below the threshold.
    bench = make(make_bench, settings("checks: {fcrdns: {points: {confirmed: -1}}, helo: true}", reject_at=5))
    assert bench.action(**forged, recipient=FREE) == "554"
    assert bench.resolver.asked


def test_a_domain_that_never_refuses_wants_to_know_everything(make_bench: Any) -> None:
    bench = make_bench(settings(reject_at=4), DOMAINS)
    bench.decide(**{**BAD, "helo_name": "mx.gate.example"}, recipient="p@strict.example")
    assert bench.resolver.asked


DELAY = 300
SUSPICIOUS = settings(defer_at=3)


@pytest.mark.parametrize("recipient", [FREE, "person@inst.example"])
def test_what_is_deferred_for_its_points_waits_once_also_where_nothing_else_is_greylisted(
    make_bench: Any, recipient: str
) -> None:
    bench = make(make_bench, SUSPICIOUS)
    first = bench.reply(**BAD, recipient=recipient)
    assert first.startswith("450 4.7.1 Not now: the sender's domain cannot receive mail; try again in 300 s")
    bench.clock.advance(DELAY - 10)
    assert "try again in 10 s" in bench.reply(**BAD, recipient=recipient)
    bench.clock.advance(10)
    decision = bench.decide(**BAD, recipient=recipient)
    assert (decision.reply, decision.reason) == ("DUNNO", "greylist-passed")
    assert bench.action(**BAD, recipient=recipient) == "DUNNO"
    assert bench.action(**GOOD, recipient=FREE) == "DUNNO"


def test_its_ticket_says_that_it_has_waited(make_bench: Any) -> None:
    bench = make(make_bench, SUSPICIOUS)
    bench.action(**BAD, recipient=FREE)
    bench.clock.advance(DELAY)
    assert bench.action(**BAD, recipient=FREE, instance="x") == "DUNNO"
    name = bench.reply(**BAD, instance="x", protocol_state="DATA").rpartition(" ")[2]
    ticket = bench.tickets.find(name, CLIENT, BAD["sender"], bench.clock.seconds())
    assert (ticket.greylisting, ticket.points) == ("waited", 7.5)
    assert "sender_domain.no-mail-host:4" in ticket.facts


def test_a_higher_total_is_refused_however_often_it_comes(make_bench: Any) -> None:
    bench = make(make_bench, settings(defer_at=3, reject_at=7))
    for _ in range(3):
        assert bench.action(**BAD, recipient=FREE) == "554"
        bench.clock.advance(DELAY)


def test_who_never_waits_does_not_wait_for_points(make_bench: Any) -> None:
    bench = make(make_bench, SUSPICIOUS)
    bench.ledger.allow(CLIENT, "", bench.clock.seconds())
    assert bench.action(**BAD, recipient=FREE) == "DUNNO"


def test_while_the_store_cannot_say_nobody_waits_for_points(make_bench: Any) -> None:
    bench = make(make_bench, SUSPICIOUS)
    bench.store.status.broken = True
    assert bench.action(**BAD, recipient=FREE) == "DUNNO"


def test_where_nobody_is_greylisted_points_defer_until_they_are_fewer(make_bench: Any) -> None:
    registry = "servers: {mail.inst.example: {addresses: [192.0.2.25], systems: [198.18.0.0/24]}}"
    bench = make_bench("flows: {outbound: {defer_at: 1, checks: {helo: {points: {not-fqdn: 3}}}}}", registry)
    for _ in range(3):
        assert bench.action(**{**BAD, "recipient": "a@elsewhere.example"}) == "450"
        bench.clock.advance(DELAY)


def test_a_single_fact_that_defers_waits_once_as_well(make_bench: Any) -> None:
    bench = make(make_bench, settings("checks: {helo: {actions: {not-fqdn: defer}}}"))
    assert bench.action(**BAD, recipient=FREE) == "450"
    bench.clock.advance(DELAY)
    assert bench.action(**BAD, recipient=FREE) == "DUNNO"
