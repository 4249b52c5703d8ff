"""The command line of learning: ``learn spam|ham|undo|status|runs|forget``; see :mod:`contentfilter.cli`."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from collections.abc import Callable
from typing import Any

from contentfilter.offline.progress import Progress
from mailbase.arguments import Command, add_form
from mailbase.commandline import NEGATIVE, OK, USAGE, place, whole_number
from mailbase.config import Settings
from mailbase.control import ControlError
from mailbase.control.client import ask
from mailbase.printing import wants_json, write
from mailbase.replies import printable
from mailbase.statistics.verbs import FORGET, LEARN, MAX_MAILS, RUNS, STATUS, UNDO

COLUMNS = ("run", "kind", "source", "mails", "added")
TIMEOUT = 60.0
"""Seconds for policyd to take some mails."""


def add_commands(commands: Any, command: Command, settings: Callable[[argparse.Namespace], Settings]) -> None:
    """Add them to the subcommands of contentfilter."""
    learn = commands.add_parser("learn", help="teach statistics what spam is, and what is none")
    verbs = learn.add_subparsers(metavar="COMMAND", required=True)
    for kind, other in (("spam", "spam"), ("ham", "mail that is no spam")):
        teach = command(
            verbs, kind, f"learn that mails are {other}", f"contentfilter learn {kind} mails/{kind}/"
        )
        _paths(teach)
        teach.set_defaults(run=lambda options, spam=kind == "spam": _learn(options, settings(options), spam))

    undo = command(
        verbs,
        "undo",
        "unsay what was learned of mails, or in one run",
        "contentfilter learn undo --run 20301224-180000-3f2a",
    )
    undo.add_argument("--run", dest="of_run", metavar="RUN", help="as it was printed, and as runs shows it")
    _paths(undo, "*")
    undo.set_defaults(run=lambda options: _undo(options, settings(options)))

    status = command(
        verbs, "status", "say what is known, and how well it judges", "contentfilter learn status"
    )
    add_form(status)
    status.set_defaults(run=lambda options: _status(options, settings(options)))

    runs = command(verbs, "runs", "list what was learned together", "contentfilter learn runs")
    add_form(runs)
    runs.set_defaults(run=lambda options: _runs(options, settings(options)))

    forget = command(verbs, "forget", "forget what was learned", "contentfilter learn forget --automatic")
    what = forget.add_mutually_exclusive_group(required=True)
    what.add_argument("--all", action="store_true", help="everything")
    what.add_argument("--automatic", action="store_true", help="what nobody has looked at")
    forget.set_defaults(run=lambda options: _forget(options, settings(options)))


def _paths(parser: argparse.ArgumentParser, number: str = "+") -> None:
    parser.add_argument(
        "paths", nargs=number, type=place, metavar="PATH", help="mail, mbox, Maildir or folder of mails"
    )
    parser.add_argument(
        "--jobs", type=whole_number(1, 256), metavar="N", help="default: processors there are"
    )


class _Sender:
    """Collects lessons and hands them to policyd, some at a time.

    Arguments:
        path: of policyd's control socket.
        verb: what is to be done with them.
        about: the other fields of the request.
    """

    def __init__(self, path: str, verb: str, about: dict[str, Any]) -> None:
        self._path = path
        self._verb = verb
        self._about = about
        self._lessons: list[str] = []
        self.counts: dict[str, int] = {}

    def add(self, lesson: str) -> None:
        self._lessons.append(lesson)
        if len(self._lessons) >= MAX_MAILS:
            self.flush()

    def flush(self) -> None:
        if not self._lessons:
            return
        lessons, self._lessons = self._lessons, []
        answer = ask(self._path, self._verb, TIMEOUT, mails=lessons, **self._about).wait()
        for name, number in answer.items():
            if type(number) is int:
                self.counts[name] = self.counts.get(name, 0) + number


def _learn(options: argparse.Namespace, settings: Settings, spam: bool) -> int:
    run = time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(2)
    sender = _Sender(settings.policyd.control, LEARN, {"spam": spam, "source": "command", "run": run})
    unreadable = _read(options, settings, sender)
    if unreadable is None:
        return NEGATIVE
    counts = {name: sender.counts.get(name, 0) for name in ("new", "changed", "known")}
    kind, other = ("spam", "ham") if spam else ("ham", "spam")
    print(
        f"learned as {kind}: {counts['new']} mails, and {counts['changed']} that were {other}; "
        f"{counts['known']} were known"
    )
    if counts["new"] or counts["changed"]:
        print(f"to undo it: contentfilter learn undo --run {run}")
    return USAGE if unreadable else OK


def _undo(options: argparse.Namespace, settings: Settings) -> int:
    if bool(options.of_run) == bool(options.paths):
        print("contentfilter: expected paths of mails, or --run", file=sys.stderr)
        return USAGE
    unreadable: int | None = 0
    if options.of_run:
        try:
            undone = int(ask(settings.policyd.control, UNDO, TIMEOUT, run=options.of_run).wait()["undone"])
        except ControlError as error:
            return _failed(error)
    else:
        sender = _Sender(settings.policyd.control, UNDO, {})
        unreadable = _read(options, settings, sender)
        undone = sender.counts.get("undone", 0)
    if unreadable is None:
        return NEGATIVE
    print(f"undone: {undone} mails")
    if options.of_run and not undone:
        print("contentfilter: no such run; contentfilter learn runs", file=sys.stderr)
    return USAGE if unreadable else OK if undone else NEGATIVE


def _read(options: argparse.Namespace, settings: Settings, sender: _Sender) -> int | None:
    """How many could not be read; None if policyd does not take them."""
    from twisted.internet import reactor

    from contentfilter.learning.reading import Reading

    progress = Progress(sys.stderr, time.monotonic)

    def show(lesson: str) -> None:
        sender.add(lesson)
        progress.step(False)

    def complain(text: str) -> None:
        progress.clear()
        print(f"contentfilter: {printable(text, 400)}", file=sys.stderr)

    jobs = options.jobs or max(os.cpu_count() or 1, settings.contentfilter.workers.count)
    try:
        # Before minutes of work, to hear whether anybody wants it.
        ask(settings.policyd.control, STATUS, TIMEOUT).wait()
        reading = Reading(reactor, settings, jobs, show, complain)
        reading.run(options.paths)
        sender.flush()
    except ControlError as error:
        progress.clear()
        _failed(error)
        return None
    finally:
        progress.clear()
    return reading.unreadable


def _status(options: argparse.Namespace, settings: Settings) -> int:
    try:
        status = ask(settings.policyd.control, STATUS, TIMEOUT).wait()
    except ControlError as error:
        return _failed(error)
    status.pop("ok", None)
    if wants_json(sys.stdout, options.json):
        write(sys.stdout, [status], (), True)
        return OK
    print("\n".join(_told(status, time.time())))
    return OK


def _told(status: dict[str, Any], now: float) -> list[str]:
    """The lines that people read."""
    model = status["model"]
    lines = [
        f"remembered: {status['spam']} mails of spam, {status['ham']} of ham; "
        f"{status['automatic']} of both by itself; room for {status['most'] // 2} of each"
    ]
    if not model.get("trained"):
        lines.append("model: none yet")
    else:
        age = max(0, int(now - model["trained"]))
        lines.append(f"model: of {model['spam']} and {model['ham']} mails, {age} s old")
        if not model.get("judges"):
            lines.append("it says nothing yet: it takes 200 mails of each kind, and that they differ")
        elif "missed" in model:
            lines.append(
                f"on mail that it had not learned it would tag, alone, {1 - model['missed']:.1%} of spam "
                f"and {model['wronged']:.2%} of ham"
            )
    if status["training"]:
        lines.append("another model is being trained")
    return lines


def _runs(options: argparse.Namespace, settings: Settings) -> int:
    try:
        rows = [{**row, "added": row["learned"]} for row in ask(settings.policyd.control, RUNS, TIMEOUT)]
    except ControlError as error:
        return _failed(error)
    if not write(sys.stdout, rows, COLUMNS, wants_json(sys.stdout, options.json)):
        print("nothing was learned", file=sys.stderr)
    return OK


def _forget(options: argparse.Namespace, settings: Settings) -> int:
    sources: tuple[str | None, ...] = (None,) if options.all else ("spamtrap", "total")
    try:
        answers = [
            ask(settings.policyd.control, FORGET, TIMEOUT, **({"source": source} if source else {})).wait()
            for source in sources
        ]
    except ControlError as error:
        return _failed(error)
    print(f"forgotten: {sum(int(answer['forgotten']) for answer in answers)} mails")
    return OK


def _failed(error: ControlError) -> int:
    print(f"contentfilter: {error}", file=sys.stderr)
    return NEGATIVE
