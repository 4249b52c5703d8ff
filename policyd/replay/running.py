"""The commands that simulate, from their options to their exit status."""

from __future__ import annotations

import argparse
import gc
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from mailbase.config import Settings, load
from mailbase.config.units import format_duration
from mailbase.logs import Log
from mailbase.printing import wants_json
from policyd.replay.comparison import Change, Comparison
from policyd.replay.past import Answer, Recorded
from policyd.replay.progress import Progress
from policyd.replay.report import change_object, remarks, write_comparison, write_object
from policyd.replay.simulation import Simulation
from policyd.replay.sources import SourceError, Sources
from policyd.replay.world import Dns, World

OK, CHANGED, USAGE = 0, 1, 2


def replay(options: argparse.Namespace) -> int:
    """``policyd replay``: 0 nothing changes, 1 something does, 2 the files cannot be used."""
    settings = load(options.config, options.overrides)
    other = _other(options)
    as_json = wants_json(sys.stdout, options.json)
    comparison = Comparison(options.reasons)

    def changed(recorded: Recorded, change: Change, before: Answer, after: Answer) -> None:
        if as_json:
            write_object(sys.stdout, change_object(recorded, before, after))

    progress = Progress("replaying")

    def simulated(folder: Path, dns: Dns | None = None) -> Simulation:
        # With two configurations that of --config is the old one; else it is compared with what was.
        before = None if other is None else make_world(settings, folder / "before", dns=dns)
        after = make_world(other or settings, folder / "after", dns=dns)
        return Simulation(before, after, comparison, options.warm_up, changed)

    try:
        sources = Sources(options.files, options.year, progress)
        with simulation() as folder:
            if options.dns:
                from policyd.replay.app import LiveDns, run, together

                async def work(dns: LiveDns) -> None:
                    asking = simulated(folder, dns)
                    await asking.run_asking(sources, together)
                    _end(asking, dns.failures)

                run(settings, work)
            else:
                replayed = simulated(folder)
                replayed.run(sources)
                _end(replayed)
    except SourceError as error:
        progress.end()
        print(f"policyd: {error}", file=sys.stderr)
        return USAGE
    progress.end()
    if not said_all(sources, comparison.requests, options.warm_up):
        return USAGE
    if as_json:
        write_object(sys.stdout, {"summary": comparison.summary()})
    else:
        names = ("recorded", "now") if other is None else ("before", "after")
        write_comparison(sys.stdout, comparison, names)
    return CHANGED if comparison.changed else OK


def _other(options: argparse.Namespace) -> Settings | None:
    if options.against is not None:
        return load(options.against, options.others)
    if options.others:
        return load(options.config, [*options.overrides, *options.others])
    return None


def make_world(settings: Settings, folder: Path, *, seeded: bool = True, dns: Dns | None = None) -> World:
    """A world with its memory in ``folder``, which is made."""
    folder.mkdir(mode=0o700)
    return World(settings, folder, Log("policyd", level="error"), seeded=seeded, dns=dns)


@contextmanager
def simulation() -> Iterator[Path]:
    """A folder for worlds, removed at the end whatever happens; nobody else can look into it."""
    handler = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    thresholds = gc.get_threshold()
    # As in the daemon: deciding makes no cycles.
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    try:
        with tempfile.TemporaryDirectory(prefix="policyd-replay-") as folder:
            yield Path(folder)
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
        signal.signal(signal.SIGTERM, handler)


def said_all(sources: Sources, requests: int, warm_up: float) -> bool:
    """Tell what the operator should know of the reading; False if there was nothing to read.

    Arguments:
        requests: that count.
        warm_up: seconds at the beginning that do not.
    """
    for remark in remarks(sources.counts):
        print(f"note: {remark}", file=sys.stderr)
    if not requests and warm_up:
        print(
            f"policyd: no requests in these files behind the first {format_duration(warm_up)} (--warm-up)",
            file=sys.stderr,
        )
    elif not requests:
        print(
            "policyd: no requests in these files; what can be read: recordings (policyd record), "
            "lines of syslog, journalctl's output (as it is, or with -o short-iso, short-full, short-unix, "
            "export or json)",
            file=sys.stderr,
        )
    return requests > 0


def complain(failures: Mapping[str, int]) -> None:
    """Tell of checks that failed."""
    for check, count in failures.items():
        print(f"warning: the check {check} failed {count} times and had no opinion", file=sys.stderr)


def _end(simulation: Simulation, failures: Mapping[str, int] = MappingProxyType({})) -> None:
    complain(failures)
    for world in simulation.worlds:
        complain(world.watch.failures)
        world.close()
