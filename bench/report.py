"""Medians, ratios and aims of a benchmark run, as tables."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

import policy
import proxy
import workloads

from postwarden import table

POLICYD_RATE, POLICYD_RATIO, POLICYD_P99 = 10_000, 0.50, 10.0
"""Decisions/s, share of the null Twisted server's rate, milliseconds."""
RSPAMD_SHARE = {"W1": 0.34, "W2": 0.37, "W3": 0.87, "W4": 0.68, "W5": 0.60}
"""Share of a bare Postfix's rate that remained with rspamd as its milter, when that was measured."""


@dataclass(frozen=True, slots=True)
class Aim:
    """One number that we want to reach."""

    what: str
    measured: str
    wanted: str
    met: bool


def median(results: list[dict], field: str, **wanted: object) -> float | None:
    """Median of ``field`` over the results that match; None if there are none."""
    values = [row[field] for row in results if all(row[key] == value for key, value in wanted.items())]
    return statistics.median(values) if values else None


def policy_table(results: list[dict], width: int) -> str:
    """Decisions per second by server and mode."""
    rows = []
    for server in dict.fromkeys(row["server"] for row in results):
        cells = [server]
        for mode in policy.MODES:
            rate = median(results, "per_s", server=server, mode=mode)
            low = median(results, "p50_ms", server=server, mode=mode)
            high = median(results, "p99_ms", server=server, mode=mode)
            base = median(results, "per_s", server=policy.NULL_TWISTED, mode=mode)
            share = f"{rate / base:.0%}" if rate and base else "-"
            cells += [f"{rate or 0:,.0f}", share, f"{low or 0:.1f} / {high or 0:.1f}"]
        rows.append(cells)
    head = ["decisions/s"]
    for mode in policy.MODES:
        head += [mode, "of Twisted", "p50/p99 ms"]
    return table.render(head, rows, width)


def proxy_table(results: list[dict], width: int) -> str:
    """Messages per second by way and workload."""
    names = list(dict.fromkeys(row["workload"] for row in results))
    rows = []
    for way in dict.fromkeys(row["way"] for row in results):
        cells = [way]
        for name in names:
            rate = median(results, "msgs_per_s", way=way, workload=name) or 0.0
            low = median(results, "eod_ms_p50", way=way, workload=name) or 0.0
            high = median(results, "eod_ms_p99", way=way, workload=name) or 0.0
            cells.append(f"{_short(rate)} ({_short(low)}/{_short(high)})")
        rows.append(cells)
    head = [
        "messages/s (end-of-data p50/p99 ms)",
        *(f"{name} {workloads.DESCRIPTIONS[name]}" for name in names),
    ]
    return table.render(head, rows, width)


def aims(policy_results: list[dict], proxy_results: list[dict]) -> list[Aim]:
    """Every aim that this run says something about."""
    return [*_policy_aims(policy_results), *_proxy_aims(proxy_results)]


def _policy_aims(results: list[dict]) -> Iterator[Aim]:
    for mode in policy.MODES:
        rate = median(results, "per_s", server=policy.OURS, mode=mode)
        base = median(results, "per_s", server=policy.NULL_TWISTED, mode=mode)
        slow = median(results, "p99_ms", server=policy.OURS, mode=mode)
        if rate is None or base is None or slow is None:
            continue
        yield Aim(f"policyd, {mode}", f"{rate:,.0f}/s", f">= {POLICYD_RATE:,}/s", rate >= POLICYD_RATE)
        share = rate / base
        yield Aim(
            f"policyd, {mode}, beside the null Twisted server",
            f"{share:.0%}",
            f">= {POLICYD_RATIO:.0%}",
            share >= POLICYD_RATIO,
        )
        yield Aim(f"policyd, {mode}, p99", f"{slow:.1f} ms", f"<= {POLICYD_P99:g} ms", slow <= POLICYD_P99)


def _proxy_aims(results: list[dict]) -> Iterator[Aim]:
    for name, wanted in RSPAMD_SHARE.items():
        alone = median(results, "msgs_per_s", way=proxy.ALONE, workload=name)
        ours = median(results, "msgs_per_s", way=proxy.POSTFIX_OURS, workload=name)
        null = median(results, "msgs_per_s", way=proxy.POSTFIX_NULL, workload=name)
        if not alone or ours is None or not null:
            continue
        share = ours / alone
        yield Aim(
            f"Postfix + contentfilter, {name}, of Postfix alone",
            f"{share:.0%} ({ours / null:.0%} of null proxy)",
            f"> {wanted:.0%} (rspamd's share)",
            share > wanted,
        )


def aims_table(found: list[Aim], width: int) -> str:
    """Aims with whether they are met."""
    rows = [[aim.what, aim.measured, aim.wanted, "met" if aim.met else "NOT MET"] for aim in found]
    return table.render(["aim", "measured", "wanted", ""], rows, width)


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}"
