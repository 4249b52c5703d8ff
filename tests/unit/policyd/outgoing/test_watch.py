"""What a watched user or system sends: what is odd, what counts, and who is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mailbase.report import Report
from mailbase.ticket import Ticket
from mailbase.vocabulary import Action, Flow
from policyd.outgoing.judging import Against
from policyd.outgoing.measures import Kind, Measure, Whose
from policyd.outgoing.watch import points_of

from .watched import ADA, World, origin, request

NETWORK = Whose(Kind.SYSTEM, "192.0.2.0/24")


def test_a_jump_is_counted_logged_journaled_and_told_once() -> None:
    world = World()
    world.mail(44)
    assert world.told == []
    world.mail(30)
    (notice,) = world.told
    assert (notice.event, notice.whose) == ("outgoing-jump", ADA)
    assert "45 in an hour, nothing usual known" in notice.lines[0]
    assert "Last seen from 192.0.2.7." in notice.lines
    assert world.watch.counts.jumps[Kind.USER, Measure.MESSAGES, Against.USUAL] == 1
    assert world.stream.getvalue().count("event=outgoing-jump") == 1
    assert "user=ada client=192.0.2.7 measure=messages window=hour against=usual seen=45" in (
        world.stream.getvalue()
    )
    ((asked, decision),) = world.journal
    assert (asked.sasl_username, decision.reason, decision.id) == ("ada", "outgoing-jump", notice.id)
    world.clock.advance(2 * 3600)
    world.mail(50)
    assert world.watch.counts.jumps[Kind.USER, Measure.MESSAGES, Against.USUAL] == 2
    assert (len(world.told), world.watch.counts.held_back) == (1, 1)
    world.clock.advance(86400)
    world.mail(50)
    assert len(world.told) == 2


def test_capitals_are_no_other_account() -> None:
    world = World()
    for number in range(45):
        world.mail(user="Ada" if number % 2 else "ADA")
    assert len(world.told) == 1


@pytest.mark.parametrize(
    ("action", "times", "noticed"),
    [("reject", 5, True), ("quarantine", 5, True), ("reject", 4, False), ("tag", 9, False)],
)
def test_refused_content(action: str, times: int, noticed: bool) -> None:
    world = World()
    for _ in range(times):
        world.report(action)
    assert [one.data["measure"] for one in world.told] == ["refused"] * noticed


def test_points_and_recipients_that_do_not_exist() -> None:
    world = World()
    world.report("tag", points=59.0)
    world.report("accept", points=-20.0)
    for _ in range(100):
        world.report("accept", points=2.4)
    assert world.told == []
    world.report("accept", points=2.5)
    assert world.told[0].data["measure"] == "points"
    for _ in range(20):
        world.watch.unknown(origin(), request("bob"))
        world.clock.advance(1)
    assert world.told[1].data["measure"] == "failed"


def test_spamtraps_are_recipients_that_do_not_exist() -> None:
    world = World()
    traps = tuple(f"trap{number}@x.example" for number in range(20))
    ticket = Ticket("0" * 13, Flow.SUBMISSION, "192.0.2.7", "a@x.example", "ada", traps, spamtraps=traps)
    world.watch.reported(ticket, Report(ticket.id, ticket.client, ticket.sender, Action.DISCARD), True)
    world.clock.advance(1)
    assert world.told[0].data["measure"] == "failed"


def test_the_total_that_contentfilter_tells_outweighs_policyds_own_points() -> None:
    ticket = Ticket("0" * 13, Flow.SUBMISSION, "192.0.2.7", "a@x.example", "ada", points=500.0)
    content: Any = {
        "flow": "",
        "cause": "",
        "actions": [],
        "facts": [],
        "parts": 1,
        "seconds": {},
        "score": 4.0,
    }
    report = Report(ticket.id, ticket.client, ticket.sender, Action.ACCEPT, content=content)
    assert points_of(ticket, report) == 4.0
    assert points_of(ticket, replace(report, content=None)) == 500.0


def test_what_is_said_again_or_of_others_does_not_count() -> None:
    world = World()
    ticket = Ticket("0" * 13, Flow.INBOUND, "192.0.2.7", "a@x.example", points=500.0)
    report = Report(ticket.id, ticket.client, ticket.sender, Action.REJECT)
    world.watch.reported(ticket, report, True)
    mine = Ticket("0" * 13, Flow.SUBMISSION, "192.0.2.7", "a@x.example", "ada", points=500.0)
    world.watch.reported(mine, report, False)
    world.clock.advance(1)
    assert (world.told, len(world.watch.books)) == ([], 0)


def test_a_system_is_told_apart_by_what_is_registered_and_learned_first() -> None:
    world = World()
    world.mail(600, user="", system=NETWORK.name)
    assert world.told == []
    for _ in range(20):
        world.report("reject", user="", system=NETWORK.name)
    (notice,) = world.told
    assert (notice.whose, notice.data["measure"]) == (NETWORK, "refused")
    assert f"policyd deny {NETWORK.name} --as client --for 1d" in "\n".join(notice.lines)


def test_many_recipients_of_few_mails() -> None:
    world = World()
    world.mail(3, many=50)
    assert world.told == []
    world.mail(1, many=50)
    assert world.told[0].data["measure"] == "recipients"
    # More than Postfix names, as where policyd was restarted in the middle.
    world.watch.mailed(origin(), request("bob", recipient_count="200"), ())
    world.clock.advance(1)
    assert len(world.told) == 2


def test_a_quota_holds_whatever_is_usual() -> None:
    world = World("users: {quota: {messages: 30}}")
    world.mail(29)
    assert world.told == []
    world.mail()
    assert world.told[0].data["against"] == "quota"


def test_the_exempt_are_counted_and_not_judged() -> None:
    world = World("exempt: [ADA]")
    world.mail(100)
    assert (world.told, world.record().day(world.clock.seconds())[0]) == ([], 100)


def test_switched_off_nothing_is_counted() -> None:
    world = World("enabled: false")
    world.mail(100)
    world.report("reject")
    world.watch.unknown(origin(), request("ada"))
    assert (len(world.watch.books), world.table.puts) == (0, 0)


def test_a_reload_judges_by_the_new_figures() -> None:
    world = World()
    world.mail(10)
    world.configure("users: {floor: {messages: 5}}")
    world.mail()
    assert len(world.told) == 1


def test_a_fault_in_one_event_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    monkeypatch.setattr("policyd.outgoing.watch.whose", lambda *_: 1 / 0)
    world.mail()
    monkeypatch.undo()
    world.mail()
    assert "event=outgoing-failed" in world.stream.getvalue()
    assert world.record().day(world.clock.seconds())[0] == 1


def test_the_operator_sees_everybody_and_all_of_one() -> None:
    world = World("users: {suspend: {messages: 50}}")
    world.mail(50)
    world.mail(3, user="bob")
    world.mail(2, user="", system=NETWORK.name)
    rows = {row["name"]: row for row in world.verb("outgoing.list")}
    assert {name: row["state"] for name, row in rows.items()} == {
        "ada": "suspended",
        "bob": "quiet",
        NETWORK.name: "quiet",
    }
    assert rows["ada"]["until"] == world.rules.rules.all["user:ada"].until
    assert [row["name"] for row in world.verb("outgoing.list", odd=True)] == ["ada"]
    (row,) = world.verb("outgoing.show", name="ADA")
    assert row["last_hour"]["messages"] == 50
    assert row["known_recipients"] == 45
    assert row["why"].startswith("messages: 50")
    assert world.verb("outgoing.show", name="nobody") == []
    assert "expected name" in str(world.verb("outgoing.lift", name=" ").value)
