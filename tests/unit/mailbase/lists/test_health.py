"""When a list is asked: the state machine, time in its hands."""

from __future__ import annotations

import pytest

from mailbase.config.lists import ListHealthSettings
from mailbase.lists.health import SOON, Health, State
from mailbase.lists.model import Trouble

TERMS = ListHealthSettings()
REFUSED, UNANSWERED, LISTS_ALL = Trouble.REFUSED, Trouble.UNANSWERED, Trouble.LISTS_ALL


def well(now: float = 0.0) -> Health:
    health = Health(TERMS, now)
    health.tested(None, "", now)
    return health


def test_a_list_is_not_asked_before_it_has_passed_its_first_test() -> None:
    health = Health(TERMS, 100.0)
    assert (health.state, health.next_test) == (State.UNTESTED, 100.0)
    health.answered(None, "", 101.0)
    assert health.state is State.UNTESTED
    health.tested(None, "", 102.0)
    assert (health.state, health.since, health.next_test) == (State.ON, 102.0, 102.0 + TERMS.interval)
    assert health.switched_off == 0


@pytest.mark.parametrize("trouble", Trouble)
def test_a_list_that_fails_its_first_test_is_off(trouble: Trouble) -> None:
    health = Health(TERMS, 0.0)
    health.tested(trouble, "why", 1.0)
    assert (health.state, health.trouble, health.detail) == (State.OFF, trouble, "why")
    assert (health.next_test, health.switched_off) == (1.0 + TERMS.retry, 1)


@pytest.mark.parametrize("trouble", [trouble for trouble in Trouble if trouble is not UNANSWERED])
def test_what_is_wrong_for_certain_switches_off_at_once(trouble: Trouble) -> None:
    for told in ("tested", "answered"):
        health = well()
        getattr(health, told)(trouble, "why", 5.0)
        assert (health.state, health.trouble, health.next_test) == (State.OFF, trouble, 5.0 + TERMS.retry)


def test_silence_switches_off_when_it_lasts() -> None:
    health = well()
    for number in range(TERMS.failures - 1):
        health.answered(UNANSWERED, "", 10.0 + number)
        assert health.state is State.ON
    health.answered(UNANSWERED, "", 20.0)
    assert (health.state, health.trouble) == (State.OFF, UNANSWERED)


def test_an_answer_between_ends_the_count() -> None:
    health = well()
    for number in range(3 * TERMS.failures):
        health.answered(UNANSWERED if number % 2 else None, "", float(number))
    assert health.state is State.ON


def test_tests_without_an_answer_count_as_well() -> None:
    health = well()
    now = 0.0
    for _ in range(TERMS.failures - 1):
        now = health.next_test
        health.tested(UNANSWERED, "", now)
        assert health.state is State.ON
        # It is not left alone for a whole interval.
        assert health.next_test == now + SOON
    health.tested(UNANSWERED, "", now)
    assert health.state is State.OFF


def test_trouble_brings_the_next_test_forward_but_not_one_test_after_another() -> None:
    health = well()
    health.answered(UNANSWERED, "", 100.0)
    assert health.next_test == 100.0
    health.tested(None, "", 100.5)
    assert health.next_test == 100.5 + TERMS.interval
    health.answered(UNANSWERED, "", 101.0)
    assert health.next_test == 100.5 + SOON


def test_a_test_passed_from_somebodys_memory_does_not_hide_that_mails_get_no_answer() -> None:
    health = well()
    now = 100.0
    for _ in range(TERMS.failures):
        assert health.state is State.ON
        health.answered(UNANSWERED, "", now)
        health.tested(None, "", now + 1.0)
        now += 60.0
    assert health.switched_off == 1


def test_it_is_tried_ever_less_often_and_back_at_once_when_it_passes() -> None:
    health = well()
    health.answered(REFUSED, "", 2000.0)
    waits = []
    for _ in range(9):
        now = health.next_test
        health.tested(LISTS_ALL, "", now)
        waits.append(health.next_test - now)
    assert waits == [120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0, 3600.0, 3600.0, 3600.0]
    assert (health.trouble, health.switched_off) == (LISTS_ALL, 1)
    health.tested(None, "", 90_000.0)
    assert (health.state, health.since, health.next_test) == (State.ON, 90_000.0, 90_000.0 + TERMS.interval)


def test_who_passes_tests_and_refuses_mail_is_tried_ever_less_often_too() -> None:
    health = well()
    now, waits = 5000.0, []
    for _ in range(4):
        health.answered(REFUSED, "", now)
        waits.append(health.next_test - now)
        now = health.next_test
        health.tested(None, "", now)
        now += 1.0
    assert waits == [60.0, 120.0, 240.0, 480.0]
    # Once it has been well for long, all is forgotten.
    health.answered(REFUSED, "", now + TERMS.interval)
    assert health.next_test == now + TERMS.interval + TERMS.retry


def test_what_a_list_that_is_off_answers_changes_nothing() -> None:
    health = well()
    health.answered(REFUSED, "why", 10.0)
    due = health.next_test
    for trouble in (None, UNANSWERED, LISTS_ALL):
        health.answered(trouble, "late", 11.0)
    assert (health.state, health.detail, health.next_test) == (State.OFF, "why", due)


def test_a_fault_of_ours_is_not_the_lists() -> None:
    health = Health(TERMS, 0.0)
    health.postponed(3.0)
    assert (health.state, health.next_test, health.tested_at) == (State.UNTESTED, 3.0 + SOON, None)


def test_a_list_that_is_off_can_be_hurried() -> None:
    health = well()
    health.hurry(5.0)
    assert health.next_test == TERMS.interval
    health.answered(REFUSED, "", 10.0)
    health.hurry(20.0)
    assert (health.state, health.next_test) == (State.OFF, 20.0)
    health.tested(REFUSED, "", 20.0)
    assert health.next_test == 20.0 + 2 * TERMS.retry


def test_the_last_trouble_is_named_also_where_it_was_not_enough() -> None:
    health = well()
    health.answered(UNANSWERED, "no answer", 10.0)
    assert (health.state, health.trouble, health.detail) == (State.ON, UNANSWERED, "no answer")
