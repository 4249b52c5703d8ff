"""What the commands read from their arguments, and who gives them."""

from __future__ import annotations

import argparse
import os
import pwd
from datetime import datetime

from mailbase import __version__
from mailbase.config.units import parse_duration


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
