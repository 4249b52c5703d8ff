"""``policyd tune``: what other settings would have done, as tables."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from mailbase.config import ConfigError, Settings, load
from mailbase.printing import wants_json, write
from mailbase.vocabulary import Flow
from policyd.engine.decision import Decision
from policyd.replay.greylisting import Effect, Variant, is_greylisted, variants
from policyd.replay.past import Line, Outcome, Recorded
from policyd.replay.progress import Progress
from policyd.replay.recording import header, past_row
from policyd.replay.report import duration, write_object
from policyd.replay.running import OK, USAGE, complain, make_world, said_all, simulation
from policyd.replay.sources import SourceError, Sources
from policyd.replay.thresholds import FATES, Points
from policyd.replay.world import World

Note = Callable[[Recorded, Decision], None]

GREYLIST_COLUMNS = (
    *("setting", "value", "", "mails", "delayed", "share", "median", "p95"),
    *("estimated", "blocked", "open", "entries"),
)
THRESHOLD_COLUMNS = ("threshold", "", "mails", "recipients", "share", "with_shadows", *FATES)
FACT_COLUMNS = ("check", "fact", "points", "shadow", "mails", "sum", "above")
MARK_IF_NONE = 5.0
"""Points from which on facts are counted as above, where no threshold is set."""
BAR = 50
"""Characters of the longest bar."""


def tune_greylist(options: argparse.Namespace) -> int:
    """``policyd tune greylist``: 0 done, 2 the files cannot be used."""
    # For its mistakes: those of the next line would be ours.
    load(options.config, options.overrides)
    # What it would do is asked for, also of one that runs as a shadow.
    options.overrides = [*options.overrides, "policyd.greylist.shadow=false"]
    settings = load(options.config, options.overrides)
    # All of them before hours of work: a mistake in --try is told at once.
    tried = [(one, _with(options, one, settings)) for one in variants(settings, options.extra)]
    as_json = wants_json(sys.stdout, options.json)
    progress = Progress("reading")
    rows: list[dict[str, Any]] = []
    try:
        sources = Sources(options.files, options.year, progress)
        with simulation() as folder:
            spool = folder / "greylisted.jsonl"
            current, requests, counted = _spool(sources, settings, spool, folder, options.warm_up)
            progress.end()
            if not said_all(sources, requests, options.warm_up):
                return USAGE
            for number, (variant, other) in enumerate(tried):
                row = current
                if not variant.current:
                    progress = Progress(f"{variant.setting} {variant.value} ({number + 1} of {len(tried)})")
                    lines = Sources([spool], progress=progress)
                    row = _effect(make_world(other, folder / str(number)), lines, counted)
                    progress.end()
                head = {"setting": variant.setting, "value": variant.value, "current": variant.current}
                rows.append({**head, **row})
                if as_json:
                    write_object(sys.stdout, rows[-1])
    except SourceError as error:
        progress.end()
        print(f"policyd: {error}", file=sys.stderr)
        return USAGE
    if not as_json:
        write(sys.stdout, [_greylist_row(row) for row in rows], GREYLIST_COLUMNS, False)
    return OK


def _with(options: argparse.Namespace, variant: Variant, settings: Settings) -> Settings:
    try:
        other = load(options.config, [*options.overrides, *variant.overrides])
    except ConfigError as error:
        # --set has been found right before.
        raise ConfigError(replace(problem, source=variant.setting) for problem in error.problems) from None
    # One large registry in memory is enough.
    same = other.registry_path == settings.registry_path
    return other.with_registry(settings.registry) if same else other


def _spool(
    sources: Sources, settings: Settings, spool: Path, folder: Path, warm_up: float
) -> tuple[dict[str, Any], int, tuple[float, float]]:
    """Decide everything once under ``settings``, and keep what greylisting has a say on for the variants.

    Returns:
        The effect, the number of requests that count, and from when to when they do.
    """
    world = make_world(settings, folder / "current")
    effect = Effect(settings.policyd.greylist.delay)
    requests = 0
    counts_from = float("inf")
    with spool.open("w", encoding="ascii") as file:

        def keep(row: dict[str, Any]) -> None:
            file.write(json.dumps(row, separators=(",", ":")) + "\n")

        keep(header(0.0, settings.identity.hostname))
        for line in sources:
            if type(line) is not Recorded:
                world.take(line)
                keep(past_row(line))
                continue
            if counts_from == float("inf"):
                counts_from = line.time + warm_up
            requests += line.time >= counts_from
            decision = world.decide(line)
            if decision.repeated or not is_greylisted(decision):
                continue
            keep(past_row(line))
            if line.time >= counts_from:
                effect.note(line, decision)
    complain(world.watch.failures)
    ends = world.clock.seconds()
    return _ended(world, effect, ends), requests, (counts_from, ends)


def _effect(world: World, lines: Iterable[Line], counted: tuple[float, float]) -> dict[str, Any]:
    counts_from, ends = counted
    effect = Effect(world.settings.policyd.greylist.delay)
    for line in lines:
        if type(line) is not Recorded:
            world.take(line)
            continue
        decision = world.decide(line)
        if not decision.repeated and line.time >= counts_from:
            effect.note(line, decision)
    return _ended(world, effect, ends)


def _ended(world: World, effect: Effect, ends: float) -> dict[str, Any]:
    world.clock.advance(ends)
    effect.end(ends)
    row = {**effect.summary(), "entries": world.entries()}
    world.close()
    return row


def _greylist_row(row: dict[str, Any]) -> dict[str, Any]:
    """For people."""
    times = {
        name: "-" if row[f"{name}_delay"] is None else duration(row[f"{name}_delay"])
        for name in ("median", "p95")
    }
    share = f"{100 * row['delayed'] / row['mails']:.1f}%" if row["mails"] else "-"
    return {**row, **times, "share": share, "": "<- now" if row["current"] else ""}


def tune_thresholds(options: argparse.Namespace) -> int:
    """``policyd tune thresholds``: 0 done, 2 the files cannot be used."""
    flow = Flow(options.flow)
    in_force = load(options.config, options.overrides).flows.of(flow)
    current = [at for at in (in_force.defer_at, in_force.reject_at) if at is not None]
    points = Points(min(current, default=MARK_IF_NONE))
    as_json = wants_json(sys.stdout, options.json)
    progress = Progress("reading")
    requests = 0
    try:
        sources = Sources(options.files, options.year, progress)
        with simulation() as folder:
            world = make_world(_without_thresholds(options), folder / "world")
            counts_from: float | None = None
            for line in sources:
                if type(line) is not Recorded:
                    world.take(line)
                    if isinstance(line, Outcome):
                        points.note_outcome(line)
                    continue
                if counts_from is None:
                    counts_from = line.time + options.warm_up
                requests += line.time >= counts_from
                decision = world.decide(line)
                if not decision.repeated and decision.flow is flow and line.time >= counts_from:
                    points.note(line, decision)
            complain(world.watch.failures)
            world.close()
    except SourceError as error:
        progress.end()
        print(f"policyd: {error}", file=sys.stderr)
        return USAGE
    progress.end()
    points.end()
    if not said_all(sources, requests, options.warm_up):
        return USAGE
    _print_thresholds(points, current, as_json)
    return OK


def _without_thresholds(options: argparse.Namespace) -> Settings:
    """The configuration with nothing refused for points, so that greylisting has its say on all of it."""
    overrides = list(options.overrides)
    for flow in Flow:
        if flow is not Flow.UPSTREAM:
            overrides += [f"flows.{flow}.defer_at=null", f"flows.{flow}.reject_at=null"]
    return load(options.config, overrides)


def _print_thresholds(points: Points, current: list[float], as_json: bool) -> None:
    table = [points.at(threshold) for threshold in points.thresholds(current)]
    distribution, facts = points.distribution(), points.ranked_facts()
    if as_json:
        for row in table:
            write_object(sys.stdout, {**row, "current": row["threshold"] in current})
        for row in distribution:
            write_object(sys.stdout, {"distribution": row})
        for row in facts:
            write_object(sys.stdout, {"ranked": row})
        return
    out = sys.stdout
    for row in table:
        row["share"] = f"{100 * row['share']:.2f}%"
        row[""] = "<- now" if row["threshold"] in current else ""
        row["threshold"] = f"{row['threshold']:g}"
    if not write(out, table, THRESHOLD_COLUMNS, False):
        out.write("no mail has points\n")
    most = max((row["mails"] for row in distribution), default=1)
    bars = [{**row, "": "#" * max(1, BAR * row["mails"] // most)} for row in distribution]
    out.write("\n")
    write(out, bars, ("points", "mails", ""), False)
    out.write("\n")
    for row in facts:
        row["shadow"] = "yes" if row["shadow"] else ""
    write(out, facts, FACT_COLUMNS, False)
    out.write(f"\nabove: of the mails with that fact, those with {points.mark:g} points or more\n")
    if points.unrecorded:
        out.write(
            f"{points.unrecorded} of {points.recipients.total()} recipients have no recorded evidence: "
            "they have only the points that need no DNS\n"
        )
