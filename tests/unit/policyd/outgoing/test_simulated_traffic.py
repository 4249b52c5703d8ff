"""Whom the built-in figures notice, how soon, and whom they leave in peace."""

from __future__ import annotations

import heapq

import pytest

from policyd.outgoing.judging import Against
from policyd.outgoing.measures import Kind, Measure

from .simulated import DAY, HOUR, WEEK, Person, Traffic, burst

THIEF = 50_000_000


def first_noticed(traffic: Traffic, before: int) -> int:
    """How many mails of the thief it took."""
    assert traffic.found, "never noticed"
    return traffic.found[0][0] - before


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("a_day", "circle", "new"), [(5, 20, 0.05), (30, 100, 0.1), (90, 400, 0.15), (110, 600, 0.1)]
)
def test_four_weeks_of_a_person_are_quiet(seed: int, a_day: int, circle: int, new: float) -> None:
    person, traffic = Person(seed, a_day, circle, new), Traffic()
    for week in range(4):
        traffic.send(person.week(week))
    assert traffic.found == [], f"{traffic.mails} mails, at most {traffic.busiest:.0f} in an hour"


def test_invitations_to_many_strangers_in_one_mail_are_quiet() -> None:
    traffic, person = Traffic(), Person(1, 30, 100)
    calls = (mail for week in range(3) for mail in burst(week * WEEK + 3000, 1, 1, 150, first=week * 1000))
    traffic.send(heapq.merge(*(person.week(week) for week in range(3)), calls))
    assert traffic.found == []


@pytest.mark.parametrize("weeks_before", [0, 2])
@pytest.mark.parametrize("every", [0.1, 2.0, 40.0])
@pytest.mark.parametrize("recipients", [1, 5, 50])
def test_a_stolen_account_is_noticed_within_fifty_mails(
    weeks_before: int, every: float, recipients: int
) -> None:
    person, traffic = Person(7, 40, 150), Traffic()
    for week in range(weeks_before):
        traffic.send(person.week(week))
    assert traffic.found == []
    before = traffic.mails
    traffic.send(burst(weeks_before * WEEK + 3 * HOUR + 1790, 60, every, recipients, first=THIEF))
    assert first_noticed(traffic, before) <= 50


def test_a_busy_persons_account_too_by_those_it_writes_to() -> None:
    person, traffic = Person(3, 110, 600, 0.1), Traffic()
    for week in range(3):
        traffic.send(person.week(week))
    before = traffic.mails
    traffic.send(burst(3 * WEEK + 2 * HOUR, 60, 20, 1, first=THIEF))
    assert first_noticed(traffic, before) <= 50
    assert traffic.found[0][2].measure is Measure.STRANGERS


def test_who_writes_slowly_is_noticed_within_the_day() -> None:
    person, traffic = Person(5, 20, 80), Traffic()
    for week in range(2):
        traffic.send(person.week(week))
    traffic.send(burst(2 * WEEK, 280, 300, 1, first=THIEF))
    _, at, finding = traffic.found[0]
    assert finding.window == "day"
    assert at < Traffic().record.first + 2 * WEEK + DAY


def test_a_thief_who_comes_back_is_noticed_again_since_his_first_night_is_not_learned_from() -> None:
    person, traffic = Person(5, 20, 80), Traffic()
    for week in range(2):
        traffic.send(person.week(week))
    traffic.send(burst(2 * WEEK, 2_000, 10, 1, first=THIEF))
    traffic.found.clear()
    for week in range(3, 5):
        traffic.send(person.week(week))
    assert traffic.found == []
    before = traffic.mails
    traffic.send(burst(5 * WEEK, 60, 10, 1, first=2 * THIEF))
    assert first_noticed(traffic, before) <= 50


@pytest.mark.parametrize(("every", "rounds"), [(WEEK, 5), (28 * DAY, 3)])
def test_a_newsletter_system_is_quiet_once_it_is_known(every: float, rounds: int) -> None:
    traffic = Traffic(Kind.SYSTEM)
    for number in range(rounds):
        begin = (number * every) + 9 * HOUR
        # It grows a little each time.
        traffic.send(burst(begin, 3_000 + 300 * number, 0.5, 1, first=0))
    # The first one came while it was not known what is usual.
    assert traffic.found == []


def test_a_mail_server_of_many_people_is_quiet() -> None:
    traffic = Traffic(Kind.SYSTEM)
    people = [Person(seed, 15, 60, 0.1) for seed in range(150)]
    for week in range(2):
        traffic.send(heapq.merge(*(person.week(week) for person in people)))
    assert traffic.mails > 10_000
    assert traffic.found == []


def test_an_infected_machine_behind_a_mail_server_is_noticed() -> None:
    traffic = Traffic(Kind.SYSTEM)
    people = [Person(seed, 15, 60, 0.1) for seed in range(40)]
    for week in range(2):
        traffic.send(heapq.merge(*(person.week(week) for person in people)))
    before = traffic.mails
    traffic.send(burst(2 * WEEK + HOUR, 600, 2, 1, first=THIEF))
    assert first_noticed(traffic, before) <= 300


def test_a_new_newsletter_of_a_user_is_one_notice_and_accepted_for_good() -> None:
    person, traffic = Person(2, 20, 80), Traffic()
    for week in range(2):
        traffic.send(person.week(week))
    traffic.send(burst(2 * WEEK + HOUR, 900, 1, 1, first=0, of=900))
    assert {finding.against for _, _, finding in traffic.found} == {Against.USUAL}
    traffic.record.lift(traffic.found[-1][1], usual=True)
    traffic.found.clear()
    for week in range(3, 8):
        newsletter = burst(week * WEEK + 9 * HOUR, 900, 1, 1, first=0, of=900)
        traffic.send(heapq.merge(person.week(week), newsletter))
    assert traffic.found == []
