"""How commands end, and the arguments that they have in common."""

from __future__ import annotations

import argparse
import errno
import io
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from contentfilter import cli as contentfilter
from mailbase import __version__
from mailbase.commandline import duration, finish, flow, giver, moment, place, whole_number
from mailbase.config import loads
from policyd import cli as policyd
from postwarden import cli as postwarden


def test_durations_and_times() -> None:
    assert duration("30d") == 30 * 86400
    assert moment("2030-12-24T18:00+00:00") == 1924365600


@pytest.mark.parametrize("text", ["", "soon", "2030-13-01", "0001-01-01", "9999-12-31T23:59:59-23:59", "1"])
def test_what_is_no_time_is_told(text: str) -> None:
    try:
        moment(text)
    except argparse.ArgumentTypeError as error:
        assert "2030-12-24" in str(error)  # noqa: PT017 - some of them are times on some machines


def test_no_duration() -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        duration("a while")


def test_who_gives_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "ada")
    assert giver() == "ada"
    monkeypatch.delenv("SUDO_USER")
    monkeypatch.setattr("os.getuid", lambda: 4_000_000_000)
    assert giver() == "uid 4000000000"


@pytest.mark.parametrize("program", [policyd, contentfilter, postwarden], ids=lambda cli: cli.__name__)
def test_every_command_tells_its_version(program: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        program.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"{program.__name__.partition('.')[0]} {__version__}\n"


class Denied(Exception):
    pass


def ends(error: BaseException) -> int:
    def command() -> int:
        raise error

    return finish("policyd", command, (Denied,))


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (Denied("not today"), 1, "policyd: not today\n"),
        (KeyboardInterrupt(), 128 + signal.SIGINT, ""),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 128 + signal.SIGPIPE, ""),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            1,
            "policyd: No space left on device\n",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 1, "policyd: /x: Permission denied\n"),
    ],
)
def test_what_ends_a_command_early_is_a_line(
    capsys: pytest.CaptureFixture[str], error: BaseException, status: int, told: str
) -> None:
    assert ends(error) == status
    assert capsys.readouterr().err == told


def test_a_mistake_in_the_configuration_is_78(capsys: pytest.CaptureFixture[str]) -> None:
    assert finish("policyd", lambda: int(bool(loads("policyd: {lsten: 1}")))) == 78
    assert "did you mean 'listen'?" in capsys.readouterr().err


def test_a_bug_stays_one() -> None:
    with pytest.raises(ZeroDivisionError):
        ends(ZeroDivisionError())


def test_a_terminal_that_lacks_a_character_shows_another(monkeypatch: pytest.MonkeyPatch) -> None:
    octets = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(octets, encoding="ascii"))
    assert finish("policyd", lambda: int(bool(print("--why '…'")))) == 0
    assert octets.getvalue() == b"--why '?'\n"


def test_an_output_that_cannot_be_written_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert finish("policyd", lambda: int(bool(print("x")))) == 1
    assert capsys.readouterr().err == "policyd: the output: No space left on device\n"


def test_a_closed_output_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert finish("policyd", lambda: int(sys.stdout.isatty())) == 0


def test_complaints_do_not_get_among_the_results_where_there_is_no_place_for_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert ends(Denied("not today")) == 1
    assert capsys.readouterr().out == ""


def test_an_empty_argument_is_not_the_folder_that_one_is_in() -> None:
    assert place("a/b") == Path("a/b")
    with pytest.raises(argparse.ArgumentTypeError, match="expected a path"):
        place("")


@pytest.mark.parametrize(
    "arguments",
    [["scan", ""], ["learn", "spam", ""], ["rules", "test", ""], ["tune", "--ham", "", "--spam", "x"]],
)
def test_no_command_reads_the_folder_that_one_is_in_for_an_empty_argument(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        contentfilter.main(arguments)
    assert ended.value.code == 2
    assert "expected a path, got ''" in capsys.readouterr().err


def test_numbers_and_flows() -> None:
    assert (whole_number(0)("7"), whole_number(1, 256)("256"), flow("inbound")) == (7, 256, "inbound")


@pytest.mark.parametrize("text", ["", "x", "-1", "0", "257", "²", "1.5"])
def test_what_is_no_such_number_is_told(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected a number, 1 to 256, got"):
        whole_number(1, 256)(text)


def test_an_unknown_flow_is_told_with_those_there_are() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"one of submission, .*inbound, got 'inbund'"):
        flow("inbund")


def test_names_of_files_reach_the_terminal_as_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(FileNotFoundError(errno.ENOENT, "No such file", "\x1b[31mred\n" + "x" * 1000)) == 1
    told = capsys.readouterr().err
    assert told.startswith("policyd: ?[31mred?xxx")
    assert told.endswith("...: No such file\n")
