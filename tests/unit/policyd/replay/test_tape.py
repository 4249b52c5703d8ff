"""Recording a daemon: what the tape keeps, what it gives up, and what stands in the file."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailbase.control import ControlError
from policyd.evidence.facts import Effect, Named
from policyd.exceptions.rule import rule_of
from policyd.observability import tape as module
from policyd.observability.recorder import Recorder
from policyd.observability.tape import GIVEN_UP_AFTER, Tape
from policyd.protocol.request import request_of
from policyd.replay.past import Allowed, Gap, Recorded, Ruled
from policyd.replay.record import Recording, RecordingFile
from policyd.replay.recording import header, is_header, line_of, row_of


class Daemon:
    """A daemon that is asked, with a tape in it."""

    def __init__(self, bench: Any, pseudonymised: bool = False) -> None:
        self.bench = bench
        self.recorder = Recorder(bench.log, bench.metrics)
        self.tape = Tape(self.recorder, bench.clock.seconds, bench.log, pseudonymised=pseudonymised)
        self.allowed: list[dict[str, Any]] = []
        self.rules: list[dict[str, Any]] = []

    def ask(self, verb: str, **arguments: Any) -> Any:
        if verb == "greylist.list":
            return Said(iter(self.allowed))
        if verb == "exceptions.list":
            return Said(iter(self.rules))
        return Said(self.tape.table()[verb](arguments))

    def request(self, **attributes: str) -> None:
        request = self.bench.request(**attributes)
        self.recorder.decision(request, self.bench.engine.decide(request), 0.25)

    def start(self) -> str:
        return str(self.tape.start({})["recording"])

    def take(self, recording: str) -> list[dict[str, Any]]:
        return list(self.tape.take({"recording": recording}))


class Said:
    def __init__(self, said: Any) -> None:
        self.said = said

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.said)

    def wait(self) -> dict[str, Any]:
        assert isinstance(self.said, dict)
        return self.said


@pytest.fixture
def daemon(bench: Any) -> Daemon:
    return Daemon(bench)


def test_nothing_is_kept_while_nothing_records(daemon: Daemon) -> None:
    daemon.request()
    assert daemon.recorder.tape is None
    recording = daemon.start()
    assert daemon.take(recording) == []
    daemon.tape.stop({"recording": recording})
    assert daemon.recorder.tape is None
    daemon.request()
    assert daemon.take(daemon.start()) == []


def test_a_row_has_the_request_the_answer_and_the_time_it_came(daemon: Daemon) -> None:
    recording = daemon.start()
    daemon.request(recipient="a@inst.example", size="0", queue_id="")
    (row,) = daemon.take(recording)
    assert row["time"] == daemon.bench.clock.seconds() - 0.25
    assert row["request"]["recipient"] == "a@inst.example"
    assert row["request"]["size"] == "0"
    assert "queue_id" not in row["request"]
    assert (row["action"], row["reason"]) == ("defer", "greylist-new")
    assert daemon.take(recording) == []
    assert daemon.tape.recorded == 1


def test_a_repeated_request_is_recorded_as_such(daemon: Daemon) -> None:
    recording = daemon.start()
    for _ in range(2):
        daemon.request(instance="same")
    first, second = daemon.take(recording)
    assert "repeated" not in first
    assert second["repeated"] is True


def test_what_does_not_fit_is_counted_where_it_is_missing(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", 3)
    recording = daemon.start()
    for _ in range(5):
        daemon.request()
    rows = daemon.take(recording)
    assert ["request" in row for row in rows] == [True, True, True, False]
    assert rows[-1] == {"dropped": 2}
    daemon.request()
    assert ["request" in row for row in daemon.take(recording)] == [True]
    assert daemon.tape.dropped == 2


def test_large_requests_are_bounded_by_their_size(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CHARACTERS", 3100)
    recording = daemon.start()
    for _ in range(3):
        daemon.request(helo_name="x" * 1200)
    assert ["request" in row for row in daemon.take(recording)] == [True, True, False]
    daemon.request(helo_name="x" * 1200)
    assert ["request" in row for row in daemon.take(recording)] == [True]


def test_rows_are_handed_out_in_portions(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    recording = daemon.start()
    for _ in range(3):
        daemon.request()
    assert [len(daemon.take(recording)) for _ in range(3)] == [2, 1, 0]


def test_who_does_not_come_any_more_is_given_up(daemon: Daemon) -> None:
    recording = daemon.start()
    daemon.bench.clock.advance(GIVEN_UP_AFTER - 1)
    daemon.request()
    with pytest.raises(ControlError, match="under way"):
        daemon.start()
    daemon.bench.clock.advance(1)
    daemon.request()
    assert daemon.recorder.tape is None
    with pytest.raises(ControlError, match="is over"):
        daemon.take(recording)
    other = daemon.start()
    assert daemon.take(other) == []
    with pytest.raises(ControlError):
        daemon.tape.stop({"recording": recording})
    assert daemon.tape.running


def test_a_dead_recording_makes_room_for_the_next_at_once(daemon: Daemon) -> None:
    daemon.start()
    daemon.bench.clock.advance(GIVEN_UP_AFTER)
    assert daemon.start()


def test_rows_of_an_old_recording_do_not_go_into_the_next(daemon: Daemon) -> None:
    recording = daemon.start()
    daemon.request()
    rows = daemon.tape.take({"recording": recording})
    daemon.tape.stop({"recording": recording})
    daemon.start()
    daemon.request()
    assert list(rows) == []


def test_with_pseudonymised_logs_nothing_is_recorded(bench: Any) -> None:
    daemon = Daemon(bench, pseudonymised=True)
    with pytest.raises(ControlError, match=r"privacy\.pseudonymise"):
        daemon.start()
    assert daemon.recorder.tape is None


def record(daemon: Daemon, path: Path, **how: Any) -> Recording:
    """Records with a clock that moves only when nothing is to be done, and then brings a request."""
    clock = {"now": 0.0}

    def sleep(seconds: float) -> None:
        clock["now"] += seconds
        daemon.request()

    recording = Recording(
        daemon.ask,
        RecordingFile(path),
        "mx.gate.example",
        seconds=lambda: clock["now"],
        sleep=sleep,
        **how,
    )
    recording.run()
    recording.file.close()
    return recording


def test_a_recording_ends_after_so_many_requests(daemon: Daemon, tmp_path: Path) -> None:
    daemon.allowed = [{"network": "192.0.2.0/24", "expires": None}]
    rule = {"effect": "deny", "as": "sender", "what": "x.example", "expires": None}
    daemon.rules = [{**rule, "by": "root", "why": "spam"}]
    path = tmp_path / "r.jsonl"
    assert record(daemon, path, limit=3).recorded == 3
    lines = path.read_bytes().splitlines()
    assert is_header(lines[0])
    assert json.loads(lines[0])["host"] == "mx.gate.example"
    assert line_of(json.loads(lines[1])) == Allowed("192.0.2.0/24", None)
    assert line_of(json.loads(lines[2])) == Ruled(rule_of("x.example", Effect.DENY, Named.SENDER))
    assert len(lines) == 6
    assert not daemon.tape.running


def test_a_recording_ends_after_so_long(daemon: Daemon, tmp_path: Path) -> None:
    assert record(daemon, tmp_path / "r.gz", duration=0.9).recorded == 5
    with gzip.open(tmp_path / "r.gz") as file:
        assert len(file.read().splitlines()) == 6


def test_a_recording_can_be_told_to_end(daemon: Daemon, tmp_path: Path) -> None:
    recording = Recording(daemon.ask, RecordingFile(tmp_path / "r"), "mx", sleep=lambda _: recording.end())
    recording.run()
    recording.file.close()
    assert not daemon.tape.running


def test_a_daemon_that_goes_away_ends_the_recording_with_what_came(daemon: Daemon, tmp_path: Path) -> None:
    def sleep(_: float) -> None:
        daemon.request()
        daemon.bench.clock.advance(GIVEN_UP_AFTER)
        daemon.request()

    recording = Recording(daemon.ask, RecordingFile(tmp_path / "r"), "mx", sleep=sleep)
    daemon.start()
    daemon.bench.clock.advance(GIVEN_UP_AFTER)
    with pytest.raises(ControlError, match="is over"):
        recording.run()
    recording.file.close()
    assert is_header((tmp_path / "r").read_bytes().splitlines()[0])


def test_a_recording_says_what_is_missing(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", 0)
    recording = record(daemon, tmp_path / "r", duration=0.1)
    assert (recording.recorded, recording.dropped) == (0, 1)


def test_what_is_in_a_compressed_file_can_be_read_before_its_end(tmp_path: Path) -> None:
    file = RecordingFile(tmp_path / "r.gz")
    file.write([header(1.0, "mx")])
    with gzip.open(tmp_path / "r.gz") as reading:
        assert is_header(reading.readline())
    file.close()


def test_a_recording_is_its_owners_and_overwrites_nothing(tmp_path: Path) -> None:
    path = tmp_path / "r"
    RecordingFile(path).close()
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        RecordingFile(path)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="exists"):
        RecordingFile(tmp_path / "link")
    assert not (tmp_path / "elsewhere").exists()


def test_a_row_comes_back_as_it_was(bench: Any) -> None:
    request = bench.request(helo_name="hëlo", size="12")
    row = json.loads(json.dumps(row_of(1.5, request, bench.engine.decide(request))))
    recorded = line_of(row)
    assert isinstance(recorded, Recorded)
    assert recorded.time == 1.5
    assert recorded.request.attributes == request.attributes
    assert recorded.answer is not None
    assert recorded.answer.action == "defer"
    assert recorded.answer.reason == "greylist-new"
    assert recorded.evidence is None


@pytest.mark.parametrize(
    "row",
    [
        None,
        [],
        {},
        {"time": "now", "request": {}},
        {"time": 1, "request": []},
        {"time": 1, "request": {"a": 1}},
        {"time": 1, "request": {}, "evidence": 1},
        {"time": 1, "request": {}, "evidence": [["a", "b"]]},
        {"time": 1, "request": {}, "evidence": [[]] * 2000},
        {"dropped": "many"},
        {"allowed": "everybody"},
        {"allowed": "192.0.2.0/24\ud800"},
        {"rule": {"what": "x y", "effect": "deny", "as": "sender"}},
        {"rule": {"what": "x.example", "effect": "explode", "as": "sender"}},
    ],
)
def test_what_is_no_row_is_said_to_be_none(row: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the kind is what callers rely on
        line_of(row)


def test_an_unknown_answer_is_none_known() -> None:
    for more in ({}, {"action": "explode", "reason": "x"}, {"action": "accept"}):
        recorded = line_of({"time": 1, "request": {}, **more})
        assert isinstance(recorded, Recorded)
        assert recorded.answer is None
    assert line_of({"dropped": 3}) == Gap(3)


def test_text_that_the_protocol_could_not_carry_is_made_harmless() -> None:
    recorded = line_of({"time": 1, "request": {"sender": "a\nrecipient=x\0\ud800"}})
    assert isinstance(recorded, Recorded)
    assert recorded.request.sender == "a recipient=x??"
    assert request_of(recorded.request.attributes).recipient == ""


def test_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version 2"):
        is_header(json.dumps({**header(1.0, "mx"), "version": 2}).encode())
    for line in (b"", b"[]", b"Nov 26 20:41:00 mx postfix/smtpd[1]: x", b"{" * 100_000):
        assert not is_header(line)
