"""The log: one line an event, encoded, pseudonymised on request, never in the way."""

import io
import json
import os

import pytest
from twisted.internet.task import Clock

from mailbase.logs import MAX_PENDING, Log
from mailbase.starting import is_journal

NOON = 1_700_000_000.25


def lines(**options):
    stream = io.StringIO()
    return stream, Log("policyd", stream=stream, now=lambda: NOON, **options)


def test_key_value_form():
    stream, log = lines()
    log.info("decision", id="abc", client="192.0.2.1", seconds=0.00123456789, known=True, user=None, size=12)
    assert stream.getvalue() == (
        "2023-11-14T22:13:20.250Z policyd info event=decision id=abc client=192.0.2.1 seconds=0.00123457"
        " known=true user=- size=12\n"
    )


def test_values_with_blanks_quotes_or_nothing_are_quoted():
    stream, log = lines()
    log.info("x", a="two words", b='say "no"', c="", d="k=v")
    assert stream.getvalue().endswith('a="two words" b="say \\"no\\"" c="" d="k=v"\n')


@pytest.mark.parametrize("style", ["kv", "json"])
def test_no_value_adds_a_line(style):
    stream, log = lines(style=style)
    log.info("x", helo="evil\nevent=forged\r\0\xff\u2028")
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().isascii()


def test_json_form():
    stream, log = lines(style="json")
    log.warning("decision", id="abc", seconds=0.5, user=None)
    assert json.loads(stream.getvalue()) == {
        "time": "2023-11-14T22:13:20.250Z",
        "component": "policyd",
        "level": "warning",
        "event": "decision",
        "id": "abc",
        "seconds": 0.5,
        "user": None,
    }


def test_personal_fields_become_the_same_hash_each_time_and_others_stay():
    stream, log = lines(pseudonym_key=b"secret", style="json")
    log.info("a", sender="joe@example.org", action="reject")
    log.info("b", recipient="joe@example.org", action="reject")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first["sender"] == second["recipient"] != "joe@example.org"
    assert first["action"] == "reject"
    assert log.pseudonym("joe@example.org") == first["sender"]
    assert Log("x", pseudonym_key=b"other").pseudonym("joe@example.org") != first["sender"]


def test_a_level_below_the_threshold_is_not_written():
    stream, log = lines(level="warning")
    log.info("quiet")
    log.debug("quiet")
    log.warning("heard")
    log.error("heard")
    assert stream.getvalue().count("\n") == 2


def test_with_a_scheduler_lines_wait_for_the_end_of_the_turn():
    clock = Clock()
    stream, log = lines(scheduler=clock)
    log.info("one")
    log.info("two")
    assert stream.getvalue() == ""
    clock.advance(0)
    assert stream.getvalue().count("\n") == 2
    assert len(clock.getDelayedCalls()) == 0


def test_what_is_held_back_is_bounded():
    stream, log = lines(scheduler=Clock())
    for _ in range(MAX_PENDING):
        log.info("x")
    assert stream.getvalue().count("\n") == MAX_PENDING


def test_an_exception_is_one_line_with_its_traceback():
    stream, log = lines()
    try:
        raise RuntimeError("two\nlines")
    except RuntimeError as error:
        log.exception("failed", error)
    assert stream.getvalue().count("\n") == 1
    assert "RuntimeError" in stream.getvalue()
    assert "test_logs.py" in stream.getvalue()


def test_a_stream_that_is_gone_stops_nothing():
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    log = Log("x", stream=Gone())
    log.info("nobody hears this")
    log.info("nor this")


def test_systemds_journal_gets_the_priority_of_each_line():
    stream, log = lines(priorities=True, level="debug")
    prepared = log.prepared("decision", "id", "seconds")
    log.debug("a")
    log.info("b")
    log.warning("c")
    log.error("d")
    log.exception("e", ValueError("f"))
    prepared("plain", 1.0)
    prepared("two words", 1.0)
    assert [line[:23] for line in stream.getvalue().splitlines()] == [
        f"<{priority}>2023-11-14T22:13:20" + "." for priority in (7, 6, 4, 3, 3, 6, 6)
    ]


def test_only_the_stream_that_systemd_means_is_its_journal(tmp_path):
    with open(tmp_path / "journal", "w") as journal, open(tmp_path / "file", "w") as file:
        status = os.fstat(journal.fileno())
        environment = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert is_journal(journal, environment)
        assert not is_journal(file, environment)
        assert not is_journal(journal, {})
        assert not is_journal(io.StringIO(), environment)
