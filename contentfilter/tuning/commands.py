"""``contentfilter tune``: what thresholds and points would do on your own mail."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from contentfilter.offline.progress import Progress
from contentfilter.tuning.figures import Judged, Sample
from contentfilter.tuning.plots import PlotsMissing, available, draw
from contentfilter.tuning.report import WISHED, Terms, as_json, as_text
from mailbase.commandline import NEGATIVE, OK, USAGE, flow, place, whole_number
from mailbase.config import Settings
from mailbase.replies import printable
from mailbase.vocabulary import Flow

THRESHOLDS = ("tag_at", "defer_at", "quarantine_at", "reject_at")


def add_commands(
    commands: Any,
    command: Callable[[Any, str, str, str], argparse.ArgumentParser],
    settings: Callable[[argparse.Namespace], Settings],
) -> None:
    """Add the command to ``commands``."""
    tune = command(
        commands,
        "tune",
        "judge folders of ham and of spam, and say what thresholds and clues do",
        "contentfilter tune --ham mails/ham --spam mails/spam --plots pictures/",
    )
    for kind, what in (("ham", "mail that is no spam"), ("spam", "spam")):
        tune.add_argument(
            f"--{kind}",
            type=place,
            action="append",
            required=True,
            metavar="PATH",
            help=f"{what}: file or folder",
        )
    tune.add_argument("--flow", type=flow, default=Flow.INBOUND, metavar="FLOW", help="default: inbound")
    tune.add_argument(
        "--false-positives",
        dest="wished",
        type=_share,
        action="append",
        metavar="PERCENT",
        help="name a threshold for this rate of ham above it, such as 0.1; repeatable",
    )
    tune.add_argument("--jobs", type=whole_number(1, 256), metavar="N", help="default: processors there are")
    tune.add_argument("--json", type=place, metavar="FILE", help="write all figures there")
    tune.add_argument("--mails", action="store_true", help="with every mail's points and clues in the JSON")
    tune.add_argument(
        "--plots", type=place, metavar="FOLDER", help="draw them there, as PNG (needs matplotlib)"
    )
    tune.set_defaults(run=lambda options: _tune(options, settings(options)))


def _tune(options: argparse.Namespace, settings: Settings) -> int:
    problems: list[str] = []

    def complain(problem: object) -> None:
        problems.append(str(problem))
        print(f"contentfilter: {printable(str(problem), 400)}", file=sys.stderr)

    ham, spam = (_listed(paths, complain) for paths in (options.ham, options.spam))
    if twice := set(ham) & set(spam):
        complain(f"{min(twice)} is among both ham and spam")
        return USAGE
    if not ham or not spam:
        complain(f"no {'ham' if not ham else 'spam'} there")
        return USAGE
    if problem := _no_place(options):
        complain(problem)
        return USAGE
    mails = _judge(options, settings, ham, spam, complain)
    if not mails:
        return NEGATIVE
    policy = settings.flows.of(options.flow)
    thresholds = {name: at for name in THRESHOLDS if (at := getattr(policy, name)) is not None}
    terms = Terms(options.flow, thresholds, options.wished or WISHED)
    sample = Sample(mails)
    sys.stdout.write(as_text(sample, terms))
    try:
        if options.json is not None:
            options.json.write_text(json.dumps(as_json(sample, terms, options.mails), indent=1))
        if options.plots is not None:
            drawn = draw(sample, terms, options.plots)
            print(f"\nDrawn: {', '.join(map(str, drawn))}")
    except OSError as error:
        complain(f"{error.filename}: {error.strerror}")
    return NEGATIVE if problems else OK


def _listed(paths: Sequence[Path], complain: Callable[[object], None]) -> list[Path]:
    from contentfilter.offline.offline import files

    found = []
    for path in files(paths, complain):
        try:
            found.append(Path(os.path.realpath(path, strict=True)))
        except OSError as error:
            complain(f"{path}: {error.strerror}")
    return found


def _no_place(options: argparse.Namespace) -> str:
    """Why what is found could not be written, before minutes of work; empty if it can."""
    if options.json is not None:
        if os.path.isdir(options.json):
            return f"{options.json}: is a folder; expected a file"
        if not os.path.isdir(options.json.parent):
            return f"{options.json}: there is no folder {options.json.parent}"
    if options.plots is not None:
        try:
            available()
            options.plots.mkdir(parents=True, exist_ok=True)
        except PlotsMissing as error:
            return str(error)
        except OSError as error:
            return f"{options.plots}: {error.strerror}"
    return ""


def _judge(
    options: argparse.Namespace,
    settings: Settings,
    ham: Sequence[Path],
    spam: Sequence[Path],
    complain: Callable[[object], None],
) -> list[Judged]:
    from twisted.internet import reactor

    from contentfilter.tuning.judging import Judging

    progress = Progress(sys.stderr, time.monotonic)

    def tell(problem: str) -> None:
        progress.clear()
        complain(problem)

    jobs = options.jobs or max(os.cpu_count() or 1, settings.contentfilter.workers.count)
    judging = Judging(reactor, settings, options.flow, jobs, lambda: progress.step(False), tell)
    try:
        return judging.judge(ham, spam)
    finally:
        progress.clear()


def _share(text: str) -> float:
    try:
        percent = float(text.removesuffix("%"))
    except ValueError:
        percent = 0.0
    if not 0.0001 <= percent <= 50:
        raise argparse.ArgumentTypeError("expected a percentage from 0.0001 to 50, such as 0.1")
    return percent / 100
