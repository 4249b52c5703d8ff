"""The figures of a sample, as text for a person and as JSON types for a program. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from contentfilter.tuning.figures import Advice, ClueFigures, Judged, Rates, Sample
from mailbase.replies import printable

SHARES = (0.0, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
"""Quantiles that are told."""
GRID = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20)
"""Thresholds that are told, beside those in force."""
WISHED = (0.01, 0.001, 0.0001)
"""Rates of false positives that a threshold is named for."""
MAX_CLUES = 40
"""Clues in the text; JSON has all."""
MAX_PATH = 70
MAX_FACTS = 5
_GAP = "  "


@dataclass(frozen=True, slots=True)
class Terms:
    """What is in force.

    Arguments:
        flow: whose points count.
        thresholds: ``tag_at`` and the like, those that are set.
        wished: rates of false positives for which thresholds are to be named.
    """

    flow: str
    thresholds: Mapping[str, float]
    wished: Sequence[float] = WISHED

    @property
    def decisive(self) -> float:
        """The threshold at which clues are looked at: the lowest in force."""
        return min(self.thresholds.values(), default=5.0)


def as_json(sample: Sample, terms: Terms, mails: bool) -> dict[str, Any]:
    """All of it.

    Arguments:
        mails: whether every mail is in it.
    """
    decisive = terms.decisive
    result: dict[str, Any] = {
        "ham": len(sample.ham),
        "spam": len(sample.spam),
        "flow": terms.flow,
        "in_force": dict(terms.thresholds),
        "quantiles": {
            name: dict(zip(map(str, SHARES), sample.quantiles(spam, SHARES), strict=True))
            for name, spam in (("ham", False), ("spam", True))
            if (sample.spam if spam else sample.ham)
        },
        "thresholds": [_rates(sample.at(threshold)) for threshold in _grid(terms)],
        "recommended": [
            {
                "wished": advice.wished,
                "ham_needed": advice.needed,
                "rates": None if advice.rates is None else _rates(advice.rates),
            }
            for advice in map(sample.advise, terms.wished)
        ],
        "refused_ham": [mail.path for mail in sample.ham if mail.refused],
        "clues": [{**asdict(one), "precision": round(one.precision, 4)} for one in sample.clues(decisive)],
        "ham_above": [_mail(mail) for mail in sample.doubtful(False, decisive)],
        "spam_below": [_mail(mail) for mail in sample.doubtful(True, decisive)],
    }
    if mails:
        result["mails"] = [_mail(mail) for mail in sample.mails]
    return result


def as_text(sample: Sample, terms: Terms) -> str:
    """For a terminal; names are printable ASCII."""
    return "\n".join(_text(sample, terms)) + "\n"


def _text(sample: Sample, terms: Terms) -> Iterator[str]:
    ham, spam = len(sample.ham), len(sample.spam)
    force = ", ".join(f"{name} {at:g}" for name, at in terms.thresholds.items()) or "no threshold"
    yield f"{ham:,} ham and {spam:,} spam; points of flow {terms.flow}, in force: {force}"
    yield from _table(
        ["POINTS", "least", *(f"{share:.0%} up to" for share in SHARES[1:-1]), "most"],
        [
            [name, *(f"{points:.1f}" for points in sample.quantiles(which, SHARES))]
            for name, which in (("ham", False), ("spam", True))
            if (sample.spam if which else sample.ham)
        ],
    )
    yield from _table(
        ["THRESHOLD", "spam caught", "", "ham above", "", "of all ham, with 95 %", ""],
        [[*_threshold(sample.at(at)), _in_force(at, terms)] for at in _grid(terms)],
    )
    yield from _table(
        ["RECOMMENDED FOR", "threshold", "spam caught", "", "ham above", ""],
        [row for wished in terms.wished if (row := _advice(sample.advise(wished)))],
    )
    yield from _too_few(
        sample, [advice for advice in map(sample.advise, terms.wished) if advice.rates is None]
    )
    if refused := [mail for mail in sample.ham if mail.refused]:
        yield ""
        yield f"Whatever their points are, {len(refused):,} ham would be refused or kept for what they hold:"
        yield from (f"  {mail.refused}  {_path(mail)}" for mail in refused[:MAX_FACTS])
    clues = sample.clues(terms.decisive)
    head = ["CLUE", "points", "in spam", "in ham", "sure", "catches", "harms"]
    yield from _table(head, [_clue(one) for one in clues[:MAX_CLUES]])
    if clues[MAX_CLUES:]:
        yield f"and {len(clues) - MAX_CLUES} more, in the JSON"
    yield ""
    yield (
        f"catches, harms: spam and ham that would stay below {terms.decisive:g} without it; "
        "sure: spam's share where it is seen, with as much ham as spam"
    )
    for title, which in (("HAM ABOVE", False), ("SPAM BELOW", True)):
        if doubtful := sample.doubtful(which, terms.decisive):
            yield from _table(
                [f"{title} {terms.decisive:g}", "points", "most of it"],
                [[_path(mail), f"{mail.points:.1f}", _facts(mail)] for mail in doubtful],
            )


def _grid(terms: Terms) -> list[float]:
    return sorted({*map(float, GRID), *terms.thresholds.values()})


def _threshold(rates: Rates) -> list[str]:
    low, high = rates.catch_bounds
    return [
        f"{rates.threshold:g}",
        f"{rates.catch:.2%}",
        f"({low:.1%} to {high:.1%})",
        f"{rates.wrong:,}",
        f"{rates.false:.3%}",
        f"at most {rates.false_bound:.3%}",
    ]


def _in_force(at: float, terms: Terms) -> str:
    return " ".join(name for name, value in terms.thresholds.items() if value == at)


def _advice(advice: Advice) -> list[str]:
    if advice.rates is None:
        return []
    return [f"at most {advice.wished:.3%} of ham", *_threshold(advice.rates)[:5]]


def _too_few(sample: Sample, advices: Sequence[Advice]) -> Iterator[str]:
    if not advices:
        return
    above = sample.lowest(0.0)
    yield ""
    for advice in advices:
        yield f"For {advice.wished:.3%} there is too little ham to say: it needs {advice.needed:,} at least."
    yield (
        f"Above all of this ham lies {above.threshold:g}, which catches {above.catch:.2%}; "
        f"of all ham at most {above.false_bound:.3%} reach it, with 95 %."
    )


def _clue(one: ClueFigures) -> list[str]:
    return [
        printable(one.name, MAX_PATH),
        f"{one.points:.2f}",
        f"{one.spam:.2%}",
        f"{one.ham:.2%}",
        f"{one.precision:.1%}",
        f"{one.catches:,}",
        f"{one.harms:,}",
    ]


def _facts(mail: Judged) -> str:
    items = sorted(mail.items.items(), key=lambda item: -abs(item[1]))
    return printable(", ".join(f"{name} {points:g}" for name, points in items[:MAX_FACTS]), 120) or "nothing"


def _path(mail: Judged) -> str:
    path = printable(mail.path, 4096)
    return path if len(path) <= MAX_PATH else "..." + path[3 - MAX_PATH :]


def _rates(rates: Rates) -> dict[str, Any]:
    low, high = rates.catch_bounds
    return {
        "threshold": rates.threshold,
        "caught": rates.caught,
        "catch": round(rates.catch, 6),
        "catch_at_least": round(low, 6),
        "catch_at_most": round(high, 6),
        "ham_above": rates.wrong,
        "false": round(rates.false, 6),
        "false_at_most": round(rates.false_bound, 6),
    }


def _mail(mail: Judged) -> dict[str, Any]:
    return {
        "path": mail.path,
        "spam": mail.spam,
        "points": mail.points,
        "items": dict(mail.items),
        "seen": sorted(mail.seen),
        "refused": mail.refused,
    }


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        return
    yield ""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        yield _GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
