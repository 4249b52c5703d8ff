"""Who is suspended, who is not, and how it ends."""

from __future__ import annotations

import pytest

from mailbase.store import Row
from policyd.evidence.facts import Effect, Named
from policyd.exceptions.rule import rule_of
from policyd.outgoing.judging import Against
from policyd.outgoing.measures import Kind, Measure, Whose
from policyd.outgoing.watch import SAVING

from .watched import START, Table, World


def test_suspended_at_the_limit_and_told_of_it() -> None:
    world = World("users: {suspend: {messages: 50}}, suspend_for: 2h")
    world.mail(49)
    assert not world.rules.rules.all
    world.mail()
    rule = world.rules.rules.all["user:ada"]
    assert (rule.effect, rule.suspends, rule.until) == (Effect.DENY, True, int(START + 50 + 7200))
    assert rule.why == "messages: 50 in an hour, nothing usual known, limit 50"
    assert [one.event for one in world.told] == ["outgoing-jump", "outgoing-suspended"]
    assert "It is suspended for 2 hours: its mail gets 450, and waits where it is." in (world.told[1].lines)
    assert world.watch.counts.suspended[Kind.USER] == world.watch.suspended()[Kind.USER] == 1
    # What was under way meanwhile.
    world.mail(5)
    assert len(world.told) == 2
    assert world.stream.getvalue().count("event=outgoing-jump") == 1
    assert world.watch.counts.jumps[Kind.USER, Measure.MESSAGES, Against.LIMIT] == 1
    world.clock.advance(7300)
    assert world.watch.suspended()[Kind.USER] == 0
    world.mail(50)
    assert world.watch.counts.suspended[Kind.USER] == 2


def test_a_system_that_no_rule_can_name_is_not_suspended() -> None:
    world = World("systems: {suspend: {refused: 1}}")
    world.report("reject", user="", system="not a client!")
    assert not world.rules.rules.all


def test_whom_an_operator_allows_is_not_suspended() -> None:
    world = World("users: {suspend: {messages: 50}}")
    world.rules.rules.put(rule_of("ada", Effect.ALLOW, Named.USER))
    world.mail(60)
    assert world.rules.rules.all["user:ada"].effect is Effect.ALLOW
    assert 'event=outgoing-not-suspended kind=user user=ada reason="allowed by policyd allow"' in (
        world.stream.getvalue()
    )
    assert world.stream.getvalue().count("not-suspended") == 1


def test_a_suspension_that_cannot_be_kept_is_tried_again() -> None:
    world = World("users: {suspend: {messages: 50}}")
    world.shelf.broken = True
    world.mail(51)
    assert "event=outgoing-not-suspended kind=user user=ada reason=away" in world.stream.getvalue()
    world.shelf.broken = False
    world.mail()
    assert world.rules.rules.all["user:ada"].suspends


@pytest.mark.parametrize("verb", ["outgoing.lift", "outgoing.accept"])
def test_lifted_by_command_it_is_judged_anew(verb: str) -> None:
    world = World("users: {suspend: {messages: 50}}")
    world.mail(50)
    assert world.verb(verb, name="Ada", by="root") == {"known": True, "suspended": True}
    assert not world.rules.rules.all
    asked, decision = world.journal[-1]
    assert f"event=outgoing-lifted id={decision.id} kind=user user=ada" in world.stream.getvalue()
    assert (asked.sasl_username, decision.reason) == ("ada", "outgoing-lifted")
    world.mail(44)
    assert not world.rules.rules.all
    assert world.verb(verb, name="ada") == {"known": True, "suspended": False}
    assert world.verb(verb, name="bob") == {"known": False, "suspended": False}
    usual = world.record().usual(world.clock.seconds())[0][0]
    assert usual == pytest.approx(50 if verb == "outgoing.accept" else 0, rel=0.05)


def test_accepted_the_rest_of_it_may_come_but_no_more_than_the_limit() -> None:
    world = World("users: {suspend: {messages: 200}}")
    world.mail(50)
    world.verb("outgoing.accept", name="ada")
    world.mail(150)
    assert len(world.told) == 1
    assert not world.rules.rules.all
    world.mail(50)
    assert world.rules.rules.all["user:ada"].suspends
    world.verb("outgoing.accept", name="ada")
    world.clock.advance(27 * 3600)
    world.mail(100)
    # 200 were in the hour that nobody found odd.
    assert [one.event for one in world.told] == ["outgoing-jump", "outgoing-suspended"]
    world.mail(101, user="bob")
    assert world.told[-1].whose == Whose(Kind.USER, "bob")


def test_lifted_by_another_command_it_is_not_suspended_at_once() -> None:
    world = World("users: {suspend: {messages: 50}}")
    world.mail(50)
    world.rules.rules.remove(world.rules.rules.all["user:ada"])
    world.mail(40)
    assert not world.rules.rules.all
    world.mail(20)
    assert world.rules.rules.all["user:ada"].suspends


def test_what_another_node_suspended_and_lifted_is_not_suspended_here_at_once() -> None:
    rows: dict[bytes, Row] = {}
    one, other = (World("users: {suspend: {messages: 50}}", Table(rows), shared=True) for _ in range(2))
    one.mail(50)
    rule = one.rules.rules.all["user:ada"]
    other.rules.rules.put(rule)
    other.mail(10)
    other.clock.advance(SAVING)
    one.verb("outgoing.lift", name="ada")
    other.rules.rules.remove(rule)
    other.mail(5)
    assert not other.rules.rules.all
    other.clock.advance(SAVING)
    # The first of the five told the other node of it.
    assert [row["day"] for row in one.verb("outgoing.list")] == [4]
