"""The first steps of every process of ours, before it loads anything."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import warnings


def begin() -> tuple[socket.socket, int]:
    """Leave alone what is the daemon's, and be quiet; returns the task socket and the answer pipe.

    Descriptors: 0 the task socket, 1 the answer pipe, 2 the daemon's log; the argument's is closed by then.
    """
    os.chdir("/")
    # Ctrl-C and the stop of a whole control group are for the daemon, which drains first.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # Parsers' warnings quote what they parse; content belongs in no log.
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    return _quiet_descriptors()


def settle() -> None:
    """Take what is loaded by now out of the search for garbage, and begin with that.

    It stays for good, and a mail of many objects would have all of it searched time and again. Until now
    nothing was searched at all (:mod:`contentfilter.pool.process`), since loading makes next to no garbage.
    """
    gc.freeze()
    gc.enable()


def where(error: BaseException) -> str:
    """Kind and place of an error; never its text, which may quote the mail."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None:
        return type(error).__name__
    code = place.tb_frame.f_code
    return f"{type(error).__name__} in {code.co_name}, {os.path.basename(code.co_filename)}:{place.tb_lineno}"


def _quiet_descriptors() -> tuple[socket.socket, int]:
    """Move the channels out of the way of libraries that print or read."""
    tasks = socket.socket(fileno=os.dup(0))
    answers = os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return tasks, answers
