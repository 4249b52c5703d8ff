"""What all commands have in common: how they end, what they read from their arguments, and who gives them."""

from __future__ import annotations

import argparse
import io
import os
import pwd
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from mailbase import __version__
from mailbase.config import ConfigError
from mailbase.config.units import parse_duration
from mailbase.replies import printable
from mailbase.vocabulary import Flow

OK, NEGATIVE, USAGE, BAD_CONFIG = 0, 1, 2, 78
"""Exit statuses; 78 is EX_CONFIG of sysexits(3)."""
LONGEST = 200
"""Characters of a file's name in a message: it may be anything that was typed."""
STATUSES = (
    "Exit status: 0 yes or done, 1 no, nothing found, or failed, 2 wrong usage or an unreadable file, "
    "78 bad configuration"
)
"""What help says of them."""


def finish(program: str, command: Callable[[], int], negative: tuple[type[Exception], ...] = ()) -> int:
    """Run a command to its end; returns the exit status.

    Whatever ends it early is a line on standard error, and never a traceback: the operator's Ctrl-C, a reader
    who has seen enough (``| head``), a full disk, a closed standard output.

    Arguments:
        program: what the operator called.
        command: does it, and returns the exit status.
        negative: exceptions whose text says enough.
    """
    _prepare()
    try:
        status = command()
        sys.stdout.flush()
    except ConfigError as error:
        print(error, file=sys.stderr)
        return BAD_CONFIG
    except negative as error:
        print(f"{program}: {error}", file=sys.stderr)
        return NEGATIVE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        _write_no_more()
        return 128 + signal.SIGPIPE
    except OSError as error:
        place = error.filename or ("the output" if _output_fails() else "")
        shown = printable(str(place), LONGEST)
        print(": ".join(filter(None, (program, shown, error.strerror or str(error)))), file=sys.stderr)
        return NEGATIVE
    return status


def _prepare() -> None:
    """Let nothing that is printed fail for the terminal's character set, nor for a closed output."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
    if sys.stderr is None:
        # Else print would put what went wrong among the results.
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - likewise
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _output_fails() -> bool:
    """Whether what was printed cannot be written."""
    try:
        sys.stdout.flush()
    except OSError:
        _write_no_more()
        return True
    return False


def _write_no_more() -> None:
    """Keep Python from trying once more at exit, which would complain."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


def add_version(parser: argparse.ArgumentParser) -> None:
    """``--version``: the first thing that whoever is told of a mistake asks after."""
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")


def duration(text: str) -> float:
    """Seconds of a duration such as ``30d``.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def place(text: str) -> Path:
    """The path of a file or folder.

    Raises:
        argparse.ArgumentTypeError: there is none, as where a script's variable is empty: it does not mean the
            folder that one is in.
    """
    if not text:
        raise argparse.ArgumentTypeError("expected a path, got ''")
    return Path(text)


def whole_number(low: int, high: int | None = None) -> Callable[[str], int]:
    """A reader of whole numbers from ``low`` to ``high``; None: without end."""
    wanted = f"{low} or more" if high is None else f"{low} to {high}"

    def read(text: str) -> int:
        if text.isascii() and text.isdigit() and low <= int(text) and (high is None or int(text) <= high):
            return int(text)
        raise argparse.ArgumentTypeError(f"expected a number, {wanted}, got {text!r}")

    return read


def flow(text: str) -> Flow:
    """The flow of that name.

    Raises:
        argparse.ArgumentTypeError: there is none.
    """
    try:
        return Flow(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected one of {', '.join(Flow)}, got {text!r}") from None


def moment(text: str) -> float:
    """Seconds since the epoch of a time in ISO 8601; local time unless it says otherwise.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(
            f"expected a time such as 2030-12-24 or 2030-12-24T18:00, got {text!r}"
        ) from error


def giver() -> str:
    """Who gives the command: the person behind sudo, else the login name."""
    name = os.environ.get("SUDO_USER")
    if name:
        return name
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
