"""Medians, ratios and aims of a benchmark run, as tables."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

import neighbours
import policy
import proxy
import spampath
import workloads

from postwarden import table

POLICYD_RATE, POLICYD_RATIO, POLICYD_P99, POSTGREY_TIMES = 10_000, 0.50, 10.0, 8
"""Decisions/s, share of the null Twisted server's rate, milliseconds, times postgrey's rate."""
FULL_RATIO, FULL_MEMORY = 0.80, 150
"""With a full store: share of the rate with an empty one, and MiB resident."""
REDIS_RATE, WARM_RATE, COLD_RATE = 4_000, 2_500, 1_500
"""Decisions/s."""
EACH = 64
"""MiB above idle for each of ten mails of 50 MiB in hand."""
UNHURT = 0.90
"""Share of the rate that DNS trouble of others may leave at least."""
NULL_SHARE = 0.70
"""Of what Postfix does with a null proxy in contentfilter's place."""
ALONE_RATES = {"W1": 700, "W2": 180, "W3": 15, "W4": 2, "W5": 100}
"""Messages/s of contentfilter by itself."""
SPAM_RATE = 250
"""Messages/s of W1 with rules, links, statistics and the verification of DKIM, DNS being warm."""
RSPAMD_SHARE = {"W1": 0.34, "W2": 0.37, "W3": 0.87, "W4": 0.68, "W5": 0.60}
"""Share of a bare Postfix's rate that remained with rspamd as its milter, when that was measured."""
ADDED = 50.0
"""Milliseconds that contentfilter adds to the slowest hundredth of W1, at half load."""


@dataclass(frozen=True, slots=True)
class Aim:
    """One number that we want to reach."""

    what: str
    measured: str
    wanted: str
    met: bool


def median(results: list[dict], field: str, **wanted: object) -> float | None:
    """Median of ``field`` over the results that match; None if there are none."""
    values = [
        row[field]
        for row in results
        if field in row and all(row[key] == value for key, value in wanted.items())
    ]
    return statistics.median(values) if values else None


def policy_table(results: list[dict], width: int) -> str:
    """Decisions per second by server and mode; modes that only some servers have stand in the last column."""
    rows = []
    for server in dict.fromkeys(row["server"] for row in results):
        cells = [server, *(_policy_cell(results, server, mode) for mode in policy.MODES)]
        memory = median(results, "memory_mib", server=server)
        cells += [_policy_cell(results, server, "cold"), f"{memory:.0f}" if memory else ""]
        rows.append(cells)
    return table.render(["decisions/s (p99 ms)", *policy.MODES, "cold", "MiB"], rows, width)


def _policy_cell(results: list[dict], server: str, mode: str) -> str:
    rate = median(results, "per_s", server=server, mode=mode)
    if rate is None:
        return ""
    base = median(results, "per_s", server=policy.NULL_TWISTED, mode=mode)
    share = f" {rate / base:.0%}" if base else ""
    return f"{rate:,.0f}{share} ({median(results, 'p99_ms', server=server, mode=mode):.1f})"


def proxy_table(results: list[dict], width: int) -> str:
    """Messages per second by way and workload."""
    told = {**workloads.DESCRIPTIONS, spampath.SIGNED: "with a link"}
    names = [name for name in told if any(row["workload"] == name for row in results)]
    rows = []
    for way in dict.fromkeys(row["way"] for row in results):
        cells = [way]
        for name in names:
            rate = median(results, "msgs_per_s", way=way, workload=name)
            if rate is None:
                cells.append("")
                continue
            low = median(results, "eod_ms_p50", way=way, workload=name) or 0.0
            high = median(results, "eod_ms_p99", way=way, workload=name) or 0.0
            cells.append(f"{_short(rate)} ({_short(low)}/{_short(high)})")
        rows.append(cells)
    head = [
        "messages/s (end-of-data p50/p99 ms)",
        *(f"{name} {told[name]}" for name in names),
    ]
    return table.render(head, rows, width)


def aims(policy_results: list[dict], proxy_results: list[dict], in_flight: dict) -> list[Aim]:
    """Every aim that this run says something about."""
    return [*_policy_aims(policy_results), *_proxy_aims(proxy_results), *_memory_aims(in_flight)]


