"""The verb of the control socket."""

from __future__ import annotations

from typing import Any

import pytest

from mailbase.control import ControlError
from policyd.journal.verbs import MAX_FOUND, JournalVerbs
from tests.unit.awaited import result_of


def ask(desk: Any, **arguments: Any) -> list[dict[str, Any]]:
    verbs = JournalVerbs(desk and desk.journal)
    return list(result_of(verbs.table()["explain"](arguments), lambda: desk and desk.worker.run()))


def test_what_is_not_written_yet_is_found(desk: Any) -> None:
    decision = desk.note()
    assert [told["id"] for told in ask(desk, term=decision.id)] == [decision.id]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"term": None},
        {"term": ["192.0.2.1"]},
        {"term": "\x00"},
        {"term": "x", "limit": 0},
        {"term": "x", "limit": MAX_FOUND + 1},
        {"term": "x", "limit": True},
        {"term": "x", "limit": "5"},
    ],
)
def test_hostile_questions(desk: Any, arguments: dict[str, Any]) -> None:
    with pytest.raises(ControlError):
        ask(desk, **arguments)


def test_a_lone_surrogate_is_no_fault_of_ours(desk: Any) -> None:
    assert ask(desk, term="\ud800@x.example") == []


def test_a_broken_journal_says_that_something_is_missing(desk: Any) -> None:
    decision = desk.note()
    desk.pass_time(1.0)
    desk.journal.status.broken = True
    notice, told = ask(desk, term=decision.id)
    assert notice["kind"] == "notice"
    assert told["id"] == decision.id


def queued(desk: Any, **arguments: Any) -> Any:
    return JournalVerbs(desk and desk.journal).table()["queued"](arguments)


def test_a_mail_is_found_by_its_queue_id_behind_the_filter(desk: Any) -> None:
    rcpt = desk.note(instance="i")
    data = desk.note(instance="i", protocol_state="DATA", recipient="")
    assert queued(desk, id=data.id, queue_id="4XyzAB12") == {"known": True}
    assert [told["id"] for told in ask(desk, term="4XyzAB12")] == [rcpt.id, data.id, data.id]
    assert queued(None, id=data.id, queue_id="4XyzAB12") == {"known": False}


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"id": "0000000000001"},
        {"id": "x", "queue_id": "4XyzAB12"},
        {"id": 1, "queue_id": "4XyzAB12"},
        {"id": "0000000000001", "queue_id": ""},
        {"id": "0000000000001", "queue_id": "a b"},
        {"id": "0000000000001", "queue_id": "x" * 41},
        {"id": "0000000000001", "queue_id": ["x"]},
    ],
)
def test_hostile_news_of_the_queue(desk: Any, arguments: dict[str, Any]) -> None:
    with pytest.raises(ControlError):
        queued(desk, **arguments)
    assert desk.journal.pending == 0


def test_without_a_journal(desk: Any) -> None:
    with pytest.raises(ControlError, match=r"policyd\.journal\.enabled is false"):
        ask(None, term="x")


def unquarantined(desk: Any, **arguments: Any) -> Any:
    return JournalVerbs(desk and desk.journal).table()["unquarantined"](arguments)


def test_what_became_of_a_mail_in_the_quarantine_is_found(desk: Any) -> None:
    data = desk.note(instance="i", protocol_state="DATA", recipient="")
    assert unquarantined(desk, id=data.id, event="released", queue_id="4XyzAB12") == {"known": True}
    found = ask(desk, term="4XyzAB12")
    assert [(told["kind"], told["action"]) for told in found[1:]] == [("outcome", "released")]
    unquarantined(desk, id=data.id, event="deleted")
    assert [told["action"] for told in ask(desk, term=data.id)[1:]] == ["released", "deleted"]
    assert unquarantined(None, id=data.id, event="deleted") == {"known": False}


@pytest.mark.parametrize(
    "arguments",
    [
        {"id": "0000000000001"},
        {"id": "0000000000001", "event": "stolen"},
        {"id": "x", "event": "deleted"},
        {"id": "0000000000001", "event": "released", "queue_id": "a b"},
        {"id": "0000000000001", "event": "released", "queue_id": 1},
    ],
)
def test_hostile_news_of_the_quarantine(desk: Any, arguments: dict[str, Any]) -> None:
    with pytest.raises(ControlError):
        unquarantined(desk, **arguments)
    assert desk.journal.pending == 0
