"""Scans a folder of labelled documents and compares: ``python tests/acceptance/corpus.py DIR [--verbose]``.

DIR holds ``labels.tsv`` (class, file, expected, note, origin; a header line) and a folder per class. Prints
a table by label, each miss by name, and exits 1 if there is one.
"""

from __future__ import annotations

import argparse
import collections
import csv
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from contentfilter.content.results import ScanResult
from contentfilter.content.scan import preload, scan_document

MACRO = {"office-macro"}
LOCKED = {"office-encrypted", "pdf-encrypted"}

EXPECTED: dict[str, tuple[set[str], set[str]]] = {
    # label: (one of these must be found, none of these may be)
    "vba_code": (MACRO, LOCKED),
    "vba_empty": (set(), MACRO | LOCKED),
    "xlm": ({"office-xlm-macro"}, LOCKED),
    "dde": ({"office-dde", "archive-encrypted"}, LOCKED),
    # Labels say that a document is locked; that Excel opens it without asking is for the scanner to find out.
    "office_locked": ({"office-encrypted", "office-default-password"}, set()),
    "office_default_password": ({"office-default-password"}, LOCKED),
    "office_clean": (set(), MACRO | LOCKED),
    "pdf_locked": ({"pdf-encrypted"}, set()),
    "pdf_owner_only": ({"pdf-owner-restricted"}, LOCKED),
    "pdf_plain": (set(), MACRO | LOCKED),
}
"""A locked archive is an answer where the label tells what its maker knows to be inside."""


def complaint(label: str, result: ScanResult) -> str:
    """What is wrong with the result for that label; empty if nothing."""
    names = {finding.name for finding in result.findings}
    reasons = {unscanned.reason for unscanned in result.unscanned}
    if "failed" in reasons or "timed-out" in reasons:
        return "a scanner failed"
    if label == "broken":
        return "" if names or reasons else "silent pass"
    if label not in EXPECTED:
        return "unknown label"
    wanted, unwanted = EXPECTED[label]
    if wanted and not names & wanted:
        return f"not found: {' or '.join(sorted(wanted))}"
    if names & unwanted:
        return f"found: {', '.join(sorted(names & unwanted))}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--verbose", action="store_true", help="print what was found in each file")
    arguments = parser.parse_args()
    preload()
    totals: collections.Counter[str] = collections.Counter()
    good: collections.Counter[str] = collections.Counter()
    seconds: collections.Counter[str] = collections.Counter()
    found: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    misses = []
    with (arguments.folder / "labels.tsv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    for row in rows:
        path = arguments.folder / row["class"] / row["file"]
        label = row["expected"]
        data = path.read_bytes()
        started = time.perf_counter()
        result = scan_document(path.name, data)
        seconds[label] += time.perf_counter() - started
        totals[label] += 1
        found[label].update({finding.name for finding in result.findings})
        found[label].update({f"unscanned:{item.reason}" for item in result.unscanned})
        problem = complaint(label, result)
        good[label] += not problem
        if problem:
            misses.append((label, row["class"], path.name, problem))
        if arguments.verbose:
            print(path.name, label, *result.findings, *result.unscanned, sep="\n    ")
    print(f"{'label':<26}{'files':>6}{'good':>6}{'ms each':>9}  found")
    for label in sorted(totals):
        what = ", ".join(f"{name} {count}" for name, count in sorted(found[label].items()))
        each = 1000 * seconds[label] / totals[label]
        print(f"{label:<26}{totals[label]:>6}{good[label]:>6}{each:>9.1f}  {what}")
    for label, folder, name, problem in misses:
        print(f"MISS {label}: {folder}/{name}: {problem}")
    print(f"{sum(totals.values())} files, {len(misses)} misses")
    return 1 if misses or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
