"""From clues, findings and policyd's evidence to one total. Pure.

A name counts once, however often it is stated: what a mail repeats makes it no worse. What policyd has stated
is worth what policyd says. What runs in shadow is told and not added. Neither order nor time of arrival plays
a part.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from contentfilter.content.clues import Clue
from mailbase.config.points import BUILT_IN
from mailbase.evidence import Evidence
from mailbase.points import MAX_POINTS
from mailbase.vocabulary import Finding

REST = "policyd"
"""Names the points of policyd's evidence that it did not tell one by one."""
STATISTICS = "statistics"
BESIDE_STATISTICS = 0.75
"""What points of rules and of odd links are worth where statistics speak too, which look at the same words
and links. Judged by models that had not learned the mails, as much spam is caught at one ham in a thousand as
with all these points, and ham has fewer."""
_NOTHING: Mapping[str, float] = {}


@dataclass(frozen=True, slots=True)
class Item:
    """One name in the total.

    Arguments:
        name: of a clue (``url.listed``), a finding (``name-mismatch``) or policyd's fact (``helo.not-fqdn``).
        points: what it is worth.
        detail: for the operator; may hold foreign text.
        shadow: told, and not added.
    """

    name: str
    points: float
    detail: str = ""
    shadow: bool = False

    @property
    def source(self) -> str:
        """What stands before the dot; all of a finding's name."""
        return self.name.partition(".")[0]

    def __str__(self) -> str:
        """As it stands in log and header: ``url.listed:2.5``, shadows in brackets."""
        text = f"{self.name}:{self.points:g}"
        return f"({text})" if self.shadow else text


@dataclass(frozen=True, slots=True)
class Total:
    """What a mail comes to.

    Arguments:
        points: of all items that are no shadows.
        items: what has most points first; those without any are there too.
    """

    points: float = 0.0
    items: tuple[Item, ...] = ()

    @property
    def with_shadows(self) -> float:
        """What the points would be if shadows counted."""
        return _sum((self.points, *(item.points for item in self.items if item.shadow)))

    @property
    def counted(self) -> Iterator[Item]:
        """The items that change the total."""
        return (item for item in self.items if item.points and not item.shadow)


def add_up(
    clues: Collection[Clue],
    findings: Iterable[Finding],
    evidence: Evidence | None,
    points: Mapping[str, float] = _NOTHING,
) -> Total:
    """The total of a mail.

    Arguments:
        clues: of the workers and of those whom the daemon asked.
        findings: of the scanners; most have no points.
        evidence: policyd's; None where it is not known, which counts as nothing and is no zero.
        points: the flow's own, by name; over what a clue brings, and over the built-in ones.
    """
    found: dict[str, Item] = {}
    learned = any(clue.source == STATISTICS and clue.points for clue in clues)
    for clue in clues:
        worth = points.get(clue.name)
        if worth is None:
            worth = BUILT_IN.get(clue.name, 0.0) if clue.points is None else clue.points
            if learned and _is_seen_by_statistics(clue):
                worth = round(worth * BESIDE_STATISTICS, 2)
        _take(found, Item(clue.name, _bounded(worth), clue.detail, clue.shadow))
    for finding in findings:
        if worth := points.get(finding.name, BUILT_IN.get(finding.name, 0.0)):
            _take(found, Item(finding.name, worth, finding.part))
    theirs = [] if evidence is None else list(_told(evidence))
    for item in theirs:
        found.pop(item.name, None)
    ours = _sum(item.points for item in found.values() if not item.shadow)
    total = ours if evidence is None else _sum((ours, evidence.points))
    # Python's sort is stable, and the names make it independent of who came first.
    items = sorted((*found.values(), *theirs), key=lambda item: (-item.points, item.name))
    return Total(total, tuple(items))


def _is_seen_by_statistics(clue: Clue) -> bool:
    """Whether it is about words and links; what a DNS list says of a link is news, and brings its points."""
    return clue.source == "rule" or (clue.source == "url" and clue.points is None)


def _take(found: dict[str, Item], item: Item) -> None:
    """Keep the item, if it is the first of its name, or weighs more than the other; a shadow weighs least."""
    other = found.get(item.name)
    if other is None or (not item.shadow, item.points) > (not other.shadow, other.points):
        found[item.name] = item


def _told(evidence: Evidence) -> Iterator[Item]:
    rest = evidence.points
    for text in evidence.facts:
        shadow = text.startswith("(") and text.endswith(")")
        name, colon, number = (text[1:-1] if shadow else text).rpartition(":")
        try:
            worth = _bounded(float(number)) if colon else 0.0
        except ValueError:
            name, worth = text, 0.0
        yield Item(name or text, worth, shadow=shadow)
        rest -= 0.0 if shadow else worth
    if abs(rest) >= 0.01:
        yield Item(REST, _sum((rest,)))


def _bounded(points: float) -> float:
    if not math.isfinite(points):
        return 0.0
    return max(-MAX_POINTS, min(MAX_POINTS, points))


def _sum(points: Iterable[float]) -> float:
    # 0.1 + 0.2 must reach a threshold of 0.3.
    return round(math.fsum(points), 6)
