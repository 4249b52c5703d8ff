"""Teaches our statistics, as a postmaster would: by ``contentfilter learn``, with policyd running."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from postwarden.sandbox.gateway import Gateway
from postwarden.sandbox.waiting import wait_until

LEARNING, TRAINING, ASKING = 3600.0, 1800.0, 60.0
"""Seconds for reading the mails, for making a model of them, and for one question."""


class NotTaught(Exception):
    """Statistics cannot be taught; the text says why."""


def model_in(folder: Path) -> dict[str, Any]:
    """Settings for a gateway that keeps what it learns in ``folder``."""
    return {"statistics": {"model": str(folder.absolute() / "statistics.model")}}


def teach(gateway: Gateway, mails: Path, say: Callable[[str], None]) -> None:
    """Let it learn the mails in ``ham`` and ``spam`` below a folder; returns when its model has them all.

    Arguments:
        gateway: configured; policyd does not run yet, and does afterwards.

    Raises:
        NotTaught: it did not work.
        DeadlineMissed: it takes too long.
    """
    gateway.start_policyd()
    for kind in ("ham", "spam"):
        say(f"Postwarden learns {kind} …")
        _learn(gateway, LEARNING, kind, str(mails / kind))
    say("Postwarden's statistics are trained …")
    wait_until(lambda: _trained(gateway), TRAINING, "statistics are trained")


def _trained(gateway: Gateway) -> bool:
    try:
        status = json.loads(_learn(gateway, ASKING, "status", "--json"))
        model, training = status["model"], status["training"]
        wanted = status["ham"], status["spam"]
    except (ValueError, KeyError) as error:
        raise NotTaught(f"contentfilter learn status: no {error}") from error
    return not training and (model.get("ham"), model.get("spam")) == wanted


def _learn(gateway: Gateway, seconds: float, *words: str) -> str:
    program = Path(sys.executable).with_name("contentfilter")
    command = [str(program), "learn", words[0], "--config", str(gateway.config), *words[1:]]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise NotTaught(f"contentfilter learn {words[0]}: no end within {seconds:g} s") from error
    if done.returncode:
        raise NotTaught(f"contentfilter learn {words[0]}: {done.stderr.strip()[-300:]}")
    return done.stdout
