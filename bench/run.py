"""Measure policyd and contentfilter beside null servers and neighbours: ``python bench/run.py [--quick]``.

Everything is measured in turns within one run, so that a busy machine hurts all alike; compare ratios,
not numbers of different runs. Results go to the terminal and, complete, to a JSON file under .bench/.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import memory
import policy
import proxy
import report
import spampath
import workloads
from programs import CompilerMissing, Programs

from postwarden.sandbox.guard import Guard
from postwarden.sandbox.postfix import PostfixUnavailable, check_available

TRIPLETS = 10_000_000
PARTS = ("policyd", "contentfilter", "spam", "postfix", "memory")


def main() -> int:
    """Run the benchmark; 0 if it could be run, whether or not aims are met."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one short round, for a first look")
    parser.add_argument("--only", choices=PARTS, action="append", help="only this part; repeatable")
    parser.add_argument(
        "--folder", type=Path, default=Path(".bench"), help="programs, mails, results (.bench)"
    )
    parser.add_argument("--rounds", type=int, help="how often everything is repeated")
    parser.add_argument(
        "--triplets", type=int, help="stored in the full store (10,000,000; 0 with --quick: none)"
    )
    options = parser.parse_args()
    if options.triplets is None:
        options.triplets = 0 if options.quick else TRIPLETS
    parts = options.only or PARTS
    rounds = options.rounds or (1 if options.quick else 3)
    options.folder.mkdir(exist_ok=True)
    guard = Guard()
    try:
        programs = Programs(options.folder / "bin", guard)
        policy_results: list[dict] = []
        proxy_results: list[dict] = []
        in_flight: dict = {}
        if "policyd" in parts:
            say("policyd …")
            amount = 20_000 if options.quick else 60_000
            bench = policy.Bench(programs, options.folder, amount, options.triplets, say)
            policy_results = bench.measure(rounds)
        if "spam" in parts:
            say("contentfilter, with all that looks for spam …")
            seconds = 5.0 if options.quick else 10.0
            proxy_results += spampath.measure(programs, options.folder, seconds, rounds, say)
        mails = {}
        if set(parts) - {"policyd", "spam"}:
            say("Making the mails …")
            mails = workloads.make(options.folder / "mail")
        if "memory" in parts:
            in_flight = memory.measure(programs, options.folder, mails, 10.0 if options.quick else 30.0, say)
        if "contentfilter" in parts or "postfix" in parts:
            seconds = 2.0 if options.quick else 5.0
            inside = "postfix" in parts and _postfix(options.only)
            say("contentfilter …")
            proxy_results += proxy.measure(programs, options.folder, mails, seconds, rounds, inside, say)
    except (CompilerMissing, PostfixUnavailable) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        guard.close()
    width = shutil.get_terminal_size((150, 24)).columns if sys.stdout.isatty() else 150
    if policy_results:
        print(f"\n{policy.CONNECTIONS} connections, SQLite where nothing else is said, medians of {rounds}")
        print(report.policy_table(policy_results, width))
    if proxy_results:
        print(
            f"\n{proxy.CONNECTIONS} connections, medians of {rounds}; W5 is refused, which counts as handled"
        )
        print(report.proxy_table(proxy_results, width))
    aims = report.aims(policy_results, proxy_results, in_flight)
    if aims:
        print(report.aims_table(aims, width))
    path = options.folder / time.strftime("results-%Y%m%d-%H%M%S.json")
    path.write_text(
        json.dumps(
            {
                "machine": _machine(),
                "policyd": policy_results,
                "contentfilter": proxy_results,
                "memory": in_flight,
                "aims": [
                    {"what": a.what, "measured": a.measured, "wanted": a.wanted, "met": a.met} for a in aims
                ],
            },
            indent=1,
        )
    )
    print(f"Written to {path}")
    return 0


def say(text: str) -> None:
    """Progress, so that nobody wonders."""
    print(text, file=sys.stderr, flush=True)


def _postfix(asked: list[str] | None) -> bool:
    try:
        check_available()
    except PostfixUnavailable as reason:
        if asked:
            raise
        say(f"Without Postfix: {reason}.")
        return False
    return True


def _machine() -> dict:
    revision = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return {
        "cpus": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "revision": revision.stdout.strip(),
        "load_before": os.getloadavg()[0],
    }


if __name__ == "__main__":
    sys.exit(main())