def _policy_aims(results: list[dict]) -> Iterator[Aim]:
    def rate(server: str, mode: str) -> float | None:
        return median(results, "per_s", server=server, mode=mode)

    full = next((row["server"] for row in results if "stored" in row["server"]), "")
    for mode in policy.MODES:
        ours = rate(policy.OURS, mode)
        if ours is None:
            continue
        yield _at_least(f"policyd, {mode}", ours, POLICYD_RATE)
        yield from _share(
            f"policyd, {mode}, of the null Twisted server",
            ours,
            rate(policy.NULL_TWISTED, mode),
            POLICYD_RATIO,
        )
        others = rate(neighbours.POSTGREY, mode)
        if others:
            times = ours / others
            yield Aim(
                f"policyd, {mode}, beside postgrey",
                f"{times:.1f} times",
                f">= {POSTGREY_TIMES}",
                times >= POSTGREY_TIMES,
            )
        slow = median(results, "p99_ms", server=policy.OURS, mode=mode)
        assert slow is not None
        yield Aim(f"policyd, {mode}, p99", f"{slow:.1f} ms", f"<= {POLICYD_P99:g} ms", slow <= POLICYD_P99)
        yield from _share(f"{full}, {mode}, of an empty store", rate(full, mode), ours, FULL_RATIO)
        if (shared := rate(policy.REDIS, mode)) is not None:
            yield _at_least(f"policyd on Redis, {mode}", shared, REDIS_RATE)
    memory = max((row["memory_mib"] for row in results if row["server"] == full), default=None)
    if memory is not None:
        yield Aim(f"{full}, resident", f"{memory:.0f} MiB", f"<= {FULL_MEMORY} MiB", memory <= FULL_MEMORY)
    warm = rate(policy.WARM, "hot")
    if warm is not None:
        yield _at_least(policy.WARM, warm, WARM_RATE)
    if (cold := rate(policy.COLD, "cold")) is not None:
        yield _at_least(policy.COLD, cold, COLD_RATE)
    for name in (policy.DEAD, policy.BESIDE):
        yield from _share(f"all checks, warm DNS: {name}", rate(name, "hot"), warm, UNHURT)


def _at_least(what: str, rate: float, wanted: int) -> Aim:
    return Aim(what, f"{rate:,.0f}/s", f">= {wanted:,}/s", rate >= wanted)


def _share(what: str, rate: float | None, base: float | None, wanted: float) -> Iterator[Aim]:
    if rate is not None and base:
        yield Aim(what, f"{rate / base:.0%}", f">= {wanted:.0%}", rate / base >= wanted)


def _memory_aims(in_flight: dict) -> Iterator[Aim]:
    if in_flight:
        each = in_flight["each_mib"]
        yield Aim("memory for a mail of 50 MiB", f"{each:.1f} MiB", f"<= {EACH} MiB", each <= EACH)


def _proxy_aims(results: list[dict]) -> Iterator[Aim]:
    if (rate := median(results, "msgs_per_s", way=spampath.FILTERING)) is not None:
        yield _at_least(f"{spampath.FILTERING}, {spampath.SIGNED}", rate, SPAM_RATE)
    for name, least in ALONE_RATES.items():
        for way in (proxy.OURS, proxy.SCANNERS):
            if (rate := median(results, "msgs_per_s", way=way, workload=name)) is not None:
                yield Aim(f"{way}, {name}", f"{rate:,.1f}/s", f">= {least}/s", rate >= least)
        theirs = median(results, "msgs_per_s", way=proxy.CLAMSMTP, workload=name)
        for way in (proxy.OURS_CLAMD, proxy.SCANNERS_CLAMD):
            ours = median(results, "msgs_per_s", way=way, workload=name)
            yield from _share(f"{way}, {name}, of {proxy.CLAMSMTP}", ours, theirs, 1.0)
    for name, wanted in RSPAMD_SHARE.items():
        yield from _inside_aims(results, name, wanted)
    slow = median(results, "eod_ms_p99", way=proxy.POSTFIX_OURS, workload=proxy.HALF_LOAD)
    base = median(results, "eod_ms_p99", way=proxy.ALONE, workload=proxy.HALF_LOAD)
    if slow is not None and base is not None:
        added = slow - base
        yield Aim("p99 added to W1 at half load", f"{added:.1f} ms", f"<= {ADDED:g} ms", added <= ADDED)


def _inside_aims(results: list[dict], name: str, wanted: float) -> Iterator[Aim]:
    """What is to remain of a Postfix's rate.

    Arguments:
        name: of the workload.
        wanted: the share that rspamd left, where it was not measured in this run.
    """

    def rate(way: str) -> float | None:
        return median(results, "msgs_per_s", way=way, workload=name)

    for way in (proxy.POSTFIX_OURS, proxy.POSTFIX_SCANNERS):
        yield from _share(
            f"{way}, {name}, of the null proxy", rate(way), rate(proxy.POSTFIX_NULL), NULL_SHARE
        )
    if rspamd := rate(proxy.POSTFIX_RSPAMD):
        for way in proxy.INSIDE:
            yield from _share(f"{way}, {name}, of rspamd as milter", rate(way), rspamd, 1.0)
    elif (ours := rate(proxy.POSTFIX_OURS)) is not None and (alone := rate(proxy.ALONE)):
        share = ours / alone
        what = f"{proxy.POSTFIX_OURS}, {name}, of Postfix alone"
        yield Aim(what, f"{share:.0%}", f"> {wanted:.0%} (rspamd's share)", share > wanted)


def aims_table(found: list[Aim], width: int) -> str:
    """Aims with whether they are met."""
    rows = [[aim.what, aim.measured, aim.wanted, "met" if aim.met else "NOT MET"] for aim in found]
    return table.render(["aim", "measured", "wanted", ""], rows, width)


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}"
