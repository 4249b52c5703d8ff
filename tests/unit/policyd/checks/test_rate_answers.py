"""Limits: what a client hears and the log says, what counts once or not at all, and who is spared."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailbase.config import ConfigError, loads
from mailbase.store import StoreError
from policyd.engine.decision import Decision
from policyd.evidence.facts import Effect, Named
from policyd.exceptions.rule import rule_of
from policyd.limits.seen import Seen
from policyd.protocol.request import MAX_ADDRESS, request_of

from .limited import FREE, USER, limits


def test_repeated_requests_count_once(postfix: Any) -> None:
    world = postfix(
        limits(
            few="per: user, of: messages, limit: 9, within: 1h",
            big="per: user, of: bytes, limit: 9000, within: 1h",
        )
    )
    for stage in ("RCPT", "DATA", "END-OF-MESSAGE"):
        for context in ("", "", "other"):
            world.bench.decide(
                **USER, instance="i", protocol_state=stage, size="1000", policy_context=context
            )
    assert world.used() == {"submission.few anna": 1, "submission.big anna": 1000}
    # Outside of a transaction nothing is the same as anything.
    for _ in range(2):
        world.bench.decide(**USER, instance="", protocol_state="DATA")
    assert world.used()["submission.few anna"] == 3


def test_the_question_about_relaying_alone_counts_nothing(postfix: Any) -> None:
    world = postfix(limits(few="per: user, of: messages, limit: 9, within: 1h"))
    world.bench.decide(**USER, protocol_state="DATA", policy_context="relay")
    assert world.used() == {}


def test_a_query_takes_nothing_and_tells_nobody(postfix: Any) -> None:
    world = postfix(limits(few="per: user, of: messages, limit: 1, within: 1h"))
    for _ in range(2):
        decision = world.bench.engine.query(world.bench.request(**USER, protocol_state="DATA"))
        assert decision.action == "accept"
    world.pass_(1)
    before = world.bench.stream.getvalue()
    assert world.bench.engine.query(world.bench.request(**USER)).action == "defer"
    assert (world.bench.stream.getvalue(), world.counted("few").get("refused", 0)) == (before, 0)


def test_a_limit_can_reject(postfix: Any) -> None:
    world = postfix(limits(few="per: user, of: messages, limit: 1, within: 2d, action: reject"))
    world.pass_(1)
    assert world.mail().startswith("554 5.7.1 Refused: too many messages from your account (limit few)")
    assert "free again in 48 h [" in world.mail()


def test_a_shadow_is_counted_and_stops_nobody(postfix: Any) -> None:
    world = postfix(limits(few="per: user, of: messages, limit: 1, within: 1h, shadow: true, warn_at: null"))
    world.pass_(3)
    assert world.counted("few") == {"passed": 1, "shadow": 2}
    assert (
        "event=limit-used-up limit=submission.few subject=anna of=messages used=1 allowed=1 shadow=true"
        in (world.bench.stream.getvalue())
    )


def test_the_log_warns_once_before_and_tells_once_that_it_is_used_up(postfix: Any) -> None:
    world = postfix(limits(few="per: user, of: messages, limit: 10, within: 1h, warn_at: 70%"))
    world.pass_(6)
    assert "event=limit" not in world.bench.stream.getvalue()
    world.pass_(4)
    for _ in range(3):
        world.mail()
    world.bench.clock.advance(900)
    world.pass_(1)
    text = world.bench.stream.getvalue()
    assert text.count("event=limit-nearly-used-up limit=submission.few subject=anna of=messages used=7 ") == 1
    assert text.count("event=limit-nearly-used-up") == 1
    assert text.count("event=limit-used-up") == 1
    world.bench.clock.advance(3600)
    world.pass_(8)
    assert world.bench.stream.getvalue().count("event=limit-nearly-used-up") == 2


def test_a_burst_is_smaller_than_the_limit(postfix: Any) -> None:
    world = postfix(limits(few="per: user, of: messages, limit: 60, within: 1h, burst: 2"))
    world.pass_(2)
    assert "free again in 60 s [" in world.mail()


def test_limits_survive_a_restart(postfix: Any) -> None:
    world = postfix(limits(few="per: user, of: messages, limit: 1, within: 1h"))
    world.pass_(1)
    world.bench.restart()
    assert world.mail()


@pytest.mark.parametrize(
    "who", [{"client_address": "203.0.113.5", "sasl_username": ""}, {"sasl_username": ""}]
)
def test_other_flows_are_not_limited(postfix: Any, who: dict[str, str]) -> None:
    world = postfix(limits(few="per: client, of: messages, limit: 1, within: 1h"))
    world.pass_(3, recipients=[FREE], **who)


def test_without_limits_nothing_is_asked(bench: Any) -> None:
    assert all(
        check.name != "rate" for course in bench.engine.policy.plan.values() for check in course.checks
    )


def test_a_store_that_cannot_tell_stops_nobody(postfix: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world = postfix(limits(few="per: user, of: messages, limit: 1, within: 1h"))
    world.pass_(1)
    monkeypatch.setattr(world.bench.limits, "take", _fail)
    assert world.mail() == ""
    assert world.bench.metrics.limits_unavailable == 2


def _fail(*_arguments: object) -> None:
    raise StoreError("gone")


def test_a_shared_store_may_answer_later(postfix: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world = postfix(limits(few="per: user, of: messages, limit: 1, within: 1h"))
    world.pass_(1)
    take, answers = world.bench.limits.take, []

    def later(asks: Any, now: float) -> Deferred[Any]:
        answers.append((Deferred(), lambda: take(asks, now)))
        return answers[-1][0]

    monkeypatch.setattr(world.bench.limits, "take", later)
    decisions: list[Decision] = []
    waiting = world.bench.engine.decide(world.bench.request(**USER))
    Deferred.fromCoroutine(waiting).addCallback(decisions.append)
    waiting = world.bench.engine.decide(world.bench.request(**USER))
    Deferred.fromCoroutine(waiting).addCallback(decisions.append)
    assert not decisions
    answers[0][0].callback(answers[0][1]())
    answers[1][0].errback(StoreError("gone"))
    assert [decision.reply[:3] for decision in decisions] == ["450", "OK"]


def test_what_was_counted_is_remembered_within_bounds() -> None:
    seen = Seen(10)
    for number in range(1000):
        seen.note_connection(f"192.0.2.1 {number}", request_of({"instance": f"1.1.1.{number:x}" * number}))
        assert seen.tell(b"key" + str(number).encode(), "warned", 10, 0)
    assert len(seen._connections) <= 20
    assert len(seen._connections.get("192.0.2.1 999", None) or "") <= MAX_ADDRESS
    assert len(seen._told) <= 20


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (limits("upstream", a="per: client, of: messages, limit: 1, within: 1h"), "limits: expected none"),
        (
            limits("inbound", a="per: user, of: messages, limit: 1, within: 1h"),
            "limits.a.per: expected another: a user is known in submission only",
        ),
        (
            limits("inbound", a="per: system, of: messages, limit: 1, within: 1h"),
            "limits.a.per: expected another: a system is known in outbound or submission only",
        ),
        (
            limits(a="per: recipient_domain, of: connections, limit: 1, within: 1h"),
            "limits.a.of: expected another: connections can be counted per client, network, system, user",
        ),
        (limits(A="per: user, of: messages, limit: 1, within: 1h"), "limits.A: expected a name"),
        (limits(a="per: user, of: messages, limit: 0, within: 1h"), "limits.a.limit: expected 1 to "),
        (limits(a="per: user, of: messages, limit: 1, within: 0s"), "limits.a.within: expected 1s to 30d"),
        (
            limits(a="per: user, of: messages, limit: 1, within: 1h, warn_at: 100%"),
            "limits.a.warn_at: expected a share such as 80%",
        ),
        (
            limits(**{f"a{n}": "per: user, of: messages, limit: 1, within: 1h" for n in range(51)}),
            "limits: expected at most 50 limits",
        ),
    ],
)
def test_what_makes_no_sense_is_a_mistake(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        loads(text)


@pytest.mark.parametrize(
    ("what", "named", "spared"),
    [
        ("anna", Named.USER, True),
        ("192.0.2.0/24", Named.CLIENT, True),
        ("someone@sender.example", Named.SENDER, False),
        (USER["recipient"], Named.RECIPIENT, False),
    ],
)
def test_who_is_allowed_by_command_is_spared_unless_forged_easily(
    postfix: Any, what: str, named: Named, spared: bool
) -> None:
    world = postfix(limits(few="per: user, of: messages, limit: 2, within: 1h"))
    world.bench.book.rules.put(rule_of(what, Effect.ALLOW, named))
    world.pass_(2)
    assert (world.mail() == "") is spared
    assert (world.used() == {}) is spared
