"""The first moments of a command, while its modules are loaded."""

from __future__ import annotations

import importlib
import signal


def begin(module: str) -> int:
    """Load ``module`` and run its ``main``; returns the exit status.

    Loading takes a second on a slow machine. Ctrl-C ends it as it ends any program: Python would print where
    it was, and what is being loaded may take the interruption for a failure of its own.
    """
    usual = signal.getsignal(signal.SIGINT)
    # Else somebody chose otherwise, such as a shell that runs the command in the background.
    if usual is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    loaded = importlib.import_module(module)
    if usual is signal.default_int_handler:
        signal.signal(signal.SIGINT, usual)
    return int(loaded.main())
