"""``policyd record``, with the daemon replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mailbase.control import ControlError
from policyd import cli
from policyd.replay import commands
from policyd.replay.record import RecordingFile

ROW = {"time": 1.0, "request": {"sender": "a@x"}, "action": "accept", "reason": "x"}


class Daemon:
    """Gives two rows, then what it is told to."""

    def __init__(self) -> None:
        self.verbs: list[str] = []
        self.then: list[Any] = []
        self.refuses = ""

    def ask(self, path: str, verb: str, **arguments: Any) -> Any:
        self.verbs.append(verb)
        if self.refuses:
            raise ControlError(self.refuses)
        rows: list[Any] = []
        if verb == "record.take":
            rows = [ROW, ROW, *self.then]
        return Said(rows, {"recording": "1", "time": 5.0})


class Said:
    def __init__(self, rows: list[Any], final: dict[str, Any]) -> None:
        self.rows = rows
        self.final = final

    def __iter__(self) -> Iterator[Any]:
        for row in self.rows:
            if isinstance(row, Exception):
                raise row
            yield row

    def wait(self) -> dict[str, Any]:
        return self.final


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Daemon:
    daemon = Daemon()
    monkeypatch.setattr(commands, "ask", daemon.ask)
    return daemon


@pytest.fixture
def record(tmp_path: Path, capsys: Any) -> Callable[..., tuple[int, str]]:
    (tmp_path / "c.yaml").write_text("")

    def record(*words: str) -> tuple[int, str]:
        status = cli.main(["record", "--config", str(tmp_path / "c.yaml"), *words])
        return status, capsys.readouterr().err

    return record


def test_it_ends_at_its_limit_and_tells_the_daemon(daemon: Daemon, record: Any, tmp_path: Path) -> None:
    path = tmp_path / "r"
    assert record("--limit", "3", str(path)) == (
        0,
        f"recording personal data into {path}; Ctrl-C ends it\n3 requests recorded\n",
    )
    assert len(path.read_text().splitlines()) == 4
    assert daemon.verbs[-1] == "record.stop"


def test_what_was_dropped_is_told(daemon: Daemon, record: Any, tmp_path: Path) -> None:
    daemon.then = [{"dropped": 7}]
    _, said = record("--limit", "2", str(tmp_path / "r"))
    assert "2 requests recorded, 7 dropped" in said


def test_a_file_that_is_there_stays_as_it_is(daemon: Daemon, record: Any, tmp_path: Path) -> None:
    (tmp_path / "r").write_text("mine")
    status, said = record(str(tmp_path / "r"))
    assert (status, "is there already" in said) == (2, True)
    assert (tmp_path / "r").read_text() == "mine"
    assert record(str(tmp_path / "nowhere" / "r"))[0] == 2
    assert not daemon.verbs


def test_a_daemon_that_refuses_leaves_no_file(daemon: Daemon, record: Any, tmp_path: Path) -> None:
    daemon.refuses = "privacy.pseudonymise is on"
    status, said = record(str(tmp_path / "r"))
    assert (status, "privacy.pseudonymise is on" in said) == (1, True)
    assert not (tmp_path / "r").exists()


def test_a_daemon_that_goes_away_leaves_what_came(daemon: Daemon, record: Any, tmp_path: Path) -> None:
    daemon.then = [ControlError("the daemon closed the connection")]
    status, said = record(str(tmp_path / "r"))
    assert (status, "ended early" in said) == (1, True)
    assert len((tmp_path / "r").read_text().splitlines()) == 3


def test_a_full_disk_is_told(
    daemon: Daemon, record: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = RecordingFile.write

    def fail(self: RecordingFile, rows: Any) -> None:
        write(self, rows)
        if "record.take" in daemon.verbs:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(RecordingFile, "write", fail)
    status, said = record(str(tmp_path / "r"))
    assert (status, "No space left on device" in said) == (1, True)
    assert daemon.verbs[-1] == "record.stop"


@pytest.mark.parametrize("words", [[], ["--limit", "0", "f"], ["--limit", "x", "f"], ["--for", "soon", "f"]])
def test_misuse(words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["record", *words])
    assert caught.value.code == 2
