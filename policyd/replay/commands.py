"""The command line of recording, replay and tuning; see :mod:`policyd.cli`."""

from __future__ import annotations

import argparse
import functools
import os
import signal
import sys
from typing import Any

from mailbase.arguments import Command, add_form
from mailbase.commandline import NEGATIVE, OK, USAGE, duration, place, whole_number
from mailbase.config import Settings, load
from mailbase.control import ControlError
from mailbase.control.client import ask
from mailbase.vocabulary import Flow


def add_commands(commands: Any, command: Command) -> None:
    """Add them to the subcommands of policyd."""
    record = command(
        commands,
        "record",
        "record the running daemon's requests and answers into FILE, until Ctrl-C",
        "policyd record --for 1d traffic.jsonl.gz",
    )
    record.add_argument("file", type=place, metavar="FILE", help="a new file; with the ending .gz compressed")
    record.add_argument(
        "--for", dest="duration", type=duration, metavar="DURATION", help="end after so long, such as 1h"
    )
    record.add_argument("--limit", type=whole_number(1), metavar="N", help="end after so many requests")
    record.set_defaults(run=_record)

    replay = command(
        commands,
        "replay",
        "decide recorded requests or a mail log again; print which decisions change",
        "policyd replay --against new.yaml traffic.jsonl.gz",
    )
    _files(replay)
    replay.add_argument(
        "--against",
        type=place,
        metavar="OTHER.yaml",
        help="compare with this configuration; without it with the recorded answers",
    )
    replay.add_argument(
        "--against-set",
        dest="others",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a setting of the other configuration; alone: of this one",
    )
    replay.add_argument(
        "--reasons", action="store_true", help="another reason for the same action is a change too"
    )
    replay.add_argument(
        "--dns", action="store_true", help="ask DNS anew for what it said; DNS lists are not asked"
    )
    replay.set_defaults(run=_replay)

    tune = commands.add_parser("tune", help="what other settings would have done to recorded traffic")
    verbs = tune.add_subparsers(metavar="COMMAND", required=True)
    greylist = command(
        verbs,
        "greylist",
        "try other settings of greylisting",
        "policyd tune greylist --try policyd.greylist.delay=3m traffic.jsonl.gz",
    )
    _files(greylist)
    greylist.add_argument(
        "--try",
        dest="extra",
        action="append",
        default=[],
        metavar="'KEY=VALUE …'",
        help="settings to try besides; those with blanks between them are tried together; repeatable",
    )
    greylist.set_defaults(run=_tune_greylist)
    thresholds = command(
        verbs,
        "thresholds",
        "show the points that mail gets, and what each threshold would do with it",
        "policyd tune thresholds traffic.jsonl.gz",
    )
    _files(thresholds)
    thresholds.add_argument(
        "--flow",
        choices=[flow.value for flow in Flow],
        default=Flow.INBOUND.value,
        help="default: %(default)s",
    )
    thresholds.set_defaults(run=_tune_thresholds)


def _files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        type=place,
        nargs="+",
        metavar="FILE",
        help="a recording, or Postfix's or policyd's log; .gz too",
    )
    parser.add_argument(
        "--warm-up",
        type=duration,
        default=0.0,
        metavar="DURATION",
        help="so long from the beginning requests are decided and not counted",
    )
    parser.add_argument(
        "--year",
        type=whole_number(1970, 9999),
        metavar="YEAR",
        help="of the first line of logs without year, where it would be taken wrongly",
    )
    add_form(parser)


def _settings(options: argparse.Namespace) -> Settings:
    return load(options.config, options.overrides)


def _record(options: argparse.Namespace) -> int:
    from policyd.replay.record import Recording, RecordingFile

    settings = _settings(options)
    try:
        file = RecordingFile(options.file)
    except FileExistsError:
        print(f"policyd: {options.file}: is there already; a recording needs a new file", file=sys.stderr)
        return USAGE
    except OSError as error:
        print(f"policyd: {options.file}: {error.strerror or error}", file=sys.stderr)
        return USAGE
    recording = Recording(
        functools.partial(ask, settings.policyd.control),
        file,
        settings.identity.hostname,
        limit=options.limit,
        duration=options.duration,
    )
    status = OK
    signals = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.signal(number, lambda *_: recording.end()) for number in signals]
    print(f"recording personal data into {options.file}; Ctrl-C ends it", file=sys.stderr)
    try:
        recording.run()
    except (ControlError, OSError) as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror else error
        print(f"policyd: the recording ended early: {text}", file=sys.stderr)
        status = NEGATIVE
    finally:
        for number, handler in zip(signals, handlers, strict=True):
            signal.signal(number, handler)
    try:
        file.close()
    except OSError as error:
        print(f"policyd: {options.file}: {error.strerror or error}", file=sys.stderr)
        status = NEGATIVE
    if status == NEGATIVE and not recording.recorded:
        os.unlink(options.file)
        return status
    dropped = f", {recording.dropped} dropped: the daemon was busier than we could read" * bool(
        recording.dropped
    )
    print(f"{recording.recorded} requests recorded{dropped}", file=sys.stderr)
    return status


def _replay(options: argparse.Namespace) -> int:
    from policyd.replay.running import replay

    return replay(options)


def _tune_greylist(options: argparse.Namespace) -> int:
    from policyd.replay.tuning import tune_greylist

    return tune_greylist(options)


def _tune_thresholds(options: argparse.Namespace) -> int:
    from policyd.replay.tuning import tune_thresholds

    return tune_thresholds(options)
