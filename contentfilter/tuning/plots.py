"""The figures of a sample as pictures; needs matplotlib (the extra ``tune``), which no daemon needs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from contentfilter.tuning.figures import Sample
from contentfilter.tuning.report import Terms

CLUES = 30
"""Clues in the picture of them."""
HAM, SPAM = "#2a6f97", "#c1440e"


class PlotsMissing(Exception):
    """matplotlib is not installed; the text says how to get it."""


def available() -> None:
    """Whether pictures can be drawn.

    Raises:
        PlotsMissing: there is no matplotlib.
    """
    try:
        import matplotlib  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise PlotsMissing(
            "no plots without matplotlib; in the checkout: "
            f"{sys.prefix}/bin/pip install --require-hashes -r requirements-tune.lock"
        ) from error


def draw(sample: Sample, terms: Terms, folder: Path) -> list[Path]:
    """Write PNG files into ``folder``; returns them.

    Raises:
        PlotsMissing: there is no matplotlib.
        OSError: a file cannot be written.
    """
    available()
    import matplotlib

    matplotlib.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name, what in (
        ("distribution", _distribution),
        ("roc", _roc),
        ("thresholds", _thresholds),
        ("clues", _clues),
    ):
        from matplotlib import pyplot

        figure, axes = pyplot.subplots(figsize=(9, 6), layout="constrained")
        what(axes, sample, terms)
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=120)
        pyplot.close(figure)
        drawn.append(path)
    return drawn


def _distribution(axes: Any, sample: Sample, terms: Terms) -> None:
    points = [mail.points for mail in sample.mails] or [0.0]
    low, high = min(points), max(points)
    step = max(0.25, (high - low) / 80)
    bins = [low + step * number for number in range(int((high - low) / step) + 2)]
    for mails, colour, name in ((sample.ham, HAM, "ham"), (sample.spam, SPAM, "spam")):
        axes.hist(
            [mail.points for mail in mails],
            bins=bins,
            color=colour,
            alpha=0.6,
            label=f"{len(mails):,} {name}",
        )
    axes.set(xlabel="points", ylabel="mails", yscale="log", title="Points of ham and spam")
    _mark(axes, terms)
    axes.legend()


def _roc(axes: Any, sample: Sample, terms: Terms) -> None:
    curve = sample.curve()
    least = 0.5 / max(1, len(sample.ham))
    axes.step(
        [max(least, one.false) for one in curve], [one.catch for one in curve], where="post", color=SPAM
    )
    for name, at in terms.thresholds.items():
        rates = sample.at(at)
        place = max(least, rates.false), rates.catch
        axes.plot(*place, "o", color="black")
        axes.annotate(f"{name} {at:g}", place, textcoords="offset points", xytext=(8, -12))
    axes.set(xscale="log", xlabel="share of ham above (leftmost: none)", ylabel="share of spam caught")
    axes.set_title("Spam caught over false positives")
    axes.grid(alpha=0.3, which="both")


def _thresholds(axes: Any, sample: Sample, terms: Terms) -> None:
    curve = sorted(sample.curve(), key=lambda one: one.threshold)
    places = [one.threshold for one in curve]
    axes.step(places, [100 * one.catch for one in curve], where="pre", color=SPAM, label="spam caught")
    axes.step(places, [100 * one.false for one in curve], where="pre", color=HAM, label="ham above")
    axes.set(xlabel="threshold", ylabel="% of its kind", yscale="symlog", title="What a threshold does")
    axes.set_yscale("symlog", linthresh=0.1)
    axes.grid(alpha=0.3)
    _mark(axes, terms)
    axes.legend()


def _clues(axes: Any, sample: Sample, terms: Terms) -> None:
    clues = sample.clues(terms.decisive)[:CLUES][::-1]
    rows = range(len(clues))
    axes.barh(rows, [100 * one.spam for one in clues], color=SPAM, label="in spam")
    axes.barh(rows, [-100 * one.ham for one in clues], color=HAM, label="in ham")
    axes.set_yticks(rows, [f"{one.name} {one.points:+.1f}" for one in clues], fontsize=7)
    axes.set(xlabel="% of ham (left) and of spam (right)", title="Clues, those that catch most on top")
    axes.legend()


def _mark(axes: Any, terms: Terms) -> None:
    for name, at in terms.thresholds.items():
        axes.axvline(at, color="black", linewidth=0.8, linestyle="--")
        axes.annotate(
            name, (at, 1.0), xycoords=("data", "axes fraction"), rotation=90, va="top", ha="right", fontsize=8
        )
