"""The engine beside what relaying and greylisting decide: failures, answers that come later."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from policyd.engine.decision import Decision
from policyd.engine.plan import make_plan
from policyd.evidence.context import Scope
from policyd.evidence.facts import CheckFailed, Fact, Grey, GreylistFact, RelayFact, Relaying
from policyd.protocol.request import Stage


class Stub:
    """A check that answers as told."""

    stages = frozenset({Stage.RCPT})

    def __init__(self, name: str, answer: Any) -> None:
        self.name = name
        self.answer = answer
        self.asked = 0

    def check(self, request: Any, context: Any) -> Any:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


SERVED = RelayFact(Relaying.SERVED, "registered-domain")
PERMITTED = RelayFact(Relaying.PERMITTED, "registered-system")
DENIED = RelayFact(Relaying.DENIED, "foreign-domain")
NEW = GreylistFact(Grey.NEW, 300)
KNOWN = GreylistFact(Grey.KNOWN)


def use(bench: Any, *checks: Any) -> None:
    bench.engine.policy = replace(bench.engine.policy, plan=make_plan(list(checks)))


def later(bench: Any, **attributes: str) -> tuple[Deferred[Decision], list[Decision]]:
    waiting = bench.engine.decide(bench.request(**attributes))
    assert not isinstance(waiting, Decision)
    done: list[Decision] = []
    deferred = Deferred.fromCoroutine(waiting)
    deferred.addCallback(done.append)
    return deferred, done


@pytest.mark.parametrize(
    ("context", "reply"),
    [
        ("", "DEFER_IF_REJECT 4.3.0 "),
        ("relay", "DEFER_IF_REJECT 4.3.0 "),
        ("recipient", "DEFER_IF_REJECT 4.3.0 "),
    ],
)
def test_a_relay_check_that_raises_never_leads_to_a_5xx(bench: Any, context: str, reply: str) -> None:
    use(bench, Stub("relay", RuntimeError("bug")), Stub("greylist", KNOWN))
    decision = bench.decide(policy_context=context)
    assert decision.reply.startswith(reply)
    assert decision.reason == "relay-failed"
    assert [name for name, _ in bench.failures] == ["relay"]


def test_a_greylist_check_that_raises_has_no_opinion(bench: Any) -> None:
    use(bench, Stub("relay", SERVED), Stub("greylist", RuntimeError("bug")))
    decision = bench.decide()
    assert (decision.reply, decision.reason) == ("DUNNO", "greylist-failed")


def test_what_settles_the_answer_spares_the_rest(bench: Any) -> None:
    second = Stub("greylist", NEW)
    use(bench, Stub("relay", DENIED), second)
    assert bench.action() == "554"
    assert second.asked == 0


@pytest.mark.parametrize(
    ("facts", "scope", "reply", "reason"),
    [
        ([SERVED, NEW], "", "DEFER_IF_PERMIT 4.2.0", "greylist-new"),
        ([SERVED, KNOWN], "", "DUNNO", "greylist-known"),
        ([PERMITTED, GreylistFact(Grey.OFF)], "", "OK", "relay-registered-system"),
        ([PERMITTED, GreylistFact(Grey.OFF)], "recipient", "DUNNO", "relay-registered-system"),
        ([PERMITTED, NEW], "", "DEFER_IF_PERMIT 4.2.0", "greylist-new"),
        ([SERVED, GreylistFact(Grey.OFF)], "", "DUNNO", "relay-registered-domain"),
    ],
)
def test_which_fact_decides(bench: Any, facts: list[Fact], scope: str, reply: str, reason: str) -> None:
    use(bench, Stub("relay", facts[0]), Stub("greylist", facts[1]))
    decision = bench.decide(policy_context=scope)
    assert decision.reply.startswith(reply)
    assert decision.reason == reason


def test_an_answer_that_comes_later_is_as_good(bench: Any) -> None:
    first: Deferred[Fact] = Deferred()
    second: Deferred[Fact] = Deferred()
    use(bench, Stub("relay", first), Stub("greylist", second))
    _, done = later(bench, instance="i")
    assert not done
    first.callback(SERVED)
    assert not done
    second.callback(NEW)
    assert done[0].reply.startswith("DEFER_IF_PERMIT 4.2.0 Greylisted, try again in 300 s [")
    assert done[0].facts == (SERVED, NEW)
    assert bench.decide(instance="i").repeated


def test_a_late_fact_settles_as_well(bench: Any) -> None:
    first: Deferred[Fact] = Deferred()
    second = Stub("greylist", NEW)
    use(bench, Stub("relay", first), second)
    _, done = later(bench)
    first.callback(DENIED)
    assert done[0].reply.startswith("554 ")
    assert second.asked == 0


def test_a_late_failure_is_a_failure_of_the_check_alone(bench: Any) -> None:
    first: Deferred[Fact] = Deferred()
    use(bench, Stub("greylist", first), Stub("other", RuntimeError("at once")))
    _, done = later(bench)
    first.errback(RuntimeError("late"))
    assert done[0].reply == "DUNNO"
    assert [name for name, _ in bench.failures] == ["greylist", "other"]
    assert all(isinstance(fact, CheckFailed) for fact in done[0].facts)


def test_a_policy_swapped_while_an_answer_is_awaited_does_not_mix_the_checks(bench: Any) -> None:
    first: Deferred[Fact] = Deferred()
    use(bench, Stub("relay", first), Stub("greylist", KNOWN))
    _, done = later(bench)
    use(bench)
    first.callback(SERVED)
    assert done[0].facts == (SERVED, KNOWN)


def test_only_the_relay_check_runs_where_only_relaying_is_asked() -> None:
    relay, other = Stub("relay", SERVED), Stub("greylist", NEW)
    plan = make_plan([relay, other])
    assert plan[Stage.RCPT, Scope.RELAY].checks == (relay,)
    assert plan[Stage.RCPT, Scope.BOTH] == plan[Stage.RCPT, Scope.RECIPIENT]
    assert plan[Stage.RCPT, Scope.BOTH].checks == (relay, other)
    assert all(
        plan[stage, scope].checks == () for stage in Stage for scope in Scope if stage is not Stage.RCPT
    )


def test_every_decision_has_an_id_of_its_own(bench: Any) -> None:
    assert len({bench.decide().id for _ in range(100)}) == 100


def test_nothing_is_left_unset_of_what_is_made_without_its_constructor(bench: Any) -> None:
    class Curious(Stub):
        def check(self, request: Any, context: Any) -> Any:
            made.append(context)
            return super().check(request, context)

    made: list[Any] = []
    use(bench, Curious("relay", SERVED))
    made.append(bench.engine.decide(bench.request()))
    made.append(made[0].origin)
    assert len(made) == 3
    for one in made:
        assert all(hasattr(one, field.name) for field in fields(one))


@pytest.mark.parametrize(
    ("on_error", "reply"), [("pass", "DUNNO"), ("defer", "DEFER_IF_PERMIT 4.3.0 Temporary trouble")]
)
def test_nobody_waits_beyond_the_deadline(bench: Any, on_error: str, reply: str) -> None:
    never: Deferred[Fact] = Deferred()
    use(bench, Stub("relay", SERVED), Stub("greylist", never))
    bench.engine.policy = replace(bench.engine.policy, on_error=on_error)
    _, done = later(bench)
    bench.clock.advance(7.99)
    assert not done
    bench.clock.advance(0.01)
    assert done[0].reply.startswith(reply)
    assert done[0].reason == "greylist-late"
    assert bench.metrics.late == 1
    # The answer comes all the same, and does no harm.
    never.callback(NEW)
    assert len(done) == 1


def test_after_the_deadline_only_what_is_known_at_once_counts(bench: Any) -> None:
    first: Deferred[Fact] = Deferred()
    third: Deferred[Fact] = Deferred()
    use(bench, Stub("relay", SERVED), Stub("a", first), Stub("greylist", KNOWN), Stub("b", third))
    _, done = later(bench)
    bench.clock.advance(8.0)
    bench.clock.advance(0)
    assert [type(fact).__name__ for fact in done[0].facts] == [
        "RelayFact", "CheckLate", "GreylistFact", "CheckLate"
    ]  # fmt: skip


def test_the_clock_is_left_alone_once_the_answer_is_there(bench: Any) -> None:
    first: Deferred[Fact] = Deferred()
    use(bench, Stub("greylist", first))
    before = len(bench.clock.getDelayedCalls())
    _, done = later(bench)
    first.callback(KNOWN)
    assert done
    assert len(bench.clock.getDelayedCalls()) == before


# Several requests at once


def mails(bench: Any, count: int = 3) -> list[Any]:
    """Requests of so many transactions."""
    senders = ("a@one.example", "b@two.example", "c@three.example")
    return [bench.request(sender=senders[number % 3], instance=f"i{number}") for number in range(count)]


def test_requests_that_come_together_have_the_answers_they_would_have_alone(bench: Any) -> None:
    requests = mails(bench)
    requests[1:1] = [bench.request(recipient="a@elsewhere.example", instance="x")]
    together = bench.engine.decide_all(requests)
    assert [one.reason for one in together] == [
        "greylist-new",
        "relay-foreign-domain",
        "greylist-new",
        "greylist-new",
    ]
    assert len({one.id for one in together}) == 4
    bench.clock.advance(300)
    again = bench.engine.decide_all(mails(bench, 6)[3:])
    assert [one.reason for one in again] == ["greylist-passed"] * 3


def test_a_triplet_that_comes_twice_at_once_is_new_once(bench: Any) -> None:
    requests = [bench.request(instance="i1"), bench.request(instance="i2")]
    assert [one.reason for one in bench.engine.decide_all(requests)] == ["greylist-new", "greylist-early"]


def test_a_request_that_comes_twice_at_once_is_decided_once(bench: Any) -> None:
    stub = Stub("relay", DENIED)
    use(bench, stub)
    first, second, other = bench.engine.decide_all(
        [bench.request(instance=name) for name in ("i1", "i1", "i2")]
    )
    assert (first.repeated, second.repeated, other.repeated) == (False, True, False)
    assert second.reply == first.reply
    assert stub.asked == 2


def test_of_requests_that_come_together_one_may_fail_and_one_may_wait(bench: Any) -> None:
    wait: Deferred[Fact] = Deferred()
    answers: list[Any] = [SERVED, wait, SERVED]

    class Changing(Stub):
        def check(self, request: Any, context: Any) -> Any:
            return answers.pop(0)

    use(bench, Changing("relay", None))
    requests = mails(bench, 4)
    del requests[2].client_address
    first, waiting, failed, last = bench.engine.decide_all(requests)
    assert (first.reason, last.reason) == ("relay-registered-domain",) * 2
    assert isinstance(failed, AttributeError)
    done: list[Decision] = []
    Deferred.fromCoroutine(waiting).addCallback(done.append)
    assert not done
    wait.callback(DENIED)
    assert [one.reason for one in done] == ["relay-foreign-domain"]


def test_what_a_mail_gives_back_to_a_limit_is_there_for_those_that_come_with_it(bench: Any) -> None:
    concluded: list[str] = []

    class Taking(Stub):
        def check(self, request: Any, context: Any) -> Any:
            concluded.append(request.instance)
            context.taken = ()
            return DENIED

    class Charges:
        def settle(self, *arguments: Any) -> None:
            concluded.append("settled")

    use(bench, Taking("rate", None))
    bench.engine._charges = Charges()
    bench.engine.decide_all(mails(bench, 2))
    assert concluded == ["i0", "settled", "i1", "settled"]


class Prepared(Stub):
    """A check that does something ahead of its turn."""

    def __init__(self, name: str, answer: Any, log: list[str]) -> None:
        super().__init__(name, answer)
        self.log = log

    def prepare(self, context: Any) -> None:
        self.log.append("prepared")

    def check(self, request: Any, context: Any) -> Any:
        self.log.append(f"checked {request.instance}")
        return super().check(request, context)


def test_what_a_check_prepares_is_done_for_all_before_any_is_checked(bench: Any) -> None:
    log: list[str] = []
    use(bench, Prepared("relay", SERVED, log))
    bench.engine.decide_all(mails(bench, 2))
    assert log == ["prepared", "prepared", "checked i0", "checked i1"]


def test_nothing_is_prepared_for_a_check_that_does_not_run(bench: Any) -> None:
    log: list[str] = []
    use(bench, Stub("relay", SERVED), Prepared("greylist", KNOWN, log))
    bench.decide(policy_context="relay")
    bench.decide(protocol_state="DATA")
    assert log == []


def test_a_fault_in_preparing_leaves_the_check_to_decide(bench: Any) -> None:
    class Failing(Prepared):
        def prepare(self, context: Any) -> None:
            raise RuntimeError("bug")

    use(bench, Failing("greylist", NEW, []))
    assert bench.decide().reason == "greylist-new"
    assert bench.failures == []


def test_a_fault_in_recognising_a_client_is_greylistings_alone(bench: Any, monkeypatch: Any) -> None:
    def fail(*arguments: Any) -> Any:
        raise RuntimeError("bug")

    monkeypatch.setattr(bench.engine.policy.greylist, "_judge_client", fail)
    decision = bench.decide()
    assert (decision.reply, decision.reason) == ("DUNNO", "greylist-failed")
    assert [name for name, _ in bench.failures] == ["greylist"]


def test_a_client_is_recognised_once(bench: Any, monkeypatch: Any) -> None:
    greylist = bench.engine.policy.greylist
    judge, judged = greylist._judge_client, []

    def count(*arguments: Any) -> Any:
        judged.append(arguments)
        return judge(*arguments)

    monkeypatch.setattr(greylist, "_judge_client", count)
    bench.engine.decide_all(mails(bench, 2))
    assert len(judged) == 1
    bench.decide(sasl_username="somebody")
    assert len(judged) == 1, "only of strangers"
